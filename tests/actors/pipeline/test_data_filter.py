"""The data filter: spec/connections.md, 2.4, cases 11 and 12; spec/rules.md, 7."""

from typing import Any

import pytest
from msgspec.structs import replace

from actors.batches.attributes import SOURCE_FEED
from actors.model.batches import Event
from actors.model.profiles import AttributeValue, IdentityValue
from actors.pipeline.points import DataPoint, attribute_names
from actors.pipeline.settings import DataFilter, PipelineSettings
from tests.actors.batches.support import decoded
from tests.actors.pipeline.support import (
    batch_of,
    connection_of,
    custom,
    event,
    ids_of,
    reasons,
    run,
    sent,
)
from tests.actors.test_outgoing import profile


def off(**switched: Any) -> PipelineSettings:
    has_user_attributes = switched.pop("has_user_attributes", True)
    parts: dict[str, Any] = {name: frozenset(values) for name, values in switched.items()}
    return PipelineSettings(filter=DataFilter(**parts, has_user_attributes=has_user_attributes))


def purchase(event_id: int = 1, **data: Any) -> Event:
    products = [{"id": "p", "custom_attributes": {"a": "1", "b": "2"}}]
    action = {"action": "purchase", "products": products}
    return event("commerce_event", event_id, product_action=action, **data)


def test_case_11_events_of_a_type_that_is_off_are_left_out() -> None:
    batch = batch_of(custom("Open", 1, "navigation"), custom("Open", 2, "other"))
    pipeline = off(event_types=["navigation"])
    assert ids_of(sent(pipeline, batch)) == [2]
    assert reasons(pipeline, batch) == [("filtered", 0)]


def test_one_event_that_is_off_is_left_out_by_type_and_name() -> None:
    batch = batch_of(custom("Ping", 1), custom("ping", 2), custom("Ping", 3, "search"))
    assert ids_of(sent(off(events=[("other", "Ping")]), batch)) == [2, 3]


def test_case_12_an_attribute_that_is_off_is_removed_and_nothing_else() -> None:
    attributes = {"card_bin": "4111", "amount": "7"}
    batch = batch_of(
        custom("Order Placed", 1, "transaction", attributes),
        custom("Order Placed", 2, "other", attributes),
    )
    whole = sent(PipelineSettings(), batch)
    payload = sent(off(event_attributes=[("transaction", "Order Placed", "card_bin")]), batch)
    assert payload["events"][0]["data"].pop("custom_attributes") == {"amount": "7"}
    del whole["events"][0]["data"]["custom_attributes"]
    assert payload == whole


KNOWN = profile(
    user_attributes={"$City": AttributeValue("Ghent", 1, 2), "tier": AttributeValue("gold", 1, 2)}
)


def test_case_12_all_user_attributes_off_overrides_single_ones() -> None:
    batch = batch_of(
        custom("A", 1),
        event("user_attribute_change", 2, user_attribute_name="$City", new="Ghent"),
        deleted_user_attributes=["old"],
    )
    pipeline = off(has_user_attributes=False)
    payload = sent(pipeline, batch, KNOWN)
    assert payload["user_attributes"] == {}
    assert "deleted_user_attributes" not in payload
    assert ids_of(payload) == [1]
    assert reasons(pipeline, batch, KNOWN) == [("filtered", 1)]


def test_a_user_attribute_that_is_off_is_removed_with_its_changes() -> None:
    batch = batch_of(
        event("user_attribute_change", 1, user_attribute_name="tier", new="gold"),
        event("user_attribute_change", 2, user_attribute_name="$City", new="Ghent"),
        deleted_user_attributes=["old", "tier"],
    )
    payload = sent(off(user_attributes=["tier"]), batch, KNOWN)
    assert payload["user_attributes"] == {"$City": "Ghent"}
    assert payload["deleted_user_attributes"] == ["old"]
    assert ids_of(payload) == [2]


def test_an_identity_that_is_off_is_removed_with_its_changes_and_as_unique_id() -> None:
    user = profile()
    user.user_identities["facebook"] = IdentityValue("f-1", 1, 1)
    batch = batch_of(
        custom("A", 1),
        event("user_identity_change", 2, new={"identity_type": "facebook", "identity": "f-1"}),
        event("user_identity_change", 3, old={"identity_type": "facebook", "identity": "f-0"}),
        event("user_identity_change", 4, new={"identity_type": "customer_id", "identity": "c-1"}),
    )
    payload = sent(off(user_identities=["facebook"]), batch, user, unique_id="facebook")
    assert [each["identity_type"] for each in payload["user_identities"]] == ["customer_id"]
    assert ids_of(payload) == [1, 4]
    assert "unique_id" not in payload


def test_the_raw_data_feed_is_filtered_too() -> None:
    batch = batch_of(
        custom("A", attributes={"a": "1", "b": "2"}),
        user_identities={"facebook": "f", "email": "e"},
        user_attributes={"tier": "gold", "x": "y"},
    )
    pipeline = off(
        user_identities=["facebook"],
        user_attributes=["tier"],
        event_attributes=[("other", "A", "a")],
    )
    payload = sent(pipeline, batch, None, raw_data_feed=True)
    assert payload["user_identities"] == {"email": "e"}
    assert payload["user_attributes"] == {"x": "y"}
    assert payload["events"][0]["data"]["custom_attributes"] == {"b": "2"}


