"""A user's events as criteria see them: their time, their rows, their values.

Source: spec/audiences.md, 3.1 and 3.3; spec/events-api.md, 12 and 13.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from actors.model.batches import Event, StoredBatch
from actors.model.workspaces import WorkspaceInfo
from tests.oracle.texts import MISSING, Stored, number, text_of

PRODUCT_FIELDS = frozenset(
    ["id", "name", "brand", "category", "variant", "position", "price", "quantity", "coupon_code"]
) | {"total_product_amount"}
PROMOTION_FIELDS = frozenset({"id", "name", "creative", "position"})

_OF_ACTION = frozenset(
    [
        "checkout_step",
        "transaction_id",
        "affiliation",
        "total_amount",
        "tax_amount",
        "shipping_amount",
    ]
) | {"coupon_code"}
_OF_EVENT = frozenset(
    ["session_duration_ms", "currency_code", "screen_name", "severity", "class_name", "message"]
) | {"push_message_type", "application_transition_type", "launch_referral"}
_OF_LOCATION = frozenset({"latitude", "longitude"})
_OF_APPLICATION = frozenset({"application_version", "application_build_number"})
EVENT_FIELDS = _OF_ACTION | _OF_EVENT | _OF_LOCATION | _OF_APPLICATION | {"device_platform"}


@dataclass(frozen=True)
class SeenEvent:
    """One event of a user. `order` is that of the store: (log id, position in the batch)."""

    t_ms: int
    order: tuple[int, int]
    event: Event
    stored: StoredBatch

    @property
    def place(self) -> tuple[int, tuple[int, int]]:
        """Where it stands among the user's events."""
        return self.t_ms, self.order

    @property
    def session_id(self) -> int | None:
        """Its session."""
        session: int | None = self.event.get("session_id")
        return session


@dataclass(frozen=True)
class Row:
    """One event with one of its products or promotions, or with none."""

    seen: SeenEvent
    product: Mapping[str, Any] | None = None
    promotion: Mapping[str, Any] | None = None

    def value(self, category: str, name: str) -> Stored:
        """Return the value of an attribute of this row."""
        if category == "event_attribute":
            return custom_attribute(self.seen.event.get("custom_attributes"), name)
        if category == "event_field":
            return event_field(self.seen, name)
        if category == "product_attribute":
            return _of_part(self.product, PRODUCT_FIELDS, name)
        return _of_part(self.promotion, PROMOTION_FIELDS, name)

    @property
    def weight(self) -> float:
        """How often its product counts; 0: not at all (spec/calculated-attributes.md, 2.1)."""
        if self.product is None:
            return 1.0
        quantity = self.product.get("quantity")
        found = None if quantity is None else number(text_of(quantity))
        return 1.0 if found is None else max(found, 0.0)


def timeline(batches: Iterable[StoredBatch], workspace: WorkspaceInfo) -> list[SeenEvent]:
    """Return a user's events of tier `personalize` by time, then by the order of the store."""
    found = [
        SeenEvent(
            min(event.timestamp_ms, stored.received_ms), (stored.log_id, place), event, stored
        )
        for stored in batches
        if stored.workspace == workspace.number
        for place, event in enumerate(stored.batch.events)
        if _tier(event, workspace) == "personalize"
    ]
    return sorted(found, key=lambda seen: seen.place)


def rows(seen: SeenEvent) -> list[Row]:
    """Return a row per product or promotion of an event; one row if it has none."""
    products = list((seen.event.get("product_action") or {}).get("products") or ())
    for impression in seen.event.get("product_impressions") or ():
        products.extend(impression.get("products") or ())
    promotions = (seen.event.get("promotion_action") or {}).get("promotions") or ()
    found = [Row(seen, product=product) for product in products]
    found += [Row(seen, promotion=promotion) for promotion in promotions]
    return found or [Row(seen)]


def commerce_action(event: Event) -> str | None:
    """Return the action of a commerce event, by the name that criteria use."""
    action = event.get("product_action")
    if action:
        name: str = action["action"]
        return name
    promotion = event.get("promotion_action")
    if promotion:
        return f"promotion_{promotion['action']}"
    return "impression" if event.get("product_impressions") else None


def event_field(seen: SeenEvent, name: str) -> Stored:
    """Return a typed field of an event."""
    source: Any
    if name in _OF_ACTION:
        source = seen.event.get("product_action")
    elif name in _OF_LOCATION:
        source = seen.event.get("location")
    elif name in _OF_APPLICATION:
        source = seen.stored.batch.application_info
    elif name == "device_platform":
        source, name = seen.stored.batch.device_info, "platform"
    elif name in _OF_EVENT:
        source = {name: seen.event.get(name)}
    else:
        source = None
    found = (source or {}).get(name)
    return MISSING if found is None else text_of(found)


def custom_attribute(attributes: Mapping[str, str | None] | None, name: str) -> Stored:
    """Return a custom attribute; null is a value."""
    if not attributes or name not in attributes:
        return MISSING
    return attributes[name]


def _of_part(part: Mapping[str, Any] | None, fields: frozenset[str], name: str) -> Stored:
    if part is None:
        return MISSING
    if name in fields and part.get(name) is not None:
        return text_of(part[name])
    return custom_attribute(part.get("custom_attributes"), name)


def _tier(event: Event, workspace: WorkspaceInfo) -> str:
    """Return the tier of an event's data point (spec/rules.md, 8)."""
    member = {
        "custom_event": "event_name",
        "screen_view": "screen_name",
        "commerce_event": "custom_event_type",
        "application_state_transition": "application_transition_type",
    }.get(event.event_type)
    name = event.event_type if member is None else event.get(member)
    return workspace.tiers.get(name or "", workspace.default_tier)
