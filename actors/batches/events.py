"""Event types: one entry each in EVENT_TYPES (spec/events-api.md, 12)."""

from collections.abc import Callable
from typing import Any

from msgspec import UNSET, Struct

from actors.batches.attributes import (
    LeftOut,
    attribute_value,
    check_attribute_name,
    to_event_attributes,
    to_name,
)
from actors.batches.coerce import (
    one_of,
    to_address,
    to_anything,
    to_boolean,
    to_integer,
    to_number,
    to_object,
    to_string,
    to_uuid,
)
from actors.batches.commerce import COMMERCE_FIELDS, PARTS, check_parts, finish_commerce
from actors.batches.exact import INT64, keeps, shape_of, text
from actors.batches.identities import canonical_name
from actors.batches.location import to_location
from actors.batches.reading import (
    Check,
    Coerce,
    Fields,
    Reading,
    array_of,
    object_of,
    required,
)
from actors.batches.times import to_event_time
from actors.model.workspaces import Limits

ACTION_IDENTIFIER_LENGTH = 100
PUSH_BEHAVIORS = {
    "received": 1,
    "directopen": 2,
    "read": 4,
    "influencedopen": 8,
    "displayed": 16,
}

EVENT_WORD = "event field"

Finish = Callable[[Any, Reading], bool]


class EventType(Struct, frozen=True):
    """What is special about one type of event.

    Attributes:
        body: a struct of all members that its data can have.
        fields: coercions of the members that are read, the common ones too.
        needs: members that have to be there.
        derived: members that `finish` adds, and their types.
        check: looks at the data as sent.
        finish: completes a body, or returns False to leave the event out.
    """

    body: Any
    fields: dict[str, Coerce]
    needs: tuple[str, ...]
    derived: dict[str, Any]
    check: Check | None = None
    finish: Finish | None = None


@keeps(INT64 | float)
def _to_lifetime_value(value: Any, reading: Reading) -> int | float | None:
    return int(value) if type(value) is bool else to_number(value, reading)


def _to_behavior(value: Any, reading: Reading) -> int | None:
    if type(value) is str and (bit := PUSH_BEHAVIORS.get(value.lower())) is not None:
        return bit
    return to_integer(value, reading)


@keeps(text(ACTION_IDENTIFIER_LENGTH))
def _to_action_identifier(value: Any, reading: Reading) -> str:
    text = to_string(value, reading)
    if len(text) > ACTION_IDENTIFIER_LENGTH:
        reading.drops.append("action_identifier_length")
    return text[:ACTION_IDENTIFIER_LENGTH]


def _to_breadcrumb(value: Any, reading: Reading) -> Fields | str:
    """Crash reports carry breadcrumbs as events or as texts."""
    return to_object(value, reading) if type(value) is dict else to_string(value, reading)


def _to_identity_type(value: Any, reading: Reading) -> str:
    text = to_string(value, reading)
    return canonical_name(text) or text


def _finish_custom(body: Any, _: Reading) -> bool:
    if body.custom_event_type is None:
        body.custom_event_type = "other"
    return True


def _finish_screen_view(body: Any, _: Reading) -> bool:
    if body.screen_name is None:
        body.screen_name = body.event_name
    body.event_name = None
    return True


def _finish_transition(body: Any, _: Reading) -> bool:
    is_start = body.application_transition_type == "application_initialized"
    body.is_first_run = is_start and bool(body.is_first_run)
    body.is_upgrade = is_start and bool(body.is_upgrade)
    body.successfully_closed = bool(body.successfully_closed)
    return True


def _finish_opt_out(body: Any, _: Reading) -> bool:
    body.is_opted_out = bool(body.is_opted_out)
    return True


def _finish_attribute_change(body: Any, reading: Reading) -> bool:
    """Bring the values to the form of user attributes; leave out what none can be."""
    limits = reading.workspace.limits
    try:
        check_attribute_name(body.user_attribute_name, limits)
        if body.deleted:
            body.new = UNSET
        elif body.new is not UNSET:
            body.new = attribute_value(body.new, limits)
    except LeftOut as left_out:
        reading.drops.append(left_out.reason)
        return False
    if body.old is not UNSET:
        try:
            body.old = attribute_value(body.old, limits)
        except LeftOut as left_out:
            reading.drops.append(left_out.reason)
            body.old = UNSET
    return True


_COMMON: dict[str, Coerce] = {
    "timestamp_unixtime_ms": to_event_time,
    "event_start_unixtime_ms": to_integer,
    "source_message_id": to_string,
    "event_num": to_integer,
    "session_uuid": to_uuid,
    "session_id": to_integer,
    "session_start_unixtime_ms": to_integer,
    "custom_attributes": to_event_attributes,
    "custom_flags": to_object,
    "location": to_location,
    "device_current_state": to_object,
    "is_goal_defined": to_boolean,
    "is_main_thread": to_boolean,
    "lifetime_value_change": _to_lifetime_value,
    "lifetime_value_attribute_name": to_string,
    "data_connection_type": to_string,
    "view_controller": to_string,
    "canonical_name": to_string,
    "page_url": to_string,
    "active_time_on_site_ms": to_integer,
}

