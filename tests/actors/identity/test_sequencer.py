"""What waits for what, what is refused, and what is left after a crash, case by case."""

import asyncio
from unittest import mock

import pytest

from actors.coordinator import NOTHING_TO_UNDO
from actors.errors import HotIdentity, ShardUnavailable, StaleTerm
from actors.identity import knowledge
from actors.identity.calls import ModifyAnswer
from actors.identity.index import Index
from actors.identity.undo import CHANGED_SINCE
from actors.store.identities import Term
from actors.store.keys import MPID_RANDOM_BITS
from actors.store.retries import RETENTION_MS
from tests.actors.identity.calling import (
    PRODUCTION,
    batch,
    call,
    erase,
    held,
    lookup,
    modify,
)
from tests.actors.identity.pool import DEFAULT, LINK, TYPES, name
from tests.actors.identity.simulation import SCOPE, SimulatedWorld, simulate
from tests.actors.profiles.builders import NOW


def at(world: SimulatedWorld, shard: int, short: str) -> str:
    """Return an identity of a type that lies on a shard."""
    for number in range(1000):
        identity = f"{short}:{number}"
        if world.shard_of(name(identity)) == shard:
            return identity
    raise AssertionError("no identity lies there")


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


# -- After a crash --------------------------------------------------------------------------------


def test_what_was_left_is_written_without_being_asked() -> None:
    async def story(world: SimulatedWorld) -> None:
        await call(world, "login", "cid:0")
        world.hold_writes()
        doomed = asyncio.create_task(call(world, "login", "cid:1 das:1"))
        await asyncio.sleep(0.1)
        world.crash_coordinator(0.5)
        await asyncio.gather(doomed, return_exceptions=True)
        assert isinstance(doomed.exception(), ShardUnavailable)
        assert (PRODUCTION, "customerid", "1") not in world.entries()
        world.delay_writes(0.0)
        await asyncio.sleep(1)
        assert (PRODUCTION, "customerid", "1") in world.entries()
        world.check()

    simulate(2, DEFAULT, 1, story)


@pytest.mark.parametrize("is_restarted", [False, True])
def test_what_is_replayed_undoes_nothing_that_came_later(is_restarted: bool) -> None:
    """So nothing is decided on a record of which a part is still to be written elsewhere."""

    async def story(world: SimulatedWorld) -> None:
        here = at(world, 0, "cid")
        k = (await call(world, "login", here)).mpid
        await call(world, "identify", at(world, 1, "das"))
        await call(world, "identify", at(world, 0, "rk"))
        world.crash_shard(1, 4.0)
        calls = []
        for other in (at(world, 1, "das"), at(world, 0, "rk")):
            calls.append(asyncio.create_task(call(world, "login", f"{here} {other}")))
            await asyncio.sleep(0.2)
            if is_restarted and len(calls) == 1:
                world.crash_coordinator(0.0)
                await asyncio.sleep(0.2)
        await call(world, "login", at(world, 0, "em"))  # forgets what is written everywhere
        world.crash_coordinator(0.0)
        await asyncio.gather(*calls, return_exceptions=True)
        await asyncio.sleep(5)
        world.check()
        assert here in await held(world, k)

    simulate(2, DEFAULT, 1, story)


@pytest.mark.parametrize("starts", [1, 4])
def test_a_store_that_is_an_old_copy_is_noticed(starts: int) -> None:
    """Nothing of what it had left is written, and the numbers go on where the shards are.

    Also if it was started more often since than the shards know of.
    """

    async def story(world: SimulatedWorld) -> None:
        k = (await call(world, "login", "cid:1 em:1")).mpid
        world.crash_coordinator(0.0)
        await asyncio.sleep(0)
        world.keep_copy()  # with what was decided last, which is taken to be unwritten
        await asyncio.sleep(1)
        await modify(world, k, "em", "1", "2")
        f = (await call(world, "login", "em:1")).mpid
        world.crash_coordinator(0.5)
        world.use_copy()
        for _ in range(starts - 1):
            await world.is_up.wait()
            world.crash_coordinator(0.0)
        await asyncio.sleep(1)
        for _ in range(3):
            assert await lookup(world, "em:2") == [k]
            assert await lookup(world, "em:1") == [f]
            world.check()
        assert (await call(world, "login", "cid:2")).mpid not in (k, f)

    for seed in range(10):
        simulate(3, LINK, seed, story)


def test_a_coordinator_of_before_is_not_listened_to() -> None:
    async def story(world: SimulatedWorld) -> None:
        await call(world, "login", "cid:1")
        world.crash_coordinator(0.0)
        await asyncio.sleep(1)
        await call(world, "login", "cid:2")
        [shard] = world.shards
        assert shard is not None
        for stale in (Term(1, 5, 99), Term(2, 5, 99), Term(3, 5, 1)):
            with pytest.raises(StaleTerm):
                shard.write_identities(stale, 1000, [])
            with pytest.raises(StaleTerm):
                shard.read_identities(stale, [], [])

    simulate(1, DEFAULT, 1, story)


# -- Erasure --------------------------------------------------------------------------------------


