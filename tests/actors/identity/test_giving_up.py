"""A call that was given up leaves nothing behind, in an outage or after it."""

import asyncio
import gc
from collections import Counter, deque
from collections.abc import Coroutine, Iterable
from typing import Any

from actors.errors import HotIdentity, ShardUnavailable
from actors.identity.clusters import Caller, Pending
from actors.identity.index import Index
from actors.identity.journal import Journal
from actors.identity.knowledge import Knowledge
from actors.model.micro_batches import Unresolved
from actors.store.slots import Slots, even
from tests.actors.identity.calling import (
    PRODUCTION,
    at,
    batch,
    call,
    held,
    lookup,
    modify,
    record,
)
from tests.actors.identity.pool import DEFAULT, TYPES, name
from tests.actors.identity.simulation import SCOPE, SimulatedWorld, nothing_logged, simulate

AWAY_S = 100.0
BY_ENVIRONMENT = ("_states", "_shown_records")  # what is known, and counts
STRANGER = 0xFFFF << 37  # the first MPID of the last slot, so on the last shard


def kept(world: SimulatedWorld) -> dict[str, int]:
    """Return how much is in each container of the sequencer that is not empty.

    But for what is known, which is bounded (`Knowledge.trim`), and the journal.
    """
    assert world.coordinator is not None
    found: dict[str, int] = {}
    left: list[tuple[str, Any]] = [("sequencer", world.coordinator._own_sequencer)]
    seen: set[int] = set()
    while left:
        path, each = left.pop()
        if id(each) in seen or isinstance(each, Knowledge | Index | Journal):
            continue
        seen.add(id(each))
        if isinstance(each, list) and any("Lane" in type(lane).__name__ for lane in each):
            left += [(f"{path}[{number}]", lane) for number, lane in enumerate(each)]
        elif isinstance(each, dict | list | set | deque):
            if each and not path.endswith(BY_ENVIRONMENT):
                found[path] = len(each)
        elif type(each).__module__.startswith("actors.identity"):
            left += [(f"{path}.{key}", value) for key, value in vars(each).items()]
    return found


def alive() -> int:
    """Return how many decisions there are that somebody waits for, or waited."""
    gc.collect()
    return sum(isinstance(each, Pending | Caller) for each in gc.get_objects())


async def outcomes(calls: Iterable[Coroutine[Any, Any, Any]]) -> Counter[str]:
    """Make calls at the same time; return how often each came to what.

    Errors are not kept: with them would be what their callers waited for.
    """

    async def outcome(asking: Coroutine[Any, Any, Any]) -> str:
        try:
            await asking
        except (ShardUnavailable, HotIdentity) as error:
            return type(error).__name__
        return "answered"

    return Counter(await asyncio.gather(*map(outcome, calls)))


def many(world: SimulatedWorld, shard: int, short: str, most: int) -> list[str]:
    """Return identities of a type that lie on a shard."""
    index = Index(SCOPE, Slots(even(len(world.shards))))
    names = (f"{short}:n{number}" for number in range(most * 4))
    return [each for each in names if index.shard_of((PRODUCTION, name(each))) == shard][:most]


async def batches(world: SimulatedWorld, identities: Iterable[str]) -> list[int]:
    """Resolve batches of one unit: each comes after those before it that share an identity."""
    sent = [
        [(TYPES[short], value) for short, value in (each.split(":") for each in one.split())]
        for one in identities
    ]
    unresolved = [Unresolved(PRODUCTION, each) for each in sent]
    return await world.ask(lambda to: to.resolve(unresolved))


