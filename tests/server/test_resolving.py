"""What an edge asks the coordinator together, and what a shard that is away holds up."""

import asyncio
from collections.abc import Callable, Sequence
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.errors import ShardUnavailable, StoreFull
from actors.handles import CoordinatorHandle
from actors.model.micro_batches import Unresolved
from actors.store.keys import identity_key, shard_of_slot, slot_of_hash
from actors.store.slots import Slots, even
from server import resolving
from server.resolving import Resolver, shards_of_names

Requests = list[Unresolved]


def needing(*shards: int) -> Unresolved:
    """Make a request whose identities lie on these shards: the fake tells by the values."""
    return Unresolved("production", [("email", str(shard)) for shard in shards])


def shards_of(request: Unresolved) -> frozenset[int]:
    return frozenset(int(value) for _, value in request.identities)


def mpid_of(request: Unresolved) -> int:
    """Return what the fake coordinator answers."""
    return sum(1 << int(value) for _, value in request.identities)


class FakeCoordinator:
    """Answers a call once all shards that it needs are there."""

    def __init__(self) -> None:
        self.calls: list[Requests] = []
        self.away: set[int] = set()
        self.error: Exception | None = None
        self._waiters: list[asyncio.Event] = []
        self.is_held = False

    async def resolve(self, requests: Sequence[Unresolved]) -> list[int]:
        self.calls.append(list(requests))
        needed = {shard for each in requests for shard in shards_of(each)}
        while self.is_held or needed & self.away:
            if self.error is not None and needed & self.away:
                raise self.error
            self._waiters.append(asyncio.Event())
            await self._waiters[-1].wait()
        return [mpid_of(each) for each in requests]

    def release(self, error: Exception | None = None) -> None:
        """Let calls go on, those that need a shard that is away with an error if there is one."""
        self.is_held = False
        self.error = error
        if error is None:
            self.away.clear()
        waiters, self._waiters = self._waiters, []
        for each in waiters:
            each.set()


@pytest.fixture
def coordinator() -> FakeCoordinator:
    return FakeCoordinator()


