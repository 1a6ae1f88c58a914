"""Bulk deletions of profiles with real shards (spec/profiles.md, 10)."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from actors import section_removal, shard_deletion
from actors.clock import ManualClock
from actors.deletions import deleting
from actors.errors import ShardUnavailable
from actors.identity.calls import AliasRequest
from actors.model.workspaces import ENVIRONMENTS, Environment
from actors.store.keys import slot_of_mpid
from actors.store.slots import Slots, even
from tests.actors.audiences.test_downloads import files_of
from tests.whole import test_audience_reads, test_calculated, test_groups
from tests.whole.bulk_deletions import PATH, deleted, over, requested, standing, status_of
from tests.whole.sent import DAY, batch, custom
from tests.whole.test_audiences import (
    AUDIENCE_DOCUMENT,
    OUTPUT,
    changes,
    connected,
    members,
    status_is,
)
from tests.whole.test_erasure import failing
from tests.whole.test_erasure_shared import meanwhile
from tests.whole.world import LocalShard, T, World, basic, changed, named, running, serving

SECOND = named("w2", "shared")
DOCUMENTS = (
    changed(AUDIENCE_DOCUMENT, workspace={"identity_scope": "shared"}),
    changed(SECOND, outputs=[*SECOND["outputs"], OUTPUT | {"id": "list-w2"}]),
)
# What a deletion asks of a shard, and of the identities.
CALLS = ("mark_sections", "release_records", "write_identities", "delete_sections")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(T)


@pytest.fixture
async def world(tmp_path: Path, clock: ManualClock) -> AsyncIterator[World]:
    async with running(tmp_path, document=AUDIENCE_DOCUMENT, clock=clock) as made:
        yield made


@pytest.fixture
async def worlds(tmp_path: Path, clock: ManualClock) -> AsyncIterator[list[World]]:
    async with serving(tmp_path, DOCUMENTS, clock=clock) as made:
        yield made


def person(name: str, *events: Any, **members: Any) -> dict[str, Any]:
    """Return a batch of somebody who is gold."""
    sent = {"user_attributes": {"status": "gold", "name": name}, **members}
    return batch(name, *events, **sent)


async def mpids_of(world: World, *names: str) -> list[int]:
    """Have people come; return their MPIDs."""
    for name in names:
        await world.accept(person(name, custom("Seen")))
    return [await world.mpid(name) for name in names]


async def cut_off(
    world: World, monkeypatch: pytest.MonkeyPatch, name: str, *, is_done: bool
) -> None:
    """Have deletions come as far as a call to a shard."""
    with monkeypatch.context() as patch:
        patch.setattr(LocalShard, "__getattr__", failing(name, is_done=is_done))
        if name == "write_identities":  # the sequencer asks again by itself
            patch.setattr("actors.identity.sequencer.PATIENCE_S", 0.2)
        with pytest.raises(ShardUnavailable):
            await world.deletions.work()


def shard_of(mpid: int) -> int:
    """Return the number of the shard that has a user, of two."""
    return Slots(even(2)).shard_of(slot_of_mpid(mpid))


def away_for(monkeypatch: pytest.MonkeyPatch, away: Sequence[int]) -> list[list[int]]:
    """Have no sections of some users deleted; return those that are to be, call by call."""
    former = LocalShard.__getattr__
    calls: list[list[int]] = []

    def find(shard: LocalShard, method: str) -> Any:
        call = former(shard, method)
        if method != "delete_sections":
            return call

        async def delete(environment: Environment, mpids: Sequence[int], *others: Any) -> Any:
            calls.append(list(mpids))
            if set(mpids) & set(away):
                raise ShardUnavailable("shard")
            return await call(environment, mpids, *others)

        return delete

    monkeypatch.setattr(LocalShard, "__getattr__", find)
    return calls


# -- Whose sections go ----------------------------------------------------------------------------


async def test_case_22_each_workspace_deletes_its_own_section(worlds: Sequence[World]) -> None:
    """spec/profiles.md, worked case 22."""
    first, second = worlds
    audiences = [await connected(each, f"Gold {each.number}", status_is("gold")) for each in worlds]
    for each in worlds:
        await each.accept(person("zoe", custom("Seen")))
    zoe = await first.mpid("zoe")
    assert await second.mpid("zoe") == zoe
    shown = await second.profile(zoe), await second.timeline(zoe)

    await deleted(first, zoe)

    assert [await status_of(each, zoe) for each in worlds] == [404, 200]
    assert (await second.profile(zoe), await second.timeline(zoe)) == shown
    kept = [
        await members(each, audience) for each, (audience, _) in zip(worlds, audiences, strict=True)
    ]
    assert kept == [[], [zoe]]
    told = [
        changes(each, subscription)
        for each, (_, subscription) in zip(worlds, audiences, strict=True)
    ]
    assert told == [[("add", zoe), ("delete", zoe)], [("add", zoe)]]

    await first.accept(batch("zoe", custom("Again")))
    assert await first.mpid("zoe") == zoe
    assert await first.attributes(zoe) == {}
    assert [each["name"] for each in await first.events(zoe)] == ["Again"]

    for each in worlds:
        await deleted(each, zoe)
    assert [await status_of(each, zoe) for each in worlds] == [404, 404]
    response = await first.client.post(
        "/v1/identify",
        json={"environment": "production", "known_identities": {"customerid": "zoe"}},
        headers={"x-mp-key": "kw-web-site"},
    )
    assert int((await response.json())["mpid"]) != zoe


async def test_two_workspaces_that_delete_a_user_at_once_leave_no_identities(
    worlds: Sequence[World],
) -> None:
    """Each may see the other's section when it begins; the last one takes the identities."""
    for each in worlds:
        await each.accept(person("zoe", custom("Seen")))
    zoe = await worlds[0].mpid("zoe")
    ids = [await requested(each, [zoe]) for each in worlds]
    await asyncio.gather(*(each.deletions.work() for each in worlds))
    for each, request_id in zip(worlds, ids, strict=True):
        assert await standing(each, request_id) == over(1)
    assert await worlds[0].coordinator.lookup("production", "customerid", "zoe") == []
    assert await worlds[0].coordinator.record("production", zoe) is None


