"""Messages as the batches that shards read (spec/clients.md, 6.3 and 6.4)."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.batches.decode import decode_batch
from actors.model.batches import Event
from server.segment.batches import batch_of
from server.segment.requests import Message
from tests.actors.batches.support import FEED, T, context, workspace

WORKSPACE = workspace()
NAMES = [
    *("product_id", "sku", "name", "brand", "category", "variant", "price", "quantity", "coupon"),
    *("position", "order_id", "total", "revenue", "value", "tax", "shipping", "affiliation"),
    *("step", "payment_method", "shipping_method", "currency", "promotion_id", "creative"),
    *("list_id", "gift"),
]
EVENTS = [
    *("Product Added", "Checkout Step Viewed", "Order Completed", "Product List Viewed"),
    *("Promotion Viewed", "Application Opened", "Something Else"),
]
NUMBERS = st.one_of(
    st.integers(-(2**63), 2**64 - 1), st.floats(), st.sampled_from([2**63 - 1, 2.0**63])
)
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        NUMBERS,
        NUMBERS.map(str),
        st.text(max_size=5),
        st.sampled_from(["19.99 USD", "27,50", "two", "", ".5", "1e400", "1e3", "٣", "9" * 20]),
    ),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=3,
)


def stored(event: str, properties: dict[str, Any], **members: Any) -> Event:
    """Return what a shard keeps of a track call; it has to keep its event."""
    message = Message(
        0, "track", {"userId": "u", "event": event, "properties": properties} | members
    )
    raw = batch_of(message, "in", T, has_semantic_events=True)
    batch = decode_batch(raw, context(FEED, is_lenient=True), WORKSPACE)
    assert "invalid_event" not in batch.drops, raw
    [kept] = batch.events
    return kept


def test_a_value_that_does_not_fit_becomes_an_attribute_of_the_order() -> None:
    order = {
        "order_id": ["o8"],
        "total": "27,50",
        "tax": "2.5",
        "step": "payment",
        "coupon": None,
        "currency": {"code": "USD"},
        "products": [{"product_id": 7, "price": 5}],
    }
    event = stored("Order Completed", order)
    assert event.event_type == "commerce_event"
    action = event.data["product_action"]
    assert (action["tax_amount"], "total_amount" in action, "transaction_id" in action) == (
        2.5,
        False,
        False,
    )
    assert "currency_code" not in event.data
    attributes = event.data["custom_attributes"]
    assert {name: attributes[name] for name in ("order_id", "total", "step", "currency.code")} == {
        "order_id": '["o8"]',
        "total": "27,50",
        "step": "payment",
        "currency.code": "USD",
    }
    assert "coupon" not in attributes


def test_one_bad_product_does_not_cost_the_order() -> None:
    products = [
        {"sku": "a", "price": "19.99 USD", "quantity": "two", "category": ["x", "y"]},
        "b",
        {"product_id": {"of": "c"}, "sku": "c", "price": "2.5", "quantity": 2, "position": "1"},
    ]
    event = stored("Order Completed", {"order_id": "o9", "products": products})
    bad, good = event.data["product_action"]["products"]
    assert bad == {
        "id": "a",
        "custom_attributes": {"price": "19.99 USD", "quantity": "two", "category": '["x","y"]'},
    }
    assert good == {
        "id": "c",
        "price": 2.5,
        "quantity": 2,
        "position": 1,
        "total_product_amount": 5,
        "custom_attributes": {"product_id.of": "c"},
    }
    assert event.data["custom_attributes"]["products"] == '["b"]'


def test_products_that_are_no_list_are_an_attribute() -> None:
    event = stored("Order Completed", {"order_id": "o9", "products": "a,b"})
    assert event.data["custom_attributes"]["products"] == "a,b"
    event = stored("Product List Viewed", {"list_id": "l", "products": {"a": 1}})
    assert (event.event_type, event.data["event_name"]) == ("custom_event", "Product List Viewed")
    assert event.data["custom_attributes"]["products.a"] == "1"


def test_the_first_name_whose_value_fits_counts() -> None:
    event = stored("Order Completed", {"total": "27,50", "revenue": 25, "value": 24})
    assert event.data["product_action"]["total_amount"] == 25
    attributes = event.data["custom_attributes"]
    assert (attributes["total"], attributes["value"]) == ("27,50", "24")


@pytest.mark.parametrize("session", [2**63, 2**64 - 1, True, "soon", 1.5])
def test_a_session_that_is_no_number_of_64_bits_is_left_out(session: Any) -> None:
    event = stored("E", {}, context={"sessionId": session})
    assert "session_id" not in event.data


def test_a_place_without_two_numbers_is_left_out() -> None:
    place = {"latitude": True, "longitude": 7.69}
    assert "location" not in stored("E", {}, context={"location": place}).data


@settings(deadline=None)
@given(
    st.sampled_from(EVENTS),
    st.dictionaries(st.sampled_from(NAMES), VALUES),
    st.none() | VALUES | st.lists(st.dictionaries(st.sampled_from(NAMES), VALUES), max_size=3),
    st.fixed_dictionaries({"sessionId": VALUES, "latitude": VALUES, "longitude": VALUES}),
)
def test_no_value_of_a_property_costs_its_event(
    event: str, properties: dict[str, Any], products: Any, around: dict[str, Any]
) -> None:
    where = {"location": around, "sessionId": around["sessionId"]}
    stored(event, properties | {"products": products}, context=where)
