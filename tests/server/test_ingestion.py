"""Batches find their way whatever the first shard says, and stay in order per user."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, cast

import msgspec
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.clock import ManualClock
from actors.errors import Problem, ShardUnavailable, SlotsMoved, StoreFull
from actors.handles import CoordinatorHandle, ShardHandle
from actors.model.batches import BatchContext
from actors.model.micro_batches import (
    Accepted,
    Deferred,
    Duplicate,
    Elsewhere,
    EventName,
    EventNames,
    Item,
    MicroBatch,
    Moved,
    Rejected,
    Result,
    Unregistered,
    Unresolved,
    Whose,
)
from actors.store.keys import (
    MPID_RANDOM_BITS,
    SLOTS,
    identity_key,
    shard_of_slot,
    slot_of_hash,
    slot_of_mpid,
)
from actors.store.slots import Placed, SlotMap, Slots, even
from server.ingestion import Ingestion
from server.microbatch import QueueOptions, ShardQueue
from server.received import QueueFull
from server.routing import Router

SHARDS = 3
CONTEXT = BatchContext(1, "k", "server_to_server", 5)


class Truth:
    """Which customer has which MPID, and what was applied: the shards' common knowledge."""

    def __init__(self) -> None:
        self.mpids: dict[str, int] = {}
        self.names: set[str] = set()
        self.applied: list[tuple[int, str, int]] = []  # MPID, customer, number of the batch
        self.calls: list[tuple[int, list[int]]] = []  # shard, numbers of the batches
        self.asked: list[list[str]] = []  # of the coordinator
        self.failure: Exception | None = None
        self.moving: SlotMap | None = None  # the map by which shards own slots, if not evenly

    def customer(self, body: dict[str, Any]) -> str:
        """Return whose a batch is that names an MPID or a customer."""
        if "mpid" in body:
            return next(each for each, mpid in self.mpids.items() if mpid == body["mpid"])
        name: str = body["user_identities"]["customer_id"]
        return name

    def owner(self, mpid: int) -> int:
        """Return the shard that owns an MPID."""
        return Slots(self.moving or even(SHARDS)).shard_of(slot_of_mpid(mpid))

    def mpid_on(self, shard: int) -> int:
        """Make an MPID that lives on a shard."""
        slot = (shard * SLOTS + SLOTS // 2) // SHARDS
        return slot << MPID_RANDOM_BITS | len(self.mpids) + 1


def first_shard(customer: str) -> int:
    """Return the shard that owns a customer's identity."""
    return shard_of_slot(
        slot_of_hash(identity_key(1, "production", "customerid", customer)), SHARDS
    )


class FakeShard:
    """Keeps the contract of a shard toward the edge: applies, or says where to go."""

    def __init__(self, number: int, truth: Truth) -> None:
        self._number = number
        self._truth = truth

    async def commit(self, micro: bytes) -> bytes:
        call = msgspec.msgpack.decode(micro, type=MicroBatch)
        bodies = [orjson.loads(item.raw) for item in call.items]
        self._truth.calls.append((self._number, [body["n"] for body in bodies]))
        await asyncio.sleep(0)
        if self._truth.failure is not None:
            raise self._truth.failure
        if call.event_names is not None:
            self._truth.names |= {name.name for name in call.event_names.admitted}
        results: list[Result] = []
        held_up: set[int] = set()
        for item, body in zip(call.items, bodies, strict=True):
            result = Deferred() if item.unit in held_up else self._result(item, body)
            if isinstance(result, Elsewhere | Moved | Unresolved | Unregistered):
                held_up.add(item.unit)
            results.append(result)
        return msgspec.msgpack.encode(results)

    def _result(self, item: Item, body: dict[str, Any]) -> Result:
        if body.get("bad"):
            return Rejected([Problem("bad")])
        if body.get("again"):
            return Duplicate("duplicate_request_id")
        customer = self._truth.customer(body)
        if "blocked" in body:  # its identities: shard to the slot where it goes from there
            slot = body["blocked"].get(str(self._number))
            if slot is not None:
                return Elsewhere(slot)
            self._truth.applied.append((0, customer, body["n"]))
            return Accepted(None, 1)
        mpid = self._truth.mpids.get(customer)
        if item.mpid is not None and not item.is_guess:
            mpid = item.mpid
        elif mpid is None or body.get("fresh"):
            return Unresolved("production", [("customerid", customer)])
        if self._truth.owner(mpid) != self._number:
            return Moved(mpid)
        if item.is_question:
            return Whose(mpid)
        name = body.get("name")
        if name is not None and name not in self._truth.names:
            return Unregistered([EventName("custom_event", name)])
        self._truth.applied.append((mpid, customer, body["n"]))
        return Accepted(mpid, 1)


class FakeCoordinator:
    """Gives customers MPIDs on the shard after that of their identity."""

    def __init__(self, truth: Truth) -> None:
        self._truth = truth

    async def resolve(self, requests: Sequence[Unresolved]) -> list[int]:
        customers = [request.identities[0][1] for request in requests]
        self._truth.asked.append(customers)
        await asyncio.sleep(0)
        for customer in customers:
            if customer not in self._truth.mpids:
                shard = (first_shard(customer) + 1) % SHARDS
                self._truth.mpids[customer] = self._truth.mpid_on(shard)
        return [self._truth.mpids[customer] for customer in customers]

    async def admit_event_names(self, names: Sequence[EventName]) -> EventNames:
        return EventNames(list(names), is_full=False)


class Edge:
    """An edge's way to fake shards."""

    def __init__(self, **options: int) -> None:
        self.truth = Truth()
        defaults = {
            "calls_in_flight": 2,
            "max_micro_batch_bytes": 1000,
            "max_queue_bytes": 100_000,
        }
        clock = ManualClock()
        self.slots = Slots(even(SHARDS))
        waiting = [
            ShardQueue(
                1,
                cast(ShardHandle, FakeShard(number, self.truth)),
                QueueOptions(**(defaults | options)),
                clock,
            )
            for number in range(SHARDS)
        ]
        self.queues = queues = Placed(waiting, self.slots)
        customer = frozenset({"customerid"})
        router = Router(1, ("customerid", "email"), customer, customer, frozenset())
        coordinator = cast(CoordinatorHandle, FakeCoordinator(self.truth))
        self.ingestion = Ingestion(router, queues, coordinator)

    async def apply(self, *bodies: dict[str, Any]) -> list[Any]:
        raws = [orjson.dumps(body | {"n": number}) for number, body in enumerate(bodies)]
        return list(await self.ingestion.apply(raws, CONTEXT))

    def order(self, customer: str) -> list[int]:
        """Return which batches of a customer were applied, in their order."""
        return [number for _, name, number in self.truth.applied if name == customer]


def of(customer: str, **members: Any) -> dict[str, Any]:
    return {"user_identities": {"customer_id": customer}, **members}


async def test_a_known_user_takes_one_call() -> None:
    edge = Edge()
    mpid = edge.truth.mpids["a"] = edge.truth.mpid_on(first_shard("a"))
    assert await edge.apply(of("a"), of("a")) == [Accepted(mpid, 1)] * 2
    assert edge.truth.calls == [(first_shard("a"), [0, 1])]
    assert edge.truth.asked == []


async def test_results_are_in_the_order_of_the_request() -> None:
    edge = Edge()
    customers = [f"c{number}" for number in range(20)]
    results = await edge.apply(*(of(customer) for customer in customers))
    assert [result.mpid for result in results] == [edge.truth.mpids[each] for each in customers]
    assert len({shard for shard, _ in edge.truth.calls}) == SHARDS
    assert len(edge.truth.asked) == 1  # all together


async def test_an_unresolved_user_keeps_its_order() -> None:
    edge = Edge()
    results = await edge.apply(of("a"), of("b"), of("a"), of("b"), of("a"))
    assert all(isinstance(result, Accepted) for result in results)
    assert [edge.order("a"), edge.order("b")] == [[0, 2, 4], [1, 3]]


async def test_a_user_who_lives_elsewhere_is_found_at_once_the_next_time() -> None:
    edge = Edge()
    home = (first_shard("a") + 1) % SHARDS
    edge.truth.mpids["a"] = edge.truth.mpid_on(home)
    await edge.apply(of("a"), of("a"))
    assert edge.order("a") == [0, 1]
    assert edge.truth.calls[0][0] == first_shard("a")
    edge.truth.calls.clear()
    await edge.apply(of("a"))
    assert edge.truth.calls == [(home, [0])]
    # One who has moved is found again, and a guess that is of no use is given up.
    edge.truth.mpids["a"] = edge.truth.mpid_on(first_shard("a"))
    await edge.apply(of("a"))
    edge.truth.calls.clear()
    await edge.apply(of("a"))
    assert edge.truth.calls == [(first_shard("a"), [0])]


def _slot_on(shard: int) -> int:
    return (shard * SLOTS + SLOTS // 2) // SHARDS


async def test_what_becomes_nobodys_by_blocking_is_handed_over_in_its_order() -> None:
    edge = Edge()
    first = first_shard("a")
    other = (first + 1) % SHARDS
    blocked = of("a", blocked={str(first): _slot_on(other)})
    results = await edge.apply(blocked, of("a"), blocked)
    assert [results[0], results[2]] == [Accepted(None, 1)] * 2
    assert edge.order("a") == [0, 1, 2]


async def test_shards_that_do_not_have_the_same_plans_yet_are_asked_again_later() -> None:
    edge = Edge()
    around = {str(shard): _slot_on((shard + 1) % SHARDS) for shard in range(SHARDS)}
    with pytest.raises(ShardUnavailable, match="data plans"):
        await edge.apply(of("a", blocked=around))


async def test_bad_batches_and_repeats_hold_nobody_up() -> None:
    edge = Edge()
    results = await edge.apply(of("a", bad=True), of("a"), of("a", again=True), of("a"))
    kinds = [type(result) for result in results]
    assert kinds == [Rejected, Accepted, Duplicate, Accepted]
    assert edge.order("a") == [1, 3]


async def test_names_are_registered_without_losing_the_order() -> None:
    edge = Edge()
    edge.truth.mpids["a"] = edge.truth.mpid_on(first_shard("a"))
    results = await edge.apply(of("a", name="x"), of("a"), of("a", name="y"), of("b", name="x"))
    assert all(isinstance(result, Accepted) for result in results)
    assert edge.order("a") == [0, 1, 2]
    assert edge.truth.names == {"x", "y"}


async def test_batches_that_share_any_identity_stay_in_order() -> None:
    """Also through others: who they are is not known before they are resolved."""
    edge = Edge()
    shared = [
        {"user_identities": {"customer_id": "a", "email": "x@example.com"}},
        {"user_identities": {"customer_id": "b", "email": "X@example.com "}},
        {"user_identities": {"customer_id": "b", "email": "y@example.com"}},
        {"user_identities": {"customer_id": "c", "email": "y@example.com"}},
    ]
    results = await edge.apply(*shared)
    assert all(isinstance(result, Accepted) for result in results)
    assert [number for _, _, number in edge.truth.applied] == [0, 1, 2, 3]


async def test_a_user_named_in_several_ways_keeps_the_order_of_the_request() -> None:
    """spec/events-api.md, 5.2: also where nothing that the batches share says that it is one."""
    edge = Edge()
    home = first_shard("a")
    other = next(name for name in "bcdefghijklmn" if first_shard(name) == home)
    edge.truth.mpids["a"] = edge.truth.mpids[other] = edge.truth.mpid_on(home)
    results = await edge.apply(of("a"), of(other), of("a"))
    assert all(isinstance(result, Accepted) for result in results)
    assert [number for _, _, number in edge.truth.applied] == [0, 1, 2]


@pytest.mark.parametrize("distance", range(SHARDS))
async def test_a_user_named_by_mpid_behind_a_batch_that_comes_back_waits_for_it(
    distance: int,
) -> None:
    """spec/events-api.md, 5.2: wherever the batch before went first."""
    edge = Edge()
    home = (first_shard("a") + distance) % SHARDS
    mpid = edge.truth.mpids["a"] = edge.truth.mpid_on(home)
    new = next(each for each in "bcdefgh" if first_shard(each) == home)
    by_mpid: dict[str, Any] = {"mpid": mpid}
    results = await edge.apply(
        of("a", fresh=True), by_mpid, of(new), by_mpid | {"name": "x"}, of("a"), by_mpid
    )
    assert results[2] == Accepted(edge.truth.mpids[new], 1)
    assert [*results[:2], *results[3:]] == [Accepted(mpid, 1)] * 5
    assert edge.order("a") == [0, 1, 3, 4, 5]


async def test_whose_batches_are_is_asked_once_if_users_are_named_in_several_ways() -> None:
    """However many there are, and however many of them are new."""
    edge = Edge(max_micro_batch_bytes=100_000)
    bodies = []
    for number in range(20):
        mpid = edge.truth.mpids[f"c{number}"] = edge.truth.mpid_on(number % SHARDS)
        bodies += [of(f"new-{number}"), {"mpid": mpid}]
    results = await edge.apply(*bodies)
    assert all(isinstance(result, Accepted) for result in results)
    assert len(edge.truth.applied) == 40
    assert (len(edge.truth.calls), len(edge.truth.asked)) == (2 * SHARDS, 1)


async def test_users_named_in_several_ways_take_one_call_where_one_shard_has_them() -> None:
    edge = Edge()
    home = first_shard("a")
    mpid = edge.truth.mpids["a"] = edge.truth.mpid_on(home)
    assert await edge.apply(of("a"), {"mpid": mpid}) == [Accepted(mpid, 1)] * 2
    assert edge.truth.calls == [(home, [0, 1])]


@pytest.mark.parametrize("error", [StoreFull("full"), ShardUnavailable("gone")])
async def test_a_failure_is_the_requests(error: Exception) -> None:
    edge = Edge()
    edge.truth.failure = error
    with pytest.raises(type(error)):
        await edge.apply(of("a"), of("b"), of("c"), of("d"))
    edge.truth.failure = None
    assert len(await edge.apply(of("a"))) == 1


async def test_what_was_refused_because_slots_have_moved_goes_where_they_are_now() -> None:
    """In its order, and with a request's other batches as if nothing had been."""
    edge = Edge()
    home = first_shard("a")
    mpid = edge.truth.mpids["a"] = edge.truth.mpid_on(home)
    other = next(each for each in "bcdefgh" if first_shard(each) != home)
    edge.truth.mpids[other] = edge.truth.mpid_on(first_shard(other))
    following = edge.slots.map.moved(0, SLOTS - 1, (home + 1) % SHARDS)

    async def move() -> None:
        edge.truth.moving = following
        edge.slots.take_over(following)
        for queue in edge.queues:
            queue.refuse_waiting()

    applying = asyncio.create_task(edge.apply(of("a"), of("a"), of(other), of("a")))
    await asyncio.sleep(0)  # all is under way by the former map
    await move()
    results = await applying
    assert [each.mpid for each in results] == [mpid, mpid, edge.truth.mpids[other], mpid]
    assert (edge.order("a"), edge.order(other)) == ([0, 1, 3], [2])
    assert await edge.apply(of("a")) == [Accepted(mpid, 1)]
    assert edge.truth.calls[-1][0] == (home + 1) % SHARDS


async def test_who_does_not_know_yet_where_slots_have_moved_is_refused() -> None:
    edge = Edge()
    edge.truth.failure = SlotsMoved("slots have moved")
    with pytest.raises(SlotsMoved):
        await edge.apply(of("a"))
    with pytest.raises(SlotsMoved):
        await edge.apply(of("a"), of("b"), of("c"), of("d"))


def crowd(queues: Iterable[ShardQueue], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let queues have no room."""
    for queue in queues:
        monkeypatch.setattr(queue, "has_room", lambda *_: False)


async def test_a_full_queue_is_a_failure_but_for_what_is_further(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was applied of its request before would come again."""
    edge = Edge(calls_in_flight=1)
    crowd(edge.queues, monkeypatch)
    with pytest.raises(QueueFull):
        await edge.apply(of("a"))
    assert edge.truth.applied == []
    raws = [orjson.dumps(of("a", n=0))]
    assert len(await edge.ingestion.apply(raws, CONTEXT, is_further=True)) == 1


async def test_a_request_is_refused_whole_if_one_of_its_shards_has_no_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What another one had applied would come again."""
    edge = Edge(calls_in_flight=1)
    crowd([edge.queues[first_shard("a")]], monkeypatch)
    other = next(each for each in "bcdefgh" if first_shard(each) != first_shard("a"))
    with pytest.raises(QueueFull):
        await edge.apply(of(other), of("a"))
    assert edge.truth.applied == []
    assert len(await edge.apply(of(other))) == 1


async def test_a_request_that_was_taken_once_is_not_refused_on_its_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nor does it wait at the end of the line again: what is applied of it would be for nothing."""
    edge = Edge(calls_in_flight=1)

    class Crowding(FakeCoordinator):
        async def resolve(self, requests: Sequence[Unresolved]) -> list[int]:
            crowd(edge.queues, monkeypatch)
            return await super().resolve(requests)

    edge.ingestion._resolver._coordinator = cast(CoordinatorHandle, Crowding(edge.truth))
    edge.truth.mpids["a"] = edge.truth.mpid_on(first_shard("a"))
    results = await edge.apply(of("a"), of("b"), of("c"))
    assert [type(each) for each in results] == [Accepted] * 3
    assert edge.truth.asked
    with pytest.raises(QueueFull):
        await edge.apply(of("a"))


async def test_a_batch_that_nobody_takes_is_a_defect_not_a_loop() -> None:
    edge = Edge()

    class Lost(FakeShard):
        def _result(self, item: Item, body: dict[str, Any]) -> Result:
            return Moved(edge.truth.mpid_on((self._number + 1) % SHARDS))

    clock = ManualClock()
    options = QueueOptions(calls_in_flight=1, max_micro_batch_bytes=1000, max_queue_bytes=1000)
    queues = [
        ShardQueue(1, cast(ShardHandle, Lost(number, edge.truth)), options, clock)
        for number in range(SHARDS)
    ]
    customer = frozenset({"customerid"})
    router = Router(1, ("customerid",), customer, customer, frozenset())
    coordinator = cast(CoordinatorHandle, FakeCoordinator(edge.truth))
    with pytest.raises(RuntimeError, match="no shard"):
        await Ingestion(router, queues, coordinator).apply([orjson.dumps(of("a", n=0))], CONTEXT)


batches = st.lists(
    st.builds(
        lambda customer, name, kind: of(customer, name=name) | ({kind: True} if kind else {}),
        st.sampled_from("abcdef"),
        st.sampled_from([None, None, "x", "y"]),
        st.sampled_from([None, None, None, "bad", "again", "fresh", "named"]),
    ),
    min_size=1,
    max_size=20,
)
homes = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, SHARDS - 1))


def named(edge: Edge, body: dict[str, Any]) -> dict[str, Any]:
    """Name the user by MPID instead, if that is wanted and he has one."""
    mpid = edge.truth.mpids.get(body["user_identities"]["customer_id"])
    if "named" not in body or mpid is None:
        return body
    return {"mpid": mpid, "name": body["name"]}


@given(st.lists(batches, min_size=1, max_size=3), homes)
@settings(max_examples=150, deadline=None)
def test_every_batch_is_applied_once_and_in_order(
    requests: list[list[dict[str, Any]]], known: dict[str, int]
) -> None:
    """Requests one after the other; of each, whatever has to be asked for first."""

    async def run() -> None:
        edge = Edge(max_micro_batch_bytes=200)
        for customer, shard in known.items():
            edge.truth.mpids[customer] = edge.truth.mpid_on(shard)
        for bodies in requests:
            edge.truth.applied.clear()
            bodies = [named(edge, body) for body in bodies]
            results = await edge.apply(*bodies)
            for number, (body, result) in enumerate(zip(bodies, results, strict=True)):
                if body.get("bad"):
                    assert isinstance(result, Rejected)
                elif body.get("again"):
                    assert isinstance(result, Duplicate)
                else:
                    customer = edge.truth.customer(body)
                    assert result == Accepted(edge.truth.mpids[customer], 1)
                    assert sum(each == number for _, _, each in edge.truth.applied) == 1
            for customer in "abcdef":
                assert edge.order(customer) == sorted(edge.order(customer))

    asyncio.run(run())
