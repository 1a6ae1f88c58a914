"""Identity records go when the data retention is over (spec/profiles.md, 6; identity.md, 7.7)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from actors.clock import ManualClock
from actors.errors import ShardUnavailable
from actors.identity.calls import AliasRequest
from actors.model.profiles import Profile, ProfileKey
from tests.whole.bulk_deletions import status_of
from tests.whole.identities import POOL, mpid_of, record
from tests.whole.sent import DAY, HOUR, batch, custom
from tests.whole.test_erasure import NEEDLE, failing, person, places_of, stores
from tests.whole.test_erasure_shared import meanwhile
from tests.whole.world import DOCUMENT, LocalShard, World, changed, named, running, serving

FIRST = changed(DOCUMENT, workspace={"identity_scope": "shared"})
SECOND = named("w2", "shared", retention={"events_days": 1000})
# What the end of a record asks of a shard, and of the identities.
CALLS = ("expire_records", "write_identities", "delete_sections")
# Tables of what waits to be forwarded, and of the last answers to edges, which others replace.
PASSING = {"outbox", "micro_batches"}


async def expire(*worlds: World) -> None:
    """Do what is done now and then: sweep, and remove what was handed over."""
    for world in worlds:
        world.sweep()
    await worlds[0].expiry.work()


async def held(world: World, value: str, identity_type: str = "customerid") -> list[int]:
    """Return who holds an identity."""
    return await world.coordinator.lookup("production", identity_type, value)


async def arrived(world: World, name: str = "zoe", **members: Any) -> int:
    """Have somebody come; return the MPID."""
    await world.accept(person(name, custom("Seen"), **members))
    return await world.mpid(name)


def profile_of(world: World, mpid: int) -> Profile | None:
    """Return what a shard has of a user."""
    key = ProfileKey(1, "production", mpid)
    found: list[Profile] = []
    for shard in world.shards:
        with shard.store.read() as txn:
            profile = shard.profiles.get(txn, key)
        found += [] if profile is None else [profile]
    return found[0] if found else None


# -- When a record goes ---------------------------------------------------------------------------


async def test_a_user_who_returns_within_the_data_retention_keeps_the_mpid(
    world: World, clock: ManualClock
) -> None:
    zoe = await arrived(world)
    clock.advance(729 * DAY)
    await expire(world)
    assert await held(world, "zoe") == [zoe]
    assert await held(world, NEEDLE, "email") == [zoe]
    assert (await record(world, str(zoe)))["known"]
    await world.accept(batch("zoe", custom("Again")))
    assert await world.mpid("zoe") == zoe
    assert [each["name"] for each in await world.events(zoe)] == ["Seen", "Again"]


async def test_after_it_nothing_is_left_of_a_user_and_the_identities_get_a_new_mpid(
    world: World, clock: ManualClock
) -> None:
    zoe = await arrived(world)
    bob = int(await mpid_of(world, "identify", {"device_application_stamp": "d1"}))
    before = world.count("headwater_identity_records", environment="production")
    clock.advance(731 * DAY)
    await expire(world)
    assert await held(world, "zoe") == await held(world, NEEDLE, "email") == []
    assert await held(world, "d1", "device_application_stamp") == []
    for mpid in (zoe, bob):
        assert (await world.get(f"{POOL}/mpids/{mpid}")).status == 404
        assert profile_of(world, mpid) is None
        assert await world.coordinator.history("production", mpid) == []
    assert set(places_of(NEEDLE, *stores(world))) <= PASSING
    assert world.count("headwater_identity_records", environment="production") == before - 2
    assert int(await mpid_of(world, "login", {"customerid": "zoe"})) != zoe
    again = await arrived(world, "bob")
    assert await world.attributes(again) == {"status": "gold", "note": "of bob@example.test"}
    assert int(await mpid_of(world, "identify", {"device_application_stamp": "d1"})) != bob


async def test_a_batch_that_names_an_mpid_that_has_gone_is_resolved_by_its_identities(
    world: World, clock: ManualClock
) -> None:
    zoe = await arrived(world)
    clock.advance(731 * DAY)
    await expire(world)
    await world.accept(batch("zoe", custom("Again"), mpid=zoe))
    [again] = await held(world, "zoe")
    assert again != zoe
    assert [each["name"] for each in await world.events(again)] == ["Again"]
    assert profile_of(world, zoe) is None


async def test_a_call_that_links_an_identity_keeps_the_record_of_a_user_without_data(
    world: World, clock: ManualClock
) -> None:
    zoe = await mpid_of(world, "login", {"customerid": "zoe"})
    clock.advance(700 * DAY)
    assert await mpid_of(world, "login", {"customerid": "zoe", "email": NEEDLE}) == zoe
    clock.advance(100 * DAY)
    await expire(world)
    assert await held(world, "zoe") == [int(zoe)]
    clock.advance(631 * DAY)
    await expire(world)
    assert await held(world, "zoe") == await held(world, NEEDLE, "email") == []


async def test_a_shorter_retention_counts_at_the_next_sweep(
    tmp_path: Path, clock: ManualClock
) -> None:
    """spec/profiles.md, 6."""
    async with running(tmp_path, clock=clock) as world:
        zoe = await arrived(world)
        clock.advance(100 * DAY)
        await expire(world)
        assert await held(world, "zoe") == [zoe]
    shorter = changed(DOCUMENT, workspace={"retention": {"events_days": 60}})
    async with running(tmp_path, document=shorter, clock=clock) as world:
        assert await held(world, "zoe") == [zoe]
        await expire(world)
        assert await held(world, "zoe") == []


# -- Several workspaces ---------------------------------------------------------------------------


@pytest.mark.parametrize("sender", [0, 1])
async def test_the_longest_retention_of_the_scope_decides(
    tmp_path: Path, clock: ManualClock, sender: int
) -> None:
    """Whichever workspace has had the data."""
    async with serving(tmp_path, (FIRST, SECOND), clock=clock) as worlds:
        zoe = await arrived(worlds[sender])
        clock.advance(999 * DAY)
        await expire(*worlds)
        assert await held(worlds[0], "zoe") == [zoe]
        clock.advance(2 * DAY)
        await expire(*worlds)
        assert await held(worlds[0], "zoe") == []
        assert profile_of(worlds[0], zoe) is None


async def test_data_of_any_workspace_keep_the_record(tmp_path: Path, clock: ManualClock) -> None:
    async with serving(tmp_path, (FIRST, SECOND), clock=clock) as worlds:
        zoe = await arrived(worlds[0])
        clock.advance(900 * DAY)
        assert await arrived(worlds[1]) == zoe
        clock.advance(900 * DAY)
        await expire(*worlds)
        assert await held(worlds[0], "zoe") == [zoe]


async def test_each_scope_has_one_that_removes_records(tmp_path: Path, clock: ManualClock) -> None:
    documents = (FIRST, SECOND, named("w3"), named("w4", "shared"))
    async with serving(tmp_path, documents, clock=clock) as worlds:
        assert [each.expires_records for each in worlds] == [True, False, True, False]


async def test_a_document_that_is_left_out_keeps_the_records_of_its_users(
    tmp_path: Path, clock: ManualClock
) -> None:
    """Also of those whom it has aged out already; it may have any retention when it is back."""
    async with serving(tmp_path, (FIRST, SECOND), clock=clock) as worlds:
        zoe, bob = await arrived(worlds[1]), await arrived(worlds[0], "bob")
        eve = await arrived(worlds[1], "eve")
        clock.advance(31 * DAY)
        await expire(*worlds)
        assert await arrived(worlds[0], "eve") == eve
    async with serving(tmp_path, (FIRST,), clock=clock) as [world]:
        clock.advance(2000 * DAY)
        await expire(world)
        assert await held(world, "zoe") == [zoe]
        assert await held(world, "eve") == [eve]
        assert await held(world, "bob") == []
        assert profile_of(world, bob) is None
    async with serving(tmp_path, (FIRST, SECOND), clock=clock) as worlds:
        await expire(*worlds)
        assert await held(worlds[0], "zoe") == await held(worlds[0], "eve") == []
        assert profile_of(worlds[0], zoe) is profile_of(worlds[0], eve) is None


# -- What comes meanwhile -------------------------------------------------------------------------


async def test_whoever_comes_between_hand_over_and_decision_stays(
    world: World, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoe, bob = await arrived(world), await arrived(world, "bob")
    clock.advance(731 * DAY)
    world.sweep()

    async def come() -> None:
        await world.accept(batch("zoe", custom("Again")))

    done = meanwhile(monkeypatch, "expire_records", come)
    await world.expiry.work()
    assert done
    assert await world.mpid("zoe") == zoe
    assert await held(world, "zoe") == [zoe]
    assert await held(world, NEEDLE, "email") == [zoe]
    assert await held(world, "bob") == []
    assert profile_of(world, bob) is None
    await world.accept(batch("zoe", custom("Once more"), mpid=zoe))
    assert [each["name"] for each in await world.events(zoe)][-2:] == ["Again", "Once more"]


@pytest.mark.parametrize("is_named", [False, True], ids=["by identities", "by MPID"])
@pytest.mark.parametrize("is_erased", [False, True], ids=["before the record goes", "after it"])
async def test_what_comes_after_the_decision_is_of_somebody_new(
    world: World,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
    is_erased: bool,
    is_named: bool,
) -> None:
    """Though the rest of the former profile is still there."""
    zoe = await arrived(world)
    clock.advance(731 * DAY)
    world.sweep()
    named = {"mpid": zoe} if is_named else {}

    async def come() -> None:
        await world.accept(batch("zoe", custom("Again"), **named))

    async def nothing() -> None: ...

    if is_erased:
        done = meanwhile(monkeypatch, "delete_sections", come)
    else:
        done = meanwhile(monkeypatch, "expire_records", nothing, come)
    await world.expiry.work()
    assert done
    [again] = await held(world, "zoe")
    assert again != zoe
    assert await held(world, NEEDLE, "email") == []
    assert [each["name"] for each in await world.events(again)] == ["Again"]
    assert profile_of(world, zoe) is None


async def test_what_is_only_of_an_mpid_that_is_going_is_nobodys(
    world: World, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoe = await arrived(world)
    clock.advance(731 * DAY)
    world.sweep()

    async def come() -> None:
        await world.accept(batch(None, custom("Again"), mpid=zoe))

    async def nothing() -> None: ...

    done = meanwhile(monkeypatch, "expire_records", nothing, come)
    await world.expiry.work()
    assert done
    assert [each.mpid for each in world.log()] == [None]
    assert profile_of(world, zoe) is None


# -- Aliases --------------------------------------------------------------------------------------


def alias(source: int, destination: int, at_ms: int) -> AliasRequest:
    return AliasRequest(
        request_id="r-1",
        environment="production",
        source_mpid=source,
        destination_mpid=destination,
        start_ms=0,
        end_ms=at_ms,
        scope="mpid",
        device_stamp=None,
        received_ms=at_ms,
        input=1,
    )


async def test_an_alias_that_waits_keeps_both_and_prolongs_its_destination(
    world: World, clock: ManualClock
) -> None:
    """spec/profiles.md, 6: the lifetime begins anew at the alias time."""
    zoe, bob = await arrived(world), await arrived(world, "bob")
    clock.advance(731 * DAY)
    await world.aliases.alias(alias(zoe, bob, clock.now_ms()))
    await expire(world)
    assert [await held(world, "zoe"), await held(world, "bob")] == [[zoe], [bob]]
    clock.advance(25 * HOUR)
    assert await world.aliases.run_due()
    [applied] = await world.aliases.aliases(bob)
    assert applied.state == "applied"
    await expire(world)
    assert [await held(world, "zoe"), await held(world, "bob")] == [[], [bob]]
    assert await world.aliases.aliases(zoe) == []
    clock.advance(729 * DAY)
    await expire(world)
    assert await held(world, "bob") == [bob]
    clock.advance(2 * DAY)
    await expire(world)
    assert await held(world, "bob") == []


async def test_no_alias_is_applied_to_somebody_who_is_going(
    world: World, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Accepted when the users were looked at already, and due at once."""
    zoe = await arrived(world)
    clock.advance(731 * DAY)
    bob = await arrived(world, "bob")
    world.sweep()

    async def come() -> None:
        await world.aliases.alias(alias(bob, zoe, clock.now_ms() - 25 * HOUR))
        await world.aliases.run_due()
        [dropped] = await world.aliases.aliases(zoe)
        assert dropped.reason == "unknown_mpid"

    async def nothing() -> None: ...

    done = meanwhile(monkeypatch, "expire_records", nothing, come)
    await world.expiry.work()
    assert done
    assert profile_of(world, zoe) is None
    assert await held(world, "bob") == [bob]
    assert await world.aliases.aliases(zoe) == []


