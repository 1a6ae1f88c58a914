"""Stored events as rows with text values (spec/audiences.md, 3.1).

A value is as ingested: a text as it is, a number or boolean in the form that ingest gives to those
of attributes (`actors.batches.coerce.text_of`). Nothing here depends on now.
"""

from collections.abc import Callable, Hashable, Iterator
from typing import Any

from msgspec import Struct

from actors.audiences.criteria import EventCategory, EventFilter
from actors.audiences.values import MISSING, StoredValue
from actors.batches.coerce import text_of
from actors.model.batches import Event, StoredBatch

ANY_EVENT = "any"
INSTALL = "install"
UPGRADE = "upgrade"

PRODUCT_FIELDS = frozenset(
    {
        *("id", "name", "brand", "category", "variant", "position", "price", "quantity"),
        *("coupon_code", "total_product_amount"),
    }
)
PROMOTION_FIELDS = frozenset({"id", "name", "creative", "position"})

Fields = dict[str, Any]
Reader = Callable[["Row"], StoredValue]

_WISH_LIST = {"remove_from_wishlist": "remove_from_wish_list"}  # derived name: documented name


# The members that `event_key` and `actors.profiles.tiers.event_name` look at, by event type.
_KEY_MEMBERS = {
    "custom_event": ("event_name", "custom_event_type"),
    "screen_view": ("screen_name",),
    "commerce_event": ("custom_event_type",),
    "application_state_transition": (
        *("application_transition_type", "is_first_run", "is_upgrade"),
    ),
}


class EventKey(Struct, frozen=True):
    """What of an event decides first which criteria it can matter to.

    Attributes:
        event_type: input event type.
        name: of a custom event or a screen, else empty.
        kind: custom event type of a custom event, action of a commerce event, else empty.
        lifecycle: of `install` and `upgrade` what it is too; a first run may be both.
    """

    event_type: str
    name: str = ""
    kind: str = ""
    lifecycle: tuple[str, ...] = ()


class Row(Struct, frozen=True, eq=False, gc=False):
    """An event with one of its products or promotions, or with none.

    `index` is the place of the product or promotion among those of the event.
    """

    batch: StoredBatch
    event: Event
    product: Fields | None = None
    promotion: Fields | None = None
    index: int = 0


def key_members(event: Event) -> Hashable:
    """Return what the key and the name of an event follow from; quicker to find than those."""
    kind = event.event_type
    members = _KEY_MEMBERS.get(kind)
    if members is None:
        return kind
    body = event.body
    if type(body) is dict:
        return kind, *map(body.get, members)
    if len(members) == 1:
        return kind, getattr(body, members[0], None)
    return kind, *[getattr(body, member, None) for member in members]


def event_key(event: Event) -> EventKey:
    """Return the key of an event."""
    match event.event_type:
        case "custom_event":
            name, kind = event.get("event_name") or "", event.get("custom_event_type") or ""
            return EventKey("custom_event", name, kind)
        case "screen_view":
            return EventKey("screen_view", event.get("screen_name") or "")
        case "commerce_event":
            kind = event.get("custom_event_type") or ""
            return EventKey("commerce_event", kind=_WISH_LIST.get(kind, kind))
        case "first_run":
            return EventKey("first_run", lifecycle=(INSTALL,))
        case "application_state_transition":
            told = ((INSTALL, "is_first_run"), (UPGRADE, "is_upgrade"))
            lifecycle = tuple(name for name, member in told if event.get(member))
            return EventKey(event.event_type, lifecycle=lifecycle)
    return EventKey(event.event_type)


def matches_key(criterion: EventFilter, key: EventKey) -> bool:
    """Tell whether an event with this key passes a filter's type, names, types and actions."""
    wanted = criterion.event_type
    return (
        (wanted in (ANY_EVENT, key.event_type, *key.lifecycle))
        and (not criterion.event_names or key.name in criterion.event_names)
        and (not criterion.custom_event_types or key.kind in criterion.custom_event_types)
        and (not criterion.commerce_actions or key.kind in criterion.commerce_actions)
    )


def event_time_ms(batch: StoredBatch, event: Event) -> int:
    """Return the time that windows look at: the event's, at most that of receipt (3.3)."""
    return min(event.timestamp_ms, batch.received_ms)


def session_id(event: Event) -> int | None:
    """Return the session of an event; ids are the same across batches and inputs."""
    session: int | None = event.get("session_id")
    return session


