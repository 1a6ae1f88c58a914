"""Aliases, as the Profile API and the user activity API show them.

spec/identity.md, worked cases 31 to 34; spec/profiles.md, worked case 21.
"""

from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from typing import Any

import orjson
import pytest

from actors.clock import ManualClock
from actors.identity.calls import AliasRequest
from actors.model.workspaces import ENVIRONMENTS, Environment
from tests.whole.identities import mpid_of
from tests.whole.sent import DAY, HOUR, MINUTE, batch, custom
from tests.whole.world import DOCUMENT, WEB_KEY, T, World, changed, running

USERS = "/platform/v2/workspaces/1/users"
ALIAS = f"/v1/identity/{WEB_KEY}/alias"
SAME = "The source MPID is the same as the destination MPID."
BAD_RANGE = "The given time range is invalid."
UNKNOWN = "The source MPID or destination MPID does not exist."
MALFORMED = "Request body is malformed or is missing required fields."
D1 = "6f9619ff-8b86-4d01-b42d-00cf4fc964f1"
D2 = "6f9619ff-8b86-4d01-b42d-00cf4fc964f2"
NO_DELAY = changed(DOCUMENT, identity={"strategy": "profile_link", "alias_delay_hours": 0})
_request_ids = count(1)


@pytest.fixture(params=[1, 3], ids=["1 shard", "3 shards"])
async def at_once(
    request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock
) -> AsyncIterator[World]:
    """A deployment whose aliases are due when they are accepted."""
    document = NO_DELAY
    async with running(tmp_path, shards=request.param, document=document, clock=clock) as world:
        yield world


async def post_alias(
    world: World, body: dict[str, Any], path: str = ALIAS, **headers: str
) -> tuple[int, bytes]:
    """Send an alias request as the web SDK does; return status and body of the answer."""
    response = await world.client.post(path, json=body, headers=headers)
    return response.status, await response.read()


def alias_body(source: int, destination: int, **members: Any) -> dict[str, Any]:
    """Make an alias request; members of `data` by their names, others by theirs."""
    top = {
        "request_id": f"r-{next(_request_ids)}",
        "request_type": "alias",
        "environment": "production",
        "api_key": WEB_KEY,
    }
    data = {"source_mpid": str(source), "destination_mpid": str(destination)}
    data |= {name: value for name, value in members.items() if name not in top}
    return top | {name: value for name, value in members.items() if name in top} | {"data": data}


async def ask(
    world: World, source: int, destination: int, start_ms: int, end_ms: int, **members: Any
) -> None:
    """Have an alias accepted over HTTP, and all applied that are due."""
    window = {"start_unixtime_ms": start_ms, "end_unixtime_ms": end_ms}
    body = alias_body(source, destination, **({"scope": "mpid"} | window | members))
    assert await post_alias(world, body) == (202, b"")
    assert await world.aliases.run_due()


async def hand_over(world: World, source: int, destination: int, environment: Environment) -> None:
    """Have an alias accepted that the edge would not take, and all applied that are due."""
    request = AliasRequest(
        request_id=f"r-{next(_request_ids)}",
        environment=environment,
        source_mpid=source,
        destination_mpid=destination,
        start_ms=T,
        end_ms=T,
        scope="mpid",
        device_stamp=None,
        received_ms=world.clock.now_ms(),
        input=1,
    )
    await world.aliases.alias(request)
    assert await world.aliases.run_due()


async def aliases(world: World, mpid: int) -> list[dict[str, Any]]:
    """Return the aliases that name an MPID, as operators see them."""
    response = await world.get("/platform/identity/1/aliases", mpid=str(mpid))
    assert response.status == 200, await response.text()
    listed: list[dict[str, Any]] = await response.json()
    return listed


async def state(world: World, mpid: int) -> tuple[str, str | None]:
    """Return what has become of the alias of an MPID that was accepted last."""
    last = (await aliases(world, mpid))[-1]
    return last["state"], last["reason"]


async def names(world: World, mpid: int) -> list[str]:
    """Return the names of a user's events in the order of the timeline, the oldest first."""
    return [event["name"] for event in await world.events(mpid)]


async def user(world: World, mpid: int) -> dict[str, Any]:
    """Return a user as the user activity API shows it."""
    answer: dict[str, Any] = await (await world.get(f"{USERS}/{mpid}")).json()
    return answer