async def test_a_user_of_another_workspace_alone_is_not_found(worlds: Sequence[World]) -> None:
    first, second = worlds
    [zoe] = await mpids_of(second, "zoe")
    request_id = await requested(first, [zoe])
    await first.deletions.work()
    assert await standing(first, request_id) == over(0, 1)
    assert await second.mpid("zoe") == zoe
    response = await second.client.get(f"{PATH}/{request_id}", headers=basic(second.secrets["k1"]))
    assert response.status == 404


@pytest.mark.parametrize("environment", ENVIRONMENTS)
async def test_the_other_environment_keeps_its_profile(world: World, environment: Any) -> None:
    for each in ENVIRONMENTS:
        await world.accept(person("zoe", custom("Seen"), environment=each))
    own = {each: await world.mpid_in("zoe", each) for each in ENVIRONMENTS}
    more = {} if environment == "production" else {"environment": environment}
    await deleted(world, own[environment], **more)
    [other] = set(ENVIRONMENTS) - {environment}
    assert await world.find("zoe") == [own[other]]
    request_id = await requested(world, [own[other]], environment=environment)
    await world.deletions.work()
    assert await standing(world, request_id) == over(0, 1)


# -- What goes ------------------------------------------------------------------------------------


async def test_what_is_kept_of_a_user_is_gone_and_nothing_of_anybody_else(
    world: World, clock: ManualClock
) -> None:
    """spec/profiles.md, 10 and spec/privacy.md, worked case 27."""
    audience, subscription = await connected(world, "Gold", status_is("gold"))
    await test_calculated.activate(world, "buys", test_calculated.definition("count"))
    for name in ("zoe", "bob"):
        await world.accept(person(name, custom("Buy"), custom("Buy")))
        await world.historical([person(name, custom("Old", T - 40 * DAY))])
    zoe, bob = await mpids_of(world, "zoe", "bob")
    sent = len(world.outgoing())
    before = await world.profile(bob), await world.timeline(bob)
    assert (await world.attributes(zoe))["buys"] == "2"

    await deleted(world, zoe)

    assert await status_of(world, zoe) == 404
    assert (await world.resolve("zoe")).status == 404
    for path in (f"users/{zoe}", f"users/{zoe}/events"):
        response = await world.get(f"/platform/v2/workspaces/1/{path}")
        assert response.status == 404
    assert await world.find("zoe") == await world.find(str(zoe)) == []
    assert zoe not in {each.mpid for each in world.log()}
    assert await members(world, audience) == [bob]
    assert [each for each in changes(world, subscription) if each[1] == zoe] == [
        ("add", zoe),
        ("delete", zoe),
    ]
    assert len(world.outgoing()) == sent  # what was accepted before is still forwarded
    assert (await world.profile(bob), await world.timeline(bob)) == before
    assert world.forwarders.posted == []

    await world.accept(batch("zoe", custom("Buy")))
    again = await world.mpid("zoe")
    assert again != zoe
    assert await world.attributes(again) == {"buys": "1"}
    enriched = world.outgoing()[-1]
    assert (enriched["mpid"], enriched["user_attributes"]) == (again, {"buys": "1"})


