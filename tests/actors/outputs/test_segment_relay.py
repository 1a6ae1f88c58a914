"""Output `segment_relay`. Cases: spec/connections.md."""

import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

from actors.clock import ManualClock
from actors.outputs.contract import Delivered, Fatal, Retry, Split
from actors.outputs.egress import EgressRules
from actors.outputs.environment import CountDrop, OutputEnvironment
from actors.outputs.segment_messages import messages_of
from actors.outputs.segment_relay import SegmentRelayOutput, SegmentRelaySettings
from tests.actors.forwarding.support import MemoryOutbox, Receiver, Simulation, delivery

NOW_MS = ManualClock().now_ms()  # 2026-01-01T00:00:00Z


def messages(*events: dict[str, Any], traits: bool = False, **batch: Any) -> list[dict[str, Any]]:
    payload = {"mpid": 42, "batch_id": 5, "events": list(events), **batch}
    made = delivery(1, payload=json.dumps(payload).encode())
    return messages_of(made, "customer_id", include_traits=traits).messages


def event(kind: str, **data: Any) -> dict[str, Any]:
    return {
        "event_type": kind,
        "data": {"event_id": 7, "timestamp_unixtime_ms": NOW_MS + 1500, **data},
    }


def only(found: list[dict[str, Any]]) -> dict[str, Any]:
    [message] = found
    return {
        name: value
        for name, value in message.items()
        if name in ("type", "event", "name", "properties", "traits")
    }


def product_action(action: str, products: int, **more: Any) -> dict[str, Any]:
    made = [{"id": f"p{n}", "name": "P", "price": 2.5, "quantity": 1} for n in range(products)]
    return event("commerce_event", product_action={"action": action, "products": made, **more})


def product(number: int) -> dict[str, Any]:
    return {"product_id": f"p{number}", "name": "P", "price": 2.5, "quantity": 1}


def test_case_29_a_purchase_is_one_completed_order_with_its_products() -> None:
    [message] = messages(
        product_action("purchase", 2, transaction_id="o1", total_amount=5.0, tax_amount=1.0)
    )
    assert message["type"] == "track"
    assert message["event"] == "Order Completed"
    assert message["messageId"] == "7"
    assert message["timestamp"] == "2026-01-01T00:00:01.500Z"
    assert message["properties"] == {
        "order_id": "o1",
        "total": 5.0,
        "tax": 1.0,
        "products": [product(0), product(1)],
    }


@pytest.mark.parametrize(
    ("action", "name", "is_flat"),
    [
        ("purchase", "Order Completed", False),
        ("add_to_cart", "Product Added", True),
        ("remove_from_cart", "Product Removed", True),
        ("view_detail", "Product Viewed", True),
        ("checkout", "Checkout Started", False),
        ("refund", "Order Refunded", False),
        ("click", "Product Clicked", True),
        ("add_to_wishlist", "Product Added to Wishlist", True),
        ("remove_from_wish_list", "Product Removed from Wishlist", True),
    ],
)
def test_a_product_action_has_a_name_and_its_products(
    action: str, name: str, is_flat: bool
) -> None:
    one = {"products": [product(0)]}
    assert only(messages(product_action(action, 1))) == {
        "type": "track",
        "event": name,
        "properties": product(0) if is_flat else one,
    }
    two = {"products": [product(0), product(1)]}
    assert only(messages(product_action(action, 2)))["properties"] == two


