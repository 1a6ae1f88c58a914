"""A batch as messages of Segment's HTTP API (spec/connections.md, 7.5)."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import orjson

from actors.model.deliveries import Delivery
from actors.outputs.segment_commerce import commerce_tracks

EVENT_TYPES = frozenset(
    {
        "application_state_transition",
        "commerce_event",
        "custom_event",
        "screen_view",
        "user_attribute_change",
        "user_identity_change",
    }
)
WEB_CHANNELS = ("javascript", "pixel")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_DEVICE = {
    "device_manufacturer": "manufacturer",
    "device_model": "model",
    "device": "name",
    "ios_idfv": "id",
    "android_uuid": "id",
    "ios_advertising_id": "advertisingId",
    "android_advertising_id": "advertisingId",
}
_APP = {
    "application_name": "name",
    "application_version": "version",
    "application_build_number": "build",
    "package": "namespace",
}
_SCREEN = {"screen_width": "width", "screen_height": "height", "screen_dpi": "density"}
_TRANSITIONS = {
    "application_initialized": "Application Opened",
    "application_foreground": "Application Opened",
    "application_background": "Application Backgrounded",
}

Message = dict[str, Any]


class Made(NamedTuple):
    """The messages of one delivery, in the order of its events."""

    messages: list[Message]
    unsupported: int  # events that there are no words for


def messages_of(delivery: Delivery, user_id: str, *, include_traits: bool) -> Made:
    """Return what one delivery says.

    Args:
        delivery: of a whole batch, or of an alias.
        user_id: type of the identity that is `userId`.
        include_traits: the user's attributes stand in `context.traits`.

    Raises:
        ValueError: it is not the JSON of a batch.
    """
    batch: dict[str, Any] = orjson.loads(delivery.payload)
    if batch.get("message_type") == "alias_request":
        return Made([_alias(batch, delivery)], 0)
    common = _who(batch, user_id)
    common["context"] = _context(batch, include_traits=include_traits)
    events = batch.get("events") or []
    if not events:
        return Made([_identify(batch, delivery, common)], 0)
    messages: list[Message] = []
    unsupported = 0
    for event in events:
        found = list(_of_event(event, batch))
        unsupported += not found
        own = common | {"timestamp": _event_time(event, delivery)}
        messages += [own | message for message in found]
    return Made(messages, unsupported)


def _of_event(event: Mapping[str, Any], batch: Mapping[str, Any]) -> Iterator[Message]:
    data: dict[str, Any] = event.get("data") or {}
    kind = event.get("event_type")
    identifier = str(data.get("event_id", ""))
    attributes = data.get("custom_attributes") or {}
    match kind:
        case "custom_event":
            yield _track(identifier, data.get("event_name") or kind, attributes)
        case "screen_view":
            yield {
                "type": "page" if _is_web(batch) else "screen",
                "messageId": identifier,
                "name": data.get("screen_name"),
                "properties": attributes,
            }
        case "commerce_event":
            for number, (name, properties) in enumerate(commerce_tracks(data)):
                # Several impressions of one event: each needs an id of its own.
                yield _track(f"{identifier}:{number}" if number else identifier, name, properties)
        case "application_state_transition":
            transition = _transition(data)
            if transition is not None:
                yield _track(identifier, transition, attributes)
        case "user_attribute_change":
            value = None if data.get("deleted") else data.get("new")
            traits = {data.get("user_attribute_name", ""): value}
            yield {"type": "identify", "messageId": identifier, "traits": traits}
        case "user_identity_change":
            yield {"type": "identify", "messageId": identifier, "traits": _identity_traits(data)}


def _track(identifier: str, name: str, properties: Mapping[str, Any]) -> Message:
    return {"type": "track", "messageId": identifier, "event": name, "properties": properties}


def _transition(data: Mapping[str, Any]) -> str | None:
    if data.get("is_first_run"):
        return "Application Installed"
    if data.get("is_upgrade"):
        return "Application Updated"
    return _TRANSITIONS.get(data.get("application_transition_type", ""))


def _identity_traits(data: Mapping[str, Any]) -> dict[str, Any]:
    old, new = data.get("old") or {}, data.get("new") or {}
    traits = {old["identity_type"]: None} if old.get("identity_type") else {}
    if new.get("identity_type"):
        traits[new["identity_type"]] = new.get("identity")
    return traits


def _identify(batch: Mapping[str, Any], delivery: Delivery, common: Message) -> Message:
    """Return what a batch without events says: what is known of its user by now."""
    removed = dict.fromkeys(batch.get("deleted_user_attributes") or ())
    return common | {
        "type": "identify",
        "messageId": delivery.delivery_id,
        "timestamp": _time(delivery.created_ms),
        "traits": removed | (batch.get("user_attributes") or {}),
    }


def _alias(request: Mapping[str, Any], delivery: Delivery) -> Message:
    return {
        "type": "alias",
        "messageId": delivery.delivery_id,
        "timestamp": _time(delivery.created_ms),
        "previousId": str(request["source_mpid"]),
        "userId": str(request["destination_mpid"]),
    }


def _who(batch: Mapping[str, Any], user_id: str) -> Message:
    who: Message = {}
    for entry in batch.get("user_identities") or ():
        if entry["identity_type"] == user_id and entry.get("identity"):
            who["userId"] = entry["identity"]
    anonymous = batch.get("mp_deviceid") or batch.get("mpid")
    if anonymous is not None:
        who["anonymousId"] = str(anonymous)
    if not who:  # one of the two has to be there
        who["anonymousId"] = str(batch.get("batch_id", ""))
    return who


def _context(batch: Mapping[str, Any], *, include_traits: bool) -> dict[str, Any]:
    device: dict[str, Any] = batch.get("device_info") or {}
    languages = (device.get("locale_language"), device.get("locale_country"))
    context = {
        "library": {"name": "headwater"},
        "device": _renamed(device, _DEVICE),
        "os": _renamed(device, {"platform": "name", "os_version": "version"}),
        "screen": _renamed(device, _SCREEN),
        "app": _renamed(batch.get("application_info") or {}, _APP),
        "ip": batch.get("ip"),
        "userAgent": device.get("http_header_user_agent"),
        "locale": "-".join(each for each in languages if each),
        "consent": _consent(batch.get("consent_state") or {}),
    }
    if include_traits:
        context["traits"] = batch.get("user_attributes")
    return {name: value for name, value in context.items() if value}


def _consent(state: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return consent in Segment's form: a preference for each purpose."""
    preferences = {
        purpose: bool(record.get("consented"))
        for purposes in state.values()
        for purpose, record in purposes.items()
    }
    return {"categoryPreferences": preferences} if preferences else {}


def _is_web(batch: Mapping[str, Any]) -> bool:
    if (batch.get("source_info") or {}).get("channel") in WEB_CHANNELS:
        return True
    return (batch.get("application_info") or {}).get("os") == "MobileWeb"


def _event_time(event: Mapping[str, Any], delivery: Delivery) -> str:
    """Return when something happened; when it came, if the calendar has no such year.

    Clients do send such times.
    """
    moment_ms = int((event.get("data") or {}).get("timestamp_unixtime_ms") or delivery.created_ms)
    try:
        return _time(moment_ms)
    except OverflowError:
        return _time(delivery.created_ms)


def _time(moment_ms: int) -> str:
    """Raises OverflowError if it is not within the years 1 to 9999."""
    moment = EPOCH + timedelta(milliseconds=moment_ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _renamed(source: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {new: source[old] for old, new in names.items() if source.get(old) is not None}
