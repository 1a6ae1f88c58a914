"""Batches that are tried against a plan get the answer that ingest would give."""

from typing import Any

import orjson
import pytest

from actors.errors import BatchRejected
from actors.plans.document import compile_document
from actors.plans.trial import try_batch
from tests.actors.plans.plans import (
    Data,
    compiled,
    custom_match,
    entries,
    event,
    point,
    quote,
    with_attributes,
)


def nested(levels: int) -> Any:
    """Return arrays within arrays."""
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("part", "action", "name"),
    [
        ("product_action", "Purchase", "purchase"),
        ("product_action", "remove_from_wishlist", "remove_from_wish_list"),
        ("promotion_action", 1, "view"),
        ("promotion_action", "Click", "click"),
    ],
)
def test_actions_are_planned_by_the_names_that_ingest_keeps(
    part: str, action: Any, name: str
) -> None:
    actions = {part: {"properties": {"action": {"const": name}}}}
    schema = {"properties": {"data": {"properties": actions}}}
    plan = compile_document(
        {
            "data_points": [point({"type": part, "criteria": {"action": name}}, schema)],
            "settings": {"validation_actions": {"event": "drop_event"}},
        }
    )
    sent = event("commerce_event", **{part: {"action": action}})
    batch = {"events": [sent]}
    assert entries(plan, sent) == []
    assert try_batch(plan, batch) == {"results": [], "batch": batch}


@pytest.mark.parametrize(("value", "actual"), [("yes", "string"), (1, "number")])
def test_case_27_a_value_that_is_no_truth_value_is_named_by_its_type(
    value: Any, actual: str
) -> None:
    attributes = with_attributes({"x": {"type": "boolean"}})
    plan = compiled(point(custom_match("E"), attributes))
    sent = event("custom_event", event_name="E", custom_attributes={"x": value})
    [result] = try_batch(plan, {"events": [sent]})["results"]
    [error] = result["data"]["validation_errors"]
    assert error["schema_keyword"] == "type"
    assert (error["expected"], error["actual"]) == ("boolean", actual)
    for right in (True, "TRUE"):
        sent["data"]["custom_attributes"]["x"] = right
        assert try_batch(plan, {"events": [sent]})["results"] == []


def test_integers_beyond_64_bits_are_taken() -> None:
    plan, big = compiled(), 1 << 70
    found = try_batch(plan, {"events": [quote({"premium": big})]})
    assert found["results"] == []
    assert orjson.loads(orjson.dumps(found)) == found
    [kept] = found["batch"]["events"]
    assert kept["data"]["custom_attributes"] == {"premium": float(big)}
    with pytest.raises(BatchRejected):
        try_batch(plan, {"mpid": big, "events": []})


def test_half_a_character_is_taken_as_ingest_takes_it() -> None:
    found = try_batch(compiled(), {"events": [], "user_attributes": {"tier": "a\ud800"}})
    assert found["batch"]["user_attributes"] == {"tier": "a\ufffd"}


@pytest.mark.parametrize("levels", [70, 300, 100_000])
def test_a_batch_that_is_nested_too_deep_is_refused(levels: int) -> None:
    batch: Data = {"events": [quote({"premium": 1})], "unknown": nested(levels)}
    with pytest.raises(BatchRejected, match="nested deeper than 64 levels"):
        try_batch(compiled(), batch)