async def test_what_is_still_sent_for_a_deleted_mpid_is_nobodys(world: World) -> None:
    """An MPID is never given again, and a section cannot be restored."""
    [zoe] = await mpids_of(world, "zoe")
    await deleted(world, zoe)
    await world.accept({"mpid": zoe, "events": [custom("Lost")], "user_attributes": {"a": "1"}})
    assert [each.mpid for each in world.log()] == [None]
    assert await status_of(world, zoe) == 404
    request_id = await requested(world, [zoe])
    await world.deletions.work()
    assert await standing(world, request_id) == over(0, 1)


async def test_who_is_deleted_leaves_the_group_at_once_and_the_job_forgets_the_user(
    world: World,
) -> None:
    await test_groups.elm_street(world)
    await test_groups.run(world, "household")
    u1, u2 = await world.mpid("u1"), await world.mpid("u2")
    await world.groups.run_group("household")
    await deleted(world, u1)
    page = await test_groups.members(world, test_groups.ELM_STREET)
    assert page["mpids"] == [u2]
    response = await test_groups.ask(world, "GET", f"/users/{u1}/groups")
    assert response.status == 404
    await world.groups.work()
    assert await test_groups.own(world, "u2") is None  # nobody has the cat any more


async def test_who_is_deleted_while_the_group_job_runs_is_made_no_member(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the phase that notes whom a group has, and the one that writes it."""
    await test_groups.elm_street(world)
    u1, u2 = await world.mpid("u1"), await world.mpid("u2")
    done = meanwhile(monkeypatch, "write_group_values", lambda: deleted(world, u1))
    await test_groups.run(world, "household")
    assert done
    page = await test_groups.members(world, test_groups.ELM_STREET)
    assert page["mpids"] == [u2]


async def test_files_of_members_go_and_can_be_ordered_again(world: World, tmp_path: Path) -> None:
    audience, _ = await connected(world, "Gold", status_is("gold"))
    zoe, _ = await mpids_of(world, "zoe", "bob")
    ordering = ("POST", f"{audience}/download", {"identity_types": ["customer_id"]})
    await world.settle_audiences()
    ordered = await test_audience_reads.ask(world, 202, *ordering)
    await world.settle_audiences()
    await test_audience_reads.downloaded(world, ordered["status_url"])
    await deleted(world, zoe)
    shown = await (await world.get(ordered["status_url"])).json()
    assert shown["status"] == "expired"
    assert files_of(tmp_path) == []
    again = await test_audience_reads.ask(world, 202, *ordering)
    await world.settle_audiences()
    rows = await test_audience_reads.downloaded(world, again["status_url"])
    assert {row["identity_value"] for row in rows} == {"bob"}


async def test_aliases_that_name_the_user_are_forgotten(world: World, clock: ManualClock) -> None:
    zoe, bob = await mpids_of(world, "zoe", "bob")
    now_ms = clock.now_ms()
    await world.aliases.alias(
        AliasRequest("r1", "production", zoe, bob, now_ms - 1000, now_ms, "mpid", None, now_ms, 1)
    )
    await deleted(world, zoe)
    assert await world.aliases.aliases(bob) == []


async def test_many_users_and_long_histories_go_in_steps(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deleting, "TOGETHER", 2)
    for module in (section_removal, shard_deletion):
        monkeypatch.setattr(module, "STEP_BATCHES", 2)
    names = [f"u{number}" for number in range(7)]
    for _ in range(5):
        mpids = await mpids_of(world, *names)
    await world.historical([person(name, custom("Old", T - 40 * DAY)) for name in names])
    assert len(world.log()) == 42
    await deleted(world, *mpids[:-1])
    assert {each.mpid for each in world.log()} == {mpids[-1]}
    assert len(world.log()) == 6
    assert [len(await world.find(name)) for name in names] == [0] * 6 + [1]


# -- Requests -------------------------------------------------------------------------------------


async def test_case_23_mpids_are_checked_and_counted(world: World) -> None:
    """spec/profiles.md, worked case 23."""
    [zoe] = await mpids_of(world, "zoe")
    for mpids in ([], ["x"], [zoe, "x"], [zoe] * 1001):
        response = await world.post(PATH, {"mpids": mpids})
        assert response.status == 400
    await world.deletions.work()
    assert await status_of(world, zoe) == 200
    request_id = await requested(world, [zoe, zoe, 999])
    assert await standing(world, request_id) == {
        "status": "pending",
        "requested": 2,
        "deleted": 0,
        "not_found": 0,
    }
    await world.deletions.work()
    assert await standing(world, request_id, key="k2") == over(1, 1)  # any input of the workspace


async def test_a_user_who_is_named_by_two_requests_is_deleted_by_the_first(
    world: World, clock: ManualClock
) -> None:
    [zoe] = await mpids_of(world, "zoe")
    ids = []
    for _ in range(2):
        ids.append(await requested(world, [str(zoe)]))
        clock.advance(1)
    await world.deletions.work()
    assert [await standing(world, each) for each in ids] == [over(1), over(0, 1)]


async def test_who_asked_for_a_deletion_is_in_the_audit_log(world: World) -> None:
    request_id = await requested(world, [1, 2], key="k2")
    response = await world.get("/platform/v2/accounts/1/audit-logs", resource="bulk_deletion")
    [entry] = (await response.json())["items"]
    assert (entry["action"], entry["resource_id"]) == ("delete", request_id)
    assert entry["actor"] == {"type": "credential", "id": "k2-ios-app"}
    assert entry["before"] == {"environment": "production", "requested": 2}


# -- What is cut off ------------------------------------------------------------------------------


@pytest.mark.parametrize("is_done", [False, True])
@pytest.mark.parametrize("name", CALLS)
async def test_a_deletion_that_is_cut_off_anywhere_goes_on_after_a_restart(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, name: str, is_done: bool
) -> None:
    """It counts those that were gone already."""
    async with running(tmp_path, document=AUDIENCE_DOCUMENT, clock=clock) as world:
        zoe, bob, eve = await mpids_of(world, "zoe", "bob", "eve")
        _, subscription = await connected(world, "Gold", status_is("gold"))
        request_id = await requested(world, [zoe, bob, 999])
        await cut_off(world, monkeypatch, name, is_done=is_done)
        expected = "pending" if name == "mark_sections" else "in_progress"
        assert (await standing(world, request_id))["status"] == expected
    async with running(tmp_path, document=AUDIENCE_DOCUMENT, clock=clock) as world:
        await world.deletions.work()
        assert await standing(world, request_id) == over(2, 1)
        found = [await world.find(each) for each in ("zoe", "bob", "eve")]
        assert found == [[], [], [eve]]
        assert {each.mpid for each in world.log()} == {eve}
        told = [each for each in changes(world, subscription) if each[0] == "delete"]
        assert sorted(told) == sorted([("delete", zoe), ("delete", bob)])
        for each in ("zoe", "bob"):
            assert await world.coordinator.lookup("production", "customerid", each) == []


async def test_a_section_that_another_workspace_leaves_the_last_meanwhile_takes_the_identities(
    worlds: Sequence[World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had seen the other one's section, which is gone when it goes on."""
    first, second = worlds
    for each in worlds:
        await each.accept(person("zoe", custom("Seen")))
    zoe = await first.mpid("zoe")
    ids = [await requested(each, [zoe]) for each in worlds]
    await cut_off(first, monkeypatch, "release_records", is_done=True)
    await second.deletions.work()
    assert await first.coordinator.record("production", zoe) is not None
    await first.deletions.work()
    assert await standing(first, ids[0]) == over(1)
    assert await first.coordinator.record("production", zoe) is None


async def test_whom_another_workspace_gets_before_the_record_is_erased_is_somebody_new(
    worlds: Sequence[World], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = worlds
    [former] = await mpids_of(first, "zoe")
    request_id = await requested(first, [former])

    async def nothing() -> None: ...

    async def come() -> None:
        await second.accept(person("zoe", custom("Seen elsewhere")))

    assert meanwhile(monkeypatch, "release_records", nothing, come) == []
    await first.deletions.work()
    assert await standing(first, request_id) == over(1)
    [zoe] = await first.coordinator.lookup("production", "customerid", "zoe")
    assert zoe != former
    assert [each["name"] for each in await second.events(zoe)] == ["Seen elsewhere"]
    assert await first.coordinator.record("production", former) is None


async def test_who_comes_after_both_workspaces_have_deleted_loses_nothing(
    worlds: Sequence[World], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = worlds
    for each in worlds:
        await each.accept(person("zoe", custom("Seen")))
    former = await first.mpid("zoe")
    ids = [await requested(each, [former]) for each in worlds]
    await cut_off(first, monkeypatch, "release_records", is_done=True)  # the other has a section
    await second.deletions.work()

    async def nothing() -> None: ...

    async def come() -> None:
        await first.accept(person("zoe", custom("Later")))

    assert meanwhile(monkeypatch, "release_records", nothing, come) == []
    await first.deletions.work()
    assert [await standing(*each) for each in zip(worlds, ids, strict=True)] == [over(1)] * 2
    [zoe] = await first.coordinator.lookup("production", "customerid", "zoe")
    assert [each["name"] for each in await first.events(zoe)] == ["Later"]


async def test_what_comes_after_a_deletion_stays_however_often_that_is_cut_off(
    worlds: Sequence[World], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = worlds
    audience, subscription = await connected(first, "Gold", status_is("gold"))
    for each in worlds:
        await each.accept(person("zoe", custom("Seen")))
    zoe = await first.mpid("zoe")
    request_id = await requested(first, [zoe])
    for number in range(3):
        await cut_off(first, monkeypatch, "delete_sections", is_done=True)
        await first.accept(person("zoe", custom(f"Later {number}")))
    await first.deletions.work()
    assert await standing(first, request_id) == over(1)
    shown = [each["name"] for each in await first.events(zoe)]
    assert sorted(shown) == ["Later 0", "Later 1", "Later 2"]
    assert await members(first, audience) == [zoe]
    assert changes(first, subscription) == [("add", zoe), ("delete", zoe), ("add", zoe)]


async def test_who_comes_again_keeps_the_identities_though_the_other_workspace_leaves_meanwhile(
    worlds: Sequence[World], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = worlds
    for each in worlds:
        await each.accept(person("zoe", custom("Seen")))
    zoe = await first.mpid("zoe")
    request_id = await requested(first, [zoe])
    await cut_off(first, monkeypatch, "delete_sections", is_done=True)
    await first.accept(person("zoe", custom("Later")))
    await deleted(second, zoe)
    await first.deletions.work()
    assert await standing(first, request_id) == over(1)
    assert await first.mpid("zoe") == zoe
    assert [each["name"] for each in await first.events(zoe)] == ["Later"]


async def test_a_shard_that_is_through_is_not_asked_again_while_another_is_away(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path, DOCUMENTS, clock=clock, shards=2) as worlds:
        first, _ = worlds
        names = [f"u{number}" for number in range(8)]
        for each in worlds:
            mpids = await mpids_of(each, *names)
        away = [mpid for mpid in mpids if shard_of(mpid) == 1]
        there = [mpid for mpid in mpids if shard_of(mpid) == 0]
        assert away
        assert there
        request_id = await requested(first, mpids)
        with monkeypatch.context() as patch:
            calls = away_for(patch, away)
            for number in range(3):
                with pytest.raises(ShardUnavailable):
                    await first.deletions.work()
                for name in names:
                    await first.accept(person(name, custom(f"Later {number}")))
                assert await standing(first, request_id) == {
                    "status": "in_progress",
                    "requested": len(mpids),
                    "deleted": len(there),
                    "not_found": 0,
                }
        assert calls.count(there) == 1
        assert calls.count(away) == 3
        await first.deletions.work()
        assert await standing(first, request_id) == over(len(mpids))
        for mpid in there:
            assert len(await first.events(mpid)) == 3
        for mpid in away:
            assert await status_of(first, mpid) == 404
