"""Commerce events: three of the protocol's types (spec/connections.md, 4.3)."""

from collections.abc import Iterable
from typing import Any

from actors.outputs.firehose.event_messages import (
    EventMessage,
    Impression,
    ImpressionEvent,
    Product,
    ProductActionEvent,
    Promotion,
    PromotionActionEvent,
)
from actors.outputs.firehose.fields import Data, Reading, attributes, described
from actors.outputs.firehose.words import PRODUCT_ACTIONS


def commerce_event(data: Data, reading: Reading) -> EventMessage | None:
    """Something was done with products or promotions, or products were shown."""
    shared = described(data, reading)
    if action := data.get("product_action"):
        return _product_action(data, action, shared)
    if promotion := data.get("promotion_action"):
        return PromotionActionEvent(
            **shared,
            action=promotion["action"],
            promotions=[_promotion(each) for each in promotion.get("promotions") or ()],
        )
    return ImpressionEvent(
        **shared,
        impressions=[
            Impression(each.get("product_impression_list"), _products(each.get("products")))
            for each in data.get("product_impressions") or ()
        ],
    )


def _product_action(
    data: Data, action: dict[str, Any], shared: dict[str, Any]
) -> ProductActionEvent | None:
    if action["action"] not in PRODUCT_ACTIONS:
        return None
    return ProductActionEvent(
        **shared,
        action=action["action"],
        transaction_id=action.get("transaction_id"),
        affiliation=action.get("affiliation"),
        total_amount=action.get("total_amount"),
        tax_amount=action.get("tax_amount"),
        shipping_amount=action.get("shipping_amount"),
        currency_code=data.get("currency_code"),
        coupon_code=action.get("coupon_code"),
        products=_products(action.get("products")),
    )


def _products(found: Iterable[dict[str, Any]] | None) -> list[Product]:
    return [
        Product(
            id=each.get("id"),
            name=each.get("name"),
            brand=each.get("brand"),
            category=each.get("category"),
            variant=each.get("variant"),
            position=each.get("position"),
            price=each.get("price"),
            quantity=each.get("quantity"),
            coupon_code=each.get("coupon_code"),
            total_amount=each.get("total_product_amount"),
            attributes=attributes(each),
        )
        for each in found or ()
    ]


def _promotion(found: dict[str, Any]) -> Promotion:
    return Promotion(
        found.get("id"), found.get("name"), found.get("creative"), found.get("position")
    )
