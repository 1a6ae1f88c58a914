"""Several workspaces in one deployment: what they share and what each has for itself.

Sources: spec/identity.md, 1; spec/profiles.md, 1; spec/connections.md, 1.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from actors.clock import ManualClock
from tests.whole import test_audiences
from tests.whole.cases import user
from tests.whole.sent import custom
from tests.whole.test_calculated import DAY_MS, activate, definition
from tests.whole.world import World, named, serving

SCOPES = {"shared": "w1", "apart": None}
Pair = tuple[World, World]


@pytest.fixture
async def pair(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Pair]:
    """Two workspaces of one identity scope."""
    async with two(tmp_path, clock) as [one, other]:
        yield one, other


def two(
    folder: Path, clock: ManualClock, identity_scope: str | None = "w1", **members: Any
) -> AbstractAsyncContextManager[list[World]]:
    """Run two workspaces; `members` are of the second one's section `workspace`."""
    documents = [named("w1"), named("w2", identity_scope, **members)]
    return serving(folder, documents, clock=clock)


async def attributes(world: World, mpid: int) -> Any:
    return (await world.profile(mpid))["user_attributes"]


async def status_of(world: World, mpid: int) -> int:
    path = f"/userprofile/v1/1/1/{world.number}/{mpid}"
    return (await world.get(path, fields="user_attributes")).status


async def test_a_user_of_both_has_one_mpid_and_identities_and_two_sets_of_all_else(
    pair: Pair,
) -> None:
    one, other = pair
    await one.accept(user("a", events=[custom("First")], user_attributes={"city": "Oslo"}))
    more = {"user_identities": {"customer_id": "a", "email": "a@example.com"}}
    await other.accept(user(events=[custom("Second")], user_attributes={"city": "Rome"}, **more))
    mpid = await one.mpid("a")
    assert await other.mpid("a") == mpid
    assert await attributes(one, mpid) == {"city": "Oslo"}
    assert await attributes(other, mpid) == {"city": "Rome"}
    for world in pair:
        shown = (await world.profile(mpid))["user_identities"]
        assert {each["type"]: each["value"] for each in shown} == more["user_identities"]
    named_ = [[each["data"]["event_name"] for each in await world.events(mpid)] for world in pair]
    assert named_ == [["First"], ["Second"]]
    outgoing = [
        [event["data"]["event_name"] for each in world.outgoing() for event in each["events"]]
        for world in pair
    ]
    assert outgoing == [["First"], ["Second"]]


async def test_a_user_who_was_not_seen_in_a_workspace_is_not_there(pair: Pair) -> None:
    """Nor do identity calls of one workspace show a user in another one."""
    one, other = pair
    await one.accept(user("a"))
    mpid = await one.mpid("a")
    assert (await status_of(one, mpid), await status_of(other, mpid)) == (200, 404)
    body = {"environment": "production", "known_identities": {"customerid": "new"}}
    response = await one.client.post(
        "/v1/login", json=body, headers={"x-mp-key": f"kw-web-site{other.suffix}"}
    )
    new = int((await response.json())["mpid"])
    assert (await status_of(one, new), await status_of(other, new)) == (404, 200)


async def test_workspaces_of_two_scopes_share_nobody(tmp_path: Path, clock: ManualClock) -> None:
    async with two(tmp_path, clock, identity_scope=None) as [one, other]:
        for world in (one, other):
            await world.accept(user("a"))
        first, second = await one.mpid("a"), await other.mpid("a")
        assert first != second
        assert await status_of(other, first) == 404


@pytest.mark.parametrize("shards", [1, 3])
async def test_an_mpid_of_another_scope_is_as_good_as_none(
    tmp_path: Path, clock: ManualClock, shards: int
) -> None:
    """spec/identity.md, 9, row 1; whatever the environment, and wherever the identities are."""
    documents = [named("w1"), named("w2")]
    async with serving(tmp_path, documents, clock=clock, shards=shards) as [one, other]:
        for number in range(6):
            await one.accept(user(f"u{number}"))
        for number in range(6):
            mpid = await one.mpid(f"u{number}")
            environment = ("production", "development")[number % 2]
            batch = {"mpid": mpid, "environment": environment, "events": [custom("E")]}
            await other.accept(batch)
            await other.accept(batch | {"user_identities": {"customer_id": f"o{number}"}})
            assert await status_of(other, mpid) == 404
            assert await other.mpid(f"o{number}") != mpid
            assert len(await other.events(await other.mpid(f"o{number}"))) == 1
            assert len(await one.events(mpid)) == 1
        unknown = 12345
        await other.accept({"mpid": unknown, "events": [custom("E")]})
        assert await status_of(other, unknown) == 200


