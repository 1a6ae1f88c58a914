"""Custom mappings and commerce expansion: spec/connections.md, 2.5."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from actors.model.batches import Event
from actors.model.deliveries import Delivery
from actors.outgoing import outgoing_batch
from actors.pipeline.candidate import Drop
from actors.pipeline.compiling import compile_pipelines
from actors.pipeline.connection import ConnectionInfo
from actors.pipeline.settings import CustomMapping, Fixed, PipelineSettings, Takes
from actors.steps.enqueue import delivery_id, enqueue
from tests.actors.pipeline.support import batch_of, connection_of, custom, event, ids_of, sent
from tests.actors.test_outgoing import workspace


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


def order(event_id: int, *ids: str) -> Event:
    products = [{"id": each} for each in ids]
    return event(
        "commerce_event", event_id, product_action={"action": "purchase", "products": products}
    )


def nothing(event_id: int) -> Event:
    return event("commerce_event", event_id, product_action={"action": "checkout", "products": []})


def expanding(*, send_as_batch: bool, most: int | None = None) -> ConnectionInfo:
    takes = PipelineSettings(takes=Takes(max_payload_bytes=most))
    info = connection_of(takes, expand_commerce_events=True)
    return replace(info, send_as_batch=send_as_batch)


def made(info: ConnectionInfo, *events: Event) -> tuple[list[Delivery], list[Drop]]:
    batch = batch_of(*events)
    outgoing = outgoing_batch(batch, None, workspace(), [])
    return enqueue(outgoing, batch, None, compile_pipelines([info]))


def event_ids(deliveries: Sequence[Delivery]) -> list[list[Any]]:
    return [ids_of(json.loads(each.payload)) for each in deliveries]


def test_each_expanded_event_is_a_delivery_where_events_go_out_one_by_one() -> None:
    """spec/connections.md, 6: each event in its own batch object; 2.5: each has an id."""
    info = expanding(send_as_batch=False)
    deliveries, drops = made(info, custom("A", 3), nothing(5), order(7, "1", "2"))
    assert event_ids(deliveries) == [[3], ["7:0"], ["7:1"], ["7:2"]]
    assert [each.event_count for each in deliveries] == [1, 1, 1, 1]
    assert drops == [Drop(1, "unsupported_type", 1)]
    chunks: list[int | str] = [0, "2:0", "2:1", "2:2"]
    batch_id = batch_of().batch.batch_id
    assert [each.delivery_id for each in deliveries] == [
        delivery_id(info.id, batch_id, chunk) for chunk in chunks
    ]


def test_a_delivery_counts_the_events_that_are_in_it() -> None:
    [batch], _ = made(expanding(send_as_batch=True), custom("A", 3), order(7, "1", "2"))
    assert batch.event_count == 4


@pytest.mark.parametrize("send_as_batch", [True, False])
def test_a_batch_of_which_nothing_is_left_is_not_sent(send_as_batch: bool) -> None:
    deliveries, drops = made(expanding(send_as_batch=send_as_batch), nothing(5))
    assert deliveries == []
    assert drops == [Drop(1, "unsupported_type", 0)]


def test_what_an_event_is_expanded_to_is_cut_where_it_is_too_large() -> None:
    [whole], _ = made(expanding(send_as_batch=True), order(7, "1", "2", "3"))
    parts, drops = made(
        expanding(send_as_batch=True, most=len(whole.payload) - 1), order(7, "1", "2", "3")
    )
    assert event_ids(parts) == [["7:0", "7:1"], ["7:2", "7:3"]]
    assert drops == []
