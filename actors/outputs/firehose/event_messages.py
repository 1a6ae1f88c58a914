"""The events of a message, one struct per type (spec/connections.md, 4.3)."""

from msgspec import Struct, field

from actors.outputs.firehose.identities import SentIdentity

Attributes = dict[str, str | None]


class Location(Struct, omit_defaults=True):
    """Where something happened."""

    latitude: float
    longitude: float
    accuracy: float | None = None


class EventMessage(Struct, omit_defaults=True, kw_only=True, tag_field="type"):
    """What all events have; `id` is a UUID made of the event's id."""

    id: str
    timestamp_ms: int
    source_id: str | None = None
    session_id: int | None = None
    location: Location | None = None


class Described(EventMessage, kw_only=True):
    """What most events have besides."""

    attributes: Attributes = field(default_factory=dict)
    custom_flags: dict[str, str] = field(default_factory=dict)


class CustomEvent(Described, kw_only=True, tag="custom_event"):
    """Something that the app names."""

    name: str
    custom_event_type: str | None = None


class AttributionEvent(EventMessage, kw_only=True, tag="attribution"):
    """Where a user came from."""

    name: str
    partner_name: str | None = None
    publisher_name: str | None = None
    campaign_name: str | None = None
    attributes: Attributes = field(default_factory=dict)


class ScreenViewEvent(Described, kw_only=True, tag="screen_view"):
    """A screen or page was seen."""

    screen_name: str


class Product(Struct, omit_defaults=True):
    """A product of a commerce event."""

    id: str | None = None
    name: str | None = None
    brand: str | None = None
    category: str | None = None
    variant: str | None = None
    position: int | None = None
    price: float | None = None
    quantity: float | None = None
    coupon_code: str | None = None
    total_amount: float | None = None
    attributes: Attributes = field(default_factory=dict)


class ProductActionEvent(Described, kw_only=True, tag="product_action"):
    """Something was done with products."""

    action: str
    transaction_id: str | None = None
    affiliation: str | None = None
    total_amount: float | None = None
    tax_amount: float | None = None
    shipping_amount: float | None = None
    currency_code: str | None = None
    coupon_code: str | None = None
    products: list[Product] = field(default_factory=list)


class Promotion(Struct, omit_defaults=True):
    """A promotion of a commerce event."""

    id: str | None = None
    name: str | None = None
    creative: str | None = None
    position: str | None = None


class PromotionActionEvent(Described, kw_only=True, tag="promotion_action"):
    """Something was done with promotions."""

    action: str
    promotions: list[Promotion] = field(default_factory=list)


class Impression(Struct, omit_defaults=True):
    """Products that were shown in one list."""

    impression_list_name: str | None = None
    products: list[Product] = field(default_factory=list)


class ImpressionEvent(Described, kw_only=True, tag="impression"):
    """Products were shown."""

    impressions: list[Impression] = field(default_factory=list)


class SessionStartEvent(EventMessage, kw_only=True, tag="session_start"):
    """A session began."""


class SessionEndEvent(EventMessage, kw_only=True, tag="session_end"):
    """A session ended."""

    session_length_ms: int | None = None


class ErrorEvent(EventMessage, kw_only=True, tag="error"):
    """Something failed."""

    message: str | None = None
    is_crash: bool | None = None
    stack_trace: str | None = None
    breadcrumbs: list[str] = field(default_factory=list)
    attributes: Attributes = field(default_factory=dict)


class PrivacySettingChangeEvent(EventMessage, kw_only=True, tag="privacy_setting_change"):
    """The user opted out of everything, or in again."""

    setting: str
    is_enabled: bool


class PushSubscriptionEvent(EventMessage, kw_only=True, tag="push_subscription"):
    """A device may be sent pushes, or no more."""

    action: str
    token: str


class PushMessageReceiptEvent(EventMessage, kw_only=True, tag="push_message_receipt"):
    """A push arrived."""

    payload: str | None = None


class PushMessageOpenEvent(EventMessage, kw_only=True, tag="push_message_open"):
    """A push was acted on."""

    payload: str | None = None


class ApplicationStateTransitionEvent(
    EventMessage, kw_only=True, tag="application_state_transition"
):
    """The app changed its state."""

    application_state: str
    launch_referral: str | None = None
    referral_application: str | None = None
    launch_parameters: str | None = None
    source_package: str | None = None


class UserAttributeChangeEvent(EventMessage, kw_only=True, tag="user_attribute_change"):
    """A user attribute was set or deleted: its new, and its former value."""

    added: dict[str, str | None] = field(default_factory=dict)
    removed: dict[str, str | None] = field(default_factory=dict)


class UserIdentityChangeEvent(EventMessage, kw_only=True, tag="user_identity_change"):
    """A user identity was set or removed: the new, and the former one."""

    added: list[SentIdentity] = field(default_factory=list)
    removed: list[SentIdentity] = field(default_factory=list)
