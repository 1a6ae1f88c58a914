"""MPIDs that are nobody's until a batch names them (spec/identity.md, 9, row 1)."""

import asyncio
from unittest import mock

from actors.identity import knowledge
from actors.identity.modify import UNKNOWN_MPID
from tests.actors.identity.calling import (
    at,
    attempt_modify,
    call,
    erase,
    held,
    lookup,
    modify,
    record,
)
from tests.actors.identity.pool import DEFAULT
from tests.actors.identity.simulation import SimulatedWorld, simulate

STRANGER = 555  # lies on the first shard


def test_whoever_has_asked_for_an_mpid_finds_it_when_a_batch_has_made_its_profile() -> None:
    async def story(world: SimulatedWorld) -> None:
        assert await record(world, STRANGER) is None
        assert await attempt_modify(world, STRANGER, "em", None, "e1") == UNKNOWN_MPID
        assert not await erase(world, STRANGER)
        await world.upload(STRANGER)
        assert await held(world, STRANGER) == set()
        await modify(world, STRANGER, "em", None, "e1")
        assert await lookup(world, "em:e1") == [STRANGER]
        assert await erase(world, STRANGER)
        assert await lookup(world, "em:e1") == []
        world.check()

    simulate(2, DEFAULT, 1, story)


def test_a_batch_brings_nobody_back_who_was_erased() -> None:
    async def story(world: SimulatedWorld) -> None:
        await world.upload(STRANGER)
        assert await erase(world, STRANGER)
        for is_restarted in (False, True):
            if is_restarted:
                world.crash_coordinator(0.0)
                await asyncio.sleep(1)
            await world.upload(STRANGER)
            assert await record(world, STRANGER) is None
            assert await attempt_modify(world, STRANGER, "em", None, "e1") == UNKNOWN_MPID
            assert not await erase(world, STRANGER)

    simulate(2, DEFAULT, 1, story)


def test_a_question_that_was_asked_before_the_batch_answers_nobody_who_came_after_it() -> None:
    async def story(world: SimulatedWorld) -> None:
        world.delay_findings(0, 0.5)
        before = asyncio.create_task(record(world, STRANGER))
        await asyncio.sleep(0.1)
        await world.upload(STRANGER)
        after = asyncio.create_task(record(world, STRANGER))
        assert await before is None
        assert await after is not None

    simulate(1, DEFAULT, 1, story)


def test_a_decision_that_was_told_of_nobody_sees_who_was_changed_and_forgotten_since() -> None:
    """The previous MPID of a login is nobody's, then has the e-mail address that it sends."""

    async def story(world: SimulatedWorld) -> None:
        cid, em = at(world, 1, "cid"), at(world, 1, "em")
        assert await lookup(world, cid) == await lookup(world, em) == []
        world.delay_findings(1, 0.5)  # whether the MPID for a new record is free
        login = asyncio.create_task(call(world, "login", f"{cid} {em}", previous_mpid=STRANGER))
        await asyncio.sleep(0.1)
        await world.upload(STRANGER)
        await modify(world, STRANGER, "em", None, em.removeprefix("em:"))
        with mock.patch.object(knowledge, "MAX_KNOWN", 0):
            await call(world, "login", at(world, 0, "cid"))
        assert not login.done()
        assert (await login).mpid == STRANGER
        assert await held(world, STRANGER) == {cid, em}
        world.check()

    simulate(2, DEFAULT, 1, story)


def test_asking_for_nobody_costs_one_call_and_leaves_nothing() -> None:
    async def story(world: SimulatedWorld) -> None:
        await call(world, "login", "cid:c1")
        for _ in range(3):
            before = world.calls, world.known()
            assert await record(world, STRANGER) is None
            assert world.calls == before[0] + 1
            assert world.known() == before[1]
        before = world.calls, world.known()
        asked = [record(world, STRANGER + each % 10) for each in range(1000)]
        assert set(await asyncio.gather(*asked)) == {None}
        assert world.calls <= before[0] + 2
        assert world.known() == before[1]

    simulate(1, DEFAULT, 1, story)