def message(kind: str, mpid: int, at_ms: int) -> dict[str, Any]:
    return {"kind": kind, "mpid": mpid, "timestamp_ms": at_ms}


async def anonymous(world: World, *events: dict[str, Any], device: str = D1, **more: Any) -> int:
    """Send events of somebody who is known by a device; return the MPID."""
    await world.accept(batch(None, *events, mp_deviceid=device, **more))
    return await world.mpid(device)


@pytest.mark.parametrize(
    ("scope", "copied"),
    [("device", ["One", "Two"]), ("mpid", ["One", "Two", "Elsewhere"])],
)
async def test_case_31_alias_happy_path(
    at_once: World, clock: ManualClock, scope: str, copied: list[str]
) -> None:
    """spec/identity.md, worked case 31."""
    world = at_once
    t1, t2, t3 = T - 30 * MINUTE, T - 20 * MINUTE, T - 10 * MINUTE
    source = await anonymous(
        world,
        custom("One", t1),
        custom("Two", t2),
        custom("Three", t3),
        user_attributes={"a": "1"},
    )
    await world.accept(batch(None, custom("Elsewhere", t2), mpid=source, mp_deviceid=D2))
    clock.advance(MINUTE)
    await world.accept(batch("c-1", custom("Own")))
    destination = await world.mpid("c-1")
    before = await world.timeline(source)
    sent = len(world.outgoing())
    clock.advance(MINUTE)
    by_device = await mpid_of(world, "identify", {"device_application_stamp": D1})
    stamp = {"device_application_stamp": D1} if scope == "device" else {}
    await ask(world, source, destination, t1, t2, scope=scope, **stamp)

    assert sorted(await names(world, destination)) == sorted([*copied, "Own"])
    assert await world.timeline(source) == before
    for shown in await world.timeline(destination):
        assert shown.get("copied_from") == (None if shown["events"][0]["name"] == "Own" else source)
    profile = await world.profile(destination)
    assert profile["created_timestamp_ms"] == T
    assert profile["user_attributes"] == {}
    assert [each["type"] for each in profile["user_identities"]] == ["customer_id"]
    assert profile["device_identities"] == []
    now_ms = clock.now_ms()
    assert (await user(world, destination))["status_messages"] == [
        message("merged_from", source, now_ms)
    ]
    assert (await user(world, source))["status_messages"] == [
        message("aliased_to", destination, now_ms)
    ]
    assert await world.find(D1) == [source]
    assert await mpid_of(world, "identify", {"device_application_stamp": D1}) == by_device
    assert by_device == str(source)
    assert len(world.outgoing()) == sent  # copies are not forwarded
    assert world.count("headwater_alias_total", result="applied") == 1


async def test_case_32_alias_errors(at_once: World, clock: ManualClock) -> None:
    """spec/identity.md, worked case 32; the strategies without aliases are in the next one."""
    world = at_once
    source = await anonymous(world, custom("Before", T), custom("Within", T + 2 * DAY))
    clock.advance(91 * DAY)
    await world.accept(batch("c-1", custom("Own", clock.now_ms())))
    destination = await world.mpid("c-1")
    now = clock.now_ms()

    async def refused(status: int, body: dict[str, Any], path: str = ALIAS) -> str:
        answered, content = await post_alias(world, body, path)
        assert answered == status
        if status != 400:
            assert content == b""
            return ""
        error = orjson.loads(content)
        assert set(error) == {"code", "message"}
        assert error["code"] == "BAD_REQUEST"
        assert isinstance(error["message"], str)
        return str(error["message"])

    def asking(**members: Any) -> dict[str, Any]:
        return alias_body(source, destination, **members)

    assert await refused(400, alias_body(source, source)) == SAME
    late = {"start_unixtime_ms": now, "end_unixtime_ms": now - 1}
    assert await refused(400, asking(**late)) == BAD_RANGE
    assert await refused(400, asking(end_unixtime_ms=now - 91 * DAY)) == BAD_RANGE
    assert await refused(400, alias_body(source, 12345)) == UNKNOWN
    assert await refused(400, alias_body(12345, destination)) == UNKNOWN
    typeless = asking()
    del typeless["request_type"]
    assert await refused(400, typeless) == MALFORMED
    assert await refused(400, asking(api_key="another-key")) == MALFORMED
    assert await refused(400, asking(scope="device")) == MALFORMED
    assert await refused(401, asking(), "/v1/identity/no-such-key/alias") == ""
    assert await aliases(world, source) == []
    # A start that is too early is cut: what is older than 90 days is not copied.
    path = f"/v1/identity/{WEB_KEY}/Alias"
    wide = asking(start_unixtime_ms=now - 91 * DAY, end_unixtime_ms=now)
    assert await post_alias(world, wide, path) == (202, b"")
    assert await world.aliases.run_due()
    assert await names(world, destination) == ["Within", "Own"]


