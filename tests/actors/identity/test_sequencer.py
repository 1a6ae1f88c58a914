"""What waits for what, what is refused and what is seen, case by case."""

import asyncio
from unittest import mock

import pytest

from actors.errors import HotIdentity, ShardUnavailable
from actors.identity import knowledge
from actors.identity.lanes import SILENT_S
from actors.identity.waiting import MAX_WAITING
from actors.store.retries import RETENTION_MS
from tests.actors.identity.calling import (
    PRODUCTION,
    at,
    batch,
    call,
    held,
    lookup,
    modify,
)
from tests.actors.identity.pool import DEFAULT, LINK, TYPES, name
from tests.actors.identity.simulation import SimulatedWorld, simulate
from tests.actors.profiles.builders import NOW

# -- V15 ------------------------------------------------------------------------------------------


def test_v15_a_shard_that_is_away_delays_those_only_that_need_it() -> None:
    async def story(world: SimulatedWorld) -> None:
        here, there = at(world, 0, "cid"), at(world, 1, "cid")
        settled = await call(world, "login", here)
        world.crash_shard(1, 3.0)
        began_s = world.loop.time()
        waiting = asyncio.create_task(call(world, "login", there))
        both = asyncio.create_task(call(world, "login", f"{at(world, 0, 'em')} {there}"))
        for number in range(5):
            das = at(world, 0, "das")
            found = await call(world, "login", f"{here} {das}")
            assert found.mpid == settled.mpid
            made = await call(world, "logout", das, retry_key=b"%d" % number)
            assert made.mpid != settled.mpid
        assert world.loop.time() - began_s < 0.5
        assert not waiting.done()
        one, two = await asyncio.gather(waiting, both)
        assert one.mpid == two.mpid
        assert 3.0 <= world.loop.time() - began_s < 4.0

    simulate(2, DEFAULT, 1, story)


def test_v15_what_waits_for_a_shard_blocks_no_reader_of_other_identities() -> None:
    """Also when a decision was made, committed, and cannot be written everywhere."""

    async def story(world: SimulatedWorld) -> None:
        here, there = at(world, 0, "cid"), at(world, 1, "em")
        await call(world, "login", there)  # known, so that nothing has to be read
        k = (await call(world, "login", here)).mpid
        world.crash_shard(1, 3.0)
        taking = asyncio.create_task(modify(world, k, "em", None, there.removeprefix("em:")))
        await asyncio.sleep(0.1)
        began_s = world.loop.time()
        other = at(world, 0, "das")
        assert (await call(world, "identify", other)).mpid != k
        assert world.loop.time() - began_s < 0.5
        assert not taking.done()
        assert (await taking).changed[0] == ("email", k)

    simulate(2, LINK, 1, story)


@pytest.mark.parametrize("is_known", [False, True], ids=["to be read", "to be written"])
def test_v15_no_more_than_so_many_calls_wait_for_a_shard_that_is_away(*, is_known: bool) -> None:
    """All others are told at once, or calls that do not need it would find no place."""

    async def story(world: SimulatedWorld) -> None:
        here = at(world, 0, "cid")
        names = [f"cid:u{number}" for number in range(500)]
        logins = [call(world, "login", each) for each in names if world.shard_of(name(each)) == 0]
        users = [each.mpid for each in await asyncio.gather(*logins)]
        emails = [f"e{number}" for number in range(1000) if world.shard_of(name(f"em:e{number}"))]
        if is_known:
            await asyncio.gather(*(lookup(world, f"em:{each}") for each in emails))
        world.crash_shard(1, 20.0)
        waiting = [asyncio.create_task(modify(world, users[0], "em", None, emails[0]))]
        await asyncio.sleep(SILENT_S + 0.1)
        calls = zip(users[1:] * 2, emails[1:], strict=False)
        waiting += [
            asyncio.create_task(modify(world, user, "em", None, email)) for user, email in calls
        ]
        assert len(waiting) > MAX_WAITING
        began_s = world.loop.time()
        resolving = asyncio.create_task(batch(world, f"em:{emails[-1]} {at(world, 1, 'das')}"))
        await call(world, "login", here)
        refused, left = await asyncio.wait(waiting, timeout=0.2)
        assert world.loop.time() - began_s < 0.5
        assert len(left) == MAX_WAITING
        assert not resolving.done()
        for each in (*refused, *left, resolving):
            with pytest.raises(ShardUnavailable):
                await each
        await asyncio.sleep(20)
        await asyncio.gather(*(lookup(world, f"em:{each}") for each in emails))
        world.check()

    simulate(2, DEFAULT, 1, story)


