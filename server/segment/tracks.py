"""Track calls whose name has a meaning: commerce and lifecycle events (spec/clients.md, 6.4)."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from server.segment.values import attributes_of, is_amount, is_scalar, is_whole

Properties = dict[str, Any]


class _Member(NamedTuple):
    """A member that properties can become: the first of `names` whose value fits it."""

    names: tuple[str, ...]
    fits: Callable[[Any], bool] = is_scalar


_PRODUCT = {
    "id": _Member(("product_id", "sku")),
    "name": _Member(("name",)),
    "brand": _Member(("brand",)),
    "category": _Member(("category",)),
    "variant": _Member(("variant",)),
    "price": _Member(("price",), is_amount),
    "quantity": _Member(("quantity",), is_amount),
    "coupon_code": _Member(("coupon",)),
    "position": _Member(("position",), is_whole),
}
_ORDER = {
    "transaction_id": _Member(("order_id",)),
    "total_amount": _Member(("total", "revenue", "value"), is_amount),
    "tax_amount": _Member(("tax",), is_amount),
    "shipping_amount": _Member(("shipping",), is_amount),
    "coupon_code": _Member(("coupon",)),
    "affiliation": _Member(("affiliation",)),
    "checkout_step": _Member(("step",), is_whole),
    "checkout_options": _Member(("payment_method", "shipping_method")),
}
_PROMOTION = {
    "id": _Member(("promotion_id",)),
    "name": _Member(("name",)),
    "creative": _Member(("creative",)),
    "position": _Member(("position",)),
}
_LIST = {"product_impression_list": _Member(("list_id", "category"))}
_CURRENCY = {"currency_code": _Member(("currency",))}


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
        product, rest = _taken(properties, _PRODUCT)
        if not product:
            return None
        currency, rest = _taken(rest, _CURRENCY)
        attributes = attributes_of(rest)
        if attributes:
            product["custom_attributes"] = attributes
        data = {"product_action": {"action": action, "products": [product]}}
        return Meaning("commerce_event", data | currency, {})

    return read


def _of_order(action: str) -> Callable[[Properties], Meaning | None]:
    """Read an event about a cart or an order, with a list of products."""

    def read(properties: Properties) -> Meaning | None:
        products, rest = _products(properties)
        details, rest = _taken(rest, _ORDER)
        if not products and not details:
            return None
        currency, rest = _taken(rest, _CURRENCY)
        data = {"product_action": {"action": action, "products": products, **details}}
        return Meaning("commerce_event", data | currency, rest)

    return read


def _of_list(properties: Properties) -> Meaning | None:
    """Read an event about products that were shown."""
    products, rest = _products(properties)
    if not products:
        return None
    listed, rest = _taken(rest, _LIST)
    currency, rest = _taken(rest, _CURRENCY)
    data = {"product_impressions": [listed | {"products": products}]}
    return Meaning("commerce_event", data | currency, rest)


def _of_promotion(action: str) -> Callable[[Properties], Meaning | None]:
    """Read an event about one promotion."""

    def read(properties: Properties) -> Meaning | None:
        promotion, rest = _taken(properties, _PROMOTION)
        if not promotion:
            return None
        data = {"promotion_action": {"action": action, "promotions": [promotion]}}
        return Meaning("commerce_event", data, rest)

    return read


def _of_transition(transition: str, **members: bool) -> Callable[[Properties], Meaning]:
    """Read an event about the app's life."""

    def read(properties: Properties) -> Meaning:
        data = {"application_transition_type": transition, **members}
        return Meaning("application_state_transition", data, properties)

    return read


def _taken(sent: Properties, members: Mapping[str, _Member]) -> tuple[dict[str, Any], Properties]:
    """Return the members that properties become, and the properties that are left.

    A value that does not fit stays a property: in its member it would cost the whole event.
    """
    taken: dict[str, Any] = {}
    rest = dict(sent)
    for member, (names, fits) in members.items():
        for name in names:
            if fits(rest.get(name)):
                taken[member] = rest.pop(name)
                break
    return taken, rest


def _products(sent: Properties) -> tuple[list[dict[str, Any]], Properties]:
    """Return the products of a list, and the properties that are left."""
    rest = dict(sent)
    listed = rest.get("products")
    if not isinstance(listed, list):
        return [], rest
    rest["products"] = [each for each in listed if not isinstance(each, dict)] or None
    products = []
    for each in listed:
        if not isinstance(each, dict):
            continue
        product, others = _taken(each, _PRODUCT)
        attributes = attributes_of(others)
        if attributes:
            product["custom_attributes"] = attributes
        if product:
            products.append(product)
    return products, rest


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
