"""Track calls whose name has a meaning: commerce and lifecycle events (spec/clients.md, 6.4)."""

from collections.abc import Callable
from typing import Any, NamedTuple

from server.segment.values import as_object, attributes_of

Properties = dict[str, Any]

_PRODUCT = {
    "name": "name",
    "brand": "brand",
    "category": "category",
    "variant": "variant",
    "price": "price",
    "quantity": "quantity",
    "coupon": "coupon_code",
    "position": "position",
}
# Where one member can have several names the first that is there counts; the others are left over.
_PRODUCT_ID = ("product_id", "sku")
_ORDER: dict[str, tuple[str, ...]] = {
    "transaction_id": ("order_id",),
    "total_amount": ("total", "revenue", "value"),
    "tax_amount": ("tax",),
    "shipping_amount": ("shipping",),
    "coupon_code": ("coupon",),
    "affiliation": ("affiliation",),
    "checkout_step": ("step",),
    "checkout_options": ("payment_method", "shipping_method"),
}
_PROMOTION = {
    "promotion_id": "id",
    "name": "name",
    "creative": "creative",
    "position": "position",
}


class Meaning(NamedTuple):
    """What a track call is: the type of its event, the members of its data, and what is left.

    `rest`: properties that become the event's attributes.
    """

    event_type: str
    data: dict[str, Any]
    rest: Properties


def meaning_of(name: str, properties: Properties) -> Meaning | None:
    """Return what a track call of a name means; `None`: it is a custom event."""
    read = _MEANINGS.get(name.casefold())
    return None if read is None else read(properties)


def _of_product(action: str) -> Callable[[Properties], Meaning | None]:
    """Read an event about one product, whose properties are the event's own."""

    def read(properties: Properties) -> Meaning | None:
        product, rest = _product(properties)
        if not product:
            return None
        currency = rest.pop("currency", None)
        attributes = attributes_of(rest)
        if attributes:
            product["custom_attributes"] = attributes
        data = {"product_action": {"action": action, "products": [product]}}
        return Meaning("commerce_event", data | _currency(currency), {})

    return read


def _of_order(action: str) -> Callable[[Properties], Meaning | None]:
    """Read an event about a cart or an order, with a list of products."""

    def read(properties: Properties) -> Meaning | None:
        rest = dict(properties)
        products = _products(rest.pop("products", None))
        details: dict[str, Any] = {}
        for member, names in _ORDER.items():
            found = next((name for name in names if rest.get(name) is not None), None)
            if found is not None:
                details[member] = rest.pop(found)
        if not products and not details:
            return None
        currency = rest.pop("currency", None)
        data = {"product_action": {"action": action, "products": products, **details}}
        return Meaning("commerce_event", data | _currency(currency), rest)

    return read


def _of_list(properties: Properties) -> Meaning | None:
    """Read an event about products that were shown."""
    rest = dict(properties)
    products = _products(rest.pop("products", None))
    if not products:
        return None
    listed = rest.pop("list_id", None)
    if listed is None:
        listed = rest.pop("category", None)
    impression = {"product_impression_list": listed, "products": products}
    currency = rest.pop("currency", None)
    data = {"product_impressions": [impression]}
    return Meaning("commerce_event", data | _currency(currency), rest)


def _of_promotion(action: str) -> Callable[[Properties], Meaning | None]:
    """Read an event about one promotion."""

    def read(properties: Properties) -> Meaning | None:
        promotion = {
            member: properties[name]
            for name, member in _PROMOTION.items()
            if properties.get(name) is not None
        }
        if not promotion:
            return None
        rest = {name: value for name, value in properties.items() if name not in _PROMOTION}
        data = {"promotion_action": {"action": action, "promotions": [promotion]}}
        return Meaning("commerce_event", data, rest)

    return read


def _of_transition(transition: str, **members: bool) -> Callable[[Properties], Meaning]:
    """Read an event about the app's life."""

    def read(properties: Properties) -> Meaning:
        data = {"application_transition_type": transition, **members}
        return Meaning("application_state_transition", data, properties)

    return read


def _product(sent: Properties) -> tuple[dict[str, Any], Properties]:
    """Return a product's own members, and the properties that are none."""
    product = {
        member: sent[name] for name, member in _PRODUCT.items() if sent.get(name) is not None
    }
    rest = {name: value for name, value in sent.items() if name not in _PRODUCT}
    for name in _PRODUCT_ID:
        if rest.get(name) is not None:
            product["id"] = rest.pop(name)
            break
    return product, rest


def _products(sent: Any) -> list[dict[str, Any]]:
    products = []
    for each in sent if isinstance(sent, list) else ():
        product, rest = _product(as_object(each))
        attributes = attributes_of(rest)
        if attributes:
            product["custom_attributes"] = attributes
        if product:
            products.append(product)
    return products


def _currency(value: Any) -> dict[str, Any]:
    return {} if value is None else {"currency_code": value}


_MEANINGS: dict[str, Callable[[Properties], Meaning | None]] = {
    "product viewed": _of_product("view_detail"),
    "product clicked": _of_product("click"),
    "product added": _of_product("add_to_cart"),
    "product removed": _of_product("remove_from_cart"),
    "product added to wishlist": _of_product("add_to_wishlist"),
    "product removed from wishlist": _of_product("remove_from_wish_list"),
    "checkout started": _of_order("checkout"),
    "checkout step viewed": _of_order("checkout"),
    "checkout step completed": _of_order("checkout_option"),
    "payment info entered": _of_order("checkout_option"),
    "order completed": _of_order("purchase"),
    "order refunded": _of_order("refund"),
    "product list viewed": _of_list,
    "promotion viewed": _of_promotion("view"),
    "promotion clicked": _of_promotion("click"),
    "application installed": _of_transition("application_initialized", is_first_run=True),
    "application updated": _of_transition("application_initialized", is_upgrade=True),
    "application opened": _of_transition("application_foreground"),
    "application backgrounded": _of_transition("application_background"),
}
