"""The devices of a user: what a batch tells of the one it comes from (spec/profiles.md, 3.4)."""

from collections.abc import Sequence
from typing import Any

from actors.batches.coerce import ZERO_ID
from actors.batches.identities import DEVICE_IDENTITIES, PROFILE_NAMES
from actors.model.batches import Batch, Event
from actors.model.profiles import Device, Section
from actors.profiles.lateness import AsOf

ADVERTISING_IDS = (
    "ios_advertising_id",
    "google_advertising_id",
    "fire_advertising_id",
    "roku_advertising_id",
    "microsoft_advertising_id",
)
# What names a device that has no application stamp, in this order (spec/profiles.md, 2.3).
_KEY_TYPES = (*ADVERTISING_IDS, "ios_vendor_id", "android_id")
_PUSH_TOKEN = "push_token"  # noqa: S105 - a field's name
_IDENTITY_FIELDS = {  # member of device_info to the profile's name
    field: PROFILE_NAMES[key] for field, key in DEVICE_IDENTITIES.items() if key in PROFILE_NAMES
}


def update_device(
    section: Section, batch: Batch, push_registrations: Sequence[Event], as_of: AsOf
) -> str | None:
    """Merge what a batch tells of its device into the section, field by field.

    Args:
        section: changed in place.
        batch: absent fields leave stored values.
        push_registrations: its `push_registration` events.
        as_of: the time that the batch stands for.

    Returns:
        The key of the batch's device; `None` if nothing in the batch names one.
    """
    info = batch.device_info
    identities = _identities(info)
    key = batch.mp_deviceid or _identity_key(identities)
    if key is None:
        return None
    device = section.devices.get(key)
    if device is None:
        device = section.devices[key] = Device(key, as_of.ms, as_of.ms)
        if batch.mp_deviceid is not None:  # it is the key: the same for good
            device.fields["device_application_stamp"] = key
    if info or batch.application_info:
        fields = {name: info[name] for name in info if name not in DEVICE_IDENTITIES}
        fields.update(batch.application_info)
        _merge(device, device.fields, fields, as_of)
        _merge(device, device.identities, identities, as_of)
        device.fields_ms = max(_fields_ms(device), as_of.ms)
    if batch.integration_attributes:
        _merge_integration_attributes(device, batch, as_of)
    device.first_seen_ms = min(device.first_seen_ms, as_of.ms)
    device.last_seen_ms = max(device.last_seen_ms, as_of.ms)
    _update_push(device, info.get(_PUSH_TOKEN), push_registrations, as_of)
    return key


def drop_oldest_devices(section: Section, limit: int, drops: list[str]) -> None:
    """Drop the devices seen longest ago, with what is known of who brought them, over a limit."""
    devices = section.devices
    while len(devices) > limit:
        oldest = min(devices.values(), key=lambda device: device.last_seen_ms)
        del devices[oldest.key]
        section.attribution = [one for one in section.attribution if one.device_key != oldest.key]
        drops.append("device_count")


def _identities(info: dict[str, Any]) -> dict[str, str]:
    """Return the device's identities by the profile's names; those that name nobody left out."""
    found = {}
    for field, name in _IDENTITY_FIELDS.items():
        value = info.get(field)
        if value and value != ZERO_ID:
            found[name] = value
    return found


def _identity_key(identities: dict[str, str]) -> str | None:
    for name in _KEY_TYPES:
        if name in identities:
            return f"{name}:{identities[name]}"
    return None


def _merge(device: Device, stored: dict[str, Any], values: dict[str, Any], as_of: AsOf) -> None:
    """Write values into a device, keeping account of what time each stands for.

    What tells anything of a device nearly always tells all of it, so `updated_ms` holds only the
    fields that are older than the newest.
    """
    times, newest_ms = device.updated_ms, _fields_ms(device)
    if as_of.is_historical:
        values = {
            name: value
            for name, value in values.items()
            if name not in stored or as_of.replaces(times.get(name, newest_ms))
        }
    for name in stored.keys() - values.keys():
        times.setdefault(name, newest_ms)
    stored.update(values)
    if as_of.ms < newest_ms:
        times.update(dict.fromkeys(values, as_of.ms))
    elif times:
        for name in values:
            times.pop(name, None)


def _fields_ms(device: Device) -> int:
    return device.fields_ms or device.last_seen_ms  # a version before this one kept only that


def _merge_integration_attributes(device: Device, batch: Batch, as_of: AsOf) -> None:
    """Merge by module and key, null deletes; no times are kept, so historical ones fill gaps."""
    for module, sent in batch.integration_attributes.items():
        stored = device.integration_attributes.setdefault(module, {})
        for key, value in sent.items():
            if as_of.is_historical and key in stored:
                continue
            if value is None:
                stored.pop(key, None)
            else:
                stored[key] = value
        if not stored:
            del device.integration_attributes[module]


def _update_push(
    device: Device, token: str | None, registrations: Sequence[Event], as_of: AsOf
) -> None:
    """Set the push token from device_info, then from the registrations in their order."""
    if not token and not registrations:
        return
    if not as_of.replaces(device.updated_ms.get(_PUSH_TOKEN, 0)):
        return
    if token:
        device.push_token = token
    for event in registrations:
        sent = event.get("registration_token")
        if event.get("register"):
            device.push_token, device.push_registered = sent, True
        elif device.push_token in (None, sent):  # an old token's end leaves a newer one alone
            device.push_token, device.push_registered = None, False
    device.updated_ms[_PUSH_TOKEN] = as_of.ms
