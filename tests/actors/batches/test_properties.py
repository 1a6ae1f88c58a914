"""What holds for every batch (spec/events-api.md, 18)."""

import json
from pathlib import Path
from typing import Any
from unittest.mock import patch

import jsonschema
import msgspec
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.batches import decode
from actors.batches.decode import decode_batch
from actors.batches.events import EVENT_TYPES
from actors.batches.identities import DEVICE_IDENTITIES, batch_identities
from actors.errors import BatchRejected, Problem
from actors.model.batches import Batch, BatchContext
from tests.actors.batches.from_schema import values_of
from tests.actors.batches.support import FEED, client_context, context, workspace

SCHEMA = json.loads((Path(__file__).parents[2] / "data" / "events.schema.json").read_text())
IS_VALID = jsonschema.Draft7Validator(
    SCHEMA, format_checker=jsonschema.Draft7Validator.FORMAT_CHECKER
).is_valid
WORKSPACE = workspace()

# Required texts, which the schema lets be empty, and a Boolean that it lets be null.
NEEDED = {
    "custom_event": ("event_name",),
    "breadcrumb": ("label",),
    "push_registration": ("register", "registration_token"),
    "user_attribute_change": ("user_attribute_name",),
}
PARTS = ("product_action", "promotion_action", "product_impressions")


def is_excepted(batch: dict[str, Any]) -> bool:
    """Tell whether the page lists a valid batch among those that are refused all the same."""
    if any(value is not None for value in (batch.get("partner_identities") or {}).values()):
        return True
    ids = [batch.get("source_request_id"), *(batch.get("user_identities") or {}).values()]
    ids += [(batch.get("device_info") or {}).get(name) for name in DEVICE_IDENTITIES]
    if any(isinstance(value, float) and abs(value) >= 2**63 for value in ids):
        return True
    for event in batch.get("events") or ():
        kind, data = event["event_type"], event["data"]
        if any(data[name] in (None, "") for name in NEEDED.get(kind, ())):
            return True
        parts = sum(bool(data.get(name)) for name in PARTS)
        if kind == "commerce_event" and parts != 1:
            return True
    return False


def is_sound(batch: Batch) -> bool:
    """Tell whether a batch can be stored, sent and looked up."""
    assert msgspec.json.decode(msgspec.json.encode(batch), type=Batch).events == batch.events
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(batch), type=Batch) == batch
    for event in batch.events:  # whoever asks for a member gets what is stored
        assert {name: event.get(name) for name in event.data} == event.data
    return all(value == value.strip() != "" for value in batch_identities(batch).values())


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(values_of(SCHEMA, SCHEMA["definitions"]))
def test_a_batch_that_is_valid_under_the_published_schema_is_taken(body: dict[str, Any]) -> None:
    if body.get("ip", "") is None:
        del body["ip"]  # the schema's two alternatives both take null, so that neither does
    assert IS_VALID(body)
    try:
        batch = decode_batch(orjson.dumps(body), context(FEED), WORKSPACE)
    except BatchRejected:
        if not is_excepted(body):
            raise
    else:
        assert not is_excepted(body)
        assert is_sound(batch)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**65), 2**65) | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
BATCH_FIELDS = sorted({*SCHEMA["properties"], "batch_context"})
DATA_FIELDS = sorted({name for each in EVENT_TYPES.values() for name in each.fields})
MEMBERS = sorted(
    {name for each in SCHEMA["definitions"].values() for name in each.get("properties", ())}
)


def mapped(names: list[str], values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.dictionaries(st.sampled_from(names), values, max_size=5)


OBJECTS = mapped(MEMBERS, JSON | mapped(MEMBERS, JSON | st.lists(mapped(MEMBERS, JSON))))
EVENTS = st.fixed_dictionaries(
    {
        "event_type": st.sampled_from(sorted(EVENT_TYPES)),
        "data": mapped(DATA_FIELDS, JSON | OBJECTS),
    }
)
BATCHES = st.builds(
    lambda fields, events: fields | {"events": events},
    mapped(BATCH_FIELDS, JSON | OBJECTS),
    st.lists(EVENTS | JSON, max_size=3),
)
CONTEXTS = st.sampled_from([context(FEED), context(FEED, is_historical=True), client_context()])


def decoded_or_refused(raw: bytes, where: BatchContext) -> Batch | list[Problem]:
    try:
        return decode_batch(raw, where, WORKSPACE)
    except BatchRejected as refusal:
        return refusal.problems


@settings(max_examples=200, deadline=None)
@given(BATCHES | JSON, CONTEXTS)
def test_any_json_makes_a_sound_batch_or_a_refusal(body: Any, where: BatchContext) -> None:
    # The standard library writes what a parser has to refuse too: NaN and integers of any size.
    raw = json.dumps(body).encode()
    outcome = decoded_or_refused(raw, where)
    if isinstance(outcome, Batch):
        assert is_sound(outcome)
    else:
        assert 1 <= len(outcome) <= 20
        assert msgspec.json.encode(outcome)


@settings(deadline=None)
@given(st.binary(max_size=40), CONTEXTS)
def test_any_bytes_are_refused_or_make_a_batch(raw: bytes, where: BatchContext) -> None:
    outcome = decoded_or_refused(raw, where)
    assert is_sound(outcome) if isinstance(outcome, Batch) else outcome


@pytest.mark.parametrize("field", ["user_attributes", "user_identities"])
def test_half_a_surrogate_pair_can_be_stored(field: str) -> None:
    raw = b'{"%b":{"email":"cut \\ud83d"}}' % field.encode()
    batch = decode_batch(raw, context(), WORKSPACE)
    assert getattr(batch, field) == {"email": "cut \ufffd"}
    assert is_sound(batch)


def test_a_client_is_refused_only_what_is_no_object() -> None:
    """spec/events-api.md, 16."""
    raw = orjson.dumps({name: [{}] for name in BATCH_FIELDS})
    assert is_sound(decode_batch(raw, client_context(), WORKSPACE))


def read_member_by_member(raw: bytes, came: BatchContext) -> Batch | list[Problem]:
    with patch.object(decode._exact, "read", return_value=None):
        return read(raw, came)


def read(raw: bytes, came: BatchContext) -> Batch | list[Problem]:
    try:
        batch = decode_batch(raw, came, WORKSPACE)
    except BatchRejected as error:
        return error.problems
    batch.drops.sort()  # they are counted, in no order
    return batch


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(values_of(SCHEMA, SCHEMA["definitions"]) | BATCHES, CONTEXTS)
def test_what_is_read_in_c_is_read_as_member_by_member(
    body: dict[str, Any], came: BatchContext
) -> None:
    raw = json.dumps(body).encode()
    assert read(raw, came) == read_member_by_member(raw, came)


@pytest.mark.parametrize("start", [b'{"a":', b'{"events":[', b'{"user_attributes":{"x":['])
def test_what_nests_deeper_than_there_is_stack_is_refused_like_all_that_nests_too_deep(
    start: bytes,
) -> None:
    """An edge, whose stack is another one, may have taken it."""
    for depth in range(70, 1200, 10):
        raw = start + b"[" * depth + b"]" * depth + _ENDS[start]
        with pytest.raises(BatchRejected):
            decode_batch(raw, context(FEED), WORKSPACE)


_ENDS = {b'{"a":': b"}", b'{"events":[': b"]}", b'{"user_attributes":{"x":[': b"]}}"}
