"""The device and app that a batch came from, as each platform has them.

Source: spec/connections.md, 4.3, runtime fields.
"""

from collections.abc import Callable, Mapping
from typing import Any

from actors.outputs.firehose.identities import SentIdentity
from actors.outputs.firehose.registration import Permissions
from actors.outputs.firehose.words import RUNTIME_TYPES, RuntimeType

Batch = Mapping[str, Any]
Read = Callable[[Batch], Any]


def _device(name: str) -> Read:
    return lambda batch: batch.get("device_info", {}).get(name)


def _app(name: str) -> Read:
    return lambda batch: batch.get("application_info", {}).get(name)


def _utc_offset(batch: Batch) -> int | float | None:
    offset: int | float | None = batch.get("device_info", {}).get("timezone_offset")
    is_whole = isinstance(offset, float) and offset.is_integer()
    return int(offset) if is_whole and offset is not None else offset


_COMMON: dict[str, Read] = {
    "build_id": _device("build_identifier"),
    "brand": _device("brand"),
    "product": _device("product"),
    "name": _device("device"),
    "os_version": _device("os_version"),
    "screen_height": _device("screen_height"),
    "screen_width": _device("screen_width"),
    "screen_dpi": _device("screen_dpi"),
    "locale_language": _device("locale_language"),
    "locale_country": _device("locale_country"),
    "network_country": _device("network_country"),
    "network_carrier": _device("network_carrier"),
    "network_code": _device("network_code"),
    "network_mobile_country_code": _device("network_mobile_country_code"),
    "timezone_offset": _utc_offset,
    "timezone_name": _device("timezone_name"),
    "cpu_architecture": _device("cpu_architecture"),
    "is_tablet": _device("is_tablet"),
    "application_name": _app("application_name"),
    "application_version": _app("application_version"),
    "application_package": _app("package"),
    "sdk_version": lambda batch: batch.get("sdk_version"),
}
_MAKER: dict[str, Read] = {
    "manufacturer": _device("device_manufacturer"),
    "model": _device("device_model"),
    "country": _device("device_country"),
}
_WEB: dict[str, Read] = {
    "device_manufacturer": _device("device_manufacturer"),
    "device_model": _device("device_model"),
    "device_country": _device("device_country"),
    "push_token": _device("push_token"),
    "limit_ad_tracking": _device("limit_ad_tracking"),
    "is_dst": _device("is_dst"),
}
_ATT: dict[str, Read] = {
    "att_authorization_status": _device("att_authorization_status"),
    "att_timestamp_unixtime_ms": _device("att_timestamp_unixtime_ms"),
}
_ANDROID: dict[str, Read] = {
    "supports_telephony": _device("supports_telephony"),
    "has_nfc": _device("has_nfc"),
    "bluetooth_enabled": _device("bluetooth_enabled"),
    "bluetooth_version": _device("bluetooth_version"),
    "android_sdk_level": _device("build_version_release"),
    "install_referrer": _app("install_referrer"),
}
_IOS: dict[str, Read] = {
    "radio_access_technology": _device("radio_access_technology"),
    "is_sandboxed": _device("is_sandboxed"),
    "apple_search_ads_attribution": _app("apple_search_ads_attributes"),
}
_FIELDS: dict[RuntimeType, dict[str, Read]] = {
    "android": _COMMON | _MAKER | _ANDROID,
    "ios": _COMMON | _MAKER | _IOS | _ATT,
    "tvos": _COMMON | _MAKER | _ATT,
    "mobileweb": _COMMON | _WEB,
    "unknown": {},
}
_OTHERS = _COMMON | _MAKER


def runtime_type(batch: Batch) -> RuntimeType:
    """Return which kind of device a batch came from."""
    return RUNTIME_TYPES.get(batch.get("device_info", {}).get("platform", ""), "unknown")


def runtime_environment(
    batch: Batch, permissions: Permissions, identities: list[SentIdentity]
) -> dict[str, Any]:
    """Return the device and app, as far as a module may know of them.

    Args:
        batch: an outgoing batch.
        permissions: of the module.
        identities: of the device, permitted and encoded.
    """
    kind = runtime_type(batch)
    found: dict[str, Any] = {"type": kind}
    if identities:
        found["identities"] = identities
    if batch.get("environment") == "development":
        found["is_debug"] = True
    device = batch.get("device_info", {})
    if permissions.allow_access_ip_address:
        found["client_ip_address"] = batch.get("ip")
    if permissions.allow_access_http_user_agent:
        found["http_header_user_agent"] = device.get("http_header_user_agent")
    if permissions.allow_device_info:
        found |= {name: read(batch) for name, read in _FIELDS.get(kind, _OTHERS).items()}
    return {name: value for name, value in found.items() if value is not None}
