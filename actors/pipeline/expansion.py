"""Step 13, commerce expansion: a commerce event as events without products.

Source: spec/connections.md, 2.5. For outputs that take flat events.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import uuid5

from actors.outgoing import MESSAGE_NAMESPACE, MESSAGE_TYPES

Fields = dict[str, Any]

# Members of a product, a promotion and a transaction, and the attributes that they become.
_PRODUCT = {
    "id": "Id",
    "name": "Name",
    "brand": "Brand",
    "category": "Category",
    "variant": "Variant",
    "position": "Position",
    "price": "Item Price",
    "quantity": "Quantity",
    "coupon_code": "Coupon Code",
    "total_product_amount": "Total Product Amount",
}
_PROMOTION = {"id": "Id", "name": "Name", "creative": "Creative", "position": "Position"}
_TRANSACTION = {
    "transaction_id": "Transaction Id",
    "affiliation": "Affiliation",
    "total_amount": "Total Amount",
    "tax_amount": "Tax Amount",
    "shipping_amount": "Shipping Amount",
    "coupon_code": "Coupon Code",
}
_WITH_TOTAL = ("purchase", "refund")
# What an expanded event does not keep of its source.
_REPLACED = frozenset(
    {"product_action", "promotion_action", "product_impressions", "shopping_cart"}
)


def expand_commerce(event: Mapping[str, Any]) -> list[Fields]:
    """Return the flat events of an outgoing event: itself, unless it is a commerce event.

    Args:
        event: `{"event_type", "data"}` as it goes out, with its `event_id`.

    Returns:
        Custom events of type `custom_event_type` of the source; their ids are the source's with
        `:0`, `:1`, ... behind it, in one order.
    """
    if event["event_type"] != "commerce_event":
        return [dict(event)]
    data = event["data"]
    common = {name: value for name, value in data.items() if name not in _REPLACED}
    attributes = data.get("custom_attributes") or {}
    expanded: list[Fields] = []
    for number, (name, own) in enumerate(_parts(data)):
        event_id = f"{data['event_id']}:{number}"
        flat = {
            **common,
            "event_id": event_id,
            "message_id": str(uuid5(MESSAGE_NAMESPACE, event_id)),
            "message_type": MESSAGE_TYPES["custom_event"],
            "event_name": name,
            "custom_attributes": own | attributes,
        }
        expanded.append({"event_type": "custom_event", "data": flat})
    return expanded


def _parts(data: Mapping[str, Any]) -> Iterator[tuple[str, Fields]]:
    """Yield name and attributes of each expanded event."""
    action, promotion = data.get("product_action"), data.get("promotion_action")
    if action:
        name = f"eCommerce - {action['action']}"
        transaction = {"Transaction Id": action["transaction_id"]} if _has_id(action) else {}
        products = action.get("products") or ()
        for product in products:
            yield f"{name} - Item", _product(product) | transaction
        if action["action"] in _WITH_TOTAL:
            total = _renamed(action, _TRANSACTION)
            if data.get("currency_code") is not None:
                total["Currency Code"] = data["currency_code"]
            yield f"{name} - Total", total | {"Product Count": len(products)}
    elif promotion:
        for each in promotion.get("promotions") or ():
            yield f"eCommerce - {promotion['action']} - Item", _renamed(each, _PROMOTION)
    else:
        for impression in data.get("product_impressions") or ():
            listed = _renamed(impression, {"product_impression_list": "Product Impression List"})
            for product in impression.get("products") or ():
                yield "eCommerce - impression - Item", _product(product) | listed


def _product(product: Mapping[str, Any]) -> Fields:
    return _renamed(product, _PRODUCT) | (product.get("custom_attributes") or {})


def _renamed(members: Mapping[str, Any], names: Mapping[str, str]) -> Fields:
    return {names[name]: value for name, value in members.items() if name in names}


def _has_id(action: Mapping[str, Any]) -> bool:
    return action.get("transaction_id") is not None
