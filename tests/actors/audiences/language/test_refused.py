from typing import Any

import orjson
import pytest

from actors.audiences.language.definition import DefinitionInvalid, read_definition
from tests.actors.audiences.language.support import (
    ANYBODY,
    REFERENCES,
    attribute,
    broken,
    custom,
    read,
    refused,
    whole,
)


def nested(depth: int) -> dict[str, Any]:
    """Make a definition with so many groups around one criterion."""
    node = ANYBODY
    for _ in range(depth):
        node = {"op": "and", "nodes": [node]}
    return whole(node)


@pytest.mark.parametrize(
    ("criteria", "path"),
    [
        ({"op": "and", "nodes": []}, "/nodes"),
        ({"op": "not", "nodes": [ANYBODY, ANYBODY]}, "/nodes"),
        ({"op": "xor", "nodes": [ANYBODY]}, "/op"),
        ({"op": "exclude", "nodes": [ANYBODY]}, "/nodes"),
        ({"op": "and"}, "/nodes"),
        ({"op": "and", "nodes": ANYBODY}, "/nodes"),
        ({"nodes": [ANYBODY]}, "/op"),
        ({"op": "and", "nodes": [ANYBODY], "id": "x"}, "/id"),
        ({"op": "and", "nodes": [ANYBODY, {"op": "or", "nodes": []}]}, "/nodes/1/nodes"),
        ({"op": "and", "nodes": [7]}, "/nodes/0"),
        ({}, "/type"),
        ({"type": "evnt"}, "/type"),
        ([ANYBODY], ""),
    ],
)
def test_groups(criteria: Any, path: str) -> None:
    """spec/audiences.md, worked case 28."""
    assert refused(whole(criteria)) == [f"/definition/criteria{path}"]


@pytest.mark.parametrize(
    ("criteria", "path"),
    [
        (custom(frequencey={"operator": "equals", "value": 1}), "/frequencey"),
        ({"type": "event", "event_type": "custom_event"}, "/event_name"),
        (attribute("greater_than", value="a"), "/operator"),
        (attribute("between", "number", min_value=9, max_value=1), "/min_value"),
        (attribute("in_list", value="a"), "/values"),
    ],
)
def test_the_mistakes_of_worked_case_29(criteria: Any, path: str) -> None:
    """spec/audiences.md, worked case 29."""
    assert refused(whole(criteria)) == [f"/definition/criteria{path}"]


@pytest.mark.parametrize(
    ("criteria", "path"),
    [
        (attribute("equals"), "/value"),
        (attribute("equals", value={}), "/value"),
        (attribute("exists", value="a"), "/value"),
        (attribute("equals", value="a", unit="days"), "/unit"),
        (attribute("in_list", values=[]), "/values"),
        (attribute("in_list", values=["a", None]), "/values/1"),
        (attribute("equals", "number", value="abc"), "/value"),
        (attribute("equals", "number", value=float("nan")), "/value"),
        (attribute("equals", "number", value=10**400), "/value"),
        (attribute("equals", "boolean", value="yes"), "/value"),
        (attribute("not_equals", "boolean", value=True), "/operator"),
        (attribute("equals", "version", value=17.2), "/value"),
        (attribute("between", "version", min_value="1.10", max_value="1.9"), "/min_value"),
        (attribute("before", "date", value="2026-02-30"), "/value"),
        (attribute("before", "date", value="2026-02-03T00:00:00"), "/value"),
        (attribute("within_last", "date", value=3), "/unit"),
        (attribute("within_last", "date", value=-3, unit="days"), "/value"),
        (attribute("within_last", "date", value=1e12, unit="months"), "/value"),
        (attribute("calendar", "date", value=3), "/operator"),
        (
            attribute("between_dates", "date", min_value="2026-03-02", max_value="2026-03-01"),
            "/min_value",
        ),
        (attribute("size_equals", "list", value=1.5), "/value"),
        (attribute("equals", "text", value="a"), "/value_type"),
        (attribute("exists", None), "/value_type"),
        (
            attribute("equals", value="a", value_ref={"type": "user_attribute"}),
            "/value_ref/attribute_name",
        ),
        (
            attribute("in_list", values=["a"], value_ref={"type": "x", "attribute_name": "b"}),
            "/value_ref",
        ),
        (
            attribute("equals", value_ref={"type": "device", "attribute_name": "b"}),
            "/value_ref/type",
        ),
        ({"type": "first_seen", "value_type": "string", "operator": "exists"}, "/value_type"),
        (
            {"type": "user_attribute", "value_type": "string", "operator": "exists"},
            "/attribute_name",
        ),
    ],
)
def test_tests_of_values(criteria: Any, path: str) -> None:
    """spec/audiences.md, 4: an operator takes what its line says, and nothing else."""
    assert f"/definition/criteria{path}" in refused(whole(criteria))


