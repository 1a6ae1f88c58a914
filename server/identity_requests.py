"""Bodies of identity calls, checked in the order of spec/identity.md, 4.4: rows 6 to 12."""

from collections.abc import Iterator
from hashlib import sha256
from typing import Any, get_args

import msgspec
from msgspec import Struct

from actors.batches.coerce import ZERO_ID
from actors.batches.identities import (
    ADVERTISING_IDS,
    BATCH_NAMES,
    DEVICE_IDENTITIES,
    DEVICE_STAMP,
    MAX_IDENTITY,
)
from actors.identity.calls import CallKind, ChangeRequest, IdentityCall, ModifyCall
from actors.model.workspaces import ENVIRONMENTS, Environment
from server.identity_problems import (
    NO_ENVIRONMENT,
    NO_IDENTITIES,
    IdentityRefused,
    bad_field,
    bad_value,
    unknown_type,
)
from server.parameters import INT64_END, is_int64

IDENTITY_TYPES = frozenset(BATCH_NAMES) | set(DEVICE_IDENTITIES.values()) | {DEVICE_STAMP}
PLATFORMS = frozenset(
    {"ios", "android", "web", "tvos", "roku", "alexa", "smart_tv", "fire", "xbox", "other"}
)
CALL_KINDS: tuple[CallKind, ...] = get_args(CallKind)
MAX_CHANGES = 50

Body = dict[str, Any]

_encode = msgspec.json.Encoder(order="deterministic").encode


class SentCall(Struct, frozen=True):
    """An identity call, and the identities as the client wrote them, for the answer to echo."""

    call: IdentityCall
    sent: dict[str, str]


def identity_call(
    kind: CallKind, body: Body, api_key: str, *, is_read_only: bool, now_ms: int
) -> SentCall:
    """Read the body of an identify, login, logout or search call (5.1).

    Args:
        kind: of the call.
        body: decoded.
        api_key: that it came with; a logout is repeated only under the same one.
        is_read_only: asked for in the query.
        now_ms: time of receipt.

    Raises:
        IdentityRefused: rows 6 to 12, the first that fails.
    """
    environment = _common_fields(body)
    previous = body.get("previous_mpid")
    previous_mpid = None if previous is None else as_mpid(previous)
    if previous is not None and previous_mpid is None:
        raise bad_field("previous_mpid")
    sent = _known_identities(body)
    call = IdentityCall(
        kind=kind,
        environment=environment,
        identities={name: value.strip() for name, value in sent.items()},
        received_ms=now_ms,
        previous_mpid=previous_mpid,
        is_read_only=is_read_only and kind != "search",
        retry_key=_retry_key(body, api_key) if kind == "logout" else None,
    )
    return SentCall(call, sent)


def modify_call(body: Body, mpid: str, *, now_ms: int) -> ModifyCall:
    """Read the body of a modify call (6); `mpid` as it stands in the path.

    Raises:
        IdentityRefused: rows 6 to 8, the list of changes, then per change rows 10 and 11.
    """
    environment = _common_fields(body)
    number = as_mpid(mpid)
    if not number:
        raise bad_field("mpid")
    changes = body.get("identity_changes")
    if not isinstance(changes, list) or len(changes) > MAX_CHANGES:
        raise bad_field("identity_changes")
    return ModifyCall(environment, number, tuple(map(_change, changes)), now_ms)


def as_mpid(value: object) -> int | None:
    """Read an MPID, a number or its decimal text; `None` if it is no integer of 64 bits."""
    if isinstance(value, str):
        return int(value) if is_int64(value) else None
    if type(value) is int and -INT64_END <= value < INT64_END:
        return value
    return None


def environment_of(body: Body) -> Environment | None:
    """Return a body's environment, `None` if it names none of the two."""
    return next((each for each in ENVIRONMENTS if each == body.get("environment")), None)


def _common_fields(body: Body) -> Environment:
    """Check what all calls have in common and return the environment (rows 6 to 8)."""
    environment = environment_of(body)
    if environment is None:
        raise IdentityRefused(NO_ENVIRONMENT)
    sdk = body.get("client_sdk")
    platform = sdk.get("platform") if isinstance(sdk, dict) else None
    is_platform = platform is None or (isinstance(platform, str) and platform in PLATFORMS)
    if not isinstance(sdk, dict | None) or not is_platform:
        raise bad_field("client_sdk.platform")
    if type(body.get("request_timestamp_ms")) not in (int, type(None)):
        raise bad_field("request_timestamp_ms")
    for name in ("request_id", "context"):
        if not isinstance(body.get(name), str | None):
            raise bad_field(name)
    return environment


def _known_identities(body: Body) -> dict[str, str]:
    """Return the identities that were sent and count, as they were sent (rows 9 to 12)."""
    known = body.get("known_identities")
    if known is None:
        raise IdentityRefused(NO_IDENTITIES)
    if not isinstance(known, dict):
        raise bad_field("known_identities")
    for name in known:
        if name not in IDENTITY_TYPES:
            raise unknown_type(name)
    sent = dict(_present(known))
    if not sent:
        raise IdentityRefused(NO_IDENTITIES)
    return sent


def _present(known: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in known.items():
        if _value(name, value) is not None:
            yield name, value


def _value(name: str, value: object) -> str | None:
    """Return a value trimmed, `None` where it counts as not sent (2, Value rules)."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise bad_value(name)
    trimmed = value.strip()
    if len(trimmed) > MAX_IDENTITY:
        raise bad_value(name)
    if name in ADVERTISING_IDS and trimmed == ZERO_ID:
        return None
    return trimmed or None


def _change(entry: object) -> ChangeRequest:
    if not isinstance(entry, dict):
        raise bad_field("identity_changes")
    name = entry.get("identity_type")
    if not isinstance(name, str):
        raise bad_field("identity_type")
    if name not in IDENTITY_TYPES or name == DEVICE_STAMP:
        raise unknown_type(name)
    old, new = (_value(name, entry.get(field)) for field in ("old_value", "new_value"))
    return ChangeRequest(name, old, new)


def _retry_key(body: Body, api_key: str) -> bytes | None:
    """Digest what makes a logout the repetition of another one (7.5); none without an id."""
    request_id = body.get("request_id")
    if not request_id:
        return None
    parts = (api_key, request_id, body.get("request_timestamp_ms"), body["known_identities"])
    return sha256(_encode(parts)).digest()