@pytest.mark.parametrize("strategy", ["profile_isolation", "best_match"])
async def test_case_32_strategies_without_aliases(tmp_path: Path, strategy: str) -> None:
    """spec/identity.md, worked case 32 and row I8: nothing of the request is looked at."""
    document = changed(DOCUMENT, identity={"strategy": strategy})
    for shards in (1, 3):
        async with running(tmp_path / f"{shards}", shards=shards, document=document) as world:
            assert await post_alias(world, alias_body(1, 2)) == (403, b"")
            assert await post_alias(world, {}) == (403, b"")


async def test_case_33_alias_chains(at_once: World) -> None:
    """spec/identity.md, worked case 33; [1,10] are minutes before the clock's."""
    world = at_once
    at = T - HOUR

    def minutes(first: int, last: int) -> tuple[int, int]:
        return at + first * MINUTE, at + last * MINUTE

    source = await anonymous(
        world, custom("Early", at + 7 * MINUTE), custom("Late", at + 15 * MINUTE)
    )
    users = {}
    for name in ("d", "x", "y", "z"):
        await world.accept(batch(name, custom(f"Own {name}")))
        users[name] = await world.mpid(name)
    d, x, y, z = users.values()
    await ask(world, source, d, *minutes(1, 10), request_id="first")
    assert await state(world, source) == ("applied", None)
    await ask(world, source, d, *minutes(1, 10), request_id="first")
    assert len(await aliases(world, d)) == 1
    assert await names(world, d) == ["Early", "Own d"]
    await ask(world, source, x, *minutes(5, 20))
    assert await state(world, source) == ("dropped", "overlapping_source")
    assert await names(world, x) == ["Own x"]
    await ask(world, source, x, *minutes(11, 20))
    assert await state(world, source) == ("applied", None)
    assert await names(world, x) == ["Late", "Own x"]
    await ask(world, d, y, *minutes(1, 60))
    assert await state(world, d) == ("dropped", "source_was_destination")
    assert await names(world, y) == ["Own y"]
    await ask(world, z, source, *minutes(1, 60))
    assert await state(world, z) == ("dropped", "destination_was_source")
    assert await names(world, source) == ["Early", "Late"]
    assert world.count("headwater_alias_total", result="applied") == 2
    assert world.count("headwater_alias_total", result="dropped") == 3


async def test_case_34_alias_delay(world: World, clock: ManualClock) -> None:
    """spec/identity.md, worked case 34."""
    source = await anonymous(world, custom("Before", T - MINUTE))
    await world.accept(batch("c-1", custom("Own")))
    destination = await world.mpid("c-1")
    await ask(world, source, destination, T - HOUR, T)
    clock.advance(HOUR)
    await world.accept(batch(None, custom("Late", T - 2 * MINUTE), mpid=source, mp_deviceid=D1))
    clock.advance(23 * HOUR - 1)
    await world.aliases.run_due()
    assert await names(world, destination) == ["Own"]
    assert (await user(world, destination))["status_messages"] == []
    assert await state(world, source) == ("pending", None)
    clock.advance(1)
    await world.aliases.run_due()
    assert sorted(await names(world, destination)) == ["Before", "Late", "Own"]
    assert await state(world, source) == ("applied", None)


