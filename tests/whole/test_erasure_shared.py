"""Erasures of a user whom several workspaces of one identity scope have (spec/privacy.md, 5.2)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from actors.clock import ManualClock
from actors.errors import ShardUnavailable
from tests.whole.sent import custom
from tests.whole.subject_requests import DAY_MS, KEY, MOMENT_MS, PATHS, accepted, body, submit
from tests.whole.test_audiences import members
from tests.whole.test_erasure import DOCUMENT, IDENTITY, NEEDLE, failing, person, places_of, stores
from tests.whole.test_joint_audiences import count, make
from tests.whole.world import LocalShard, World, basic, changed, named, serving

SECOND = {"key": "kd-second", "secret": "s2"}
KEYS = (KEY, basic("kd-second:s2"))
DOCUMENTS = (
    changed(DOCUMENT, workspace={"identity_scope": "shared"}),
    changed(named("w2", "shared", dsr_credentials=SECOND), identity=IDENTITY),
)
# What an erasure asks of a shard, and of the identities, in its last two stages.
LAST_CALLS = ("erase_events", "erase_profile", "is_shared", "write_identities")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(MOMENT_MS)


@pytest.fixture
async def worlds(tmp_path: Path, clock: ManualClock) -> AsyncIterator[list[World]]:
    async with serving(tmp_path, DOCUMENTS, clock=clock) as made:
        yield made


async def both_have_zoe(worlds: Sequence[World]) -> int:
    """Have both workspaces know a user; return the MPID."""
    first, second = worlds
    await first.accept(person("zoe", custom("Here")))
    await second.accept(person("zoe", custom("There")))
    return await first.mpid("zoe")


async def requested(worlds: Sequence[World], clock: ManualClock) -> list[str]:
    """Ask in both workspaces for the user's erasure, and let the run come."""
    first, second = worlds
    asked = await submit(second, body(), headers=KEYS[1])
    ids = [await accepted(first, body()), (await asked.json())["subject_request_id"]]
    clock.advance(9 * DAY_MS)
    return ids


async def statuses(worlds: Sequence[World], ids: Sequence[str]) -> list[str]:
    """Return what has become of the request of each workspace."""
    shown: list[str] = []
    for world, request_id, key in zip(worlds, ids, KEYS, strict=True):
        response = await world.client.get(f"{PATHS['3.0']}/{request_id}", headers=key)
        shown.append((await response.json())["request_status"])
    return shown


async def assert_gone(world: World, zoe: int) -> None:
    """Nobody has the user's identities any more, and nobody gets the MPID by them."""
    assert await world.coordinator.lookup("production", "customerid", "zoe") == []
    assert await world.coordinator.record("production", zoe) is None
    response = await world.client.post(
        "/v1/login",
        json={"environment": "production", "known_identities": {"customerid": "zoe"}},
        headers={"x-mp-key": "kw-web-site"},
    )
    assert int((await response.json())["mpid"]) != zoe


async def cut_off(
    world: World, monkeypatch: pytest.MonkeyPatch, name: str, *, is_done: bool
) -> list[str]:
    """Have an erasure come as far as a call; return all that it has called."""
    calls: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(LocalShard, "__getattr__", failing(name, is_done=is_done, calls=calls))
        if name == "write_identities":  # the sequencer asks again by itself
            patch.setattr("actors.identity.sequencer.PATIENCE_S", 0.2)
        with pytest.raises(ShardUnavailable):
            await world.privacy.work()
    return calls


def meanwhile(
    monkeypatch: pytest.MonkeyPatch, name: str, *works: Callable[[], Awaitable[Any]]
) -> list[str]:
    """Have something done before the next call of a name, and maybe before its answer arrives.

    Returns:
        What is empty until then.
    """
    former = LocalShard.__getattr__
    done: list[str] = []

    def find(shard: LocalShard, method: str) -> Any:
        call = former(shard, method)
        if method != name or done:
            return call
        done.append(name)

        async def late(*arguments: Any) -> Any:
            await works[0]()
            answer = await call(*arguments)
            for each in works[1:]:
                await each()
            return answer

        return late

    monkeypatch.setattr(LocalShard, "__getattr__", find)
    return done


async def test_two_workspaces_that_erase_a_user_at_once_leave_no_identities(
    tmp_path: Path, clock: ManualClock
) -> None:
    """spec/identity.md, V10 and worked case 39: each sees the other's part when it begins."""
    async with serving(tmp_path, DOCUMENTS, clock=clock) as worlds:
        zoe = await both_have_zoe(worlds)
        ids = await requested(worlds, clock)
        await asyncio.gather(*(each.privacy.work() for each in worlds))
        assert await statuses(worlds, ids) == ["completed"] * 2
        kept = [store for each in worlds for store in stores(each)]
        assert set(places_of(NEEDLE, *kept)) <= {"outbox"}
    async with serving(tmp_path, DOCUMENTS, clock=clock) as worlds:
        await assert_gone(worlds[0], zoe)