CONDITION = {"attribute_name": "kind", "type": "string", "operator": "equals", "value": "intro"}


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"event_type": "custom"}, "/event_type"),
        ({"event_name": ""}, "/event_name"),
        ({"event_name": ["a", 5]}, "/event_name/1"),
        ({"event_type": "session_start"}, "/event_name"),
        ({"custom_event_type": "navigatio"}, "/custom_event_type"),
        ({"commerce_action": "purchase"}, "/commerce_action"),
        ({"event_type": "commerce_event", "event_name": None, "action": "buy"}, "/action"),
        ({"action": "purchase", "commerce_action": "purchase"}, "/action"),
        ({"recency": {"type": "all"}, "within": {"value": 1, "unit": "days"}}, "/within"),
        ({"within": {"value": 1}}, "/within/unit"),
        ({"recency": {"value": 1, "unit": "days"}}, "/recency/type"),
        ({"recency": {"type": "before", "date": "soon"}}, "/recency/date"),
        ({"recency": {"type": "on", "date": "2026-03-01", "unit": "days"}}, "/recency/unit"),
        (
            {"recency": {"type": "between_dates", "start": "2026-03-02", "end": "2026-03-01"}},
            "/recency/start",
        ),
        (
            {
                "recency": {
                    "type": "between_ago",
                    "from": {"value": 1, "unit": "days"},
                    "to": {"value": 2, "unit": "days"},
                }
            },
            "/recency/from",
        ),
        ({"recency": {"type": "calendar", "unit": "week", "offset": 1}}, "/recency/offset"),
        ({"recency": {"type": "calendar", "unit": "day", "offset": -100_001}}, "/recency/offset"),
        ({"frequency": {"operator": "equals", "value": -1}}, "/frequency/value"),
        ({"frequency": {"operator": "equals", "value": 1.5}}, "/frequency/value"),
        ({"frequency": {"operator": "equals", "value": True}}, "/frequency/value"),
        ({"frequency": {"operator": "in_list", "values": [1]}}, "/frequency/operator"),
        ({"frequency": {"operator": "equals", "value": 1, "of": "weeks"}}, "/frequency/of"),
        (
            {"frequency": {"operator": "between", "min_value": 3, "max_value": 2}},
            "/frequency/min_value",
        ),
        (
            {"aggregate": {"function": "sum", "attribute_name": "a", "operator": "exists"}},
            "/aggregate/operator",
        ),
        (
            {"aggregate": {"function": "median", "attribute_name": "a", "operator": "equals"}},
            "/aggregate/function",
        ),
        ({"where": []}, "/where"),
        ({"where": {"op": "exclude", "nodes": [CONDITION, CONDITION]}}, "/where/op"),
        ({"where": {"op": "or", "nodes": [CONDITION | {"valeu": 1}]}}, "/where/nodes/0/valeu"),
        ({"where": CONDITION | {"type": None}}, "/where/type"),
        ({"where": CONDITION | {"value_ref": {}}}, "/where/value_ref"),
        ({"where": CONDITION | {"attribute_category": "custom_flag"}}, "/where/attribute_category"),
        (
            {"where": CONDITION | {"attribute_category": "event_field"}},
            "/where/attribute_name",
        ),
        (
            {"where": CONDITION | {"attribute_category": "promotion_attribute"}},
            "/where/attribute_name",
        ),
        ({"input_ids": []}, "/input_ids"),
        ({"input_ids": ["7"]}, "/input_ids/0"),
        ({"id": ""}, "/id"),
    ],
)
def test_event_criteria(members: dict[str, Any], path: str) -> None:
    """spec/audiences.md, 3.1 and 3.3."""
    assert f"/definition/criteria{path}" in refused(whole(custom(**members)))