async def test_case_21_alias(at_once: World, clock: ManualClock) -> None:
    """spec/profiles.md, worked case 21; its times count from `now`."""
    world = at_once
    now = T + HOUR
    source = await anonymous(world, user_attributes={"a": "1"})
    clock.advance(10 * MINUTE)
    await world.accept(batch(None, custom("At -50"), mpid=source))
    clock.advance(10 * MINUTE)
    await world.accept(batch(None, custom("At -40"), mpid=source))
    clock.advance(10 * MINUTE)
    await world.accept(batch("c-1", custom("Own")))
    destination = await world.mpid("c-1")
    clock.advance(30 * MINUTE)
    window = (now - 45 * MINUTE, now - 35 * MINUTE)
    await ask(world, source, destination, *window, request_id="once")
    assert await names(world, destination) == ["At -40", "Own"]  # in the order of their dates
    assert (await world.profile(destination))["created_timestamp_ms"] == T
    assert await world.attributes(destination) == {}
    assert await names(world, source) == ["At -50", "At -40"]
    after = await user(world, destination), await world.timeline(destination)
    assert after[0]["status_messages"] == [message("merged_from", source, now)]
    assert (await user(world, source))["status_messages"] == [
        message("aliased_to", destination, now)
    ]
    clock.advance(MINUTE)
    await ask(world, source, destination, *window, request_id="once")
    await ask(world, source, destination, *window, request_id="twice")
    assert (await user(world, destination), await world.timeline(destination)) == after
    await world.accept(batch("x", custom("Own")))
    other = await world.mpid("x")
    await ask(world, destination, other, T, now)
    assert await names(world, other) == ["Own"]
    assert (await user(world, other))["status_messages"] == []


async def test_audiences_see_the_copied_events(at_once: World, clock: ManualClock) -> None:
    """spec/identity.md, 10.2; spec/profiles.md, 9."""
    world, path = at_once, "/platform/v2/workspaces/1/audiences"
    source = await anonymous(world, custom("Played"))
    await world.accept(batch("c-1", custom("Own")))
    destination = await world.mpid("c-1")
    headers = await world.token()
    played = {"type": "event", "event_type": "custom_event", "event_name": "Played"}
    asked = {"name": "Players", "definition": played}
    made = await (await world.client.post(path, json=asked, headers=headers)).json()
    await world.client.post(f"{path}/{made['id']}/activation", headers=headers)
    await world.settle_audiences()

    async def members() -> list[int]:
        page = await world.client.get(f"{path}/{made['id']}/members", headers=headers)
        found: list[int] = (await page.json())["mpids"]
        return found

    assert await members() == [source]
    clock.advance(MINUTE)
    await ask(world, source, destination, T, T + HOUR)
    await world.settle_audiences()
    assert await members() == sorted([source, destination])


async def test_installs_are_copied(at_once: World, clock: ManualClock) -> None:
    """spec/profiles.md, 9; those of the same device take the place of the destination's."""
    world = at_once
    source = await anonymous(
        world, custom(), attribution_info={"publisher": "Pub", "campaign": "Spring"}
    )
    clock.advance(MINUTE)
    await world.accept(
        batch(
            "c-1",
            custom(),
            mp_deviceid=D2,
            attribution_info={"publisher": "Own", "campaign": "Fall"},
        )
    )
    destination = await world.mpid("c-1")
    await ask(world, source, destination, T, T)
    found = (await world.profile(destination, "attribution"))["attribution"]
    assert [(each["publisher"], each["timestamp_ms"]) for each in found] == [
        ("Own", T + MINUTE),
        ("Pub", T),
    ]


async def test_an_alias_starts_the_destinations_lifetime_anew(
    at_once: World, clock: ManualClock
) -> None:
    """spec/profiles.md, 6; the time of the last batch stays what it is."""
    world = at_once
    await world.accept(batch("c-1", user_attributes={"a": "1"}))
    destination = await world.mpid("c-1")
    clock.advance(20 * DAY)
    source = await anonymous(world, custom())
    await ask(world, source, destination, T, clock.now_ms())
    clock.advance(30 * DAY)
    world.sweep()
    profile = await world.profile(destination)
    assert profile["user_attributes"] == {"a": "1"}
    assert profile["last_stored_timestamp_ms"] == T
    clock.advance(1)
    world.sweep()
    answer = await world.get(f"/userprofile/v1/1/1/1/{destination}", fields="user_attributes")
    assert answer.status == 404