# -- What is cut off ------------------------------------------------------------------------------


async def cut_off(
    worlds: Sequence[World], monkeypatch: pytest.MonkeyPatch, name: str, *, is_done: bool
) -> None:
    """Have the removal come as far as a call to a shard."""
    with monkeypatch.context() as patch:
        patch.setattr(LocalShard, "__getattr__", failing(name, is_done=is_done))
        if name == "write_identities":  # the sequencer asks again by itself
            patch.setattr("actors.identity.sequencer.PATIENCE_S", 0.2)
        with pytest.raises(ShardUnavailable):
            await expire(*worlds)


@pytest.mark.parametrize("is_done", [False, True])
@pytest.mark.parametrize("name", CALLS)
async def test_a_removal_that_is_cut_off_anywhere_is_resumed_by_the_next_sweep(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, name: str, is_done: bool
) -> None:
    """All processes have ended meanwhile, and nobody knows who was handed over."""
    documents: Sequence[Mapping[str, Any]] = (FIRST, SECOND)
    async with serving(tmp_path, documents, clock=clock) as worlds:
        for each in worlds:
            zoe, bob = await arrived(each), await arrived(each, "bob")
        clock.advance(1001 * DAY)
        await cut_off(worlds, monkeypatch, name, is_done=is_done)
        assert profile_of(worlds[0], zoe) is not None
    async with serving(tmp_path, documents, clock=clock) as worlds:
        await expire(*worlds)
        for name_of, mpid in (("zoe", zoe), ("bob", bob)):
            assert await held(worlds[0], name_of) == []
            assert profile_of(worlds[0], mpid) is None
            assert await worlds[0].coordinator.record("production", mpid) is None
            assert await status_of(worlds[0], mpid) == 404
        assert set(places_of(NEEDLE, *stores(worlds[0]), *stores(worlds[1]))) <= PASSING


async def test_what_was_decided_is_done_though_the_retention_is_longer_by_then(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing could have come to the user since."""
    async with running(tmp_path, clock=clock) as world:
        zoe = await arrived(world)
        clock.advance(731 * DAY)
        await cut_off([world], monkeypatch, "expire_records", is_done=True)
    longer = changed(DOCUMENT, workspace={"retention": {"events_days": 3000}})
    async with running(tmp_path, document=longer, clock=clock) as world:
        await expire(world)
        assert await held(world, "zoe") == []
        assert profile_of(world, zoe) is None
