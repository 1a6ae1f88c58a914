"""What erasures take away, and what they leave (spec/privacy.md, 4.3 and 5.2, 5.3)."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from actors import section_removal
from actors.clock import ManualClock
from actors.errors import ShardUnavailable
from actors.identity.calls import AliasRequest
from actors.model.deliveries import DeadLetter, Settlement
from actors.model.workspaces import ENVIRONMENTS
from actors.privacy import walking
from actors.store import outbox
from actors.store.environment import TABLES, Store
from tests.actors.audiences.test_downloads import files_of
from tests.whole.sent import DAY, batch, custom
from tests.whole.subject_requests import (
    CREDENTIALS,
    MOMENT_MS,
    accepted,
    body,
    fulfil,
    status,
)
from tests.whole.test_audience_reads import ask, downloaded
from tests.whole.test_audiences import AUDIENCE_DOCUMENT, changes, connected, members, status_is
from tests.whole.world import SECRETS, LocalShard, World, basic, changed, named, running, serving

STAGES = (
    "results",
    "identities",
    "deliveries",
    "audiences",
    "groups",
    "answers",
    "events",
    "profiles",
    "downloads",
)
NEEDLE = "zoe.needle@example.test"
LOGINS = ["customerid", "email"]
IDENTITY = {"strategy": "profile_conversion", "login_ids": LOGINS, "unique_ids": LOGINS}
DOCUMENT = changed(
    AUDIENCE_DOCUMENT,
    workspace={"dsr_credentials": CREDENTIALS},
    identity=IDENTITY,
)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(MOMENT_MS)


@pytest.fixture
async def world(tmp_path: Path, clock: ManualClock) -> AsyncIterator[World]:
    async with running(tmp_path, document=DOCUMENT, clock=clock) as made:
        yield made


def person(name: str, *events: Any, **members: Any) -> dict[str, Any]:
    """Return a batch of somebody with an e-mail address and attributes."""
    email = NEEDLE if name == "zoe" else f"{name}@example.test"
    identities = {"email": email}
    attributes = {"status": "gold", "note": f"of {email}"}
    return batch(
        name, *events, **{"user_identities": identities, "user_attributes": attributes} | members
    )


def places_of(text: str, *stores: Store) -> list[str]:
    """Return the tables in which a text is found."""
    needle = text.encode()
    found: list[str] = []
    for store in stores:
        with store.read() as txn:
            for table in TABLES:
                entries = txn.scan(table)
                found += [table for key, value in entries if needle in key or needle in value][:1]
    return found


def stores(world: World) -> list[Store]:
    """Return all that is kept of users."""
    own = [view for shard in world.shards for view in (shard.store, shard.state.store)]
    return [*own, *world.coordinator_stores]


async def searched(world: World, **identities: str) -> int:
    """Return the status of IDSync's search."""
    call = {"environment": "production", "known_identities": identities}
    headers = basic(SECRETS["k1"])
    return (await world.client.post("/v1/search", json=call, headers=headers)).status


async def erased(world: World, clock: ManualClock, **members: Any) -> str:
    """Have Zoe erased."""
    request_id = await accepted(world, body(**members))
    await fulfil(world, clock)
    shown = await status(world, request_id)
    assert shown["request_status"] == "completed"
    return request_id


