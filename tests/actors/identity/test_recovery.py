"""What is left after a crash and after an erasure, case by case."""

import asyncio

import pytest

from actors.errors import ShardUnavailable, StaleTerm
from actors.identity.index import Index
from actors.store.identities import Term
from actors.store.keys import MPID_RANDOM_BITS
from actors.store.slots import Slots, even
from tests.actors.identity.calling import (
    PRODUCTION,
    at,
    batch,
    call,
    erase,
    held,
    lookup,
    modify,
)
from tests.actors.identity.pool import DEFAULT, LINK, name
from tests.actors.identity.simulation import SCOPE, SimulatedWorld, simulate

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


def test_what_an_old_copy_had_left_is_past_for_every_process_after_it() -> None:
    """Also for one that begins before anything else was decided."""

    async def story(world: SimulatedWorld) -> None:
        k = (await call(world, "login", "cid:1 em:1")).mpid
        world.crash_coordinator(0.0)
        await asyncio.sleep(0)
        world.keep_copy()
        await asyncio.sleep(1)
        await modify(world, k, "em", "1", "2")
        f = (await call(world, "login", "em:1")).mpid
        world.crash_coordinator(0.5)
        world.use_copy()
        for _ in range(2):
            await asyncio.sleep(1)
            world.crash_coordinator(0.0)
        await asyncio.sleep(1)
        assert await lookup(world, "em:2") == [k]
        assert await lookup(world, "em:1") == [f]
        world.check()

    for seed in range(3):
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
                shard.identities.write_identities(stale, 1000, [])
            with pytest.raises(StaleTerm):
                shard.identities.read_identities(stale, [], [])

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
        slot = Index(SCOPE, Slots(even(1))).slot_of(PRODUCTION, name("cid:c1"))
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
