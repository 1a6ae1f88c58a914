"""What Segment's and RudderStack's SDKs were recorded to send is stored as the spec says.

spec/clients.md, 6.3 to 6.7, and worked case 24.
"""

import json
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from actors.clock import ManualClock
from server.context import EDGES
from tests.whole.test_recorded import RECORDED
from tests.whole.test_segment import document
from tests.whole.world import World, running

AFTER_RECORDING = 1_795_482_000_000  # 2026-11-24T01:00:00Z: the senders' clocks are slow by then
TIME_TOLERANCE_MS = 50  # a request is sent a little later than its messages say
OF_PYTHON = ["Item Purchased", "purchase", "Pricing", "Welcome", "Burst 0", "Burst 1", "Burst 2"]
OLU = {
    "$FirstName": "Olu",
    "plan": "pro",
    "$Age": "33",
    "$City": "Lagos",
    "created": "2026-01-02T03:04:05.678000+00:00",
    "group_id": "acme",
    "group_name": "Acme",
    "group_employees": "42",
}
USERS = {  # by file and customer id: names of events, attributes, identities beside the customer id
    "segment": {
        "u-31": (OF_PYTHON, OLU, "olu@example.test"),
        "u-41": (
            ["Song Played", "Node", "Player"],
            {"name": "Mei", "vip": "true", "group_id": "acme", "group_plan": "enterprise"},
            "mei@example.test",
        ),
        "u-61": (  # the page was viewed before anybody was known
            ["Product", "Clicked", "Cart", "B1", "B2"],
            {"plan": "free", "group_id": "acme", "group_size": "5"},
            "kim@example.test",
        ),
    },
    "rudder": {
        "u-31": (OF_PYTHON, OLU, "olu@example.test"),
        "u-51": (
            ["Watched", "Home", "Main"],
            {"tier": "gold", "group_id": "g1", "group_size": "3"},
            "ana@example.test",
        ),
        "u-71": (
            ["Product", "Clicked"],
            {"plan": "free", "group_id": "acme", "group_size": "5"},
            "sol@example.test",
        ),
    },
}
NOBODY = {"segment": ["Seen", "Viewed"], "rudder": ["Seen", "Viewed"]}
SENT_ONCE = ("authorization", "content-type", "origin", "anonymousid", "sentat")


@pytest.fixture(params=["segment", "rudder"])
def sdk(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(params=[1, 3], ids=["1 shard", "3 shards"])
async def world(request: pytest.FixtureRequest, tmp_path: Path, sdk: str) -> AsyncIterator[World]:
    """The deployment, after each request of a file was sent twice, as if an answer were lost."""
    clock = ManualClock(AFTER_RECORDING)
    async with running(tmp_path, shards=request.param, clock=clock, document=document()) as world:
        for line in (RECORDED / f"{sdk}.ndjson").read_text().splitlines():
            for _ in range(2):
                await send(world, json.loads(line))
        yield world


async def send(world: World, sent: dict[str, Any]) -> None:
    headers = {name: value for name, value in sent["headers"].items() if name in SENT_ONCE}
    body = None if sent["body"] is None else json.dumps(sent["body"]).encode()
    response = await world.client.request(sent["method"], sent["path"], data=body, headers=headers)
    assert response.status in (200, 204), sent["call"]


def shown(event: dict[str, Any]) -> str:
    data = event["data"]
    name: str = data.get("event_name") or data.get("screen_name") or data["custom_event_type"]
    return name


async def test_each_user_has_what_was_sent_once(world: World, sdk: str) -> None:
    for user, (names, attributes, email) in USERS[sdk].items():
        assert [shown(each) for each in await world.events(user)] == names
        assert await world.attributes(user) == attributes
        identities = (await world.profile(user))["user_identities"]
        assert {each["type"]: each["value"] for each in identities} == {
            "customer_id": user,
            "email": email,
        }
    known = {await world.mpid(user) for user in USERS[sdk]}
    stored = {each.mpid for each in world.log() if each.mpid is not None}
    others = [[shown(event) for event in await world.events(mpid)] for mpid in stored - known]
    assert sorted(name for names in others for name in names) == NOBODY[sdk]


async def test_an_alias_of_two_users_is_a_request_for_the_first_ones_history(
    world: World, sdk: str
) -> None:
    """Section 6.7: `Seen` was sent by nobody known, and then an alias to who is."""
    user = "u-41" if sdk == "segment" else "u-51"
    [seen] = {
        each.mpid
        for each in world.log()
        if each.mpid is not None
        and [event.data.get("event_name") for event in each.batch.events] == ["Seen"]
    }
    accepted = await world.edge.app[EDGES].first.deployment.aliases_of("production", seen)
    assert {each.request.destination_mpid for each in accepted} == {await world.mpid(user)}


async def test_an_order_is_stored_whole(world: World) -> None:
    """Section 6.4; what is no member of an order stays an attribute of the event."""
    events = await world.events("u-31")
    [order] = [each["data"] for each in events if shown(each) == "purchase"]
    assert order["currency_code"] == "USD"
    action = order["product_action"]
    [product] = action.pop("products")
    assert action == {
        "action": "purchase",
        "transaction_id": "o-8",
        "total_amount": 27.5,
        "tax_amount": 2,
        "shipping_amount": 3,
        "coupon_code": "hasbros",
    }
    assert product == {
        "id": "507",
        "name": "Monopoly",
        "brand": "Hasbro",
        "category": "Games",
        "variant": "200 pieces",
        "price": 19,
        "quantity": 1,
        "position": 1,
        "total_product_amount": 19,
        "custom_attributes": {"sku": "45790-32"},
    }
    assert {"discount": "2.5", "revenue": "25"}.items() <= order["custom_attributes"].items()


async def test_events_have_the_time_of_a_clock_that_is_right(world: World, sdk: str) -> None:
    """Section 6.2: the sender's time, and what its clock was slow by."""
    sent = dict(times(sdk))
    stored = [event.data for each in world.log() for event in each.batch.events]
    assert len(stored) > 10
    for data in stored:
        expected = sent[data["source_message_id"]]
        assert abs(data["timestamp_unixtime_ms"] - expected) <= TIME_TOLERANCE_MS


def times(sdk: str) -> Iterator[tuple[str, float]]:
    """Return the id of each message of a file, and when it happened, in ms."""
    for line in (RECORDED / f"{sdk}.ndjson").read_text().splitlines():
        body = json.loads(line)["body"]
        if body is None:
            continue
        for message in body.get("batch", [body]):
            sent_at = message.get("sentAt") or body["sentAt"]
            happened = message.get("timestamp") or message["originalTimestamp"]
            yield message["messageId"], AFTER_RECORDING + (ms(happened) - ms(sent_at))


def ms(text: str) -> float:
    return datetime.fromisoformat(text).timestamp() * 1000
