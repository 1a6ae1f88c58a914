"""The words of the protocol, and which of ours they stand for (spec/connections.md, 4.2)."""

from typing import Literal

EventType = Literal[
    "session_start",
    "session_end",
    "custom_event",
    "screen_view",
    "error",
    "privacy_setting_change",
    "user_attribute_change",
    "user_identity_change",
    "push_subscription",
    "application_state_transition",
    "push_message_receipt",
    "push_message_open",
    "product_action",
    "promotion_action",
    "impression",
    "attribution",
]
RuntimeType = Literal[
    "unknown",
    "android",
    "ios",
    "tvos",
    "mobileweb",
    "roku",
    "xbox",
    "firetv",
    "alexa",
    "smarttv",
]
NotificationType = Literal["gdpr_consent_state", "ccpa_consent_state"]
DeviceIdentityType = Literal[
    "android_id",
    "google_advertising_id",
    "ios_advertising_id",
    "ios_vendor_id",
    "google_cloud_messaging_token",
    "apple_push_notification_token",
    "roku_advertising_id",
    "roku_publisher_id",
    "microsoft_advertising_id",
    "microsoft_publisher_id",
    "fire_advertising_id",
]
UserIdentityType = Literal[
    "customer",
    "email",
    "facebook",
    "twitter",
    "google",
    "microsoft",
    "yahoo",
    "other",
    "other2",
    "other3",
    "other4",
    "other5",
    "other6",
    "other7",
    "other8",
    "other9",
    "other10",
    "mobile_number",
    "phone_number_2",
    "phone_number_3",
]
Encoding = Literal["raw", "md5", "sha1", "sha256"]

# `device_info.platform` of a batch; anything else is `unknown`.
RUNTIME_TYPES: dict[str, RuntimeType] = {
    "Android": "android",
    "iOS": "ios",
    "tvOS": "tvos",
    "web": "mobileweb",
    "roku": "roku",
    "xbox": "xbox",
    "fire_tv": "firetv",
    "alexa": "alexa",
    "smart_tv": "smarttv",
}
# Name of a user identity in batches and on profiles. The types that are left out have no word.
USER_IDENTITIES: dict[str, UserIdentityType] = {
    "customer_id": "customer",
    "email": "email",
    "facebook": "facebook",
    "twitter": "twitter",
    "google": "google",
    "microsoft": "microsoft",
    "yahoo": "yahoo",
    "other": "other",
    "other_id_2": "other2",
    "other_id_3": "other3",
    "other_id_4": "other4",
    "other_id_5": "other5",
    "other_id_6": "other6",
    "other_id_7": "other7",
    "other_id_8": "other8",
    "other_id_9": "other9",
    "other_id_10": "other10",
    "mobile_number": "mobile_number",
    "phone_number_2": "phone_number_2",
    "phone_number_3": "phone_number_3",
}
# Member of `device_info`; `push_token` is apart, because its word depends on the platform.
DEVICE_IDENTITIES: dict[str, DeviceIdentityType] = {
    "android_uuid": "android_id",
    "android_advertising_id": "google_advertising_id",
    "ios_advertising_id": "ios_advertising_id",
    "ios_idfv": "ios_vendor_id",
    "roku_advertising_id": "roku_advertising_id",
    "roku_publisher_id": "roku_publisher_id",
    "microsoft_advertising_id": "microsoft_advertising_id",
    "microsoft_publisher_id": "microsoft_publisher_id",
    "fire_advertising_id": "fire_advertising_id",
}
PUSH_TOKENS: dict[RuntimeType, DeviceIdentityType] = {
    "ios": "apple_push_notification_token",
    "tvos": "apple_push_notification_token",
    "android": "google_cloud_messaging_token",
}
SOURCE_CHANNELS = frozenset({"native", "javascript", "pixel", "partner", "server_to_server"})
CUSTOM_EVENT_TYPES = frozenset(
    {
        "unknown",
        "navigation",
        "location",
        "search",
        "transaction",
        "user_content",
        "user_preference",
        "social",
        "other",
        "media",
    }
)
PRODUCT_ACTIONS = frozenset(
    {
        "add_to_cart",
        "remove_from_cart",
        "checkout",
        "checkout_option",
        "click",
        "view_detail",
        "purchase",
        "refund",
        "add_to_wishlist",
        "remove_from_wish_list",
    }
)