async def test_copies_go_when_their_originals_go(at_once: World, clock: ManualClock) -> None:
    """spec/profiles.md, 6: not so long after the alias as events are kept."""
    world = at_once
    source = await anonymous(world, custom("Old"))
    clock.advance(80 * DAY)
    await world.accept(batch(None, custom("New"), mpid=source))
    await world.accept(batch("c-1", custom("Own")))
    destination = await world.mpid("c-1")
    await ask(world, source, destination, T, clock.now_ms())
    assert sorted(await names(world, destination)) == ["New", "Old", "Own"]
    clock.advance(650 * DAY)
    world.sweep()
    assert sorted(await names(world, destination)) == ["New", "Old", "Own"]
    clock.advance(1)
    world.sweep()
    assert sorted(await names(world, destination)) == ["New", "Own"]
    assert await names(world, source) == ["New"]


async def test_environments_do_not_mix(at_once: World) -> None:
    """spec/identity.md, V14: an MPID of the other one is unknown here."""
    world = at_once
    source = await anonymous(world, custom("Event"))
    await world.accept(batch("c-1", custom("Own")) | {"environment": "development"})
    other = await world.mpid_in("c-1", "development")
    for environment in ENVIRONMENTS:
        body = alias_body(source, other, environment=environment)
        status, content = await post_alias(world, body)
        assert (status, orjson.loads(content)["message"]) == (400, UNKNOWN)
        await hand_over(world, source, other, environment)
        assert await state(world, source) == ("dropped", "unknown_mpid")
    assert await names(world, other) == ["Own"]


async def test_a_restart_forgets_nothing(tmp_path: Path, clock: ManualClock) -> None:
    async with running(tmp_path, shards=3, document=NO_DELAY, clock=clock) as world:
        source = await anonymous(world, custom("Event"))
        await world.accept(batch("c-1", custom("Own")))
        destination = await world.mpid("c-1")
        await ask(world, source, destination, T, T)
    async with running(tmp_path, shards=3, document=NO_DELAY, clock=clock) as world:
        assert sorted(await names(world, destination)) == ["Event", "Own"]
        assert await state(world, source) == ("applied", None)
        await ask(world, source, destination, T, T)
        assert await state(world, source) == ("dropped", "overlapping_source")


def _forwarding(**more: Any) -> dict[str, Any]:
    """Return the document with connections that send aliases, and `more` of one of them."""
    hook = {"output": "hook", "settings": {"send_alias_requests": True}}
    return changed(
        NO_DELAY,
        connections=[
            {"id": "web-hook", "input": "web", **hook, **more},
            {"id": "backend-hook", "input": "backend", **hook},
        ],
    )


async def test_an_alias_is_sent_to_who_asks_for_it_once(tmp_path: Path, clock: ManualClock) -> None:
    """spec/connections.md, 6: `send_alias_requests`."""
    async with running(tmp_path, shards=3, document=_forwarding(), clock=clock) as world:
        source = await anonymous(world, custom("One", T))
        await world.accept(batch("c-1", custom("Own")))
        destination = await world.mpid("c-1")
        sent = len(world.outgoing())
        await ask(world, source, destination, T, T)
        assert await world.aliases.run_due()
        [payload] = world.outgoing()[sent:]
        assert payload == {
            "message_type": "alias_request",
            "source_mpid": source,
            "destination_mpid": destination,
            "start_unixtime_ms": T,
            "end_unixtime_ms": T,
            "environment": "production",
        }


@pytest.mark.parametrize(
    "more",
    [
        {"active": False},
        {"sampling": {"percentage": 0}},
        {"settings": {}},
        {
            "forwarding_rules": [
                {"kind": "user_attribute", "action": "include", "name": "a", "value": 1}
            ]
        },
    ],
)
async def test_an_alias_is_not_sent_where_its_user_is_not(
    tmp_path: Path, clock: ManualClock, more: dict[str, Any]
) -> None:
    """spec/connections.md, 2."""
    async with running(tmp_path, document=_forwarding(**more), clock=clock) as world:
        source = await anonymous(world, custom("One", T))
        await world.accept(batch("c-1", custom("Own")))
        destination = await world.mpid("c-1")
        sent = len(world.outgoing())
        await ask(world, source, destination, T, T)
        assert await state(world, source) == ("applied", None)
        assert world.outgoing()[sent:] == []