async def test_what_one_workspace_learns_of_a_user_is_evaluated_in_the_other(pair: Pair) -> None:
    """An identity belongs to both, though only one has received it."""
    one, other = pair
    number = await has_email(other)
    await other.accept(user("a"))
    assert await test_audiences.members(other, number) == []
    await one.accept(user("a", user_identities={"customer_id": "a", "email": "a@example.com"}))
    await other.settle_audiences()
    assert await test_audiences.members(other, number) == [await other.mpid("a")]
    await test_audiences.ask(one, 404, "GET", f"/{number}")


async def has_email(world: World) -> int:
    """Make an active audience of those with an e-mail address."""
    definition_ = {"type": "identity", "identity_type": "email", "operator": "exists"}
    body = {"name": f"Reachable in {world.number}", "definition": definition_}
    number: int = (await test_audiences.ask(world, 201, "POST", "", body))["id"]
    await test_audiences.ask(world, 204, "POST", f"/{number}/activation")
    await world.settle_audiences()
    return number


@pytest.mark.parametrize("identity_scope", SCOPES.values(), ids=SCOPES)
async def test_workspaces_do_not_keep_each_other_busy(
    tmp_path: Path, clock: ManualClock, identity_scope: str | None
) -> None:
    """What one evaluates or looks at is no news for the other, also of users of one alone."""
    async with two(tmp_path, clock, identity_scope) as worlds:
        numbers = [await has_email(world) for world in worlds]
        email = {"user_identities": {"customer_id": "a", "email": "a@example.com"}}
        for world in worlds:
            await world.accept(user("a", **email))
        await worlds[1].accept(user("b"))
        await worlds[1].accept(user("c"))
        for world in worlds:
            await world.settle_audiences()
        for world in worlds:
            await world.settle_audiences()
        assert [shard.audiences.followed for each in worlds for shard in each.shards] == [set()] * 4
        for world, number in zip(worlds, numbers, strict=True):
            assert await test_audiences.members(world, number) == [await world.mpid("a")]


async def test_sizes_of_all_workspaces_are_shown(pair: Pair) -> None:
    numbers = [await has_email(world) for world in pair]
    email = {"user_identities": {"customer_id": "a", "email": "a@example.com"}}
    await pair[0].accept(user("a", **email))
    await pair[1].accept(user("a", **email))

    def sizes() -> list[float]:
        for world in pair:
            for shard in world.shards:
                shard.show()
        return [
            world.count("headwater_audience_size", workspace=f"w{world.number}", audience=f"{each}")
            for world, each in zip(pair, numbers, strict=True)
        ]

    assert sizes() == [1, 1]
    await test_audiences.ask(pair[0], 204, "DELETE", f"/{numbers[0]}/activation")
    await pair[0].settle_audiences()
    assert sizes() == [0, 1]


async def test_calculated_attributes_use_the_events_of_their_workspace(pair: Pair) -> None:
    """spec/calculated-attributes.md, 1: the same name may exist in several workspaces."""
    for world in pair:
        await activate(world, "Buys", definition("count"))
    for world, times in zip(pair, (1, 3), strict=True):
        for _ in range(times):
            await world.accept(user("a", events=[custom("Buy")]))
    mpid = await pair[0].mpid("a")
    assert [await attributes(each, mpid) for each in pair] == [{"Buys": "1"}, {"Buys": "3"}]


async def test_event_names_are_counted_for_each_workspace(
    tmp_path: Path, clock: ManualClock
) -> None:
    async with two(tmp_path, clock, limits={"unique_event_names": 1}) as [one, other]:
        for world in (one, other):
            await world.accept(user("a", events=[custom("A"), custom("B")]))
        mpid = await one.mpid("a")
        kept = [
            [each["data"]["event_name"] for each in await world.events(mpid)]
            for world in (one, other)
        ]
        assert kept == [["A", "B"], ["A"]]


