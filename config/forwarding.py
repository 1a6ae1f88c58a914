"""What a connection forwards, as the document says it (spec/connections.md, 2 and 10)."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from actors.batches.coerce import text_of
from actors.batches.identities import canonical_name
from actors.pipeline.app_version import parse_version
from actors.pipeline.names import COMMERCE_KEYS, PRODUCT_ACTIONS
from config.fields import Items, Model, Slug

CustomEventType = Literal[
    "navigation",
    "location",
    "search",
    "transaction",
    "user_content",
    "user_preference",
    "social",
    "media",
    "attribution",
    "other",
    "unknown",
]
COMMERCE_ACTIONS = (*PRODUCT_ACTIONS, "promotion_view", "promotion_click", "impression")
CCPA_PURPOSE = "data_sale_opt_out"


def _scalar_as_text(value: object) -> object:
    """Write a number or truth value as events and profiles keep it."""
    return text_of(value) if isinstance(value, bool | int | float) else value


def _has_two_decimals(value: float) -> float:
    if abs(value * 100 - round(value * 100)) > 1e-6:
        raise ValueError("must have at most two decimals")
    return value


def _version(text: str) -> str:
    if parse_version(text) is None:
        raise ValueError("must be digits and dots, such as 4.2")
    return text


def _commerce_key(key: str) -> str:
    key = key.replace("remove_from_wishlist", "remove_from_wish_list")
    if key not in COMMERCE_KEYS:
        raise ValueError(f"must be one of {', '.join(COMMERCE_KEYS)}")
    return key


def _commerce_action(word: str) -> str:
    word = "remove_from_wish_list" if word == "remove_from_wishlist" else word
    if word not in COMMERCE_ACTIONS:
        raise ValueError(f"must be one of {', '.join(COMMERCE_ACTIONS)}")
    return word


def _identity(name: str) -> str:
    canonical = canonical_name(name)
    if canonical is None:
        raise ValueError(f"unknown identity type '{name}'")
    return canonical


Text = Annotated[str, Field(min_length=1)]
ScalarText = Annotated[str, BeforeValidator(_scalar_as_text)]
Percentage = Annotated[float, Field(ge=0, le=100), AfterValidator(_has_two_decimals)]
AppVersion = Annotated[str, AfterValidator(_version)]
CommerceKey = Annotated[str, AfterValidator(_commerce_key)]
IdentityType = Annotated[str, AfterValidator(_identity)]
Purpose = Annotated[str, AfterValidator(lambda text: text.strip().lower()), Field(min_length=1)]
Action = Literal["include", "exclude"]


class Sampling(Model):
    """The share of users that is forwarded; `salt` is the output's id where it is not given."""

    percentage: Percentage
    salt: Text | None = None


# -- Forwarding rules -----------------------------------------------------------------------------


class EventAttributeRule(Model):
    """On an attribute of custom events, screen views and commerce events."""

    kind: Literal["event_attribute"]
    action: Action
    name: Text
    value: ScalarText


class UserAttributeRule(Model):
    """On an attribute of the user."""

    kind: Literal["user_attribute"]
    action: Action
    name: Text
    value: ScalarText


class AttributionRule(Model):
    """On where the user came from."""

    kind: Literal["attribution"]
    action: Action
    publisher: Text
    service_provider: Text | None = None
    campaign: Text | None = None


class ConsentPurpose(Model):
    """One purpose of a consent rule."""

    regulation: Literal["gdpr", "ccpa"]
    purpose: Purpose
    has_consented: bool

    @model_validator(mode="after")
    def _check(self) -> "ConsentPurpose":
        if self.regulation == "ccpa" and self.purpose != CCPA_PURPOSE:
            raise ValueError(f"the purpose of ccpa is {CCPA_PURPOSE}")
        return self


class ConsentRule(Model):
    """On the user's consent: any of the purposes suffices."""

    kind: Literal["consent"]
    action: Action
    purposes: Annotated[Items[ConsentPurpose], Field(min_length=1)]


class IdSyncRule(Model):
    """Forwards users that have a login ID."""

    kind: Literal["id_sync"]
    action: Literal["include"] = "include"


ForwardingRule = Annotated[
    EventAttributeRule | UserAttributeRule | AttributionRule | ConsentRule | IdSyncRule,
    Field(discriminator="kind"),
]


# -- Data filter ----------------------------------------------------------------------------------


class EventPoint(Model):
    """A custom event."""

    event_type: CustomEventType
    name: Text


class EventAttributePoint(EventPoint):
    """An attribute of a custom event."""

    attribute: Text


class ScreenAttributePoint(Model):
    """An attribute of a screen view."""

    name: Text
    attribute: Text


class CommerceAttributePoint(Model):
    """An attribute of commerce events of one type, or of their products."""

    event_type: CommerceKey
    attribute: Text


