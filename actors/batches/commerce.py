"""Commerce events (spec/events-api.md, 12.5)."""

from typing import Any

from actors.batches.attributes import to_limited_string, to_name, to_product_attributes
from actors.batches.coerce import (
    INT64_END,
    one_of,
    to_boolean,
    to_integer,
    to_number,
    to_string,
)
from actors.batches.exact import keeps_but, list_of, members_type
from actors.batches.reading import (
    Coerce,
    Fault,
    Fields,
    Invalid,
    Members,
    Reading,
    array_of,
    as_object,
    object_of,
    read_fields,
    required,
    without_nulls,
)

PARTS = ("product_action", "promotion_action", "product_impressions")

_EMPTY: tuple[Any, ...] = (None, {}, [])
_to_action = one_of(
    *("add_to_cart", "remove_from_cart", "checkout", "checkout_option", "click", "view_detail"),
    *("purchase", "refund", "add_to_wishlist", "remove_from_wish_list", "unknown"),
    remove_from_wishlist="remove_from_wish_list",
)
_to_promotion_name = one_of("view", "click", "unknown")
_PROMOTION_NUMBERS = ("unknown", "view", "click")  # as the web SDK sends them

_PRODUCT: dict[str, Coerce] = {
    "id": to_limited_string,
    "name": to_limited_string,
    "brand": to_limited_string,
    "category": to_limited_string,
    "variant": to_limited_string,
    "coupon_code": to_limited_string,
    "position": to_integer,
    "added_to_cart_time_ms": to_integer,
    "price": to_number,
    "quantity": to_number,
    "total_product_amount": to_number,
    "custom_attributes": to_product_attributes,
}


def _finish_product(product: Fields, _: Reading) -> Fields:
    """Add what the product comes to."""
    if "price" in product and "total_product_amount" not in product:
        total = product["price"] * product.get("quantity", 1)
        if abs(total) < INT64_END:  # a greater one is no amount of money, and may not be finite
            product["total_product_amount"] = total
    return product


def _finish_products(products: list[Fields], reading: Reading) -> list[Fields]:
    for product in products:
        _finish_product(without_nulls(product), reading)
    return products


def _finish_action(action: Fields, reading: Reading) -> Fields:
    _finish_products(without_nulls(action).get("products", []), reading)
    return action


def _to_product(value: Any, reading: Reading) -> Fields:
    return _finish_product(read_fields(as_object(value), _PRODUCT, reading), reading)


def _to_promotion_action_name(value: Any, reading: Reading) -> str:
    if type(value) is int and 0 <= value < len(_PROMOTION_NUMBERS):
        return _PROMOTION_NUMBERS[value]
    name: str = _to_promotion_name(value, reading)
    return name


_to_products = keeps_but(
    lambda limits: list_of(members_type("Product", _PRODUCT, limits)), _finish_products
)(array_of(_to_product))
_PRODUCT_ACTION: dict[str, Coerce] = {
    "action": _to_action,
    "checkout_step": to_integer,
    "checkout_options": to_string,
    "product_action_list": to_string,
    "product_list_source": to_string,
    "transaction_id": to_string,
    "affiliation": to_string,
    "coupon_code": to_string,
    "total_amount": to_number,
    "tax_amount": to_number,
    "shipping_amount": to_number,
    "products": _to_products,
}
_to_promotion = object_of(
    {
        "id": to_limited_string,
        "name": to_limited_string,
        "creative": to_limited_string,
        "position": to_limited_string,
    }
)
_to_promotion_action = object_of(
    {"action": _to_promotion_action_name, "promotions": array_of(_to_promotion)},
    required("action"),
)
_to_impression = object_of({"product_impression_list": to_string, "products": _to_products})


def _unless_empty(coerce: Coerce) -> Coerce:
    """Let an empty object or array count as absent."""

    def to_part(value: Any, reading: Reading) -> Any:
        return None if value in _EMPTY else coerce(value, reading)

    return to_part


_to_product_action = keeps_but(
    lambda limits: members_type("ProductAction", _PRODUCT_ACTION, limits, "action"), _finish_action
)(_unless_empty(object_of(_PRODUCT_ACTION, required("action"))))

COMMERCE_FIELDS: dict[str, Coerce] = {
    "product_action": _to_product_action,
    "promotion_action": _unless_empty(_to_promotion_action),
    "product_impressions": _unless_empty(array_of(_to_impression)),
    "shopping_cart": object_of({"products": _to_products}),
    "currency_code": to_string,
    "screen_name": to_name,
    "event_name": to_name,
    "is_non_interactive": to_boolean,
}


# Parts of an event whose action has a name, and what makes it the name that is kept.
ACTION_NAMES: dict[str, Coerce] = {
    "product_action": _to_action,
    "promotion_action": _to_promotion_action_name,
}


def check_parts(data: Members) -> list[Fault]:
    """Check that exactly one of the three parts is there."""
    if sum(data.get(name) not in _EMPTY for name in PARTS) == 1:
        return []
    return Invalid(f"must have exactly one of {', '.join(PARTS)}.").faults


def finish_commerce(body: Any, _: Reading) -> bool:
    """Derive `custom_event_type` from the part that the event has."""
    if body.is_non_interactive is None:
        body.is_non_interactive = False
    if body.product_action:
        action = body.product_action["action"]
        kind = "remove_from_wishlist" if action == "remove_from_wish_list" else action
    elif body.promotion_action:
        action = body.promotion_action["action"]
        kind = action if action == "unknown" else f"promotion_{action}"
    else:
        kind = "impression"
    body.custom_event_type = kind
    return True
