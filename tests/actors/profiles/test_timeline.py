"""The timeline of a user."""

import pytest

from actors.model.batches import StoredBatch
from actors.profiles.timeline import TimelineQuery, timeline_item
from tests.actors.profiles.builders import IOS, NOW, STAMP, WORKSPACE, batch, event

EVERYTHING = TimelineQuery()


def _stored(*, source: int = IOS) -> StoredBatch:
    sent = batch(
        event("custom_event", NOW, event_name="Opened", source_message_id="m-1"),
        event("screen_view", NOW + 10, screen_name="Home"),
        event("session_end", NOW + 20),
        batch_id=77,
        mp_deviceid=STAMP,
        user_attributes={"a": "1"},
        ip="192.0.2.1",
    )
    return StoredBatch(
        log_id=5,
        previous_log_id=0,
        workspace=WORKSPACE.number,
        scope=WORKSPACE.scope,
        mpid=4411,
        input=source,
        received_ms=NOW + 30,
        channel="native",
        is_historical=False,
        device_key=STAMP,
        batch=sent,
    )


def test_an_item_is_a_batch_with_its_events() -> None:
    """spec/profiles.md, 8."""
    item = timeline_item(_stored(), WORKSPACE, EVERYTHING)
    assert item is not None
    events = item.pop("events")
    assert item == {
        "batch_id": 77,
        "input": "ios",
        "received_ms": NOW + 30,
        "environment": "production",
        "timestamp_unixtime_ms": NOW,
        "channel": "native",
        "is_historical": False,
        "device_key": STAMP,
        "mp_deviceid": STAMP,
        "user_attributes": {"a": "1"},
    }
    assert [each["name"] for each in events] == ["Opened", "Home", "session_end"]
    assert events[0] == {
        "event_id": 0,
        "name": "Opened",
        "timestamp_unixtime_ms": NOW,
        "event_type": "custom_event",
        "data": {
            "timestamp_unixtime_ms": NOW,
            "event_name": "Opened",
            "source_message_id": "m-1",
        },
    }


@pytest.mark.parametrize(
    ("query", "names"),
    [
        pytest.param(TimelineQuery(start_ms=NOW + 10), ["Home", "session_end"], id="from, incl."),
        pytest.param(TimelineQuery(end_ms=NOW + 10), ["Opened"], id="to, exclusive"),
        pytest.param(TimelineQuery(inputs=("web", "ios")), ["Opened", "Home", "session_end"]),
        pytest.param(TimelineQuery(inputs=("web",)), [], id="another input"),
        pytest.param(TimelineQuery(devices=("x", STAMP)), ["Opened", "Home", "session_end"]),
        pytest.param(TimelineQuery(devices=("x",)), [], id="another device"),
        pytest.param(
            TimelineQuery(types=("session_end", "screen_view")), ["Home", "session_end"], id="types"
        ),
        pytest.param(TimelineQuery(event_names=("Opened", "Home")), ["Opened", "Home"], id="names"),
        pytest.param(
            TimelineQuery(types=("screen_view",), event_names=("Opened",)), [], id="AND between"
        ),
    ],
)
def test_filters_are_or_within_and_and_between(query: TimelineQuery, names: list[str]) -> None:
    """spec/profiles.md, 8."""
    item = timeline_item(_stored(), WORKSPACE, query)
    assert [each["name"] for each in item["events"]] == names if item else names == []


def test_a_batch_without_events_is_no_item() -> None:
    """A batch whose events are all of tier connect leaves no trace (spec/profiles.md, 8)."""
    stored = _stored()
    stored.batch.events = []
    assert timeline_item(stored, WORKSPACE, EVERYTHING) is None


def test_an_input_that_is_gone_has_its_number() -> None:
    """Stored batches outlive the configuration."""
    item = timeline_item(_stored(source=99), WORKSPACE, EVERYTHING)
    assert item is not None
    assert item["input"] == "99"


def test_commerce_events_carry_transaction_and_products() -> None:
    """spec/profiles.md, 8: per-product quantity and total."""
    purchase = event(
        "commerce_event",
        currency_code="EUR",
        custom_event_type="purchase",
        product_action={
            "action": "purchase",
            "transaction_id": "t-1",
            "total_amount": 21.49,
            "checkout_step": 2,
            "products": [
                {"id": "p1", "name": "Pen", "price": 10, "quantity": 2, "total_product_amount": 20},
                {"id": "p2"},
            ],
        },
    )
    impression = event(
        "commerce_event",
        custom_event_type="impression",
        product_impressions=[{"products": [{"id": "p1"}]}, {"product_impression_list": "top"}],
    )
    stored = _stored()
    stored.batch.events = [purchase, impression]
    item = timeline_item(stored, WORKSPACE, EVERYTHING)
    assert item is not None
    bought, seen = item["events"]
    assert bought["transaction"] == {
        "action": "purchase",
        "transaction_id": "t-1",
        "total_amount": 21.49,
        "currency_code": "EUR",
    }
    assert bought["products"] == [
        {"id": "p1", "name": "Pen", "quantity": 2, "total": 20},
        {"id": "p2", "name": None, "quantity": 1, "total": None},
    ]
    assert seen["transaction"] == {}
    assert seen["products"] == [{"id": "p1", "name": None, "quantity": 1, "total": None}]