def test_a_shard_that_stays_away_is_told_after_five_seconds() -> None:
    """spec/identity.md, 4.4, row 19; nothing was changed."""

    async def story(world: SimulatedWorld) -> None:
        there = at(world, 1, "cid")
        world.crash_shard(1, 20.0)
        began_s = world.loop.time()
        with pytest.raises(ShardUnavailable):
            await call(world, "login", there)
        assert world.loop.time() - began_s == pytest.approx(5.0)
        await asyncio.sleep(20)
        assert world.entries() == {}

    simulate(2, DEFAULT, 1, story)


def test_what_was_committed_is_found_complete_by_the_retry() -> None:
    async def story(world: SimulatedWorld) -> None:
        here, there = at(world, 0, "cid"), at(world, 1, "em")
        f = (await call(world, "login", there)).mpid
        k = (await call(world, "login", here)).mpid
        world.crash_shard(1, 8.0)
        value = there.removeprefix("em:")
        with pytest.raises(ShardUnavailable):
            await modify(world, k, "em", None, value)
        await asyncio.sleep(5)
        assert await lookup(world, there) == [k]
        assert (await modify(world, k, "em", None, value)).changed == (("email", k),)
        assert await held(world, f) == set()
        world.check()

    simulate(2, LINK, 1, story)


# -- Hot identities -------------------------------------------------------------------------------


def test_no_more_than_a_hundred_wait_for_one_identity() -> None:
    """spec/identity.md, 4.3. Batches are not refused, for nobody would send them again."""

    async def story(world: SimulatedWorld) -> None:
        k = (await call(world, "login", "cid:c1")).mpid
        world.hold_writes()
        first = asyncio.create_task(call(world, "login", "cid:c1 das:0"))
        await asyncio.sleep(0.1)
        waiting = [
            asyncio.create_task(call(world, "login", f"cid:c1 das:{number}"))
            for number in range(1, 102)
        ]
        batches = [asyncio.create_task(batch(world, "cid:c1 das:b")) for _ in range(5)]
        await asyncio.sleep(0.1)
        [refused] = [each for each in waiting if each.done()]
        assert refused is waiting[-1]
        with pytest.raises(HotIdentity):
            await refused
        world.delay_writes(0.0)
        answers = await asyncio.gather(first, *waiting[:-1])
        assert {each.mpid for each in answers} == {k}
        assert set(await asyncio.gather(*batches)) == {k}
        assert (await call(world, "login", "cid:c1 das:101")).mpid == k

    simulate(1, DEFAULT, 1, story)


def test_nobody_waits_longer_than_two_seconds_for_others() -> None:
    """Others come first again and again, on one of two identities that a call needs."""

    async def story(world: SimulatedWorld) -> None:
        one, two = at(world, 0, "das"), at(world, 1, "rk")
        for each in (one, two):
            await call(world, "identify", each)
        world.delay_writes(0.9)
        began_s = world.loop.time()

        async def spoil(identity: str, first_s: float) -> None:
            for number in range(3):
                await asyncio.sleep(began_s + first_s + number - world.loop.time())
                await call(world, "logout", identity)

        spoilers = [asyncio.create_task(spoil(one, 0.0)), asyncio.create_task(spoil(two, 0.5))]
        await asyncio.sleep(0.6)
        with pytest.raises(HotIdentity):
            await call(world, "identify", f"{one} {two}")
        assert world.loop.time() - began_s == pytest.approx(2.6)
        await asyncio.gather(*spoilers)

    simulate(2, DEFAULT, 1, story)


# -- Answers --------------------------------------------------------------------------------------


def test_an_answer_is_given_when_every_shard_has_what_follows_from_it() -> None:
    async def story(world: SimulatedWorld) -> None:
        for number in range(20):
            login = await call(world, "login", f"cid:{number} em:{number} das:{number}")
            held_now = {f"cid:{number}", f"em:{number}", f"das:{number}"}
            assert on_disk(world, login.mpid) == held_now
            logout = await call(world, "logout", f"das:{number}")
            assert on_disk(world, logout.mpid) == {f"das:{number}"}
            world.check()

    for seed in range(10):
        simulate(3, DEFAULT, seed, story)


def on_disk(world: SimulatedWorld, mpid: int) -> set[str]:
    """Return what the entries say that a record holds, in short."""
    assert (PRODUCTION, mpid) in world.records()
    shorts = {long: short for short, long in TYPES.items()}
    return {
        f"{shorts[kind]}:{value}"
        for (_, kind, value), holders in world.entries().items()
        if mpid in [holder.mpid for holder in holders]
    }


