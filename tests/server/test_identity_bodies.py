"""Bodies of identity calls and aliases: whatever is sent is a call, or refused as one is.

Sources: spec/identity.md, 4.4, 5.1, 6 and 10.1.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from actors.identity.calls import AliasRequest, IdentityCall, ModifyCall
from server.alias_requests import alias_request
from server.bodies import as_text, json_object
from server.identity_problems import IdentityRefused
from server.identity_requests import CALL_KINDS, IDENTITY_TYPES, Body, identity_call, modify_call
from server.parameters import INT64_END
from tests.server.conftest import key_info

NOW_MS = 1_767_225_600_000
WINDOW_MS = 90 * 86_400_000
KEY = key_info("k1", "s1", 1)
CALL: Body = {
    "client_sdk": {"platform": "web", "sdk_vendor": "mparticle", "sdk_version": "2.68.0"},
    "context": None,
    "environment": "production",
    "request_id": "r1",
    "request_timestamp_ms": NOW_MS,
    "previous_mpid": "-7346244611012968789",
    "known_identities": {"email": "ann@example.com", "customerid": "c9"},
}
MODIFY: Body = CALL | {
    "identity_changes": [
        {"identity_type": "email", "old_value": "a@example.com", "new_value": None},
        {"identity_type": "customerid", "old_value": None, "new_value": "c9"},
    ]
}
ALIAS: Body = {
    "request_id": "r1",
    "request_type": "alias",
    "environment": "development",
    "api_key": "k1",
    "data": {
        "source_mpid": "5",
        "destination_mpid": 6,
        "device_application_stamp": "0f0f0f0f-0000-4000-8000-000000000001",
        "scope": "device",
        "start_unixtime_ms": NOW_MS - 1000,
        "end_unixtime_ms": NOW_MS,
    },
}

_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([INT64_END - 1, INT64_END, -INT64_END, -INT64_END - 1]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
    st.just({}),
    st.just([]),
    st.integers().map(str),
    st.sampled_from(["production", "alias", "k1", "mpid", "device", "web", "a@example.com"]),
)
_names = st.one_of(
    st.text(max_size=4),
    st.sampled_from(sorted({*CALL, *MODIFY, *ALIAS, *ALIAS["data"], *IDENTITY_TYPES, "platform"})),
)
_values: st.SearchStrategy[Any] = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=3),
    max_leaves=6,
)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every object or list with a name or index in it, at any depth."""
    names: Iterable[Any] = ()
    if isinstance(value, dict):
        names = value
    elif isinstance(value, list):
        names = range(len(value))
    for name in names:
        yield value, name
        yield from _places(value[name])


@st.composite
def _near(draw: st.DrawFn, right: Body) -> Body:
    """Draw a right body of which up to three values are others, or not there."""
    body: Body = json.loads(json.dumps(right))
    for _ in range(draw(st.integers(0, 3))):
        places = list(_places(body))
        if not places:
            break
        holder, name = places[draw(st.integers(0, len(places) - 1))]
        if draw(st.integers(0, 3)):
            holder[name] = draw(_scalars | _values)
        else:
            del holder[name]
    return body


def _read(sent: Body, read: Callable[[Body], Struct]) -> Struct | None:
    """Return what is made of a body, which another process can be sent; `None` if it is refused."""
    body = json_object(as_text(json.dumps(sent).encode()))
    try:
        made = read(body)
    except IdentityRefused:
        return None
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(made), type=type(made)) == made
    return made


@settings(max_examples=300, deadline=None)
@given(_near(CALL), st.sampled_from(CALL_KINDS), st.booleans())
def test_any_body_is_an_identity_call_or_refused(body: Body, kind: Any, is_read_only: bool) -> None:
    def read(sent: Body) -> IdentityCall:
        return identity_call(kind, sent, "k1", is_read_only=is_read_only, now_ms=NOW_MS).call

    call = _read(body, read)
    if isinstance(call, IdentityCall):
        assert call.identities.keys() <= IDENTITY_TYPES
        assert all(call.identities.values())
        assert call.previous_mpid is None or -INT64_END <= call.previous_mpid < INT64_END


@settings(max_examples=300, deadline=None)
@given(_near(MODIFY), st.sampled_from(["5", "0", "-1"]) | st.text())
def test_any_body_is_a_modify_call_or_refused(body: Body, mpid: str) -> None:
    call = _read(body, lambda sent: modify_call(sent, mpid, now_ms=NOW_MS))
    if isinstance(call, ModifyCall):
        assert call.mpid == int(mpid) != 0
        assert {each.type for each in call.changes} <= IDENTITY_TYPES


@settings(max_examples=300, deadline=None)
@given(_near(ALIAS))
def test_any_body_is_an_alias_request_or_refused(body: Body) -> None:
    request = _read(body, lambda sent: alias_request(sent, KEY, WINDOW_MS, NOW_MS))
    if isinstance(request, AliasRequest):
        assert request.end_ms - WINDOW_MS <= request.start_ms <= request.end_ms <= NOW_MS
        assert 0 not in (request.source_mpid, request.destination_mpid)
        assert request.source_mpid != request.destination_mpid


@pytest.mark.parametrize("kind", CALL_KINDS)
def test_a_right_body_is_a_call(kind: Any) -> None:
    """What the others begin with is not refused."""
    assert identity_call(kind, CALL, "k1", is_read_only=False, now_ms=NOW_MS).call.identities
    assert modify_call(MODIFY, "5", now_ms=NOW_MS).changes
    assert alias_request(ALIAS, KEY, WINDOW_MS, NOW_MS).scope == "device"
