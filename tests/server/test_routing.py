"""The edge guesses from a few fields where the shard, which reads everything, finds the batch."""

from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.batches.decode import decode_batch
from actors.batches.identities import (
    DEVICE_IDENTITIES,
    USER_IDENTITIES,
    USER_IDENTITY_ALIASES,
    batch_identities,
)
from actors.errors import BatchRejected
from actors.identity.keys import IdentityName, canonical
from actors.model.batches import Batch
from actors.store.keys import identity_key, slot_of_hash, slot_of_mpid, unattributed_digest
from config.identity import DEFAULT_PRIORITY
from server.routing import Route, Router
from tests.actors.batches.support import DEBUG_FEED, FEED, IOS, context, workspace

SCOPE = 1
WORKSPACE = replace(workspace(), priority=DEFAULT_PRIORITY)
LOGIN_IDS = frozenset({"customerid"})
ROUTER = Router(SCOPE, DEFAULT_PRIORITY, LOGIN_IDS, LOGIN_IDS, frozenset({DEBUG_FEED}))
STAMP = "0B6F2C1E-7D43-4A8E-9C55-1F2E3D4C5B6A"
ZEROS = "00000000-0000-0000-0000-000000000000"


def route(body: Any, source: int = FEED) -> Route:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return ROUTER.route(raw, "k", source)


def identities_of(batch: Batch) -> list[IdentityName]:
    """Return what the shard resolves a batch by."""
    sent = batch_identities(batch)
    return [
        IdentityName(kind, canonical(kind, sent[kind])) for kind in DEFAULT_PRIORITY if kind in sent
    ]


values = st.one_of(
    st.sampled_from(["", " ", "a", " A ", "Ann@Example.com", "5", "\u00a0x\u2003", "null"]),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([True, False, None, 5.0, 2.5, 1e18]),
)
names = st.sampled_from(["customer_id", "customerid", "email", "other_id_2", "other2", "alias"])
user_identities = st.one_of(
    st.none(),
    st.dictionaries(st.sampled_from([*USER_IDENTITIES, *USER_IDENTITY_ALIASES]), values),
    st.dictionaries(names, values),
    st.lists(st.fixed_dictionaries({"identity_type": names, "identity": values}), max_size=4),
)
uuids = st.sampled_from([STAMP, STAMP.lower(), ZEROS, None])
# Of these zeros are an id like any other; that they are taken for none costs a hop, no more.
ANY_TEXT = ("android_uuid", "microsoft_publisher_id", "amp_id", "push_token")
devices = st.one_of(
    st.none(),
    st.dictionaries(
        st.sampled_from([name for name in DEVICE_IDENTITIES if name not in ANY_TEXT]), uuids
    ),
    st.dictionaries(st.sampled_from(ANY_TEXT), st.sampled_from(["Pt", " pt ", ""])),
)
bodies = st.fixed_dictionaries(
    {},
    optional={
        "environment": st.sampled_from(["production", "development", "Development", None]),
        "mpid": st.sampled_from([None, 0, "0", 5, "5", -7, str(2**62), 2**63 - 1]),
        "mp_deviceid": uuids,
        "user_identities": user_identities,
        "device_info": devices,
        "source_request_id": st.sampled_from(["r", "", None, 7, " r "]),
        "batch_id": st.sampled_from([None, 0, 5, "5", 5.0, "", -7]),
    },
)