STEP = {"event_type": "session_start"}


@pytest.mark.parametrize(
    ("steps", "path"),
    [
        ([STEP], ""),
        ({}, ""),
        ([STEP | {"within": {"value": 1, "unit": "days"}}, STEP], "/0/within"),
        ([STEP | {"absent": True}, STEP], "/0/absent"),
        ([STEP, STEP | {"absent": True}], "/1/within"),
        (
            [STEP, STEP | {"absent": True, "within": {"value": 1, "unit": "days"}}, STEP],
            "/1/absent",
        ),
        ([STEP, STEP | {"same": []}], "/1/same"),
        ([STEP, STEP | {"frequency": {}}], "/1/frequency"),
        ([STEP, {}], "/1/event_type"),
        ([STEP, None], "/1"),
    ],
)
def test_steps(steps: Any, path: str) -> None:
    """spec/audiences.md, 3.1, sequence."""
    assert refused(whole({"type": "sequence", "steps": steps})) == [
        f"/definition/criteria/steps{path}"
    ]


@pytest.mark.parametrize(
    ("criteria", "path"),
    [
        (
            {"type": "calculated_attribute", "name": "ltv", "attribute_name": "ltv"},
            "/name",
        ),
        (
            {"type": "calculated_attribute", "calculated_attribute_id": 3, "name": "ltv"},
            "/name",
        ),
        ({"type": "audience_membership", "audience_id": "11"}, "/audience_id"),
        ({"type": "consent", "regulation": "hipaa", "purpose": "x"}, "/regulation"),
        ({"type": "consent", "consented": "yes"}, "/consented"),
        ({"type": "consent", "consented": True, "operator": "exists"}, "/consented"),
        ({"type": "device", "field": "identities"}, "/field"),
        ({"type": "device", "field": "brand", "match": "newest"}, "/match"),
        ({"type": "identity", "identity_type": "mail"}, "/identity_type"),
        ({"type": "identity", "identity_type": "partner:"}, "/identity_type"),
        ({"type": "attribution", "event": "upgrade"}, "/event"),
        ({"type": "opt_out", "value": 1}, "/value"),
        ({"type": "location", "operator": "equals", "field": "street", "value": "x"}, "/field"),
        (
            {
                "type": "location",
                "operator": "equals",
                "field": "zip",
                "value": "x",
                "values": ["x"],
            },
            "/value",
        ),
        ({"type": "location", "operator": "within", "latitude": 91}, "/latitude"),
        ({"type": "location", "operator": "within", "distance": -1}, "/distance"),
        ({"type": "location", "operator": "within", "unit": "feet"}, "/unit"),
        ({"type": "location", "operator": "within_box", "north": 1, "south": 2}, "/north"),
        ({"type": "prediction", "prediction_id": 31, "output": "rank"}, "/output"),
    ],
)
def test_user_criteria(criteria: Any, path: str) -> None:
    """spec/audiences.md, 3.2."""
    assert f"/definition/criteria{path}" in refused(whole(criteria))


@pytest.mark.parametrize(
    ("document", "paths"),
    [
        ({"version": 2, "criteria": ANYBODY}, ["/definition/version"]),
        ({"version": True, "criteria": ANYBODY}, ["/definition/version"]),
        ({"criteria": ANYBODY}, ["/definition/version"]),
        ({"version": 1}, ["/definition/criteria"]),
        ({"version": 1, "criteria": ANYBODY, "name": "x"}, ["/definition/name"]),
        ("everybody", ["/definition"]),
        (None, ["/definition"]),
    ],
)
def test_whole_documents(document: Any, paths: list[str]) -> None:
    assert refused(document) == paths


def test_all_mistakes_are_told_at_once_in_the_order_of_the_document() -> None:
    document = whole(
        {"op": "or", "nodes": [attribute("equals"), ANYBODY, {"type": "opt_out", "a/b": 1, "~": 1}]}
    )
    assert refused(document) == [
        "/definition/criteria/nodes/0/value",
        "/definition/criteria/nodes/2/value",
        "/definition/criteria/nodes/2/a~1b",
        "/definition/criteria/nodes/2/~0",
    ]


