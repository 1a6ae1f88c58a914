from typing import Any

import orjson
import pytest

from actors.audiences.criteria import EventFilter
from actors.audiences.event_rows import (
    EVENT_FIELDS,
    PRODUCT_FIELDS,
    PROMOTION_FIELDS,
    EventKey,
    attribute_or_field_reader,
    event_key,
    event_time_ms,
    matches_key,
    product_quantity,
    reader,
    rows_of,
    session_id,
)
from actors.audiences.values import MISSING, StoredValue
from actors.model.batches import Event
from tests.actors.audiences.events import rows, sent, stored
from tests.actors.batches.support import T

PURCHASE = sent(
    "commerce_event",
    currency_code="EUR",
    product_action={
        "action": "purchase",
        "transaction_id": "t-1",
        "total_amount": "21.50",
        "products": [
            {
                "name": "Blue sock",
                "brand": "Acme",
                "price": 5,
                "quantity": 3,
                "custom_attributes": {"size": "XL", "brand": "hidden", "gift": None},
            },
            {"name": "Red hat", "price": 20.25, "custom_attributes": {"brand": "Own"}},
        ],
    },
)
PROMOTION = sent(
    "commerce_event",
    promotion_action={"action": "view", "promotions": [{"id": "p1"}, {"id": "p2", "position": 4}]},
)
IMPRESSIONS = sent(
    "commerce_event",
    product_impressions=[{"products": [{"id": "a"}]}, {}, {"products": [{"id": "b"}, {"id": "c"}]}],
)
FIRST_RUN = sent(
    "application_state_transition",
    application_transition_type="application_initialized",
    is_first_run=True,
)
UPGRADE = sent(
    "application_state_transition",
    application_transition_type="application_initialized",
    is_upgrade=True,
)
BOTH = sent(
    "application_state_transition",
    application_transition_type="application_initialized",
    is_first_run=True,
    is_upgrade=True,
)
CLIP = sent("custom_event", event_name="Clip Played", custom_event_type="media")


NAMED: list[tuple[Any, str]] = [
    *(("event_field", name) for name in EVENT_FIELDS),
    *(("product_attribute", name) for name in (*PRODUCT_FIELDS, "size", "gift")),
    *(("promotion_attribute", name) for name in PROMOTION_FIELDS),
]


def key_of(event: dict[str, Any]) -> EventKey:
    return event_key(rows(event)[0].event)


@pytest.mark.parametrize(
    ("event", "key"),
    [
        (CLIP, EventKey("custom_event", "Clip Played", "media")),
        (sent("screen_view", event_name="Home"), EventKey("screen_view", "Home")),
        (sent("screen_view"), EventKey("screen_view")),
        (PURCHASE, EventKey("commerce_event", kind="purchase")),
        (PROMOTION, EventKey("commerce_event", kind="promotion_view")),
        (IMPRESSIONS, EventKey("commerce_event", kind="impression")),
        (
            sent("commerce_event", product_action={"action": "remove_from_wishlist"}),
            EventKey("commerce_event", kind="remove_from_wish_list"),
        ),
        (FIRST_RUN, EventKey("application_state_transition", lifecycle=("install",))),
        (UPGRADE, EventKey("application_state_transition", lifecycle=("upgrade",))),
        (sent("first_run"), EventKey("first_run", lifecycle=("install",))),
        (sent("uninstall"), EventKey("uninstall")),
    ],
)
def test_a_key_is_what_criteria_name(event: dict[str, Any], key: EventKey) -> None:
    """spec/audiences.md, 3.1."""
    assert key_of(event) == key


