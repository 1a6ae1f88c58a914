"""Audiences over HTTP with real shards (spec/audiences.md, Lifecycle and membership)."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from actors.audiences.announce import FIRST_NUMBER
from actors.clock import ManualClock
from tests.whole.sent import custom
from tests.whole.world import DOCUMENT, T, World, changed, running

OUTPUT = {
    "id": "list",
    "kind": "audience",
    "module": "webhook",
    "name": "List",
    "settings": {"url": "https://list.example.com/in"},
}
AUDIENCE_DOCUMENT = changed(DOCUMENT, outputs=[*DOCUMENT["outputs"], OUTPUT])
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with running(tmp_path, document=AUDIENCE_DOCUMENT) as opened:
        yield opened


def status_is(value: str) -> dict[str, Any]:
    return {
        "type": "user_attribute",
        "attribute_name": "status",
        "value_type": "string",
        "operator": "equals",
        "value": value,
    }


def pinged(hours: int = 1) -> dict[str, Any]:
    return {
        "type": "event",
        "event_type": "custom_event",
        "event_name": "Ping",
        "within": {"value": hours, "unit": "hours"},
    }


def ping(at_ms: int) -> dict[str, Any]:
    """Make the event `Ping` of a time."""
    event = custom("Ping")
    return event | {"data": event["data"] | {"timestamp_unixtime_ms": at_ms}}


def advance(world: World, milliseconds: int) -> int:
    """Move time on; return what time it is."""
    clock = cast(ManualClock, world.clock)
    clock.advance(milliseconds)
    return clock.now_ms()


async def ask(world: World, status: int, method: str, path: str, body: Any = None) -> Any:
    """Send a request whose answer has to have a status; return its body."""
    headers = await world.token()
    url = f"/platform/v2/workspaces/{world.number}/audiences{path}"
    response = await world.client.request(method, url, json=body, headers=headers)
    assert response.status == status, await response.text()
    return await response.json() if response.content_length else None


async def send(world: World, customer: str, *events: dict[str, Any], **attributes: Any) -> None:
    await world.accept(
        {
            "user_identities": {"customer_id": customer},
            "user_attributes": attributes,
            "events": list(events),
        }
    )


async def connected(world: World, name: str, definition: Any) -> tuple[int, int]:
    """Make an active audience with a connection; return the ids of both."""
    made = await ask(world, 201, "POST", "", {"name": name, "definition": definition})
    path = f"/{made['id']}"
    joined = await ask(world, 201, "POST", f"{path}/subscriptions", {"output_id": 2})
    await ask(world, 204, "POST", f"{path}/activation")
    await world.settle_audiences()
    shown = await ask(world, 200, "GET", path)
    assert shown["status"] == "active"
    assert "is_estimate" not in shown
    return made["id"], joined["id"]


def changes(world: World, subscription: int) -> list[tuple[str, int]]:
    """Return (action, MPID) of all that a subscription is told."""
    return [
        (change["action"], change["mpid"])
        for message in world.told(subscription)
        for change in message["changes"]
    ]


async def members(world: World, audience: int) -> list[int]:
    page = await ask(world, 200, "GET", f"/{audience}/members")
    return cast(list[int], page["mpids"])


async def memberships(world: World, customer: str) -> list[dict[str, Any]]:
    profile = await world.profile(customer, "audience_memberships")
    return cast(list[dict[str, Any]], profile["audience_memberships"])


async def test_case_31_every_match_enters_once_at_activation(world: World) -> None:
    for number in range(5):
        await send(world, f"u{number}", status="premium" if number < 2 else "gold")
    audience, subscription = await connected(world, "Premium", status_is("PREMIUM"))
    expected = sorted([await world.mpid("u0"), await world.mpid("u1")])
    assert sorted(changes(world, subscription)) == [("add", mpid) for mpid in expected]
    assert await members(world, audience) == expected
    assert (await ask(world, 200, "GET", f"/{audience}"))["size"] == 2


async def test_case_32_a_window_that_closes_takes_the_membership_once(world: World) -> None:
    audience, subscription = await connected(world, "Pinged", pinged())
    at_ms = T - HOUR_MS + 10_000
    await send(world, "ann", ping(at_ms))
    mpid = await world.mpid("ann")
    assert changes(world, subscription) == [("add", mpid)]
    [membership] = await memberships(world, "ann")
    assert membership == {
        "audience_id": audience,
        "audience_name": "Pinged",
        "expiration_timestamp_ms": at_ms + HOUR_MS,
    }
    advance(world, 10_000)
    await world.settle_audiences()
    assert changes(world, subscription) == [("add", mpid)]
    advance(world, 1)
    for _ in range(3):
        await world.settle_audiences()
    assert changes(world, subscription) == [("add", mpid), ("delete", mpid)]
    assert await memberships(world, "ann") == []


async def test_case_33_a_batch_that_comes_to_nothing_tells_nothing(world: World) -> None:
    audience, subscription = await connected(world, "Gold", status_is("gold"))
    change = {
        "event_type": "user_attribute_change",
        "data": {"user_attribute_name": "status", "new": "gold", "old": None, "deleted": False},
    }
    await send(world, "ann", change, status="silver")
    await send(world, "bob", status="silver")
    assert changes(world, subscription) == []
    assert await members(world, audience) == []


async def test_case_34_an_edit_tells_the_differences(world: World) -> None:
    for number in range(13):
        group = "out" if number < 2 else "both" if number < 10 else "in"
        await send(world, f"u{number}", status=group)
    first = {"or": [status_is("out"), status_is("both")]}
    audience, subscription = await connected(world, "Edited", first)
    assert len(changes(world, subscription)) == 10
    second = {"or": [status_is("in"), status_is("both")]}
    await ask(world, 200, "PUT", f"/{audience}", {"definition": second})
    assert len(await members(world, audience)) == 10
    await world.settle_audiences()
    told = [action for action, _ in changes(world, subscription)[10:]]
    assert sorted(told) == ["add"] * 3 + ["delete"] * 2
    assert len(await members(world, audience)) == 11


async def test_case_35_a_deleted_audience_leaves_no_membership_and_no_delete(
    world: World,
) -> None:
    await send(world, "ann", status="gold")
    inner, subscription = await connected(world, "A", status_is("gold"))
    nested = {"type": "audience_membership", "audience_id": inner, "operator": "is_member"}
    outer, _ = await connected(world, "B", nested)
    assert [each["audience_id"] for each in await memberships(world, "ann")] == [inner, outer]
    body = await ask(world, 422, "DELETE", f"/{inner}")
    assert body["errors"][0]["code"] == "NESTED_AUDIENCE"
    await ask(world, 200, "PUT", f"/{outer}", {"definition": status_is("gold")})
    assert [action for action, _ in changes(world, subscription)] == ["add"]
    await ask(world, 204, "DELETE", f"/{inner}")
    assert [each["audience_id"] for each in await memberships(world, "ann")] == [outer]
    await world.settle_audiences()
    assert changes(world, subscription) == []


async def test_case_36_an_audience_and_one_that_asks_for_it_change_in_one_step(
    world: World,
) -> None:
    inner, first = await connected(world, "A", status_is("premium"))
    age = {
        "type": "user_attribute",
        "attribute_name": "age",
        "operator": "greater_or_equal",
        "value": 18,
    }
    nested = {"type": "audience_membership", "audience_id": inner, "operator": "is_member"}
    _, second = await connected(world, "B", {"and": [nested, age]})
    await send(world, "ann", status="premium", age="20")
    mpid = await world.mpid("ann")
    assert changes(world, first) == [("add", mpid)]
    assert changes(world, second) == [("add", mpid)]


async def test_case_38_a_restart_changes_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, document=AUDIENCE_DOCUMENT) as world:
        await send(world, "ann", ping(T), status="gold")
        audience, subscription = await connected(
            world, "Both", {"and": [pinged(), status_is("gold")]}
        )
        before = (await ask(world, 200, "GET", f"/{audience}"), world.told(subscription))
    async with running(tmp_path, document=AUDIENCE_DOCUMENT) as again:
        await again.settle_audiences()
        assert (await ask(again, 200, "GET", f"/{audience}"), again.told(subscription)) == before
        await send(again, "bob", ping(T), status="gold")
        assert [action for action, _ in changes(again, subscription)] == ["add", "add"]


async def test_case_40_events_of_another_time(world: World) -> None:
    """A late one beyond the lookback changes nothing; a future one counts as at its receipt, and
    is inside a window at once (spec/events-api.md, worked case 46)."""
    audience, subscription = await connected(
        world, "Any", {**pinged(), "within": None, "recency": {"type": "all"}}
    )
    await send(world, "old", ping(T - 31 * DAY_MS))
    assert changes(world, subscription) == []
    hour, hourly = await connected(world, "Hour", pinged())
    await send(world, "next", ping(T + DAY_MS))
    assert len(changes(world, hourly)) == 1
    advance(world, HOUR_MS + 1)
    await world.settle_audiences()
    assert await members(world, hour) == []
    assert len(await members(world, audience)) == 1


async def test_audiences_see_history(world: World) -> None:
    """spec/events-api.md, worked case 56: also events that came to the historical endpoint."""
    audience, _ = await connected(world, "Pinged", pinged(hours=24 * 30))
    old = {"user_identities": {"customer_id": "h"}, "events": [ping(T - 4 * DAY_MS)]}
    assert (await world.historical([old])).status == 202
    assert await members(world, audience) == [await world.mpid("h")]


async def test_deactivation_can_take_the_members_off_the_outputs(world: World) -> None:
    """Section 2.1."""
    await send(world, "ann", status="gold")
    audience, subscription = await connected(world, "Gold", status_is("gold"))
    mpid = await world.mpid("ann")
    await ask(world, 204, "DELETE", f"/{audience}/activation?clear_downstream=true")
    await world.settle_audiences()
    assert changes(world, subscription) == [("add", mpid), ("delete", mpid)]
    assert await memberships(world, "ann") == []


async def test_what_waits_for_a_connection_ends_with_it(world: World) -> None:
    """Section 12.2: messages stop; nothing is kept of them."""
    for number in range(20):
        await send(world, f"u{number}", status="gold")
    audience, subscription = await connected(world, "Gold", status_is("gold"))
    _, other = await connected(world, "Too", status_is("gold"))
    assert len(changes(world, subscription)) == 20
    await ask(world, 204, "DELETE", f"/{audience}/subscriptions/{subscription}")
    await world.settle_audiences()
    assert changes(world, subscription) == []
    assert len(changes(world, other)) == 20
    for shard in world.shards:
        queues = shard.outbox.queues
        assert queues.waiting(FIRST_NUMBER + subscription) == queues.waiting(FIRST_NUMBER + other)
        depths = queues.depths()
        assert f"subscription-1-{subscription}" not in depths
        assert f"subscription-1-{other}" in depths


async def test_a_static_list_has_members_that_come_later(world: World) -> None:
    await send(world, "ann")
    ann = await world.mpid("ann")
    made = await ask(world, 201, "POST", "", {"name": "List", "type": "static"})
    await ask(world, 204, "POST", f"/{made['id']}/activation")
    await ask(world, 202, "PUT", f"/{made['id']}/members", {"add": [ann]})
    await world.settle_audiences()
    assert await members(world, made["id"]) == [ann]
    for is_opted_out, expected in ((True, []), (False, [ann])):  # spec/audiences.md, 5, rule 10
        await send(world, "ann", {"event_type": "opt_out", "data": {"is_opted_out": is_opted_out}})
        assert await members(world, made["id"]) == expected
    await ask(world, 202, "PUT", f"/{made['id']}/members", {"remove": [ann]})
    await world.settle_audiences()
    assert await members(world, made["id"]) == []


async def test_a_list_stays_until_its_audience_is_deleted(world: World) -> None:
    """Section 2.1: deactivating takes the memberships, and no more."""

    def on_disk() -> int:
        found = 0
        for shard in world.shards:
            with shard.store.read() as txn:
                found += len(list(txn.scan("static_lists")))
        return found

    await send(world, "ann")
    ann = await world.mpid("ann")
    made = await ask(world, 201, "POST", "", {"name": "List", "type": "static"})
    path = f"/{made['id']}"
    await ask(world, 204, "POST", f"{path}/activation")
    await ask(world, 202, "PUT", f"{path}/members", {"add": [ann]})
    await world.settle_audiences()
    for downstream in ("", "?clear_downstream=true"):
        await ask(world, 204, "DELETE", f"{path}/activation{downstream}")
        await world.settle_audiences()
        assert await members(world, made["id"]) == []
        await ask(world, 204, "POST", f"{path}/activation")
        await world.settle_audiences()
        assert await members(world, made["id"]) == [ann]
    draft = await ask(world, 201, "POST", "", {"name": "Draft", "type": "static"})
    await ask(world, 202, "PUT", f"/{draft['id']}/members", {"add": [ann]})
    await world.settle_audiences()
    assert on_disk()
    for number in (draft["id"], made["id"]):
        await ask(world, 204, "DELETE", f"/{number}")
    await world.settle_audiences()
    assert on_disk() == 0


async def test_the_client_endpoint_tells_the_ids_alone(tmp_path: Path) -> None:
    """Case 24 of the profiles."""
    document = changed(AUDIENCE_DOCUMENT, workspace={"client_audience_api": True})
    async with running(tmp_path, document=document) as world:
        await send(world, "ann", status="gold")
        audience, _ = await connected(world, "Gold", status_is("gold"))
        path = "/v1/kw-web-site/audience"
        response = await world.client.get(path, params={"mpid": await world.mpid("ann")})
        assert response.status == 200
        body = await response.json()
        assert body["audience_memberships"] == [{"audience_id": audience}]


async def standard(world: World, definition: Any, range_: Any = "all") -> int:
    """Make a standard audience; return its id."""
    body = {"name": "S", "type": "standard", "definition": definition, "range": range_}
    return cast(int, (await ask(world, 201, "POST", "", body))["id"])


async def calculated(world: World, audience: int) -> None:
    """Calculate a standard audience to the end."""
    await ask(world, 202, "POST", "/calculate", {"audience_ids": [audience]})
    await world.settle_audiences()
    assert (await ask(world, 200, "GET", f"/{audience}"))["status"] == "ready"


async def test_case_44_the_last_day_of_a_range_counts_whole(tmp_path: Path) -> None:
    """Of events that are kept, not only for as long as real-time audiences see them."""
    tiers = {"event_tiers": {"overrides": [{"event": "Ping", "tier": "preserve"}]}}
    document = changed(AUDIENCE_DOCUMENT, workspace=tiers)
    end_ms = T - 30 * DAY_MS  # midnight after 2025-12-01
    clock = ManualClock(end_ms - 1)
    async with running(tmp_path, document=document, clock=clock) as world:
        await send(world, "last", ping(end_ms - 1))
        advance(world, 1)
        await send(world, "next", ping(end_ms))
        for days in (20, 15):  # the lifetime of their profiles goes on
            advance(world, days * DAY_MS)
            for customer in ("last", "next"):
                await send(world, customer)
        every = pinged() | {"within": None, "recency": {"type": "all"}}
        audience = await standard(world, every, {"start": "2025-11-20", "end": "2025-12-01"})
        await calculated(world, audience)
        assert await members(world, audience) == [await world.mpid("last")]
        assert (await ask(world, 200, "GET", f"/{audience}"))["size"] == 1


async def test_case_45_a_standard_audience_changes_and_is_sent_when_it_is_told_to(
    world: World,
) -> None:
    await send(world, "ann", status="gold")
    ann = await world.mpid("ann")
    audience = await standard(world, status_is("gold"))
    await calculated(world, audience)
    joined = await ask(world, 201, "POST", f"/{audience}/subscriptions", {"output_id": 2})
    nested = {"type": "audience_membership", "audience_id": audience, "operator": "is_member"}
    asking, _ = await connected(world, "Asking", nested)
    await send(world, "bob", status="gold")
    await world.settle_audiences()
    assert await members(world, audience) == [ann]
    assert changes(world, joined["id"]) == []
    body = {"subscription_ids": [joined["id"]]}
    for times in (1, 2):
        await ask(world, 202, "POST", f"/{audience}/send", body)
        await world.settle_audiences()
        assert changes(world, joined["id"]) == [("add", ann)] * times
    await calculated(world, audience)
    both = sorted([ann, await world.mpid("bob")])
    assert sorted(await members(world, audience)) == both
    assert sorted(await members(world, asking)) == both
    assert len(changes(world, joined["id"])) == 2
    for days in (15, 15):
        advance(world, days * DAY_MS + 1)
        for customer in ("ann", "bob"):
            await send(world, customer, status="iron")
    await world.settle_audiences()
    assert (await ask(world, 200, "GET", f"/{audience}"))["status"] == "expired"
    problem = await ask(world, 422, "POST", f"/{audience}/send", body)
    assert problem["errors"][0]["code"] == "INVALID_STATE"
    assert sorted(await members(world, asking)) == both
    shown = [each["audience_id"] for each in await memberships(world, "ann")]
    assert shown == [audience, asking]


async def test_what_is_sent_of_a_standard_audience_has_no_attributes(world: World) -> None:
    """Section 8.1: it goes to a connection with the identities alone."""
    await send(world, "ann", status="gold")
    audience = await standard(world, status_is("gold"))
    await calculated(world, audience)
    joined = await ask(world, 201, "POST", f"/{audience}/subscriptions", {"output_id": 2})
    await ask(world, 202, "POST", f"/{audience}/send", {"subscription_ids": [joined["id"]]})
    await world.settle_audiences()
    [message] = world.told(joined["id"])
    [change] = message["changes"]
    assert change["identities"] == {"customer_id": "ann"}
    assert not change.get("user_attributes")


async def test_ten_thousand_users_are_added_and_removed_at_once(world: World) -> None:
    """spec/audiences.md, 14."""
    made = await ask(world, 201, "POST", "", {"name": "List", "type": "static"})
    path = f"/{made['id']}/members"
    first = -(2**63)
    add, remove = (list(range(each, each + 10_000)) for each in (first, first + 10_000))
    await ask(world, 202, "PUT", path, {"add": add, "remove": remove})