async def test_case_16_all_of_a_user_is_gone_and_nothing_of_anybody_else(
    world: World, clock: ManualClock
) -> None:
    audience, subscription = await connected(world, "Gold", status_is("gold"))
    second, _ = await connected(world, "Gold too", status_is("gold"))
    for start in range(0, 500, 50):
        await world.accept(person("zoe", *(custom(f"E{start + each}") for each in range(50))))
    await world.accept(person("bob", custom("Seen")))
    await world.settle_audiences()
    zoe, bob = await world.mpid("zoe"), await world.mpid("bob")
    assert await searched(world, customerid="zoe") == 200
    before = {
        "profile": await world.profile(bob, "user_identities,user_attributes,device_identities"),
        "timeline": await world.timeline(bob),
    }
    assert set(places_of(NEEDLE, *stores(world))) >= {"profiles", "log", "outbox"}
    assert await members(world, audience) == sorted([zoe, bob])

    request_id = await erased(world, clock)

    assert [each for each in changes(world, subscription) if each[1] == zoe] == [("delete", zoe)]
    assert set(places_of(NEEDLE, *stores(world))) <= {"outbox"}  # the removals, until they are sent
    assert not [each for each in world.outgoing() if each.get("mpid") == zoe]
    response = await world.get(f"/userprofile/v1/1/1/1/{zoe}", fields="user_attributes")
    assert response.status == 404
    assert await searched(world, email=NEEDLE) == await searched(world, customerid="zoe") == 404
    assert await searched(world, customerid="bob") == 200
    assert await world.find("zoe") == await world.find(NEEDLE) == []
    response = await world.get(f"/platform/v2/workspaces/1/users/{zoe}/events")
    assert response.status == 404
    assert await members(world, audience) == await members(world, second) == [bob]
    assert before == {
        "profile": await world.profile(bob, "user_identities,user_attributes,device_identities"),
        "timeline": await world.timeline(bob),
    }
    assert all(each.mpid != zoe for each in world.log())
    assert "hook" in world.forwarders.reread_outputs
    record = await world.privacy.request(request_id)
    assert record is not None
    assert {each.store: each.removed for each in record.stages} == {
        "results": 0,
        "identities": 1,
        "deliveries": 12,
        "audiences": 2,
        "groups": 0,
        "answers": 0,
        "events": 10,
        "profiles": 1,
        "downloads": 0,
    }
    assert (record.sent.identities, record.subjects, len(record.about)) == ((), (), 1)


async def test_files_of_members_go_and_can_be_ordered_again(
    world: World, clock: ManualClock, tmp_path: Path
) -> None:
    audience, _ = await connected(world, "Gold", status_is("gold"))
    for name in ("zoe", "bob"):
        await world.accept(person(name))
    await world.settle_audiences()
    ordering = ("POST", f"{audience}/download", {"identity_types": ["customer_id"]})
    request_id = await accepted(world, body())
    clock.advance(8 * DAY)
    ordered = await ask(world, 202, *ordering)
    await world.settle_audiences()
    rows = await downloaded(world, ordered["status_url"])
    assert {row["identity_value"] for row in rows} == {"zoe", "bob"}
    await fulfil(world, clock, days=1)
    shown = await (await world.get(ordered["status_url"])).json()
    assert shown["status"] == "expired"
    assert files_of(tmp_path) == []
    record = await world.privacy.request(request_id)
    assert record is not None
    assert {each.store: each.removed for each in record.stages}["downloads"] == 1
    again = await ask(world, 202, *ordering)
    await world.settle_audiences()
    rows = await downloaded(world, again["status_url"])
    assert {row["identity_value"] for row in rows} == {"bob"}


