"""Commerce events of the native SDKs (spec/clients.md, 5.3)."""

from typing import Any

from server.native.members import Members, as_list, as_object, renamed

_EVENT = {"cu": "currency_code", "sn": "screen_name", "ni": "is_non_interactive"}
_ACTION = {
    "an": "action",
    "cs": "checkout_step",
    "co": "checkout_options",
    "pal": "product_action_list",
    "pls": "product_list_source",
    "ti": "transaction_id",
    "ta": "affiliation",
    "tr": "total_amount",
    "tt": "tax_amount",
    "ts": "shipping_amount",
    "tcc": "coupon_code",
}
_PRODUCT = {
    "id": "id",
    "nm": "name",
    "br": "brand",
    "ca": "category",
    "va": "variant",
    "cc": "coupon_code",
    "ps": "position",
    "pr": "price",
    "qt": "quantity",
    "tpa": "total_product_amount",
    "act": "added_to_cart_time_ms",
    "attrs": "custom_attributes",
}
_PROMOTION = {"id": "id", "nm": "name", "cr": "creative", "ps": "position"}


def commerce_data(sent: Members) -> Members:
    """Return the data of a commerce event: what it is about, and what is bought or shown."""
    data = renamed(sent, _EVENT)
    action, promotion = as_object(sent.get("pd")), as_object(sent.get("pm"))
    if action:
        data["product_action"] = renamed(action, _ACTION) | {"products": _products(action)}
    if promotion:
        data["promotion_action"] = {
            "action": promotion.get("an"),
            "promotions": [
                renamed(as_object(each), _PROMOTION) for each in as_list(promotion.get("pl"))
            ],
        }
    impressions = as_list(sent.get("pi"))
    if impressions:
        data["product_impressions"] = [_impression(as_object(each)) for each in impressions]
    return data


def _impression(sent: Members) -> Members:
    return renamed(sent, {"pil": "product_impression_list"}) | {"products": _products(sent)}


def _products(sent: Members) -> list[dict[str, Any]]:
    return [renamed(as_object(each), _PRODUCT) for each in as_list(sent.get("pl"))]