async def test_each_workspace_has_its_own_retention(tmp_path: Path, clock: ManualClock) -> None:
    """A user ages out of one; data that come to any of them prolong both."""
    long = {"audience_event_days": 60, "profile_idle_days": 60}
    async with two(tmp_path, clock, retention=long) as [one, other]:
        for world in (one, other):
            await world.accept(user("a", user_attributes={"city": "Oslo"}))
        mpid = await one.mpid("a")
        clock.advance(29 * DAY_MS)
        await other.accept(user("a"))
        clock.advance(29 * DAY_MS)
        assert [await status_of(world, mpid) for world in (one, other)] == [200, 200]
        clock.advance(2 * DAY_MS)
        for _ in range(2):
            assert [await status_of(world, mpid) for world in (one, other)] == [404, 200]
            for world in (one, other):
                world.sweep()
        assert await attributes(other, mpid) == {"city": "Oslo"}


@pytest.mark.parametrize("is_swept", [True, False])
async def test_what_has_aged_out_in_one_does_not_come_back_by_data_of_another(
    tmp_path: Path, clock: ManualClock, *, is_swept: bool
) -> None:
    """Whether it was swept by then or not; memberships end, too."""
    long = {"audience_event_days": 60, "profile_idle_days": 60}
    async with two(tmp_path, clock, retention=long) as [one, other]:
        number = await has_email(one)
        email = {"user_identities": {"customer_id": "a", "email": "a@example.com"}}
        for world in (one, other):
            await world.accept(user("a", user_attributes={"city": "Oslo"}, **email))
        mpid = await one.mpid("a")
        assert await test_audiences.members(one, number) == [mpid]
        clock.advance(31 * DAY_MS)
        if is_swept:
            one.sweep()
        await other.accept(user("a"))
        assert [await status_of(world, mpid) for world in (one, other)] == [404, 200]
        await one.settle_audiences()
        assert await test_audiences.members(one, number) == []
        await one.accept(user("a"))
        assert await attributes(one, mpid) == {}
        assert await attributes(other, mpid) == {"city": "Oslo"}


async def test_a_token_or_key_of_one_workspace_opens_no_other(pair: Pair) -> None:
    one, other = pair
    await one.accept(user("a"))
    mpid = await one.mpid("a")
    headers = await other.token()
    ask = partial(one.client.get, headers=headers)
    assert (await ask(f"/platform/v2/workspaces/{one.number}/users/{mpid}")).status == 404
    assert (await ask(f"/userprofile/v1/1/1/{one.number}/{mpid}")).status == 403


@pytest.mark.parametrize("identity_scope", SCOPES.values(), ids=SCOPES)
async def test_a_new_start_finds_all_workspaces_as_they_were(
    tmp_path: Path, clock: ManualClock, identity_scope: str | None
) -> None:
    """Also with a workspace more, and with one less for a while."""
    async with two(tmp_path, clock, identity_scope) as worlds:
        for world, city in zip(worlds, ("Oslo", "Rome"), strict=True):
            await activate(world, "Buys", definition("count"))
            await world.accept(user("a", events=[custom("Buy")], user_attributes={"city": city}))
        mpids = [await world.mpid("a") for world in worlds]
    documents = [named("w1"), named("w2", identity_scope), named("w3", "w1")]
    async with serving(tmp_path, [documents[0]], clock=clock) as [one]:
        assert await attributes(one, mpids[0]) == {"city": "Oslo", "Buys": "1"}
    async with serving(tmp_path, documents, clock=clock) as worlds:
        await worlds[1].accept(user("a", events=[custom("Buy")]))
        await worlds[2].accept(user("a", events=[custom("Buy")]))
        assert [await world.mpid("a") for world in worlds] == [*mpids, mpids[0]]
        assert [await attributes(world, await world.mpid("a")) for world in worlds] == [
            {"city": "Oslo", "Buys": "1"},
            {"city": "Rome", "Buys": "2"},
            {},
        ]