@pytest.mark.parametrize(
    ("criterion", "event", "matches"),
    [
        (EventFilter("custom_event", ("Clip Played",)), CLIP, True),
        (EventFilter("custom_event", ("clip played",)), CLIP, False),
        (EventFilter("custom_event", ("Other", "Clip Played"), ("media",)), CLIP, True),
        (EventFilter("custom_event", ("Clip Played",), ("search", "social")), CLIP, False),
        (EventFilter("screen_view"), CLIP, False),
        (EventFilter("screen_view"), sent("screen_view", screen_name="Home"), True),
        (EventFilter("screen_view", ("Home",)), sent("screen_view", screen_name="Home"), True),
        (EventFilter("screen_view", ("Home",)), sent("screen_view"), False),
        (EventFilter("commerce_event", commerce_actions=("purchase",)), PURCHASE, True),
        (EventFilter("commerce_event", commerce_actions=("refund",)), PURCHASE, False),
        (EventFilter("install"), FIRST_RUN, True),
        (EventFilter("install"), sent("first_run"), True),
        (EventFilter("install"), UPGRADE, False),
        (EventFilter("upgrade"), UPGRADE, True),
        (EventFilter("install"), BOTH, True),
        (EventFilter("upgrade"), BOTH, True),
        (EventFilter("application_state_transition"), UPGRADE, True),
        (EventFilter("any"), sent("uninstall"), True),
    ],
)
def test_filters_match_keys(criterion: EventFilter, event: dict[str, Any], matches: bool) -> None:
    """spec/audiences.md, 3.1, and worked case 10 (names are case-sensitive)."""
    assert matches_key(criterion, key_of(event)) is matches


def test_an_event_has_a_row_for_each_product_or_promotion_and_at_least_one() -> None:
    """spec/audiences.md, 3.1, row rule."""
    names = [reader("product_attribute", "name")(row) for row in rows(PURCHASE)]
    assert names == ["Blue sock", "Red hat"]
    ids = [reader("product_attribute", "id")(row) for row in rows(IMPRESSIONS)]
    assert ids == ["a", "b", "c"]
    assert [row.index for row in rows(IMPRESSIONS)] == [0, 1, 2]
    promotions = [reader("promotion_attribute", "id")(row) for row in rows(PROMOTION)]
    assert promotions == ["p1", "p2"]
    (row,) = rows(sent("commerce_event", product_action={"action": "checkout"}))
    assert reader("product_attribute", "id")(row) is MISSING
    assert reader("promotion_attribute", "id")(row) is MISSING


@pytest.mark.parametrize(
    ("category", "name", "value"),
    [
        ("product_attribute", "price", "5"),
        ("product_attribute", "quantity", "3"),
        ("product_attribute", "total_product_amount", "15"),
        ("product_attribute", "brand", "Acme"),
        ("product_attribute", "size", "XL"),
        ("product_attribute", "gift", None),
        ("product_attribute", "Size", MISSING),
        ("product_attribute", "added_to_cart_time_ms", MISSING),
        ("promotion_attribute", "id", MISSING),
        ("event_field", "transaction_id", "t-1"),
        ("event_field", "total_amount", "21.5"),
        ("event_field", "currency_code", "EUR"),
        ("event_field", "coupon_code", MISSING),
        ("event_field", "no_such_field", MISSING),
        ("event_attribute", "size", MISSING),
    ],
)
def test_values_of_a_purchase(category: Any, name: str, value: StoredValue) -> None:
    assert reader(category, name)(rows(PURCHASE)[0]) == value


def test_a_product_attribute_is_the_field_or_else_the_custom_one() -> None:
    assert reader("product_attribute", "brand")(rows(PURCHASE)[1]) == "Own"
    assert reader("product_attribute", "price")(rows(PURCHASE)[1]) == "20.25"


def test_a_promotion_has_four_fields() -> None:
    assert reader("promotion_attribute", "position")(rows(PROMOTION)[1]) == "4"
    assert reader("promotion_attribute", "price")(rows(PROMOTION)[1]) is MISSING