class EventTypeSwitches(Model):
    """Types of custom events."""

    disabled: Items[CustomEventType] = ()


class EventSwitches(Model):
    """Custom events."""

    disabled: Items[EventPoint] = ()
    enabled: Items[EventPoint] = ()


class EventAttributeSwitches(Model):
    """Attributes of custom events."""

    disabled: Items[EventAttributePoint] = ()
    enabled: Items[EventAttributePoint] = ()


class ScreenSwitches(Model):
    """Screens, by name."""

    disabled: Items[Text] = ()
    enabled: Items[Text] = ()


class ScreenAttributeSwitches(Model):
    """Attributes of screen views."""

    disabled: Items[ScreenAttributePoint] = ()
    enabled: Items[ScreenAttributePoint] = ()


class CommerceSwitches(Model):
    """Types of commerce events, such as `product_purchase`."""

    disabled: Items[CommerceKey] = ()
    enabled: Items[CommerceKey] = ()


class CommerceAttributeSwitches(Model):
    """Attributes of commerce events."""

    disabled: Items[CommerceAttributePoint] = ()
    enabled: Items[CommerceAttributePoint] = ()


class UserAttributeSwitches(Model):
    """User attributes; `all: false` switches off all of them."""

    all: bool = True
    disabled: Items[Text] = ()
    enabled: Items[Text] = ()


class UserIdentitySwitches(Model):
    """User identities."""

    disabled: Items[IdentityType] = ()
    enabled: Items[IdentityType] = ()


class Filters(Model):
    """What is switched off; what is not listed is on (spec 2.4).

    Where an output does not get new data points by default, what is `enabled` it gets all the same.
    """

    event_types: EventTypeSwitches = EventTypeSwitches()
    events: EventSwitches = EventSwitches()
    event_attributes: EventAttributeSwitches = EventAttributeSwitches()
    screens: ScreenSwitches = ScreenSwitches()
    screen_attributes: ScreenAttributeSwitches = ScreenAttributeSwitches()
    commerce: CommerceSwitches = CommerceSwitches()
    commerce_attributes: CommerceAttributeSwitches = CommerceAttributeSwitches()
    user_attributes: UserAttributeSwitches = UserAttributeSwitches()
    user_identities: UserIdentitySwitches = UserIdentitySwitches()


# -- Custom mappings ------------------------------------------------------------------------------

MappedType = Literal[CustomEventType, "screen_view", "commerce_event"]
CommerceAction = Annotated[str, AfterValidator(_commerce_action)]


class MappingSource(Model):
    """Which events are mapped: by type and name, commerce events by `action`."""

    event_type: MappedType
    event_name: Text | None = None
    action: CommerceAction | None = None

    @model_validator(mode="after")
    def _check(self) -> "MappingSource":
        wanted = "action" if self.event_type == "commerce_event" else "event_name"
        given = [name for name in ("event_name", "action") if getattr(self, name) is not None]
        if given != [wanted]:
            raise ValueError(f"{self.event_type} needs {wanted} alone")
        return self


class Property(Model):
    """Where the value of an attribute comes from: an attribute of the source, or `literal`."""

    attribute: Text | None = None
    literal: ScalarText | None = None

    @model_validator(mode="after")
    def _check(self) -> "Property":
        if (self.attribute is None) == (self.literal is None):
            raise ValueError("must have attribute or literal")
        return self


def _property(value: object) -> object:
    """Let a text name an attribute, and numbers and truth values stand for themselves."""
    if isinstance(value, str):
        return {"attribute": value}
    return {"literal": value} if isinstance(value, bool | int | float) else value


class MappingTarget(Model):
    """What mapped events are called.

    `properties`: their attributes, each the name of an attribute of the source, or a fixed value
    (`{literal: ...}`, a number, `true`); without it they keep their attributes.
    """

    name: Text
    properties: dict[Text, Annotated[Property, BeforeValidator(_property)]] | None = None


class CustomMapping(Model):
    """Events that go out under another name (spec 2.5)."""

    source: MappingSource
    target: MappingTarget


# -- User splits ----------------------------------------------------------------------------------


class SplitGroup(Model):
    """One group of a user split."""

    name: Text
    percentage: Percentage


class UserSplit(Model):
    """How an input's users are divided into groups (spec/rules.md, 9)."""

    id: Slug
    groups: Annotated[Items[SplitGroup], Field(min_length=2, max_length=10)]

    @model_validator(mode="after")
    def _check(self) -> "UserSplit":
        if sum(round(each.percentage * 100) for each in self.groups) != 100 * 100:
            raise ValueError("the percentages of its groups must add up to 100")
        if len({each.name for each in self.groups}) < len(self.groups):
            raise ValueError("its groups must have different names")
        return self