@pytest.fixture
def resolver(coordinator: FakeCoordinator) -> Resolver:
    return Resolver(cast(CoordinatorHandle, coordinator), shards_of)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls are overdue at once."""
    monkeypatch.setattr(resolving, "OVERDUE_S", 0.0)


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_so():  # noqa: ASYNC110  # any condition
            await asyncio.sleep(0)


async def test_what_comes_during_a_call_goes_with_the_next_one(
    resolver: Resolver, coordinator: FakeCoordinator
) -> None:
    coordinator.is_held = True
    first = asyncio.create_task(resolver.resolve([needing(0)]))
    await until(lambda: len(coordinator.calls) == 1)
    rest = [asyncio.create_task(resolver.resolve([needing(n), needing(2)])) for n in (1, 0)]
    for _ in range(5):
        await asyncio.sleep(0)
    assert coordinator.calls == [[needing(0)]]
    coordinator.release()
    assert await first == [mpid_of(needing(0))]
    assert await asyncio.gather(*rest) == [
        [mpid_of(needing(number)), mpid_of(needing(2))] for number in (1, 0)
    ]
    assert coordinator.calls[1:] == [[needing(1), needing(2), needing(0), needing(2)]]


@pytest.mark.usefixtures("soon")
async def test_a_shard_that_is_away_delays_only_those_that_need_it(
    resolver: Resolver, coordinator: FakeCoordinator
) -> None:
    """spec/identity.md, V15; also those that were asked for in one call with them."""
    coordinator.away = {1}
    stuck = asyncio.create_task(resolver.resolve([needing(0), needing(1)]))
    mixed = [asyncio.create_task(resolver.resolve([needing(n)])) for n in (0, 1, 2)]
    assert await mixed[0] == [mpid_of(needing(0))]
    assert await mixed[2] == [mpid_of(needing(2))]
    for _ in range(3):  # those that come later do not wait for it either
        assert await resolver.resolve([needing(0, 2), needing(2)]) == [
            mpid_of(needing(0, 2)),
            mpid_of(needing(2)),
        ]
    assert not stuck.done()
    assert not mixed[1].done()
    coordinator.release()
    assert await stuck == [mpid_of(needing(0)), mpid_of(needing(1))]
    assert await mixed[1] == [mpid_of(needing(1))]


@pytest.mark.usefixtures("soon")
async def test_only_those_that_need_it_learn_that_a_shard_is_away(
    resolver: Resolver, coordinator: FakeCoordinator
) -> None:
    coordinator.away = {1}
    together = [asyncio.create_task(resolver.resolve([needing(n)])) for n in (0, 1)]
    assert await together[0] == [mpid_of(needing(0))]
    coordinator.release(ShardUnavailable("away"))
    with pytest.raises(ShardUnavailable):
        await together[1]


async def test_what_the_coordinator_raises_is_raised(
    resolver: Resolver, coordinator: FakeCoordinator
) -> None:
    coordinator.away = {1}
    asked = asyncio.create_task(resolver.resolve([needing(1)]))
    await until(lambda: len(coordinator.calls) == 1)
    coordinator.release(StoreFull("no room"))
    with pytest.raises(StoreFull):
        await asked


@pytest.mark.usefixtures("soon")
async def test_afterwards_all_goes_together_again(
    resolver: Resolver, coordinator: FakeCoordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    coordinator.away = {1}
    stuck = asyncio.create_task(resolver.resolve([needing(1)]))
    await until(lambda: len(coordinator.calls) == 2)
    coordinator.release()
    await stuck
    await until(lambda: not resolver._overdue)
    monkeypatch.setattr(resolving, "OVERDUE_S", 60.0)
    count = len(coordinator.calls)
    coordinator.is_held = True
    tasks = [asyncio.create_task(resolver.resolve([needing(n)])) for n in (0, 1, 2)]
    await until(lambda: len(coordinator.calls) == count + 1)
    coordinator.release()
    await asyncio.gather(*tasks)
    assert len(coordinator.calls) == count + 2


async def test_nobody_is_asked_for_who_has_gone(
    resolver: Resolver, coordinator: FakeCoordinator
) -> None:
    coordinator.is_held = True
    first = asyncio.create_task(resolver.resolve([needing(0)]))
    await until(lambda: len(coordinator.calls) == 1)
    gone = asyncio.create_task(resolver.resolve([needing(1)]))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    coordinator.release()
    await first
    assert await resolver.resolve([needing(2)]) == [mpid_of(needing(2))]
    assert coordinator.calls == [[needing(0)], [needing(2)]]


@settings(max_examples=50, deadline=None)
@given(
    asked=st.lists(
        st.lists(st.sets(st.integers(0, 3), min_size=1), min_size=1, max_size=4), max_size=6
    ),
    away=st.sets(st.integers(0, 3)),
    pauses=st.lists(st.integers(0, 4), min_size=6, max_size=6),
)
def test_everybody_gets_the_answers_to_what_was_asked(
    asked: list[list[set[int]]], away: set[int], pauses: list[int]
) -> None:
    """Whatever is away, and whenever it comes back."""

    async def run() -> None:
        coordinator = FakeCoordinator()
        coordinator.away = away
        resolver = Resolver(cast(CoordinatorHandle, coordinator), shards_of)
        tasks = []
        for some, pause in zip(asked, pauses, strict=False):
            requests = [needing(*sorted(each)) for each in some]
            tasks.append((requests, asyncio.create_task(resolver.resolve(requests))))
            for _ in range(pause):
                await asyncio.sleep(0)
        coordinator.release()
        async with asyncio.timeout(10):
            for requests, task in tasks:
                assert await task == [mpid_of(each) for each in requests]
            await until(lambda: not resolver._tasks)
        assert (resolver._overdue, resolver._busy, resolver._waiting) == (0, set(), {})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resolving, "OVERDUE_S", 0.0)
        asyncio.run(run())


def test_the_shards_of_a_request_are_those_of_its_identities() -> None:
    """In their canonical form, as the index has them."""
    request = Unresolved("development", [("customerid", "A"), ("email", " A@b.Example ")])
    expected = {
        shard_of_slot(slot_of_hash(identity_key(7, "development", kind, value)), 5)
        for kind, value in (("customerid", "A"), ("email", "a@b.example"))
    }
    assert shards_of_names(7, Slots(even(5)))(request) == expected