@pytest.mark.parametrize("is_done", [False, True])
@pytest.mark.parametrize("name", LAST_CALLS)
async def test_the_last_of_two_that_erase_a_user_may_be_cut_off_anywhere(
    worlds: list[World],
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    is_done: bool,
) -> None:
    """It had seen the other one's part, which is gone when it goes on."""
    first, second = worlds
    zoe = await both_have_zoe(worlds)
    ids = await requested(worlds, clock)
    await cut_off(first, monkeypatch, "erase_events", is_done=False)
    await second.privacy.work()
    assert await statuses(worlds, ids) == ["in_progress", "completed"]
    assert await first.coordinator.record("production", zoe) is not None
    assert name in await cut_off(first, monkeypatch, name, is_done=is_done)
    await first.privacy.work()
    assert await statuses(worlds, ids) == ["completed"] * 2
    await assert_gone(first, zoe)
    record = await first.privacy.request(ids[0])
    assert record is not None
    removed = {each.store: each.removed for each in record.stages}
    assert removed["identities"] == 0
    assert removed["profiles"] >= 1


async def test_what_comes_while_the_last_one_erases_a_user_keeps_the_identities_for_the_other(
    worlds: list[World], clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the last part of the profile and its identity record."""
    first, second = worlds
    zoe = await both_have_zoe(worlds)
    ids = await requested(worlds, clock)
    await cut_off(first, monkeypatch, "erase_events", is_done=False)
    await second.privacy.work()
    again = person("zoe", custom("Again"))
    done = meanwhile(monkeypatch, "is_shared", lambda: second.accept(again))
    await first.privacy.work()
    assert done
    assert await statuses(worlds, ids) == ["completed"] * 2
    assert await second.mpid("zoe") == zoe
    assert [each["name"] for each in await second.events(zoe)] == ["Again"]
    response = await first.get(f"/userprofile/v1/1/1/1/{zoe}", fields="user_attributes")
    assert response.status == 404


async def test_a_profile_stays_until_one_of_two_has_erased_its_identities(
    worlds: list[World], clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last one leaves them to the other, which has the user again and loses them at once."""
    first, second = worlds
    zoe = await both_have_zoe(worlds)
    ids = await requested(worlds, clock)
    await cut_off(first, monkeypatch, "erase_events", is_done=False)
    await cut_off(second, monkeypatch, "erase_profile", is_done=True)

    again = person("zoe", custom("Again"))

    async def pop_again() -> None:
        calls = await cut_off(second, monkeypatch, "is_shared", is_done=False)
        assert calls[-2:] == ["erase_profile", "is_shared"]

    assert not meanwhile(monkeypatch, "is_shared", lambda: second.accept(again), pop_again)
    await first.privacy.work()
    await second.privacy.work()
    assert await statuses(worlds, ids) == ["completed"] * 2
    await assert_gone(first, zoe)


async def test_what_comes_to_a_shared_user_during_an_erasure_goes_with_the_rest(
    worlds: list[World], clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No event is left behind that no profile leads to."""
    first, second = worlds
    zoe = await both_have_zoe(worlds)
    await accepted(first, body())
    clock.advance(9 * DAY_MS)
    await cut_off(first, monkeypatch, "erase_profile", is_done=False)
    monkeypatch.setattr("actors.section_removal.STEP_BATCHES", 2)
    for number in range(5):
        await first.accept(person("zoe", custom(f"Late {number}")))
    assert len(first.log()) == 5
    await first.privacy.work()
    assert first.log() == []
    assert [each["name"] for each in await second.events(zoe)] == ["There"]


async def test_events_that_are_erased_count_no_more_where_those_of_both_did(
    worlds: list[World], clock: ManualClock
) -> None:
    """In an audience over both workspaces (spec/audiences.md, 5, rule 12)."""
    first, second = worlds
    for each in worlds:
        await each.accept(person("zoe", custom("Bought")))
    zoe = await first.mpid("zoe")
    once = await make(first, "Once", count("Bought", 1))
    twice = await make(first, "Twice", count("Bought", 2))
    assert [await members(first, each) for each in (once, twice)] == [[zoe]] * 2
    assert (await submit(second, body(), headers=KEYS[1])).status == 201
    clock.advance(9 * DAY_MS)
    await second.privacy.work()
    assert [await members(first, each) for each in (once, twice)] == [[zoe], []]
