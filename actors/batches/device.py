"""`device_info` and `application_info` (spec/events-api.md, 10)."""

from actors.batches.coerce import (
    one_of,
    to_boolean,
    to_integer,
    to_number,
    to_string,
    to_uuid,
)
from actors.batches.identities import to_identity
from actors.batches.reading import (
    Coerce,
    Fields,
    Reading,
    map_of,
    object_of,
)

APPLE_PLATFORMS = ("iOS", "tvOS")
# Identifiers of systems where a user may limit tracking.
_LIMITED_IDS = ("ios_advertising_id", "android_advertising_id")

_DEVICE: dict[str, Coerce] = {
    "brand": to_string,
    "product": to_string,
    "device": to_string,
    "android_uuid": to_identity,
    "device_manufacturer": to_string,
    "os_version": to_string,
    "device_model": to_string,
    "device_country": to_string,
    "locale_language": to_string,
    "locale_country": to_string,
    "network_country": to_string,
    "network_carrier": to_string,
    "network_code": to_string,
    "network_mobile_country_code": to_string,
    "build_identifier": to_string,
    "build_version_release": to_string,
    "http_header_user_agent": to_string,
    "push_token": to_identity,
    "cpu_architecture": to_string,
    "radio_access_technology": to_string,
    "bluetooth_version": to_string,
    "amp_id": to_identity,
    "microsoft_advertising_id": to_identity,
    "microsoft_publisher_id": to_identity,
    "screen_height": to_integer,
    "screen_width": to_integer,
    "screen_dpi": to_integer,
    "timezone_offset": to_number,  # half-hour zones
    "att_timestamp_unixtime_ms": to_integer,
    "is_tablet": to_boolean,
    "push_notification_sound_enabled": to_boolean,
    "push_notification_vibrate_enabled": to_boolean,
    "supports_telephony": to_boolean,
    "has_nfc": to_boolean,
    "bluetooth_enabled": to_boolean,
    "limit_ad_tracking": to_boolean,
    "is_dst": to_boolean,
    "ios_advertising_id": to_uuid,
    "ios_idfv": to_uuid,
    "android_advertising_id": to_uuid,
    "roku_advertising_id": to_uuid,
    "roku_publisher_id": to_uuid,
    "fire_advertising_id": to_uuid,
    "platform": one_of(
        *("iOS", "Android", "web", "desktop", "tvOS", "roku", "out_of_band", "alexa"),
        *("smart_tv", "fire_tv", "xbox", "Unknown"),
    ),
    "att_authorization_status": one_of("authorized", "denied", "not_determined", "restricted"),
}

to_application_info = object_of(
    {
        "application_name": to_string,
        "application_version": to_string,
        "application_build_number": to_string,
        "install_referrer": to_string,
        "package": to_string,
        "os": one_of(
            *("Unknown", "IOS", "Android", "WindowsPhone", "MobileWeb", "UnityIOS"),
            *("UnityAndroid", "Desktop", "TVOS", "Roku", "OutOfBand", "Alexa", "SmartTV"),
            *("FireTV", "Xbox"),
        ),
        "apple_search_ads_attributes": map_of(map_of(to_string)),
        "sideloaded_kits_count": to_integer,
    }
)


to_device_info = object_of(_DEVICE)


def complete_device(device: Fields, reading: Reading, user_agent: str | None) -> None:
    """Add to `device_info` what the input and the request know; obey its tracking limit.

    Source: spec/events-api.md, 10.1; spec/connections.md, 1.1 (input settings).
    """
    platform = reading.input.platform
    if platform is not None:
        device.setdefault("platform", platform)
    status = reading.workspace.att_default
    if status is not None and device.get("platform") in APPLE_PLATFORMS:
        device.setdefault("att_authorization_status", status)
    if user_agent is not None:
        device.setdefault("http_header_user_agent", user_agent)
    if reading.input.restrict_device_id and _limits_tracking(device):
        for name in _LIMITED_IDS:
            if device.pop(name, None) is not None:
                reading.drops.append("limited_ad_tracking")


def _limits_tracking(device: Fields) -> bool:
    status = device.get("att_authorization_status", "authorized")
    return device.get("limit_ad_tracking") is True or status != "authorized"
