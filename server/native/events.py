"""Messages of a native batch as events: one entry for each type (spec/clients.md, 5.3)."""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from server.native.commerce import commerce_data
from server.native.identities import identity_record
from server.native.members import Members, as_list, as_object, as_text, renamed

_COMMON = {
    "ct": "timestamp_unixtime_ms",
    "id": "source_message_id",
    "sid": "session_uuid",
    "sct": "session_start_unixtime_ms",
    "attrs": "custom_attributes",
    "flags": "custom_flags",
    "cs": "device_current_state",
}
_UUID = re.compile(r"[0-9a-f]{8}(-?)(?:[0-9a-f]{4}\1){3}[0-9a-f]{12}", re.IGNORECASE)
_BEHAVIOR = re.compile(r"[0-9]{1,9}")  # a mask of bits
_LOCATION = {"lat": "latitude", "lng": "longitude", "acc": "accuracy"}
_CUSTOM_TYPES = {
    name.replace("_", ""): name
    for name in (
        *("navigation", "location", "search", "transaction", "user_content"),
        *("user_preference", "social", "other", "media", "unknown"),
    )
}
_TRANSITIONS = {
    "app_init": "application_initialized",
    "app_exit": "application_exit",
    "app_back": "application_background",
    "app_fore": "application_foreground",
}


class _Type(NamedTuple):
    """A type of event: its name in batches, and what makes its own data."""

    event_type: str
    data: Callable[[Members], Members]


def event_of(message: Any) -> orjson.Fragment | None:
    """Return a message as an event of a batch, in JSON.

    `None` if its type is not known, or it cannot be written: nested too deep, or with numbers of
    more than 64 bits.
    """
    sent = as_object(message)
    kind = _TYPES.get(as_text(sent.get("dt")))
    if kind is None:
        return None
    data = renamed(sent, _COMMON) | kind.data(sent)
    session = as_text(data.pop("session_uuid", None))
    if _UUID.fullmatch(session):
        data["session_uuid"] = str(UUID(session))  # with its dashes
    location = renamed(as_object(sent.get("lc")), _LOCATION)
    if location:
        data["location"] = location
    try:
        return orjson.Fragment(orjson.dumps({"event_type": kind.event_type, "data": data}))
    except orjson.JSONEncodeError:
        return None


def _with(names: Mapping[str, str]) -> Callable[[Members], Members]:
    return lambda sent: renamed(sent, names)


def _session_start(sent: Members) -> Members:
    """A session begins with its own id, at its own time."""
    return renamed(sent, {"id": "session_uuid", "ct": "session_start_unixtime_ms"})


def _session_end(sent: Members) -> Members:
    """The length with the time in the background, if it is told, in seconds on the wire."""
    for name in ("slx", "sl"):
        try:
            return {"session_duration_ms": round(float(sent[name]) * 1000)}
        except (KeyError, TypeError, ValueError, OverflowError):
            continue
    return {}


def _custom(sent: Members) -> Members:
    kind = _CUSTOM_TYPES.get(as_text(sent.get("et")).lower(), "other")
    return renamed(sent, {"n": "event_name"}) | {"custom_event_type": kind}


def _transition(sent: Members) -> Members:
    names = {
        "ifr": "is_first_run",
        "iu": "is_upgrade",
        "sc": "successfully_closed",
        "lr": "launch_referral",
    }
    transition = _TRANSITIONS.get(as_text(sent.get("t")), "unknown")
    return renamed(sent, names) | {"application_transition_type": transition}


def _identity_change(sent: Members) -> Members:
    return {"new": identity_record(sent.get("ni")), "old": identity_record(sent.get("oi"))}


def _crash(sent: Members) -> Members:
    """The messages that were left before the crash are kept as their texts."""
    names = {
        "c": "class_name",
        "s": "severity",
        "m": "message",
        "st": "stack_trace",
        "eh": "exception_handled",
        "sn": "session_number",
        "plc": "pl_crash_report_file_base64",
        "iba": "ios_image_base_address",
        "is": "ios_image_size",
        "tc": "topmost_context",
    }
    data = renamed(sent, names)
    labels = (as_text(as_object(each).get("l")) for each in as_list(sent.get("bc")))
    breadcrumbs = [label for label in labels if label]
    if breadcrumbs:
        data["breadcrumbs"] = breadcrumbs
    return data


def _push(sent: Members) -> Members:
    names = {
        "t": "push_message_type",
        "to": "push_message_token",
        "pay": "push_notification_payload",
        "as": "application_state",
        "aid": "action_identifier",
    }
    data = renamed(sent, names)
    network, behavior = as_text(sent.get("n")), as_text(sent.get("bhv"))
    if network:
        data["network"] = network
    if _BEHAVIOR.fullmatch(behavior):
        data["push_message_behavior"] = behavior
    return data


_TYPES: dict[str, _Type] = {
    "ss": _Type("session_start", _session_start),
    "se": _Type("session_end", _session_end),
    "e": _Type("custom_event", _custom),
    "v": _Type("screen_view", _with({"n": "screen_name"})),
    "cm": _Type("commerce_event", commerce_data),
    "o": _Type("opt_out", _with({"s": "is_opted_out"})),
    "x": _Type("crash_report", _crash),
    "fr": _Type("first_run", _with({})),
    "ast": _Type("application_state_transition", _transition),
    "pr": _Type("push_registration", _with({"to": "registration_token", "r": "register"})),
    "pm": _Type("push_message", _push),
    "npe": _Type(
        "network_performance",
        _with(
            {
                "v": "http_verb",
                "url": "url",
                "te": "time_elapsed",
                "bo": "bytes_out",
                "bi": "bytes_in",
                "d": "data",
            }
        ),
    ),
    "bc": _Type("breadcrumb", _with({"l": "label", "sn": "session_number"})),
    "pro": _Type("profile", _with({"t": "profile_event_type"})),
    "uac": _Type(
        "user_attribute_change",
        _with(
            {
                "n": "user_attribute_name",
                "nv": "new",
                "ov": "old",
                "d": "deleted",
                "na": "is_new_attribute",
            }
        ),
    ),
    "uic": _Type("user_identity_change", _identity_change),
}