_PUSH: dict[str, Coerce] = {
    "push_message_type": one_of("sent", "received", "action", "unknown"),
    "push_message_token": to_string,
    "message": to_string,
    "network": to_string,
    "push_notification_payload": to_string,
    "application_state": one_of("not_running", "background", "foreground", "unknown"),
    "action_identifier": _to_action_identifier,
    "push_message_behavior": _to_behavior,
}

_to_identity_record = object_of(
    {
        "identity_type": _to_identity_type,
        "identity": to_string,
        "timestamp_unixtime_ms": to_integer,
        "created_this_batch": to_boolean,
    }
)


def _type(
    fields: dict[str, Coerce] | None = None,
    *,
    needs: tuple[str, ...] = (),
    check: Check | None = None,
    finish: Finish | None = None,
    derived: dict[str, Any] | None = None,
) -> EventType:
    all_fields = _COMMON | (fields or {})
    if needs:
        check = required(*needs, word=EVENT_WORD)
    body = shape_of(all_fields, Limits(), **(derived or {})).type
    return EventType(body, all_fields, needs, derived or {}, check, finish)


_CRASH: dict[str, Coerce] = {
    "class_name": to_string,
    "severity": to_string,
    "message": to_string,
    "stack_trace": to_string,
    "topmost_context": to_string,
    "pl_crash_report_file_base64": to_string,
    "exception_handled": to_boolean,
    "ios_image_base_address": to_address,
    "ios_image_size": to_address,
    "session_number": to_integer,
    "breadcrumbs": array_of(_to_breadcrumb),
}

EVENT_TYPES: dict[str, EventType] = {
    "custom_event": _type(
        {
            "event_name": to_name,
            "custom_event_type": one_of(
                *("navigation", "location", "search", "transaction", "user_content"),
                *("user_preference", "social", "media", "attribution", "other", "unknown"),
            ),
            "media_info": to_object,
        },
        needs=("event_name",),
        finish=_finish_custom,
    ),
    "screen_view": _type(
        {"screen_name": to_name, "event_name": to_name, "activity_type": to_string},
        finish=_finish_screen_view,
    ),
    "commerce_event": _type(
        COMMERCE_FIELDS,
        check=check_parts,
        finish=finish_commerce,
        derived={"custom_event_type": str},
    ),
    "session_start": _type(),
    "session_end": _type({"session_duration_ms": to_integer}),
    "application_state_transition": _type(
        {
            "application_transition_type": one_of(
                *("application_initialized", "application_exit", "application_background"),
                *("application_foreground", "unknown"),
            ),
            "is_first_run": to_boolean,
            "is_upgrade": to_boolean,
            "successfully_closed": to_boolean,
            "push_notification_payload": to_string,
            "launch_referral": to_string,
        },
        needs=("application_transition_type",),
        finish=_finish_transition,
    ),
    "push_registration": _type(
        {"register": to_boolean, "registration_token": to_string},
        needs=("register", "registration_token"),
    ),
    "push_message": _type(_PUSH, needs=("push_message_type",)),
    "push_reaction": _type(_PUSH),
    "network_performance": _type(
        {
            "http_verb": to_string,
            "url": to_string,
            "time_elapsed": to_integer,
            "bytes_in": to_integer,
            "bytes_out": to_integer,
            "response_code": to_integer,
            "data": to_string,
        }
    ),
    "breadcrumb": _type({"label": to_string, "session_number": to_integer}, needs=("label",)),
    "crash_report": _type(_CRASH),
    "opt_out": _type({"is_opted_out": to_boolean}, finish=_finish_opt_out),
    "uninstall": _type(),
    "first_run": _type(),
    "pre_attribution": _type(),
    "profile": _type(
        {
            "profile_event_type": one_of(
                "signup", "login", "logout", "update", "delete", "unknown"
            ),
            "previous_mpid": to_integer,
            "current_mpid": to_integer,
            "profile_name": to_string,
            "previous_profile_name": to_string,
        },
        needs=("profile_event_type",),
    ),
    "user_attribute_change": _type(
        {
            "user_attribute_name": to_string,
            "new": to_anything,
            "old": to_anything,
            "deleted": to_boolean,
            "is_new_attribute": to_boolean,
        },
        needs=("user_attribute_name",),
        finish=_finish_attribute_change,
    ),
    "user_identity_change": _type({"new": _to_identity_record, "old": _to_identity_record}),
}


def is_mislabelled_crash(data: Fields) -> bool:
    """Tell whether a `commerce_event` is a crash report: the Python SDK 0.16 calls them so."""
    has_part = any(data.get(name) for name in PARTS)
    return not has_part and any(data.get(name) is not None for name in _CRASH)