def rows_of(batch: StoredBatch, event: Event) -> list[Row]:
    """Return one row per product or promotion, or one without either; never none."""
    if event.event_type == "commerce_event":
        if products := list(_products(event)):
            return [Row(batch, event, product, None, at) for at, product in enumerate(products)]
        if promotions := (event.get("promotion_action") or {}).get("promotions"):
            return [Row(batch, event, None, one, at) for at, one in enumerate(promotions)]
    return [Row(batch, event)]


def product_quantity(row: Row) -> float:
    """Return how many of its product a row stands for; 0 if it is to be ignored.

    A quantity that is absent is 1; one that is not positive, or no product at all, counts nothing
    (spec/events-api.md, 12.5; spec/calculated-attributes.md, 2.1).
    """
    if row.product is None:
        return 0.0
    quantity = row.product.get("quantity")
    return 1.0 if quantity is None else max(float(quantity), 0.0)


def reader(category: EventCategory, name: str) -> Reader:
    """Return how to take the value of an attribute from a row.

    `MISSING` if the row has no such attribute; an attribute whose value is null gives `None`.
    An `event_field` of another name than those of `EVENT_FIELDS` is always missing.
    """
    match category:
        case "event_attribute":
            return lambda row: _member(row.event.get("custom_attributes"), name)
        case "event_field":
            take = EVENT_FIELDS.get(name)
            return (lambda row: _as_text(take(row))) if take else (lambda _: MISSING)
        case "product_attribute":
            return _product_reader(name)
        case "promotion_attribute":
            if name not in PROMOTION_FIELDS:
                return lambda _: MISSING
            return lambda row: _as_text((row.promotion or {}).get(name))


def attribute_or_field_reader(name: str) -> Reader:
    """Return how to take an event attribute, or else the typed field of that name.

    Source: spec/calculated-attributes.md, 2.1.
    """
    of_field = reader("event_field", name)

    def read(row: Row) -> StoredValue:
        attributes = row.event.get("custom_attributes")
        if attributes is None or name not in attributes:
            return of_field(row)
        value: StoredValue = attributes[name]
        return value

    return read


def _products(event: Event) -> Iterator[Fields]:
    yield from (event.get("product_action") or {}).get("products") or ()
    for impression in event.get("product_impressions") or ():
        yield from impression.get("products") or ()


def _product_reader(name: str) -> Reader:
    is_field = name in PRODUCT_FIELDS

    def read(row: Row) -> StoredValue:
        product = row.product
        if product is None:
            return MISSING
        if is_field and (value := product.get(name)) is not None:
            return _as_text(value)
        return _member(product.get("custom_attributes"), name)

    return read


def _member(attributes: Fields | None, name: str) -> StoredValue:
    if attributes is None:
        return MISSING
    value: StoredValue = attributes.get(name, MISSING)
    return value


def _as_text(value: Any) -> StoredValue:
    if value is None:
        return MISSING
    return value if isinstance(value, str) else text_of(value)


def _of_event(name: str) -> Callable[[Row], Any]:
    return lambda row: row.event.get(name)


def _of_part(part: str, name: str) -> Callable[[Row], Any]:
    return lambda row: (row.event.get(part) or {}).get(name)


def _of_device(name: str) -> Callable[[Row], Any]:
    return lambda row: row.batch.batch.device_info.get(name)


def _of_application(name: str) -> Callable[[Row], Any]:
    return lambda row: row.batch.batch.application_info.get(name)


# The typed fields that criteria can name (3.1), each with where it lies.
EVENT_FIELDS: dict[str, Callable[[Row], Any]] = {
    **{
        name: _of_event(name)
        for name in (
            *("session_duration_ms", "currency_code", "screen_name", "severity", "class_name"),
            *("message", "push_message_type", "application_transition_type", "launch_referral"),
        )
    },
    **{
        name: _of_part("product_action", name)
        for name in (
            *("checkout_step", "transaction_id", "affiliation", "total_amount", "tax_amount"),
            *("shipping_amount", "coupon_code"),
        )
    },
    "latitude": _of_part("location", "latitude"),
    "longitude": _of_part("location", "longitude"),
    "device_platform": _of_device("platform"),
    "application_version": _of_application("application_version"),
    "application_build_number": _of_application("application_build_number"),
}