def test_what_has_no_row_in_the_table_is_left_out() -> None:
    assert messages(product_action("checkout_option", 1), event("session_start")) == []
    exit_event = event(
        "application_state_transition", application_transition_type="application_exit"
    )
    assert messages(exit_event) == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(
            event("custom_event", event_name="Hi", custom_attributes={"a": 1}),
            {"type": "track", "event": "Hi", "properties": {"a": 1}},
            id="custom event",
        ),
        pytest.param(
            event("screen_view", screen_name="Home"),
            {"type": "screen", "name": "Home", "properties": {}},
            id="screen",
        ),
        pytest.param(
            event(
                "commerce_event",
                promotion_action={"action": "view", "promotions": [{"id": "x", "creative": "c"}]},
            ),
            {
                "type": "track",
                "event": "Promotion Viewed",
                "properties": {"promotion_id": "x", "creative": "c"},
            },
            id="promotion",
        ),
        pytest.param(
            event(
                "commerce_event",
                promotion_action={"action": "click", "promotions": [{"id": "x"}, {"id": "y"}]},
            ),
            {
                "type": "track",
                "event": "Promotion Clicked",
                "properties": {"promotions": [{"promotion_id": "x"}, {"promotion_id": "y"}]},
            },
            id="promotions",
        ),
        pytest.param(
            event("user_attribute_change", user_attribute_name="plan", new="pro"),
            {"type": "identify", "traits": {"plan": "pro"}},
            id="attribute",
        ),
        pytest.param(
            event("user_attribute_change", user_attribute_name="plan", old="pro", deleted=True),
            {"type": "identify", "traits": {"plan": None}},
            id="attribute removed",
        ),
        pytest.param(
            event(
                "user_identity_change", new={"identity_type": "email", "identity": "a@example.com"}
            ),
            {"type": "identify", "traits": {"email": "a@example.com"}},
            id="identity",
        ),
    ],
)
def test_an_event_becomes_a_message(given: dict[str, Any], expected: dict[str, Any]) -> None:
    assert only(messages(given)) == expected


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (
            {"application_transition_type": "application_initialized", "is_first_run": True},
            "Application Installed",
        ),
        (
            {"application_transition_type": "application_initialized", "is_upgrade": True},
            "Application Updated",
        ),
        ({"application_transition_type": "application_initialized"}, "Application Opened"),
        ({"application_transition_type": "application_background"}, "Application Backgrounded"),
    ],
)
def test_an_app_comes_and_goes(data: dict[str, Any], name: str) -> None:
    assert only(messages(event("application_state_transition", **data)))["event"] == name


def test_each_list_of_impressions_is_a_message_with_an_id_of_its_own() -> None:
    lists = [
        {"product_impression_list": name, "products": [{"id": "p0"}]} for name in ("one", "two")
    ]
    made = messages(event("commerce_event", product_impressions=lists))
    assert [each["event"] for each in made] == ["Product List Viewed"] * 2
    assert [each["messageId"] for each in made] == ["7", "7:1"]
    assert made[1]["properties"] == {"list_id": "two", "products": [{"product_id": "p0"}]}


def test_a_screen_of_the_web_is_a_page() -> None:
    [message] = messages(event("screen_view"), source_info={"channel": "javascript"})
    assert message["type"] == "page"


@pytest.mark.parametrize(
    ("time_ms", "said"),
    [
        pytest.param(253_402_300_799_999, "9999-12-31T23:59:59.999Z", id="the calendar's last"),
        pytest.param(253_402_300_800_000, "2026-01-01T00:00:00.000Z", id="a ms later"),
        pytest.param(2**63 - 1, "2026-01-01T00:00:00.000Z", id="the last of all"),
        pytest.param(-62_135_596_800_000, "0001-01-01T00:00:00.000Z", id="the calendar's first"),
        pytest.param(-62_135_596_800_001, "2026-01-01T00:00:00.000Z", id="a ms before"),
        pytest.param(-(2**63), "2026-01-01T00:00:00.000Z", id="the first of all"),
    ],
)
def test_an_event_of_no_year_of_the_calendar_happened_when_it_came(time_ms: int, said: str) -> None:
    """And costs the others of its batch nothing."""
    odd = event("custom_event", event_name="Odd", timestamp_unixtime_ms=time_ms)
    found = messages(odd, event("custom_event", event_name="Even"))
    assert [each["timestamp"] for each in found] == [said, "2026-01-01T00:00:01.500Z"]


def test_a_batch_without_events_tells_who_its_user_is() -> None:
    [message] = messages(user_attributes={"plan": "pro"}, deleted_user_attributes=["old"])
    assert message["type"] == "identify"
    assert message["traits"] == {"plan": "pro", "old": None}
    assert message["messageId"] == delivery(1).delivery_id


def test_an_alias_joins_two_users() -> None:
    [message] = messages(message_type="alias_request", source_mpid=1, destination_mpid=2)
    assert (message["type"], message["previousId"], message["userId"]) == ("alias", "1", "2")


