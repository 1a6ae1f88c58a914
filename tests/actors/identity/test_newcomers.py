"""What a shard says of somebody who is new, and how long the coordinator takes that for true."""

import asyncio
from unittest import mock

import pytest
from msgspec.structs import replace

from actors.identity import knowledge
from actors.model.micro_batches import Newcomer
from tests.actors.identity.calling import at, batch, call, held, lookup
from tests.actors.identity.pool import DEFAULT, request
from tests.actors.identity.simulation import SimulatedWorld, simulate


async def said(world: SimulatedWorld, identities: str) -> Newcomer:
    """Return what the shard of the first identity says of somebody new."""
    newcomer = await world.newcomer(request(identities))
    assert newcomer is not None
    return newcomer


async def begin(world: SimulatedWorld) -> None:
    """Let every shard have heard of the coordinator."""
    for shard in range(len(world.shards)):
        await call(world, "login", at(world, shard, "cid"))


async def forget(world: SimulatedWorld) -> None:
    """Let the coordinator forget all that is written."""
    with mock.patch.object(knowledge, "MAX_KNOWN", 0):
        await call(world, "login", at(world, 0, "rk"))


def test_a_shard_is_not_asked_again_what_it_has_said() -> None:
    async def story(world: SimulatedWorld) -> None:
        await begin(world)
        for identities, calls in (("em:1", 1), ("das:1 rk:1", 1)):
            newcomer = await said(world, identities)
            before = world.calls
            assert await batch(world, identities, newcomer) == newcomer.mpid
            assert world.calls == before + calls
            assert await held(world, newcomer.mpid) == set(identities.split())
        before = world.calls
        await batch(world, "em:2")
        assert world.calls == before + 2
        world.check()

    simulate(1, DEFAULT, 1, story)


def test_what_the_shard_does_not_have_is_asked() -> None:
    """Whether the first identity is somebody's is known; whose the second is, is not."""

    async def story(world: SimulatedWorld) -> None:
        await begin(world)
        here, there = at(world, 0, "em"), at(world, 1, "das")
        known = await batch(world, there)
        newcomer = await said(world, f"{here} {there}")
        assert newcomer.types == ["email"]
        assert await batch(world, f"{here} {there}", newcomer) == known
        world.check()

    simulate(2, DEFAULT, 1, story)


def test_who_is_known_is_no_newcomer() -> None:
    async def story(world: SimulatedWorld) -> None:
        await begin(world)
        await batch(world, "em:1")
        assert await world.newcomer(request("em:1")) is None

    simulate(1, DEFAULT, 1, story)


@pytest.mark.parametrize("is_forgotten", [False, True])
@pytest.mark.parametrize("is_restarted", [False, True])
def test_who_was_made_since_is_no_newcomer(*, is_forgotten: bool, is_restarted: bool) -> None:
    async def story(world: SimulatedWorld) -> None:
        await begin(world)
        newcomer = await said(world, "em:1")
        if is_restarted:
            world.crash_coordinator(0.1)
            await world.is_up.wait()
        made = await batch(world, "em:1")
        if is_forgotten:
            await forget(world)
        assert await batch(world, "em:1", newcomer) == made
        world.check()

    simulate(1, DEFAULT, 1, story)


@pytest.mark.parametrize("is_forgotten", [False, True])
def test_an_mpid_that_was_free_is_not_given_to_two(*, is_forgotten: bool) -> None:
    async def story(world: SimulatedWorld) -> None:
        await begin(world)
        first = await said(world, "em:1")
        second = replace(await said(world, "em:2"), mpid=first.mpid, write=first.write)
        assert await batch(world, "em:1", first) == first.mpid
        if is_forgotten:
            await forget(world)
        assert await batch(world, "em:2", second) != first.mpid
        assert await held(world, first.mpid) == {"em:1"}
        world.check()

    simulate(1, DEFAULT, 1, story)


def test_two_newcomers_with_one_mpid_at_a_time_become_two() -> None:
    async def story(world: SimulatedWorld) -> None:
        await begin(world)
        first = await said(world, "em:1")
        second = replace(await said(world, "em:2"), mpid=first.mpid)
        made = await asyncio.gather(batch(world, "em:1", first), batch(world, "em:2", second))
        assert len(set(made)) == 2
        world.check()

    simulate(1, DEFAULT, 1, story)


def test_an_answer_that_is_older_than_what_was_decided_meanwhile_is_not_wrong() -> None:
    """Somebody asks; another one, of whom a shard has said more, is made, written and forgotten."""

    async def story(world: SimulatedWorld) -> None:
        await begin(world)
        newcomer, other = await said(world, "em:1"), await said(world, "rk:1")
        world.delay_findings(0, 0.5)
        asking = asyncio.create_task(lookup(world, "em:1"))
        await asyncio.sleep(0.1)
        making = asyncio.create_task(batch(world, "em:1", newcomer))
        await asyncio.sleep(0.1)
        with mock.patch.object(knowledge, "MAX_KNOWN", 0):
            await batch(world, "rk:1", other)
        await asyncio.gather(asking, making)
        world.delay_findings(0, 0.0)
        assert await lookup(world, "em:1") == [making.result()]
        world.check()

    simulate(1, DEFAULT, 1, story)
