"""From the events of an outgoing batch to those of a message: one function for each type.

Source: spec/connections.md, 4.3. A function returns `None` where an event has no form of a message
or says nothing that the module may know.
"""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from actors.outputs.firehose import commerce
from actors.outputs.firehose.event_messages import (
    ApplicationStateTransitionEvent,
    AttributionEvent,
    CustomEvent,
    ErrorEvent,
    EventMessage,
    PrivacySettingChangeEvent,
    PushMessageOpenEvent,
    PushMessageReceiptEvent,
    PushSubscriptionEvent,
    ScreenViewEvent,
    SessionEndEvent,
    SessionStartEvent,
    UserAttributeChangeEvent,
    UserIdentityChangeEvent,
)
from actors.outputs.firehose.fields import Data, Reading, attributes, described, members
from actors.outputs.firehose.identities import SentIdentity, permitted
from actors.outputs.firehose.words import CUSTOM_EVENT_TYPES, USER_IDENTITIES

Convert = Callable[[Data, Reading], EventMessage | None]

_STATES = {
    "application_exit": "exit",
    "application_background": "background",
    "application_foreground": "foreground",
}


def custom_event(data: Data, reading: Reading) -> EventMessage | None:
    """Something that the app names; where a user came from is an event of its own."""
    name, kind = data.get("event_name") or "", data.get("custom_event_type")
    if kind == "attribution":
        sent = data.get("custom_attributes") or {}
        return AttributionEvent(
            **members(data, reading),
            name=name,
            partner_name=reading.attribution.get("service_provider"),
            publisher_name=sent.get("publisher"),
            campaign_name=sent.get("campaign"),
            attributes=attributes(data),
        )
    return CustomEvent(
        **described(data, reading),
        name=name,
        custom_event_type=kind if kind in CUSTOM_EVENT_TYPES else "other",
    )


def screen_view(data: Data, reading: Reading) -> EventMessage | None:
    """A screen or page was seen."""
    return ScreenViewEvent(**described(data, reading), screen_name=data.get("screen_name") or "")


def session_start(data: Data, reading: Reading) -> EventMessage | None:
    """A session began."""
    return SessionStartEvent(**members(data, reading))


def session_end(data: Data, reading: Reading) -> EventMessage | None:
    """A session ended."""
    length_ms = data.get("session_duration_ms")
    return SessionEndEvent(**members(data, reading), session_length_ms=length_ms)


def crash_report(data: Data, reading: Reading) -> EventMessage | None:
    """Something failed; what was not handled is a crash."""
    return ErrorEvent(
        **members(data, reading),
        message=data.get("message"),
        is_crash=not data.get("exception_handled"),
        stack_trace=data.get("stack_trace"),
        breadcrumbs=[_breadcrumb(each) for each in data.get("breadcrumbs") or ()],
        attributes=attributes(data),
    )


def opt_out(data: Data, reading: Reading) -> EventMessage | None:
    """The user opted out of everything, or in again."""
    return PrivacySettingChangeEvent(
        **members(data, reading),
        setting="app_data_collection",
        is_enabled=not data.get("is_opted_out"),
    )


def push_registration(data: Data, reading: Reading) -> EventMessage | None:
    """A device may be sent pushes, or no more."""
    return PushSubscriptionEvent(
        **members(data, reading),
        action="subscribe" if data.get("register") else "unsubscribe",
        token=data.get("registration_token") or "",
    )


def push_message(data: Data, reading: Reading) -> EventMessage | None:
    """A push arrived or was acted on; only those of the module's own provider are told."""
    payload, kind = data.get("push_notification_payload"), data.get("push_message_type")
    if kind == "action":
        return PushMessageOpenEvent(**members(data, reading), payload=payload)
    if kind in ("sent", "received") and _is_of(reading.push_provider, payload):
        return PushMessageReceiptEvent(**members(data, reading), payload=payload)
    return None


def application_state_transition(data: Data, reading: Reading) -> EventMessage | None:
    """The app changed its state; its first start is an install."""
    transition = data.get("application_transition_type")
    if transition == "application_initialized":
        state = "initialize"
        if data.get("is_upgrade"):
            state = "upgrade"
        if data.get("is_first_run"):
            state = "install"
    elif transition in _STATES:
        state = _STATES[transition]
    else:
        return None
    return ApplicationStateTransitionEvent(
        **members(data, reading),
        application_state=state,
        launch_referral=data.get("launch_referral"),
        referral_application=data.get("referral_application"),
        launch_parameters=data.get("launch_parameters"),
        source_package=data.get("source_package"),
    )


def user_attribute_change(data: Data, reading: Reading) -> EventMessage | None:
    """A user attribute was set or deleted."""
    if not reading.permissions.allow_user_attributes:
        return None
    name, former = data.get("user_attribute_name") or "", data.get("old")
    return UserAttributeChangeEvent(
        **members(data, reading),
        added={} if data.get("deleted") else {name: _as_text(data.get("new"))},
        removed={} if former is None else {name: _as_text(former)},
    )


def user_identity_change(data: Data, reading: Reading) -> EventMessage | None:
    """A user identity was set or removed; told of permitted types only."""
    added = _identity(data.get("new"), reading)
    removed = _identity(data.get("old"), reading)
    if not added and not removed:
        return None
    return UserIdentityChangeEvent(**members(data, reading), added=added, removed=removed)


# `breadcrumb`, `network_performance`, `profile`, `uninstall`, `first_run`, `pre_attribution` and
# `push_reaction` have no form of a message.
CONVERSIONS: Mapping[str, Convert] = {
    each.__name__: each
    for each in (
        custom_event,
        screen_view,
        commerce.commerce_event,
        session_start,
        session_end,
        crash_report,
        opt_out,
        push_registration,
        push_message,
        application_state_transition,
        user_attribute_change,
        user_identity_change,
    )
}


def _breadcrumb(value: Any) -> str:
    if isinstance(value, str):
        return value
    data = value.get("data")
    label = value.get("label") or (data.get("label") if isinstance(data, dict) else None)
    return str(label) if label is not None else orjson.dumps(value).decode()


def _is_of(provider: str | None, payload: str | None) -> bool:
    """Tell whether a push names a provider: as a member of its payload."""
    if provider is None or payload is None:
        return False
    try:
        found = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return False
    return isinstance(found, dict) and provider in found


def _as_text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else orjson.dumps(value).decode()


def _identity(record: Any, reading: Reading) -> list[SentIdentity]:
    if not record or record.get("identity") is None:
        return []
    word = USER_IDENTITIES.get(record.get("identity_type"))
    if word is None:
        return []
    return permitted({word: record["identity"]}, reading.permissions.user_identities)
