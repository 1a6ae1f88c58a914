"""Commerce events in the words of Segment's e-commerce specification (spec/connections.md, 7.5)."""

from collections.abc import Iterator, Mapping
from typing import Any

# Action -> name; and whether one product of such an event stands in its properties themselves.
ACTIONS: dict[str, tuple[str, bool]] = {
    "purchase": ("Order Completed", False),
    "add_to_cart": ("Product Added", True),
    "remove_from_cart": ("Product Removed", True),
    "view_detail": ("Product Viewed", True),
    "checkout": ("Checkout Started", False),
    "refund": ("Order Refunded", False),
    "click": ("Product Clicked", True),
    "add_to_wishlist": ("Product Added to Wishlist", True),
    "remove_from_wish_list": ("Product Removed from Wishlist", True),
}
PROMOTIONS = {"view": "Promotion Viewed", "click": "Promotion Clicked"}

_ACTION_FIELDS = {
    "transaction_id": "order_id",
    "affiliation": "affiliation",
    "total_amount": "total",
    "tax_amount": "tax",
    "shipping_amount": "shipping",
    "coupon_code": "coupon",
    "checkout_step": "step",
    "checkout_options": "payment_method",
    "product_action_list": "list_id",
}
_PRODUCT_FIELDS = {
    "id": "product_id",
    "name": "name",
    "brand": "brand",
    "category": "category",
    "variant": "variant",
    "position": "position",
    "price": "price",
    "quantity": "quantity",
    "coupon_code": "coupon",
}
_PROMOTION_FIELDS = {
    "id": "promotion_id",
    "name": "name",
    "creative": "creative",
    "position": "position",
}


def commerce_tracks(data: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return (name, properties) of what a commerce event says; nothing, if there are no words."""
    common = dict(data.get("custom_attributes") or {})
    if data.get("currency_code"):
        common["currency"] = data["currency_code"]
    if action := data.get("product_action"):
        name, is_single = ACTIONS.get(action.get("action"), (None, False))
        if name is not None:
            own = common | _renamed(action, _ACTION_FIELDS)
            products = [_product(each) for each in action.get("products") or []]
            yield name, _with(own, "products", products, is_single=is_single)
    elif action := data.get("promotion_action"):
        name = PROMOTIONS.get(action.get("action"))
        if name is not None:
            promotions = [
                _renamed(each, _PROMOTION_FIELDS) for each in action.get("promotions") or []
            ]
            yield name, _with(common, "promotions", promotions, is_single=True)
    for impression in data.get("product_impressions") or []:
        products = [_product(each) for each in impression.get("products") or []]
        own = dict(common)
        if impression.get("product_impression_list"):
            own["list_id"] = impression["product_impression_list"]
        yield "Product List Viewed", own | {"products": products}


def _product(product: Mapping[str, Any]) -> dict[str, Any]:
    return dict(product.get("custom_attributes") or {}) | _renamed(product, _PRODUCT_FIELDS)


def _renamed(source: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {new: source[old] for old, new in names.items() if source.get(old) is not None}


def _with(
    properties: dict[str, Any], name: str, items: list[dict[str, Any]], *, is_single: bool
) -> dict[str, Any]:
    if is_single and len(items) == 1:
        return properties | items[0]
    return properties | {name: items}