def test_a_bare_node_has_its_mistakes_where_it_stands() -> None:
    assert refused({"and": [ANYBODY, {"not": {"type": "x"}}]}) == ["/definition/and/1/not/type"]


def test_malformed_comes_before_what_it_refers_to() -> None:
    unknown = {"type": "audience_membership", "audience_id": 99, "operator": "is_member"}
    assert refused({"and": [unknown, {"type": "x"}]}) == ["/definition/and/1/type"]


@pytest.mark.parametrize(("depth", "problems"), [(8, []), (9, ["LIMIT_EXCEEDED"])])
def test_groups_nest_up_to_eight_deep(depth: int, problems: list[str]) -> None:
    """spec/audiences.md, 15 and worked case 30."""
    assert [code for code, _ in broken(nested(depth))] == problems


@pytest.mark.parametrize(("count", "problems"), [(100, []), (101, ["/definition/criteria"])])
def test_a_definition_has_up_to_a_hundred_criteria(count: int, problems: list[str]) -> None:
    """spec/audiences.md, 15 and worked case 30."""
    groups = [{"op": "or", "nodes": [ANYBODY] * size} for size in (50, 49, count - 99)]
    found = broken(whole({"op": "and", "nodes": groups}))
    assert found == [("LIMIT_EXCEEDED", path) for path in problems]


@pytest.mark.parametrize(
    ("criteria", "path"),
    [
        ({"op": "or", "nodes": [ANYBODY] * 51}, "/nodes"),
        (attribute("in_list", values=["a"] * 1001), "/values"),
        (custom(event_name=["a"] * 1001), "/event_name"),
        (
            custom(where={"op": "or", "nodes": [{"op": "or", "nodes": [CONDITION] * 26}] * 2}),
            "/where",
        ),
        ({"type": "sequence", "steps": [STEP] * 6}, "/steps"),
    ],
)
def test_other_limits(criteria: Any, path: str) -> None:
    """spec/audiences.md, 15."""
    assert broken(whole(criteria)) == [("LIMIT_EXCEEDED", f"/definition/criteria{path}")]


@pytest.mark.parametrize(
    "criteria",
    [
        {"op": "or", "nodes": [ANYBODY] * 50},
        attribute("in_list", values=["a"] * 1000),
        custom(where={"op": "or", "nodes": [{"op": "or", "nodes": [CONDITION] * 25}] * 2}),
        {"type": "sequence", "steps": [STEP] * 5},
    ],
)
def test_what_is_just_within_the_limits_is_taken(criteria: Any) -> None:
    assert read(whole(criteria)).problems == []


@pytest.mark.parametrize(
    "document",
    [nested(2000), whole(attribute("in_list", values=["a" * 1000] * 300))],
    ids=["deep", "large"],
)
def test_what_is_too_large_to_be_read_is_over_a_limit_too(document: Any) -> None:
    """spec/audiences.md, 15: 256 KB."""
    with pytest.raises(DefinitionInvalid) as refusal:
        read_definition(document, REFERENCES)
    found = [(problem.code, problem.path) for problem in refusal.value.problems]
    assert found == [("LIMIT_EXCEEDED", "/definition")]


def of_bytes(size: int, *nodes: Any) -> dict[str, Any]:
    """Make a definition whose JSON has so many bytes, with no blanks in it."""
    values = ["\u00e9" * 120] * 1000  # two bytes each
    document = whole({"op": "and", "nodes": [attribute("in_list", values=values), *nodes]})
    values[0] += "x" * (size - len(orjson.dumps(document)))
    assert len(orjson.dumps(document)) == size
    return document


def test_the_border_of_the_size_is_that_of_the_json_without_blanks() -> None:
    """spec/audiences.md, 15: 256 KB."""
    assert read(of_bytes(256 * 1024)).problems == []
    with pytest.raises(DefinitionInvalid):
        read(of_bytes(256 * 1024 + 1))


def test_a_short_form_is_not_saved_whose_canonical_one_is_too_large_to_be_read_again() -> None:
    short = {"type": "calculated_attribute", "name": "ltv", "operator": "equals", "value": 5}
    assert broken(of_bytes(256 * 1024, short)) == [("LIMIT_EXCEEDED", "/definition")]
    kept = read(of_bytes(256 * 1024, short), is_kept=True)
    assert read(kept.canonical, is_kept=True).problems == []