def test_nothing_is_left_of_thousands_of_calls_that_gave_up_while_a_shard_was_away() -> None:
    async def story(world: SimulatedWorld) -> None:
        here, there, em = at(world, 0, "cid"), at(world, 1, "cid"), at(world, 1, "em")
        k = (await call(world, "login", here)).mpid
        j = (await call(world, "login", there)).mpid
        first, second, third = many(world, 1, "das", 3)
        assert await lookup(world, em) == await lookup(world, third) == []
        await asyncio.sleep(1)
        assert kept(world) == {}
        before = alive()

        world.crash_shard(1, AWAY_S)
        fresh = many(world, 1, "cid", 2000)
        gone: list[Coroutine[Any, Any, Any]] = []
        gone += [call(world, "login", each) for each in fresh]  # new users
        gone += [lookup(world, first) for _ in range(500)]  # one entry
        gone += [record(world, STRANGER + each) for each in range(500)]
        gone += [batches(world, [f"{here} {first}", f"{here} {second}", first]) for _ in range(100)]
        assert await outcomes(gone) == {"ShardUnavailable": 3100}

        # What is being written there, and those who wait for it.
        taking = modify(world, k, "em", None, em.removeprefix("em:"))
        stamps = many(world, 0, "das", 300)
        waiting = [call(world, "login", f"{here} {each}") for each in stamps]
        patient = [batch(world, f"{here} {each}") for each in stamps]
        assert (await outcomes([taking]))["answered"] == 0
        found = await outcomes([*waiting, *patient])
        assert found == {"ShardUnavailable": 400, "HotIdentity": 200}

        # What is decided and waits for the next commit, and those who would be told of it.
        collected = [call(world, "login", f"{there} {third}") for _ in range(200)]
        assert await outcomes(collected) == {"ShardUnavailable": 200}

        await asyncio.sleep(20)  # longer than a call to a shard
        assert world.shards[1] is None, "it is still away"
        assert alive() == before

        await asyncio.sleep(AWAY_S)
        assert kept(world) == {}
        assert alive() == before
        world.check()
        assert third in await held(world, j)
        for each in (fresh[0], fresh[-1], first):
            assert (await call(world, "login", each)).mpid not in (j, k)
        world.check()

    simulate(2, DEFAULT, 1, story)


def test_nothing_is_asked_for_calls_that_gave_up() -> None:
    async def story(world: SimulatedWorld) -> None:
        await call(world, "login", "cid:c1")
        world.crash_shard(0, AWAY_S)
        gone = await outcomes(call(world, "login", f"cid:n{each}") for each in range(100))
        assert gone == {"ShardUnavailable": 100}
        await asyncio.sleep(20)
        before = world.calls
        await asyncio.sleep(AWAY_S)
        assert world.calls == before

    simulate(1, DEFAULT, 1, story)


def test_what_waits_behind_a_question_goes_with_the_calls_that_wait_for_it() -> None:
    """Even while the shard has the question, and for however long."""

    async def story(world: SimulatedWorld) -> None:
        await call(world, "login", "cid:c1")
        world.delay_findings(0, 9.0)
        first = asyncio.create_task(outcomes([record(world, STRANGER)]))
        await asyncio.sleep(1)
        behind = await outcomes(call(world, "login", f"cid:n{each}") for each in range(1000))
        assert behind == {"ShardUnavailable": 1000}
        assert await first == {"ShardUnavailable": 1}
        assert kept(world) == {"sequencer._reader._lanes[0]._asked": 1}
        assert alive() == 0

    simulate(1, DEFAULT, 1, story)


def test_whether_an_mpid_is_taken_is_of_no_interest_to_a_call_that_gave_up() -> None:
    async def story(world: SimulatedWorld) -> None:
        first = (await call(world, "logout", "das:d1")).mpid
        await call(world, "logout", "das:d2")  # what was decided last is known after the start
        world.crash_coordinator(0.0)
        await asyncio.sleep(1)
        world.delay_findings(0, 7.0)
        assert await outcomes([call(world, "logout", "das:d1")]) == {"ShardUnavailable": 1}
        await asyncio.sleep(7)
        assert kept(world) == {}
        world.delay_findings(0, 0.0)
        assert (await call(world, "logout", "das:d1")).mpid != first

    for seed in range(10):  # of the slot's two MPIDs either is drawn
        with nothing_logged():
            simulate(1, DEFAULT, seed, story, mpids=3)