@pytest.mark.parametrize(
    ("event", "members", "name", "value"),
    [
        (sent("session_end", session_duration_ms=1500), {}, "session_duration_ms", "1500"),
        (sent("screen_view", event_name="Home"), {}, "screen_name", "Home"),
        (sent("crash_report", class_name="E", severity="fatal"), {}, "severity", "fatal"),
        (sent("push_message", push_message_type="Sent"), {}, "push_message_type", "sent"),
        (FIRST_RUN, {}, "application_transition_type", "application_initialized"),
        (sent("session_start", location={"latitude": 40.5}), {}, "latitude", "40.5"),
        (sent("session_start"), {}, "device_platform", "iOS"),
        (
            sent("session_start"),
            {"application_info": {"application_version": "1.2"}},
            "application_version",
            "1.2",
        ),
        (sent("session_start"), {}, "application_build_number", MISSING),
    ],
)
def test_typed_fields_of_events_and_their_batch(
    event: dict[str, Any], members: dict[str, Any], name: str, value: StoredValue
) -> None:
    """spec/audiences.md, 3.1, `event_field`."""
    assert name in EVENT_FIELDS
    assert reader("event_field", name)(rows(event, **members)[0]) == value


def test_event_attributes_are_the_custom_ones() -> None:
    event = sent(
        "custom_event", event_name="E", custom_attributes={"n": 5.0, "b": True, "nothing": None}
    )
    (row,) = rows(event)
    values = [reader("event_attribute", name)(row) for name in ("n", "b", "nothing", "N")]
    assert values == ["5", "true", None, MISSING]


def test_a_calculated_attribute_falls_back_to_the_typed_field() -> None:
    """spec/calculated-attributes.md, 2.1."""
    plain = sent("session_end", session_duration_ms=1500)
    shadowed = sent(
        "session_end", session_duration_ms=1, custom_attributes={"session_duration_ms": "x"}
    )
    read = attribute_or_field_reader("session_duration_ms")
    assert read(rows(plain)[0]) == "1500"
    assert read(rows(shadowed)[0]) == "x"


@pytest.mark.parametrize(
    ("product", "quantity"),
    [({"quantity": 3}, 3.0), ({}, 1.0), ({"quantity": 0}, 0.0), ({"quantity": -2}, 0.0)],
)
def test_a_product_without_a_quantity_counts_once(product: dict[str, Any], quantity: float) -> None:
    event = sent("commerce_event", product_action={"action": "purchase", "products": [product]})
    assert product_quantity(rows(event)[0]) == quantity
    assert product_quantity(rows(CLIP)[0]) == 0


@pytest.mark.parametrize("event", [PURCHASE, PROMOTION, IMPRESSIONS, FIRST_RUN, CLIP])
def test_an_event_reads_alike_from_a_batch_and_from_the_log(event: dict[str, Any]) -> None:
    fresh = stored(event)
    kept = stored(event)
    kept.batch.events = [
        Event(each.event_type, each.timestamp_ms, orjson.loads(each.to_json()))
        for each in kept.batch.events
    ]
    before, after = (
        [
            [reader(category, name)(row) for category, name in NAMED]
            for row in rows_of(batch, batch.batch.events[0])
        ]
        for batch in (fresh, kept)
    )
    assert before == after
    assert event_key(fresh.batch.events[0]) == event_key(kept.batch.events[0])


def test_an_event_happens_at_the_latest_when_it_is_received() -> None:
    """spec/audiences.md, 3.3 and worked case 40."""
    late = stored(sent("uninstall", timestamp_unixtime_ms=T - 5), received_ms=T)
    early = stored(sent("uninstall", timestamp_unixtime_ms=T + 86_400_000), received_ms=T)
    assert event_time_ms(late, late.batch.events[0]) == T - 5
    assert event_time_ms(early, early.batch.events[0]) == T


def test_a_session_is_known_by_its_id() -> None:
    assert session_id(rows(sent("session_start", session_id=12))[0].event) == 12
    assert session_id(rows(sent("session_start"))[0].event) is None