def test_a_user_is_known_by_identity_device_or_mpid() -> None:
    identities = [{"identity_type": "customer_id", "identity": "c1"}]
    one = event("custom_event", event_name="Hi")
    [known] = messages(one, user_identities=identities, mp_deviceid="d1")
    assert (known["userId"], known["anonymousId"]) == ("c1", "d1")
    [unknown] = messages(one)
    assert "userId" not in unknown
    assert unknown["anonymousId"] == "42"
    [nobody] = messages(one, mpid=None)
    assert nobody["anonymousId"] == "5"


def test_the_identity_that_users_are_known_by_may_be_named_as_in_idsync() -> None:
    settings = SegmentRelaySettings.model_validate(
        {"url": "https://relay.example.com", "write_key": "k", "user_id": "customerid"}
    )
    assert settings.user_id == "customer_id"


def test_the_context_tells_of_device_app_and_consent() -> None:
    [message] = messages(
        event("custom_event", event_name="Hi"),
        traits=True,
        ip="192.0.2.1",
        user_attributes={"plan": "pro"},
        device_info={"device_model": "M", "os_version": "9", "locale_language": "en"},
        application_info={"application_name": "Shop", "application_version": "2"},
        consent_state={"gdpr": {"analytics": {"consented": True}}},
    )
    assert message["context"] == {
        "library": {"name": "headwater"},
        "device": {"model": "M"},
        "os": {"version": "9"},
        "app": {"name": "Shop", "version": "2"},
        "ip": "192.0.2.1",
        "locale": "en",
        "consent": {"categoryPreferences": {"analytics": True}},
        "traits": {"plan": "pro"},
    }


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    await receiver.start()
    yield receiver
    await receiver.stop()


async def opened(receiver: Receiver, **changes: Any) -> SegmentRelayOutput:
    output = made(receiver, **changes)
    await output.start()
    return output


def made(
    receiver: Receiver, count_drop: CountDrop = lambda *_: None, **changes: Any
) -> SegmentRelayOutput:
    url = f"http://127.0.0.1:{receiver.port}"
    settings = SegmentRelaySettings.model_validate({"url": url, "write_key": "k", **changes})
    environment = OutputEnvironment(
        "s", ManualClock(), EgressRules(["127.0.0.1"]), Path("unused"), count_drop=count_drop
    )
    return SegmentRelayOutput(settings, environment)


def sized(number: int, size: int, events: int = 1, mpid: int = 1) -> Any:
    return delivery(number, mpid, events=[named("Big", size)] * events)


def named(name: str, size: int) -> dict[str, Any]:
    return event("custom_event", event_name=name, custom_attributes={"a": "x" * size})


def posted(body: bytes) -> list[str]:
    return [each["messageId"] for each in json.loads(body)["batch"]]


async def test_a_body_is_authorised_dated_and_compressed(receiver: Receiver) -> None:
    output = await opened(receiver, compression="gzip")
    assert await output.send([delivery(1), delivery(2)]) == [Delivered(200)] * 2
    [(headers, body)] = receiver.requests
    assert headers["authorization"] == "Basic azo="
    assert headers["content-encoding"] == "gzip"
    # The receiver's framework inflates what it is sent.
    sent = json.loads(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body)
    assert sent["sentAt"] == "2026-01-01T00:00:00.000Z"
    assert [each["messageId"] for each in sent["batch"]] == ["1", "2"]
    await output.stop()


async def test_bodies_are_at_most_500_kib(receiver: Receiver) -> None:
    output = await opened(receiver)
    outcomes = await output.send([sized(n, 30_000, events=5) for n in range(1, 7)])
    assert outcomes == [Delivered(200)] * 6
    sizes = [len(body) for _, body in receiver.requests]
    assert len(sizes) == 2
    assert max(sizes) <= 500 * 1024
    await output.stop()


async def test_what_is_too_large_is_cut_or_given_up(receiver: Receiver) -> None:
    output = await opened(receiver)
    outcomes = await output.send(
        [
            sized(1, 33_000),
            sized(2, 33_000, events=2),
            sized(3, 30_000, events=20),
            sized(4, 32_000, mpid=2),
        ]
    )
    assert outcomes[0] == Fatal("payload_too_large", "a message is larger than 32 KiB")
    assert [type(each) for each in outcomes[1:]] == [Split, Split, Delivered]
    await output.stop()


