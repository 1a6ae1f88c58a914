"""How a profile's devices are shown (spec/profiles.md, 7.3 and 8)."""

from typing import Any

from actors.model.profiles import Device, Section
from actors.profiles.devices import ADVERTISING_IDS

_PUSH_TOKEN_TYPES = {  # by the device's platform
    "iOS": "apple_push_notification_token",
    "tvOS": "apple_push_notification_token",
    "Android": "google_cloud_messaging_token",
}


def by_last_seen(section: Section) -> list[Device]:
    """Return the devices of a section, most recently seen first."""
    return sorted(section.devices.values(), key=lambda device: device.last_seen_ms, reverse=True)


def listed_identities(devices: list[Device]) -> list[dict[str, str]]:
    """List the identities of devices in the order of the devices, each once."""
    found: dict[tuple[str, str], None] = {}
    for device in devices:
        found.update(dict.fromkeys(device.identities.items()))
        if device.push_token is not None:
            platform = device.fields.get("platform", "")
            found[_PUSH_TOKEN_TYPES.get(platform, "unknown"), device.push_token] = None
    return [{"type": name, "encoding": "none", "value": value} for name, value in found]


def shown_device(device: Device) -> dict[str, Any]:
    """Return one device of the user activity API."""
    return {
        "platform": device.fields.get("platform"),
        "last_seen_ms": device.last_seen_ms,
        "limit_ad_tracking": device.fields.get("limit_ad_tracking"),
        "identities": listed_identities([device]),
    }


def device_id(devices: list[Device]) -> str | None:
    """Return the first device's advertising id, else its vendor id, else `None`."""
    if not devices:
        return None
    identities = devices[0].identities
    for name in (*ADVERTISING_IDS, "ios_vendor_id"):
        if name in identities:
            return identities[name]
    return None