@given(bodies, st.sampled_from([FEED, IOS, DEBUG_FEED]))
@settings(max_examples=500, deadline=None)
@example({"user_identities": {"customerid": "1", "customer_id": "2"}}, FEED)
@example({"user_identities": [{"identity_type": "customer_id", "identity": 5.0}]}, FEED)
@example({"device_info": {"ios_advertising_id": ZEROS}, "mp_deviceid": STAMP}, FEED)
def test_the_shard_that_is_asked_is_the_one_that_resolves(
    body: dict[str, Any], source: int
) -> None:
    """Otherwise every such batch would take a second hop."""
    raw = orjson.dumps(body)
    found = ROUTER.route(raw, "k", source)
    try:
        batch = decode_batch(raw, context(source), WORKSPACE)
    except BatchRejected:
        return  # whichever shard says so
    if batch.mpid is not None:
        assert found == Route(slot_of_mpid(batch.mpid), (batch.mpid,), None)
        return
    ordered = identities_of(batch)
    if ordered:
        key = identity_key(SCOPE, batch.environment, ordered[0].type, ordered[0].value)
        has_login = any(name.type in LOGIN_IDS for name in ordered)
        assert found == Route(slot_of_hash(key), tuple(ordered), key if has_login else None)
    else:
        assert (found.unit_keys, found.guess_key) == ((), None)
        if batch.source_request_id:
            digest = unattributed_digest("k", "request_id", batch.source_request_id)
            assert found.slot == slot_of_hash(digest)
        elif batch.is_batch_id_sent:
            digest = unattributed_digest("k", "batch_id", str(batch.batch_id))
            assert found.slot == slot_of_hash(digest)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(
            rb'{"user_identities":{"email":"a@b.c"},"device_info":{"brand":"Pixel \ud83d"}}',
            id="beside an identity",
        ),
        pytest.param(rb'{"user_identities":{"customer_id":"\udc00 x"}}', id="in an identity"),
        pytest.param(rb'{"source_request_id":"\ud83d"}', id="in the id of a batch of nobody's"),
    ],
)
def test_half_a_surrogate_pair_leads_nowhere_else(body: bytes) -> None:
    """spec/events-api.md, 3.2 and 5.2: the shard reads it as U+FFFD."""
    mended = body.replace(rb"\ud83d", rb"\ufffd").replace(rb"\udc00", rb"\ufffd")
    assert mended != body
    assert route(body) == route(mended)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["user_identities", "mpid", "device_info", "environment", "email"]),
                inner,
            )
        ),
    )
)
def test_whatever_is_sent_goes_somewhere(body: Any) -> None:
    assert 0 <= route(body_bytes(body)).slot < 2**16


def body_bytes(body: Any) -> bytes:
    try:
        return orjson.dumps(body)
    except (TypeError, orjson.JSONEncodeError):  # an integer of more than 64 bits
        return str(body).encode("utf-8", "replace")


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"not json", id="no JSON"),
        pytest.param(b"[" * 5000, id="deep"),
        pytest.param(b'{"mpid": 5', id="cut off"),
        pytest.param(b"\xff\xfe", id="no UTF-8"),
        pytest.param(b'{"events": []}', id="nobody's"),
    ],
)
def test_what_names_nobody_goes_where_its_repeat_goes(raw: bytes) -> None:
    first, second = route(raw), route(raw)
    assert first == second
    assert (first.unit_keys, first.guess_key) == ((), None)


def test_a_request_id_places_what_is_nobodys() -> None:
    """spec/events-api.md, 5.4: a repeat is found even when other bytes say the same."""
    sent = {"source_request_id": "r-1", "events": []}
    other_bytes = orjson.dumps(sent, option=orjson.OPT_INDENT_2)
    assert route(sent) == route(other_bytes)
    assert ROUTER.route(other_bytes, "k2", FEED) != route(sent)


def test_an_mpid_goes_before_identities() -> None:
    """spec/identity.md, 9, row 1."""
    identities = {"user_identities": {"customer_id": "c"}}
    assert route({"mpid": 5, **identities}) == Route(slot_of_mpid(5), (5,), None)
    assert route({"mpid": 0, **identities}) == route(identities)


def test_types_outside_the_priority_route_nobody() -> None:
    router = Router(SCOPE, ("email",), frozenset({"email"}), frozenset({"email"}), frozenset())
    body = orjson.dumps({"user_identities": {"customer_id": "c"}})
    assert router.route(body, "k", FEED).unit_keys == ()
