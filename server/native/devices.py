"""Device, app and consent of a native batch (spec/clients.md, 5.3)."""

from typing import Any

from server.native.members import Members, as_object, renamed

_DEVICE = {
    "b": "brand",
    "p": "product",
    "dn": "device",
    "dma": "device_manufacturer",
    "dosv": "os_version",
    "vr": "os_version",  # the release wins over the API level
    "dmdl": "device_model",
    "dsh": "screen_height",
    "dsw": "screen_width",
    "dpi": "screen_dpi",
    "dc": "device_country",
    "dlc": "locale_country",
    "dll": "locale_language",
    "nc": "network_country",
    "nca": "network_carrier",
    "mnc": "network_code",
    "mcc": "network_mobile_country_code",
    "tz": "timezone_offset",
    "bid": "build_identifier",
    "it": "is_tablet",
    "lat": "limit_ad_tracking",
    "gaid": "android_advertising_id",
    "faid": "fire_advertising_id",
    "duid": "android_uuid",
    "anid": "android_uuid",
    "aid": "ios_advertising_id",
    "vid": "ios_idfv",
    "atts": "att_authorization_status",
    "attt": "att_timestamp_unixtime_ms",
    "to": "push_token",
    "arc": "cpu_architecture",
    "dr": "radio_access_technology",
    "dbe": "bluetooth_enabled",
    "dbv": "bluetooth_version",
    "dsnfc": "has_nfc",
    "dst": "supports_telephony",
    "idst": "is_dst",
}
_PLATFORMS = {"firetv": "fire_tv"}
_APP = {
    "an": "application_name",
    "av": "application_version",
    "abn": "application_build_number",
    "apn": "package",
    "ir": "install_referrer",
    "sideloaded_kits_count": "sideloaded_kits_count",
}
_CONSENT = {
    "c": "consented",
    "d": "document",
    "ts": "timestamp_unixtime_ms",
    "l": "location",
    "h": "hardware_id",
}
DEVELOPMENT = 1  # of `ai.env`


def device_info(sent: Any) -> Members:
    """Return the device."""
    device = as_object(sent)
    platform = device.get("dp")
    found = renamed(device, _DEVICE)
    if isinstance(platform, str):
        found["platform"] = _PLATFORMS.get(platform.lower(), platform)
    return found


def application_info(sent: Any) -> Members:
    """Return the app."""
    return renamed(as_object(sent), _APP)


def consent_state(sent: Any) -> Members:
    """Return the consent by regulation and purpose."""
    return {
        regulation: {
            purpose: renamed(as_object(record), _CONSENT)
            for purpose, record in as_object(purposes).items()
        }
        for regulation, purposes in as_object(sent).items()
    }