async def test_events_without_a_message_are_counted_as_left_out_once(receiver: Receiver) -> None:
    """spec/connections.md, 7.5, "others": `unsupported_type`, on the first attempt alone."""
    drops: list[tuple[int, str, int]] = []
    output = await opened(receiver, count_drop=lambda *drop: drops.append(drop))
    odd = product_action("checkout_option", 1)
    receiver.answer = lambda request: web.Response(status=503)
    some = delivery(1, events=[odd, named("Hi", 1), odd])
    none = delivery(2, 2, connection=3, events=[odd])
    behind = delivery(3, 3, events=[named("Hi", 1)])
    outcomes = await output.send([some, none, behind])
    assert [type(each) for each in outcomes] == [Retry] * 3
    assert drops == [(1, "unsupported_type", 2), (3, "unsupported_type", 1)]
    receiver.answer = lambda request: web.Response()
    again = [msgspec.structs.replace(each, attempts=1) for each in (some, none, behind)]
    assert await output.send(again) == [Delivered(200)] * 3
    assert len(drops) == 2
    assert await output.send([none]) == [Delivered()]  # nothing is posted
    assert drops[2:] == [(3, "unsupported_type", 1)]
    await output.stop()


async def test_what_is_cut_is_counted_by_its_parts(receiver: Receiver) -> None:
    """A body that the receiver finds too large comes again in halves, as a first attempt."""
    drops: list[tuple[int, str, int]] = []
    output = await opened(receiver, count_drop=lambda *drop: drops.append(drop))
    receiver.answer = lambda request: web.Response(status=413)
    odd = product_action("checkout_option", 1)
    outcomes = await output.send([delivery(1, events=[odd, named("Hi", 1)])])
    assert [type(each) for each in outcomes] == [Split]
    assert drops == []
    await output.stop()


async def test_what_follows_a_body_that_failed_waits_for_it(receiver: Receiver) -> None:
    receiver.answer = lambda request: web.Response(status=503)
    output = await opened(receiver)
    outcomes = await output.send([sized(n, 30_000, events=5) for n in range(1, 7)])
    assert [type(each) for each in outcomes] == [Retry] * 6
    assert len(receiver.requests) == 1
    await output.stop()


async def test_what_follows_a_delivery_that_is_cut_waits_for_its_parts(receiver: Receiver) -> None:
    """Of the same user only; what precedes it does not wait."""
    output = await opened(receiver)
    deliveries = [delivery(1), sized(2, 33_000, events=2), delivery(3), delivery(4, mpid=2)]
    outcomes = await output.send(deliveries)
    assert [type(each) for each in outcomes] == [Delivered, Split, Retry, Delivered]
    assert [posted(body) for _, body in receiver.requests] == [["1", "4"]]
    await output.stop()


async def test_what_follows_a_body_that_was_too_large_waits_for_its_parts(
    receiver: Receiver,
) -> None:
    """Of the same users only."""
    receiver.answer = lambda request: web.Response(status=200 if receiver.requests[1:] else 413)
    output = await opened(receiver)
    large = [sized(n, 30_000, events=8) for n in (1, 2)]
    outcomes = await output.send([*large, sized(3, 30_000, events=8), sized(4, 10, mpid=2)])
    assert [type(each) for each in outcomes] == [Split, Split, Retry, Delivered]
    assert len(receiver.requests) == 2
    assert posted(receiver.requests[1][1]) == ["7"]
    await output.stop()


async def test_a_user_whose_delivery_is_cut_is_served_in_order(receiver: Receiver) -> None:
    cut = delivery(1, events=[named("first", 10), named("too large", 33_000)])
    simulation = Simulation(ManualClock())
    simulation.start(
        made(receiver), [MemoryOutbox([cut, delivery(2, events=[named("later", 10)])])]
    )
    await simulation.run(60)
    await simulation.stop()
    sent = [each for _, body in receiver.requests for each in json.loads(body)["batch"]]
    assert [each["event"] for each in sent] == ["first", "later"]