def test_many_calls_go_with_few_calls_to_the_shards() -> None:
    async def story(world: SimulatedWorld) -> None:
        await call(world, "login", "cid:first")
        before = world.calls
        logins = [call(world, "login", f"cid:{number} das:{number}") for number in range(500)]
        answers = await asyncio.gather(*logins)
        assert len({each.mpid for each in answers}) == 500
        assert world.calls - before <= 20

    simulate(2, DEFAULT, 1, story)


def test_one_new_user_costs_three_calls_at_most_on_one_shard() -> None:
    async def story(world: SimulatedWorld) -> None:
        await call(world, "login", "cid:first")
        before = world.calls
        await call(world, "login", "cid:1 em:1 das:1")
        assert world.calls - before == 2, "one to read, one to write"
        before = world.calls
        await call(world, "login", "cid:1 em:1 das:1")
        assert world.calls == before, "what is known is not read again"

    simulate(1, DEFAULT, 1, story)


def test_a_lookup_on_disk_needs_one_call_if_the_record_lies_beside_it() -> None:
    async def story(world: SimulatedWorld) -> None:
        k = (await call(world, "login", "cid:1")).mpid
        await call(world, "login", "cid:2")  # what was decided last is read at the start
        world.crash_coordinator(0.0)
        await asyncio.sleep(1)
        before = world.calls
        assert (await call(world, "search", "cid:1")).mpid == k
        assert world.calls - before == 1

    simulate(3, DEFAULT, 1, story)


def test_nobody_sees_what_is_decided_and_not_yet_durable() -> None:
    """While a shard is being written, decisions for it are collected before the next commit."""

    async def story(world: SimulatedWorld) -> None:
        await call(world, "login", "cid:1")
        await call(world, "login", "cid:2")
        world.delay_writes(0.5)
        written = asyncio.create_task(call(world, "login", "cid:1 das:1"))
        await asyncio.sleep(0.1)
        collected = asyncio.create_task(call(world, "login", "cid:2 das:2"))
        await asyncio.sleep(0.1)
        readers = [asyncio.create_task(lookup(world, f"das:{number}")) for number in (1, 2)]
        await asyncio.sleep(0.1)
        assert not any(each.done() for each in (written, collected, *readers))
        world.crash_coordinator(0.0)
        await asyncio.gather(written, collected, *readers, return_exceptions=True)
        assert isinstance(readers[1].exception(), ShardUnavailable)
        await asyncio.sleep(2)
        assert len(await lookup(world, "das:1")) == 1
        assert await lookup(world, "das:2") == []

    simulate(1, DEFAULT, 1, story)


# -- Logouts --------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_logout_is_repeated_for_an_hour(is_restarted: bool) -> None:
    """spec/identity.md, 7.5, and worked case 24."""

    async def story(world: SimulatedWorld) -> None:
        first = await call(world, "logout", "das:d1", retry_key=b"z")
        if is_restarted:
            world.crash_coordinator(0.0)
            await asyncio.sleep(1)
        late = NOW + RETENTION_MS
        assert await call(world, "logout", "das:d1", retry_key=b"z", now_ms=late) == first
        other = await call(world, "logout", "das:d1", retry_key=b"y")
        assert other.mpid != first.mpid
        assert (await call(world, "identify", "das:d1")).mpid == other.mpid
        again = await call(world, "identify", "das:d1", previous_mpid=first.mpid)
        assert again.mpid == first.mpid
        too_late = await call(world, "logout", "das:d1", retry_key=b"z", now_ms=late + 1)
        assert too_late.mpid not in (first.mpid, other.mpid)

    simulate(2, DEFAULT, 1, story)


# -- What is known --------------------------------------------------------------------------------


def test_what_comes_along_unasked_is_not_newer_than_what_was_forgotten() -> None:
    """A record was changed, written and forgotten while an answer with it was under way."""

    async def story(world: SimulatedWorld) -> None:
        cid, em, das = (at(world, 0, short) for short in ("cid", "em", "das"))
        k = (await call(world, "login", f"{cid} {em}")).mpid
        with mock.patch.object(knowledge, "MAX_KNOWN", 0):
            await call(world, "login", at(world, 1, "cid"))
        await call(world, "search", cid)
        await lookup(world, das)
        world.delay_findings(0, 0.5)
        asking = asyncio.create_task(lookup(world, em))
        await asyncio.sleep(0.1)
        assert (await call(world, "login", f"{cid} {das}")).mpid == k
        with mock.patch.object(knowledge, "MAX_KNOWN", 0):
            await call(world, "login", f"{at(world, 1, 'cid')} {at(world, 1, 'das')}")
        assert not asking.done()
        assert await asking == [k]
        assert await held(world, k) == {cid, em, das}

    simulate(2, DEFAULT, 1, story)