@pytest.mark.parametrize("sends_new", [True, False], ids=["switched off", "new ones are off"])
def test_the_attribute_that_names_the_feed_is_not_filtered(sends_new: bool) -> None:
    """spec/events-api.md, 2.1."""
    named = {SOURCE_FEED: "Backend", "a": "1"}
    chosen = DataFilter(
        sends_new=sends_new,
        event_attributes=frozenset(("other", "A", name) for name in named),
        enabled=frozenset([DataPoint("Event", "other", "A")]),
    )
    payload = sent(PipelineSettings(filter=chosen), batch_of(custom("A", attributes=named)))
    assert payload["events"][0]["data"]["custom_attributes"] == {SOURCE_FEED: "Backend"}


def test_screens_are_switched_by_name() -> None:
    batch = batch_of(
        event("screen_view", 1, screen_name="Home", custom_attributes={"ref": "a", "b": "c"}),
        event("screen_view", 2, screen_name="Cart"),
        custom("Home", 3),
    )
    assert ids_of(sent(off(screens=["Home"]), batch)) == [2, 3]
    payload = sent(off(screen_attributes=[("Home", "ref")]), batch)
    assert payload["events"][0]["data"]["custom_attributes"] == {"b": "c"}


@pytest.mark.parametrize(
    ("key", "data"),
    [
        ("product_purchase", {"product_action": {"action": "purchase"}}),
        ("product_remove_from_wish_list", {"product_action": {"action": "remove_from_wish_list"}}),
        ("promotion_view", {"promotion_action": {"action": "view", "promotions": [{"id": "1"}]}}),
        ("product_impression", {"product_impressions": [{"product_impression_list": "l"}]}),
    ],
)
def test_commerce_events_are_switched_by_what_they_do(key: str, data: dict[str, Any]) -> None:
    batch = batch_of(event("commerce_event", 1, **data), custom("A", 2))
    assert ids_of(sent(off(commerce=[key]), batch)) == [2]
    assert ids_of(sent(off(commerce=["product_click"]), batch)) == [1, 2]


def test_an_attribute_of_commerce_events_is_removed_of_their_products_too() -> None:
    batch = batch_of(purchase(custom_attributes={"a": "1", "c": "3"}))
    payload = sent(off(commerce_attributes=[("product_purchase", "a")]), batch)
    data = payload["events"][0]["data"]
    assert data["custom_attributes"] == {"c": "3"}
    assert data["product_action"]["products"][0]["custom_attributes"] == {"b": "2"}


def test_a_change_of_an_identity_goes_out_unless_its_type_is_off() -> None:
    """Whatever the form in which the batch was read."""
    change = {"identity_type": "email", "identity": "a@b.c", "timestamp_unixtime_ms": 1}
    body = {"events": [{"event_type": "user_identity_change", "data": {"new": change}}]}
    [changed] = decoded(body).events
    batch = batch_of(replace(changed, event_id=4))
    assert ids_of(sent(off(events=[("other", "Ping")]), batch)) == [4]
    payloads, _ = run(connection_of(off(user_identities=["email"])), batch)
    assert payloads == []


def test_products_in_the_cart_have_data_points() -> None:
    """Whatever the form in which the batch was read."""
    product = {"id": "p", "custom_attributes": {"size": "L"}}
    data = {"product_action": {"action": "checkout"}, "shopping_cart": {"products": [product]}}
    events = decoded({"events": [{"event_type": "commerce_event", "data": data}]}).events
    assert attribute_names(events[0]) == {"size"}


def test_lifecycle_events_are_not_filtered() -> None:
    batch = batch_of(event("session_start", 1), event("push_message", 2))
    everything = off(event_types=["other", "unknown"], screens=["Home"], has_user_attributes=False)
    assert ids_of(sent(everything, batch)) == [1, 2]


def test_what_a_module_never_sends_can_be_off() -> None:
    assert ids_of(sent(off(screens=["Nowhere"]), batch_of(custom("A", 5)))) == [5]


def test_a_filter_changes_nothing_for_other_connections() -> None:
    batch = batch_of(custom("A", attributes={"a": "1"}), deleted_user_attributes=["tier"])
    before = sent(PipelineSettings(), batch, KNOWN)
    narrow = off(user_attributes=["tier"], event_attributes=[("other", "A", "a")])
    run(connection_of(narrow), batch, KNOWN)
    assert sent(PipelineSettings(), batch, KNOWN) == before


def test_a_batch_that_loses_all_events_to_the_filter_is_not_sent() -> None:
    batch = batch_of(event("screen_view", screen_name="Home"))
    payloads, drops = run(connection_of(off(screens=["Home"])), batch)
    assert payloads == []
    assert [(each.reason, each.event_index, each.events) for each in drops] == [("filtered", 0, 1)]
