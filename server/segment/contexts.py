"""The `context` of a message: device, app, page, campaign, consent (spec/clients.md, 6.3)."""

from typing import Any

from server.segment.values import as_id, as_object, is_amount, is_whole

BROWSER_LIBRARIES = ("analytics.js", "RudderLabs JavaScript")
_PAGE = ("url", "path", "referrer", "title", "search")
_CAMPAIGN = {
    "name": "utm_campaign",
    "source": "utm_source",
    "medium": "utm_medium",
    "term": "utm_term",
    "content": "utm_content",
}
_APP = {
    "name": "application_name",
    "version": "application_version",
    "build": "application_build_number",
    "namespace": "package",
}
_SCREEN = {"width": "screen_width", "height": "screen_height", "density": "screen_dpi"}
# Of a device's type: platform, member of its advertising id, member of its id.
_DEVICE_TYPES = {
    "ios": ("iOS", "ios_advertising_id", "ios_idfv"),
    "android": ("Android", "android_advertising_id", "android_uuid"),
}


def is_browser(context: dict[str, Any]) -> bool:
    """Tell whether a message was made by a library that runs in a browser."""
    name = as_object(context.get("library")).get("name")
    return isinstance(name, str) and name.startswith(BROWSER_LIBRARIES)


def add_context(batch: dict[str, Any], context: dict[str, Any], time_ms: int) -> None:
    """Add what a context says of the batch as a whole; consent is of `time_ms`."""
    device = _device(context)
    if device:
        batch["device_info"] = device
    app = _renamed(as_object(context.get("app")), _APP)
    if app:
        batch["application_info"] = app
    if isinstance(context.get("ip"), str):
        batch["ip"] = context["ip"]
    choices = as_object(as_object(context.get("consent")).get("categoryPreferences"))
    purposes = {
        name: {"consented": choice, "timestamp_unixtime_ms": time_ms}
        for name, choice in choices.items()
        if isinstance(choice, bool)
    }
    if purposes:
        batch["consent_state"] = {"gdpr": purposes}
    if context.get("environment") == "development":
        batch["environment"] = "development"


def event_members(context: dict[str, Any]) -> dict[str, Any]:
    """Return the members of an event's data that its context gives."""
    members: dict[str, Any] = {}
    place = as_object(context.get("location"))
    if is_amount(place.get("latitude")) and is_amount(place.get("longitude")):
        members["location"] = {
            "latitude": place["latitude"],
            "longitude": place["longitude"],
        }
    session = context.get("sessionId")
    if is_whole(session):
        members["session_id"] = session
    return members


def event_attributes(context: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes that an event gets beside its own: of the page and the campaign."""
    page = as_object(context.get("page"))
    attributes = {name: as_id(page.get(name)) for name in _PAGE}
    attributes |= _renamed(as_object(context.get("campaign")), _CAMPAIGN)
    return {name: value for name, value in attributes.items() if value}


def _device(context: dict[str, Any]) -> dict[str, Any]:
    sent = as_object(context.get("device"))
    device: dict[str, Any] = {
        "http_header_user_agent": context.get("userAgent"),
        "device_manufacturer": sent.get("manufacturer"),
        "device_model": sent.get("model"),
        "push_token": sent.get("token"),
        "os_version": as_id(as_object(context.get("os")).get("version")),
        "network_carrier": as_object(context.get("network")).get("carrier"),
    }
    kind = _DEVICE_TYPES.get((as_id(sent.get("type")) or "").lower())
    if kind is not None:
        platform, advertising_id, own_id = kind
        device["platform"] = platform
        device[own_id] = sent.get("id")
        if sent.get("adTrackingEnabled") is not False:
            device[advertising_id] = sent.get("advertisingId")
    locale = context.get("locale")
    if isinstance(locale, str):
        language, _, country = locale.replace("_", "-").partition("-")
        device |= {"locale_language": language, "locale_country": country}
    screen = as_object(context.get("screen"))
    device |= {
        member: round(screen[name])
        for name, member in _SCREEN.items()
        if isinstance(screen.get(name), int | float) and abs(screen[name]) < 1_000_000
    }
    return {name: value for name, value in device.items() if value not in (None, "")}


def _renamed(sent: dict[str, Any], names: dict[str, str]) -> dict[str, str]:
    found = {member: as_id(sent.get(name)) for name, member in names.items()}
    return {member: value for member, value in found.items() if value is not None}
