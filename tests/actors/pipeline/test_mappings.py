"""Custom mappings and commerce expansion: spec/connections.md, 2.5."""

from typing import Any

import pytest

from actors.pipeline.settings import CustomMapping, Fixed, PipelineSettings
from tests.actors.pipeline.support import batch_of, custom, event, sent


def mapped(batch: Any, *mappings: CustomMapping, **settings: Any) -> list[dict[str, Any]]:
    payload = sent(PipelineSettings(), batch, mappings=mappings, **settings)
    return [each["data"] for each in payload["events"]]


ORDER = CustomMapping(
    ("transaction", "Order Placed"),
    "order_completed",
    (("value", "amount"), ("currency", Fixed("EUR")), ("coupon", "code")),
)


def test_a_mapped_event_gets_another_name_and_other_properties() -> None:
    batch = batch_of(
        custom("Order Placed", 1, "transaction", {"amount": "7", "card_bin": "4111"}),
        custom("Order Placed", 2, "other", {"amount": "7"}),
    )
    first, second = mapped(batch, ORDER)
    assert first["event_name"] == "order_completed"
    assert first["custom_attributes"] == {"value": "7", "currency": "EUR"}
    assert (second["event_name"], second["custom_attributes"]) == ("Order Placed", {"amount": "7"})


def test_without_properties_attributes_stay() -> None:
    [data] = mapped(
        batch_of(custom("A", attributes={"x": "1"})), CustomMapping(("other", "A"), "a")
    )
    assert (data["event_name"], data["custom_attributes"]) == ("a", {"x": "1"})


def test_the_first_mapping_of_an_event_wins() -> None:
    first, second = CustomMapping(("other", "A"), "one"), CustomMapping(("other", "A"), "two")
    [data] = mapped(batch_of(custom("A")), first, second)
    assert data["event_name"] == "one"


def test_screens_are_mapped_by_name() -> None:
    batch = batch_of(event("screen_view", screen_name="Home"))
    [data] = mapped(batch, CustomMapping(("screen_view", "Home"), "Start"))
    assert data["screen_name"] == "Start"


def test_commerce_events_are_mapped_by_action_and_give_their_totals() -> None:
    action = {"action": "purchase", "total_amount": 12.5, "products": [{"id": "p"}]}
    batch = batch_of(event("commerce_event", product_action=action, custom_attributes={"a": "1"}))
    properties = (("total", "total_amount"), ("a", "a"), ("none", "products"))
    [data] = mapped(batch, CustomMapping(("product_purchase", ""), "bought", properties))
    assert data["event_name"] == "bought"
    assert data["custom_attributes"] == {"total": 12.5, "a": "1"}


def test_the_raw_data_feed_stays_as_it_was_sent() -> None:
    [data] = mapped(batch_of(custom("A")), CustomMapping(("other", "A"), "a"), raw_data_feed=True)
    assert data["event_name"] == "A"


def flat(**data: Any) -> list[dict[str, Any]]:
    source = event("commerce_event", 7, custom_event_type="purchase", **data)
    payload = sent(
        PipelineSettings(), batch_of(custom("A", 3), source), expand_commerce_events=True
    )
    assert payload["events"][0]["data"]["event_id"] == 3
    expanded = payload["events"][1:]
    assert {each["event_type"] for each in expanded} <= {"custom_event"}
    assert [each["data"]["event_id"] for each in expanded] == [
        f"7:{n}" for n in range(len(expanded))
    ]
    assert len({each["data"]["message_id"] for each in expanded}) == len(expanded)
    assert not {"product_action", "shopping_cart"} & {name for e in expanded for name in e["data"]}
    return [each["data"] for each in expanded]


def test_a_purchase_becomes_an_event_per_product_and_one_of_the_total() -> None:
    products = [
        {"id": "1", "name": "Tea", "price": 2, "quantity": 3, "custom_attributes": {"size": "L"}},
        {"id": "2", "name": "Cup"},
    ]
    action = {
        "action": "purchase",
        "transaction_id": "t-1",
        "total_amount": 6,
        "tax_amount": 1,
        "products": products,
    }
    first, second, total = flat(
        product_action=action, currency_code="EUR", custom_attributes={"shop": "x"}
    )
    assert first["event_name"] == second["event_name"] == "eCommerce - purchase - Item"
    assert first["custom_attributes"] == {
        "Id": "1",
        "Name": "Tea",
        "Item Price": 2,
        "Quantity": 3,
        "size": "L",
        "Transaction Id": "t-1",
        "shop": "x",
    }
    assert second["custom_attributes"]["shop"] == "x"
    assert total["event_name"] == "eCommerce - purchase - Total"
    assert total["custom_attributes"] == {
        "Transaction Id": "t-1",
        "Total Amount": 6,
        "Tax Amount": 1,
        "Currency Code": "EUR",
        "Product Count": 2,
        "shop": "x",
    }


@pytest.mark.parametrize(("action", "totals"), [("refund", 1), ("add_to_cart", 0), ("click", 0)])
def test_only_purchases_and_refunds_have_a_total(action: str, totals: int) -> None:
    names = [
        each["event_name"]
        for each in flat(product_action={"action": action, "products": [{"id": "1"}]})
    ]
    assert names == [f"eCommerce - {action} - Item"] + [f"eCommerce - {action} - Total"] * totals


def test_a_promotion_becomes_an_event_each() -> None:
    promotions = [{"id": "1", "creative": "banner"}, {"id": "2"}]
    first, second = flat(promotion_action={"action": "view", "promotions": promotions})
    assert first["event_name"] == second["event_name"] == "eCommerce - view - Item"
    assert first["custom_attributes"] == {"Id": "1", "Creative": "banner"}


def test_an_impression_becomes_an_event_per_product() -> None:
    lists = [{"product_impression_list": "top", "products": [{"id": "1"}, {"id": "2"}]}]
    first, second = flat(product_impressions=lists)
    assert first["event_name"] == "eCommerce - impression - Item"
    assert second["custom_attributes"] == {"Id": "2", "Product Impression List": "top"}


def test_a_commerce_event_that_is_mapped_goes_out_as_its_mapping_says() -> None:
    bought = event("commerce_event", 7, product_action={"action": "purchase", "products": [{}]})
    mapping = CustomMapping(("product_purchase", ""), "bought", (("shop", Fixed("x")),))
    [data] = mapped(batch_of(bought), mapping, expand_commerce_events=True)
    assert (data["event_id"], data["event_name"]) == (7, "bought")
    assert data["custom_attributes"] == {"shop": "x"}


def test_a_commerce_event_of_nothing_leaves_no_hole_in_the_payload() -> None:
    assert flat(product_action={"action": "checkout", "products": []}) == []