def test_worked_case_39_an_erased_user_is_gone() -> None:
    async def story(world: SimulatedWorld) -> None:
        k = (await call(world, "login", "cid:c1 das:d1")).mpid
        assert await erase(world, k)
        assert not await erase(world, k)
        assert await lookup(world, "cid:c1") == []
        assert await world.ask(lambda to: to.record(PRODUCTION, k)) is None
        assert (await call(world, "login", "cid:c1")).mpid != k
        world.crash_coordinator(0.0)
        await asyncio.sleep(1)
        assert await world.ask(lambda to: to.record(PRODUCTION, k)) is None
        assert not await world.ask(lambda to: to.erase("development", k))

    simulate(2, DEFAULT, 1, story)


def test_an_erased_mpid_is_given_to_nobody_else() -> None:
    """spec/identity.md, 1: never reused. Of the slot's two MPIDs the other one is given."""

    async def story(world: SimulatedWorld) -> None:
        k = (await call(world, "login", "cid:c1")).mpid
        assert await erase(world, k)
        await call(world, "login", "cid:c2")  # what was written everywhere is left no longer
        world.crash_coordinator(0.0)
        await asyncio.sleep(1)
        assert (await call(world, "login", "cid:c1")).mpid != k

    for seed in range(10):
        simulate(2, DEFAULT, seed, story, mpids=3)


def test_an_mpid_that_is_erased_before_it_is_written_is_given_to_nobody_else() -> None:
    """No profile tells that it was somebody's: a batch makes its profile itself, and later."""

    async def story(world: SimulatedWorld) -> None:
        slot = Index(SCOPE, 1).slot_of(PRODUCTION, name("cid:c1"))
        both = [slot << MPID_RANDOM_BITS | number for number in (1, 2)]
        made, *erased = await asyncio.gather(
            batch(world, "cid:c1"), *(erase(world, each) for each in both)
        )
        assert erased == [made == each for each in both]
        await call(world, "login", "cid:c2")
        world.crash_coordinator(0.0)
        await asyncio.sleep(1)
        assert await batch(world, "cid:c1") != made

    for seed in range(10):
        simulate(1, DEFAULT, seed, story, mpids=3)


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


# -- The audit trail ------------------------------------------------------------------------------


def test_every_decision_leaves_a_trail_at_each_record_that_it_changed() -> None:
    """Also across a crash, and each thing once."""

    async def story(world: SimulatedWorld) -> None:
        k = (await call(world, "login", "cid:c1 em:e1")).mpid
        f = (await call(world, "login", "em:e2")).mpid
        await asyncio.gather(call(world, "login", "cid:c1 das:d1"), call(world, "search", "em:e1"))
        world.crash_coordinator(0.0)
        await asyncio.sleep(1)
        await modify(world, k, "em", "e1", "e2")
        world.crash_coordinator(0.0)
        await asyncio.sleep(1)
        of_k, of_f = world.trail(k), world.trail(f)
        assert [(each.kind, each.mpid) for each in of_k] == [
            ("login", k),
            ("login", k),
            ("modify", k),
        ]
        assert [each.value for each in of_k[0].attached] == ["c1", "e1"]
        assert [each.value for each in of_k[1].attached] == ["d1"]
        assert [each.value for each in of_k[2].attached] == ["e2"]
        assert [each.value for each in of_k[2].removed] == ["e1"]
        assert [(each.kind, each.mpid) for each in of_f] == [("login", f), ("modify", k)]
        assert [each.value for each in of_f[1].removed] == ["e2"]
        assert of_f[1].number == of_k[2].number
        assert [each.number for each in of_k] == sorted({each.number for each in of_k})

    for seed in range(10):
        simulate(3, LINK, seed, story)


def test_the_trail_of_a_record_keeps_its_last_hundred() -> None:
    async def story(world: SimulatedWorld) -> None:
        k = (await call(world, "login", "cid:c1")).mpid
        for number in range(120):
            await modify(world, k, "em", None, str(number))
        kept = world.trail(k)
        assert [each.attached[0].value for each in kept] == [str(each) for each in range(20, 120)]
        assert await erase(world, k)
        assert world.trail(k) == []

    simulate(1, LINK, 1, story)


def test_a_takeover_is_undone_on_both_records() -> None:
    async def story(world: SimulatedWorld) -> None:
        k = (await call(world, "login", "cid:c1 em:e1")).mpid
        f = (await call(world, "login", "em:e2")).mpid
        await modify(world, k, "em", "e1", "e2")
        answer = await world.ask(lambda to: to.undo(PRODUCTION, k))
        assert isinstance(answer, ModifyAnswer)
        assert await held(world, k) == {"cid:c1", "em:e1"}
        assert await held(world, f) == {"em:e2"}
        assert world.trail(k)[-1].kind == "undo"
        again = await world.ask(lambda to: to.undo(PRODUCTION, k))
        assert again == CHANGED_SINCE
        nobody = await world.ask(lambda to: to.undo(PRODUCTION, 4711))
        assert nobody == NOTHING_TO_UNDO
        world.check()

    for seed in range(5):
        simulate(3, LINK, seed, story)


def test_what_later_decisions_have_changed_is_not_undone() -> None:
    async def story(world: SimulatedWorld) -> None:
        k = (await call(world, "login", "cid:c1 em:e1")).mpid
        await modify(world, k, "em", "e1", "e2")
        await call(world, "login", "em:e1")  # free, and soon somebody's
        answer = await world.ask(lambda to: to.undo(PRODUCTION, k))
        assert answer == CHANGED_SINCE
        assert await held(world, k) == {"cid:c1", "em:e2"}

    simulate(2, LINK, 1, story)