async def test_a_run_of_many_requests_takes_few_commits(
    world: World, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody else is served by the coordinator while it waits for the disk."""

    async def commits(count: int) -> int:
        for number in range(count):
            name = f"{count}-{number}"
            await world.accept(person(name, custom("Seen")))
            identities = {"controller_customer_id": {"value": name}}
            await accepted(world, body(subject_identities=identities))
        clock.advance(9 * DAY)
        begun: list[Store] = []
        write = Store.write

        def counted(store: Store) -> Any:
            begun.append(store)
            return write(store)

        with monkeypatch.context() as patch:
            patch.setattr(Store, "write", counted)
            await world.privacy.fulfil()
        own = [each for each in begun if each in world.coordinator_stores]
        return len(own)

    few = await commits(2)
    assert await commits(20) == few


async def test_case_17_an_erasure_that_is_cut_off_goes_on_at_any_stage(
    world: World, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a shard had done when it was lost, the next try finds it done or does it."""
    await connected(world, "Gold", status_is("gold"))
    await world.accept(person("zoe", custom("Seen")))
    zoe = await world.mpid("zoe")
    request_id = await accepted(world, body())
    calls = ("is_shared", "erase_walking", "leave_audiences", "erase_events", "erase_profile")
    for name in calls:
        for is_done in (False, True):
            with monkeypatch.context() as patch:
                patch.setattr(LocalShard, "__getattr__", failing(name, is_done=is_done))
                with pytest.raises(ShardUnavailable):
                    await fulfil(world, clock)
            assert (await status(world, request_id))["request_status"] == "in_progress"
    await world.privacy.work()
    assert (await status(world, request_id))["request_status"] == "completed"
    assert set(places_of(NEEDLE, *stores(world))) <= {"outbox"}
    response = await world.get(f"/userprofile/v1/1/1/1/{zoe}", fields="user_attributes")
    assert response.status == 404
    record = await world.privacy.request(request_id)
    assert record is not None
    assert [each.store for each in record.stages] == list(STAGES)


async def test_an_erasure_that_is_stuck_for_a_day_is_told_to_the_operator(
    world: World,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await world.accept(person("zoe"))
    request_id = await accepted(world, body())  # expected 9.6 days later
    monkeypatch.setattr(LocalShard, "__getattr__", failing("erase_profile", is_done=False))
    for days, late in ((10, []), (1, [request_id]), (1, [request_id])):
        with pytest.raises(ShardUnavailable):
            await fulfil(world, clock, days)
        told = [each.__dict__ for each in caplog.records]
        found = [each["subject_request_id"] for each in told if each.get("event") == "dsr_overdue"]
        assert found == late


def failing(name: str, *, is_done: bool, calls: list[str] | None = None) -> Any:
    """Return a shard's calls of which one fails, before or after it was done.

    `calls`: takes the names of those that are made.
    """
    former = LocalShard.__getattr__

    def find(shard: LocalShard, method: str) -> Any:
        call = former(shard, method)
        if calls is not None:
            calls.append(method)
        if method != name:
            return call

        async def fail(*arguments: Any) -> Any:
            if is_done:
                await call(*arguments)
            raise ShardUnavailable("shard")

        return fail

    return find


async def test_case_19_what_comes_later_is_of_somebody_new(
    world: World, clock: ManualClock
) -> None:
    await world.accept(person("zoe", custom("Before")))
    zoe = await world.mpid("zoe")
    await erased(world, clock)
    late = person("zoe", custom("After"), mpid=zoe, user_attributes={"color": "red"})
    await world.accept(late)
    after = await world.mpid("zoe")
    assert after != zoe
    profile = await world.profile(after, "user_attributes,user_identities")
    assert profile["user_attributes"] == {"color": "red"}
    assert [each["name"] for each in await world.events(after)] == ["After"]
    # Without identities it is nobody's.
    await world.accept({"mpid": zoe, "events": [custom("Lost")], "user_attributes": {"a": "1"}})
    assert world.log()[-1].mpid is None or [each.mpid for each in world.log()].count(None) == 1
    response = await world.get(f"/userprofile/v1/1/1/1/{zoe}", fields="user_attributes")
    assert response.status == 404


DEVICE = {"device_info": {"platform": "iOS", "ios_idfv": "11111111-2222-4333-8444-555555555555"}}


async def test_case_20_a_device_alone_finds_no_user_who_is_known(
    world: World, clock: ManualClock
) -> None:
    await world.accept(person("zoe", **DEVICE))
    before = await world.profile("zoe")
    device = {"ios_vendor_id": {"value": DEVICE["device_info"]["ios_idfv"]}}
    request_id = await erased(world, clock, subject_identities=device)
    assert await world.profile("zoe") == before
    record = await world.privacy.request(request_id)
    assert record is not None
    assert sum(each.removed for each in record.stages) == 0


async def test_a_device_alone_finds_an_anonymous_user(world: World, clock: ManualClock) -> None:
    await world.accept(batch(None, custom("Seen"), **DEVICE))
    device = {"ios_vendor_id": {"value": DEVICE["device_info"]["ios_idfv"]}}
    await erased(world, clock, subject_identities=device)
    assert places_of("1111-2222-4333", *stores(world)) == []
    assert world.log() == []


@pytest.mark.parametrize("strategy", ["profile_link", "profile_isolation"])
async def test_a_login_that_nobody_has_hides_no_anonymous_user(
    tmp_path: Path, clock: ManualClock, strategy: str
) -> None:
    """A search finds the device's user, for whom a login would have made another one."""
    identity = {"strategy": strategy, "login_ids": ["customerid"], "unique_ids": ["customerid"]}
    made = changed(DOCUMENT, identity=identity)
    async with running(tmp_path, document=made, clock=clock) as world:
        await world.accept(batch(None, custom("Seen"), **DEVICE))
        asked = {
            "controller_customer_id": {"value": "never seen"},
            "ios_vendor_id": {"value": DEVICE["device_info"]["ios_idfv"]},
        }
        await erased(world, clock, subject_identities=asked)
        assert world.log() == []


async def test_versions_1_and_2_erase_everybody_whom_an_identity_finds(
    world: World, clock: ManualClock
) -> None:
    for name in ("ann", "bob", "eve", "dan"):
        await world.accept(person(name))
    mpids = [str(await world.mpid("eve"))]
    identities = [
        {"identity_type": "email", "identity_value": "ann@example.test"},
        {"identity_type": "controller_customer_id", "identity_value": "bob"},
    ]
    made = body(
        version="2.0",
        subject_identities=identities,
        extensions={"opendsr.mparticle.com": {"mpids": mpids}},
    )
    request_id = await accepted(world, made, version="2.0")
    await fulfil(world, clock)
    assert (await status(world, request_id))["request_status"] == "completed"
    found = [await world.find(name) for name in ("ann", "bob", "eve", "dan")]
    assert [len(each) for each in found] == [0, 0, 0, 1]


async def test_users_of_the_development_environment_are_erased_too(
    world: World, clock: ManualClock
) -> None:
    for environment in ENVIRONMENTS:
        await world.accept(person("zoe", environment=environment))
    await erased(world, clock)
    assert [await world.find("zoe", environment=each) for each in ENVIRONMENTS] == [[], []]


async def test_case_37_of_connections_what_waits_and_dead_letters_go(
    world: World, clock: ManualClock
) -> None:
    """spec/connections.md, worked case 37."""
    for name in ("zoe", "bob"):
        for each in range(3):
            await world.accept(person(name, custom(f"E{each}")))
    zoe = await world.mpid("zoe")
    for shard in world.shards:
        for delivery in shard.outbox.read_outbox(1, 0, 100, 2**20)[:2]:
            letter = DeadLetter(delivery, "fatal_response", MOMENT_MS, MOMENT_MS, 400)
            shard.outbox.settle(Settlement(1, [], [letter]))
    assert {"outbox", "dead_letters"} <= set(places_of(NEEDLE, *stores(world)))
    others = _waiting(world, zoe, is_own=False)
    await erased(world, clock)
    assert _waiting(world, zoe, is_own=True) == []
    assert _waiting(world, zoe, is_own=False) == others
    assert places_of(NEEDLE, *stores(world)) == []
    for shard in world.shards:  # the counts that are kept follow
        found = shard.outbox.queues.of(1)
        with shard.store.read() as txn:
            assert txn.entries("outbox") == found["depth"]
            assert txn.entries("dead_letters") == found["dead_letters"]


def _waiting(world: World, mpid: int, *, is_own: bool) -> list[str]:
    """Return the ids of deliveries and dead letters, of a user or of all others."""
    found = []
    for shard in world.shards:
        found += shard.outbox.read_outbox(1, 0, 10_000, 2**30)
        with shard.store.read() as txn:
            found += [each.delivery for each in outbox.all_dead_letters(txn)]
    return sorted(each.delivery_id for each in found if (each.mpid == mpid) == is_own)


async def test_batches_that_are_being_collected_go(tmp_path: Path, clock: ManualClock) -> None:
    collecting = [
        each | {"settings": {"send_as_batch": True, "batch": {"max_wait_s": 600}}}
        for each in DOCUMENT["connections"]
    ]
    made = changed(DOCUMENT, connections=collecting)
    made["workspace"]["privacy"] = {
        "dsr": {"erasure_waiting_seconds": 0, "run_interval_seconds": 1}
    }
    async with running(tmp_path, document=made, clock=clock) as world:
        for name in ("zoe", "bob"):
            await world.accept(person(name, custom("Seen")))
        assert "pending_parts" in places_of(NEEDLE, *stores(world))
        request_id = await accepted(world, body())
        clock.advance(1000)
        await world.privacy.work()
        assert (await status(world, request_id))["request_status"] == "completed"
        assert places_of(NEEDLE, *stores(world)) == []
        with_bob = places_of("bob@example.test", *stores(world))
        assert "pending_parts" in with_bob


async def test_another_workspace_of_the_scope_keeps_what_it_has(
    tmp_path: Path, clock: ManualClock
) -> None:
    first = changed(DOCUMENT, workspace={"identity_scope": "shared"})
    second = changed(named("w2", "shared"), identity=IDENTITY)
    async with serving(tmp_path, [first, second], clock=clock) as [world, other]:
        await world.accept(person("zoe", custom("Here")))
        await other.accept(person("zoe", custom("There"), user_attributes={"there": "1"}))
        zoe = await other.mpid("zoe")
        before = await other.profile(zoe)
        await erased(world, clock)
        response = await world.get(f"/userprofile/v1/1/1/1/{zoe}", fields="user_attributes")
        assert response.status == 404
        assert await other.profile(zoe) == before
        assert [each["name"] for each in await other.events(zoe)] == ["There"]
        own = world.log()
        assert [each.workspace for each in own] == []
        # By its identities it is the same user.
        await world.accept(person("zoe", custom("Again"), user_attributes={}))
        assert await world.mpid("zoe") == zoe
        assert [each["name"] for each in await world.events(zoe)] == ["Again"]


async def test_aliases_that_name_the_user_are_forgotten(world: World, clock: ManualClock) -> None:
    for name in ("zoe", "bob"):
        await world.accept(person(name))
    zoe, bob = await world.mpid("zoe"), await world.mpid("bob")
    now_ms = clock.now_ms()
    await world.aliases.alias(
        AliasRequest("r1", "production", zoe, bob, now_ms - 1000, now_ms, "mpid", None, now_ms, 1)
    )
    assert len(await world.aliases.aliases(bob)) == 1
    await erased(world, clock)
    assert await world.aliases.aliases(bob) == []


async def test_large_users_are_erased_in_steps(
    world: World, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(section_removal, "STEP_BATCHES", 2)
    monkeypatch.setattr(walking, "STEP_ENTRIES", 1)
    for each in range(5):
        await world.accept(person("zoe", custom(f"E{each}")))
        await world.accept(person("bob", custom(f"E{each}")))
    await world.historical([person("zoe", custom("Old", MOMENT_MS - 40 * DAY))])
    assert len(world.log()) == 11
    request_id = await erased(world, clock)
    record = await world.privacy.request(request_id)
    assert record is not None
    removed = {each.store: each.removed for each in record.stages}
    assert (removed["deliveries"], removed["events"]) == (5, 6)
    assert len(world.log()) == 5
    assert places_of(NEEDLE, *stores(world)) == []


async def test_what_an_erased_user_sent_is_not_applied_anew_when_it_is_sent_again(
    world: World, clock: ManualClock
) -> None:
    """spec/events-api.md, 5.4: the same batch sent again, also later, is applied once."""
    by_identities = person("zoe", custom("Before"), source_request_id="r1")
    await world.accept(by_identities)
    by_mpid = person("zoe", custom("Also before"), source_request_id="r2")
    by_mpid["mpid"] = await world.mpid("zoe")
    await world.accept(by_mpid)
    await erased(world, clock)
    await world.accept(by_identities)
    await world.accept(by_mpid)
    assert await world.find("zoe") == []
    assert world.log() == []
