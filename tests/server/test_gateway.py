"""What the gateway makes of several shards' answers, as far as whole tests do not show it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import server.gateway
from actors.clock import ManualClock
from actors.errors import CursorInvalid, ShardUnavailable
from actors.handles import CoordinatorHandle, ShardHandle
from actors.identity.calls import AliasRequest, IdentityCall, ModifyCall
from actors.identity.state import IdentityRecord
from actors.model.batches import BatchContext
from actors.model.deliveries import DeadLetter
from actors.model.micro_batches import Item
from actors.model.workspaces import Environment
from server.audience_gateway import AudienceGateway
from server.calculated_gateway import CalculatedGateway
from server.config_gateway import ConfigGateway
from server.deployment import GroupDirectory
from server.gateway import UNKNOWN_ALIAS_MPID, Gateway
from server.ingestion import Ingestion
from server.microbatch import QueueOptions, ShardQueue
from server.privacy_gateway import PrivacyGateway
from server.routing import Router
from tests.actors.forwarding.support import delivery

MAX_QUEUE_BYTES = 1000


class FakeShard:
    """Has dead letters, and a condition."""

    def __init__(self, *sequences: int, condition: str | None = "ok", **members: Any) -> None:
        self._letters = [
            DeadLetter(delivery(sequence, **members), "rejected", 5, 5)
            for sequence in sorted(sequences)
        ]
        self._condition = condition
        self.replayed: list[Sequence[str]] = []
        self.released = asyncio.Event()

    async def dead_letters(
        self, connection: int, after_sequence: int, limit: int
    ) -> list[DeadLetter]:
        return [each for each in self._letters if each.delivery.sequence > after_sequence][:limit]

    async def dead_letter(self, connection: int, delivery_id: str) -> DeadLetter | None:
        found = [each for each in self._letters if each.delivery.delivery_id == delivery_id]
        return found[0] if found else None

    async def discard(self, connection: int, delivery_ids: Sequence[str]) -> int:
        return len(delivery_ids)

    async def replay(self, connection: int, delivery_ids: Sequence[str]) -> int:
        self.replayed.append(delivery_ids)
        return len(self._letters)

    async def ready(self) -> str:
        if self._condition is None:
            raise ShardUnavailable("it does not answer")
        return self._condition

    async def commit(self, micro: bytes) -> bytes:
        await self.released.wait()
        raise ShardUnavailable("it does not answer")


class FakeCoordinator:
    """Has records, and keeps the aliases that it is handed."""

    def __init__(self, *known: tuple[Environment, int]) -> None:
        self._known = known
        self.aliases: list[AliasRequest] = []

    async def record(self, environment: Environment, mpid: int) -> IdentityRecord | None:
        return IdentityRecord([]) if (environment, mpid) in self._known else None

    async def alias(self, request: AliasRequest) -> None:
        self.aliases.append(request)

    async def lookup(self, environment: Environment, identity_type: str, value: str) -> list[int]:
        return [len(value)]


class DeadCoordinator:
    """Never answers."""

    def __getattr__(self, _: str) -> Callable[..., Awaitable[Any]]:
        async def call(*_: Any) -> None:
            await asyncio.Event().wait()

        return call


def gateway(
    *fakes: FakeShard, coordinator: FakeCoordinator | DeadCoordinator | None = None
) -> tuple[Gateway, list[ShardQueue]]:
    shards = [cast(ShardHandle, fake) for fake in fakes]
    options = QueueOptions(
        calls_in_flight=1, max_micro_batch_bytes=1000, max_queue_bytes=MAX_QUEUE_BYTES
    )
    queues = [ShardQueue(1, shard, options, ManualClock()) for shard in shards]
    ingestion = Ingestion(
        Router(1, (), frozenset(), frozenset(), frozenset()), queues, cast(CoordinatorHandle, None)
    )
    made = Gateway(
        shards,
        queues,
        ingestion,
        cast(CoordinatorHandle, coordinator),
        1,
        {1: "web-hook"},
        MAX_QUEUE_BYTES,
        cast(GroupDirectory, None),  # tests/whole/test_groups.py asks for groups
        cast(AudienceGateway, None),  # tests/server/routes/test_audiences.py asks for audiences
        cast(CalculatedGateway, None),  # tests/server/routes/test_calculated_attributes.py
        cast(PrivacyGateway, None),  # tests/whole/test_subject_requests.py
        cast(ConfigGateway, None),  # tests/whole/test_configuration.py asks for it
    )
    return made, queues


@given(
    st.lists(st.tuples(st.integers(1, 60), st.integers(0, 2)), unique_by=lambda each: each[0]),
    st.integers(1, 10),
)
@settings(deadline=None)
async def test_pages_of_dead_letters_are_one_list(
    placed: list[tuple[int, int]], limit: int
) -> None:
    """Oldest first over all shards, none twice and none left out."""
    fakes = [
        FakeShard(*(sequence for sequence, place in placed if place == shard)) for shard in range(3)
    ]
    made, _ = gateway(*fakes)
    ids: list[str] = []
    cursor: str | None = None
    while True:
        page = await made.dead_letters(1, limit, cursor)
        assert len(page["items"]) <= limit
        ids += [item["delivery_id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        assert page["items"]
    assert ids == [delivery(sequence).delivery_id for sequence, _ in sorted(placed)]


@pytest.mark.parametrize("cursor", ["x", "1.5", "9" * 30, ""])
async def test_a_cursor_of_dead_letters_that_was_never_given_out_is_refused(cursor: str) -> None:
    made, _ = gateway(FakeShard(1))
    with pytest.raises(CursorInvalid):
        await made.dead_letters(1, 10, cursor)


async def test_a_dead_letter_is_found_on_whichever_shard_has_it() -> None:
    made, _ = gateway(FakeShard(1), FakeShard(2), FakeShard(3))
    found = await made.dead_letter(1, delivery(3).delivery_id)
    assert found is not None
    assert found["delivery_id"] == delivery(3).delivery_id
    assert await made.dead_letter(1, "dl_none") is None


async def test_of_dead_letters_with_one_id_on_several_shards_the_oldest_is_found() -> None:
    """Ids of deliveries of two users may be the same."""
    made, _ = gateway(*(FakeShard(number, delivery_id="dl_a", mpid=number) for number in (3, 2, 4)))
    found = await made.dead_letter(1, "dl_a")
    assert found is not None
    assert found["mpid"] == 2


async def test_a_replay_is_counted_over_all_shards() -> None:
    fakes = [FakeShard(1, 2), FakeShard(), FakeShard(3)]
    made, _ = gateway(*fakes)
    assert await made.replay_dead_letters(1, ["dl_1"]) == 3
    assert [fake.replayed for fake in fakes] == [[["dl_1"]]] * 3


@pytest.mark.parametrize(
    ("conditions", "shards", "storage"),
    [
        pytest.param(["ok", "ok"], "2/2", "ok", id="well"),
        pytest.param(["ok", None], "1/2", "ok", id="one does not answer"),
        pytest.param([None, None], "0/2", "ok", id="none answers"),
        pytest.param(["ok", "the disk is full"], "2/2", "the disk is full", id="no room"),
    ],
)
async def test_readiness_says_what_is_wrong(
    conditions: list[str | None], shards: str, storage: str
) -> None:
    """spec/observability.md, 7."""
    made, _ = gateway(*(FakeShard(condition=each) for each in conditions))
    checks = await made.readiness()
    assert (checks["shards"], checks["storage"], checks["queue"]) == (shards, storage, "ok")


async def test_a_queue_that_is_half_full_is_told() -> None:
    shard = FakeShard()
    made, [queue] = gateway(shard)
    where = BatchContext(1, "k", "server_to_server", 5)

    def submit(size: int) -> Any:
        return queue.submit(where, [Item(b"x" * size, 0)])

    futures = [submit(1), submit(400)]  # the first is on its way
    assert (await made.readiness())["queue"] == "ok"
    futures.append(submit(100))
    assert queue.waiting_bytes > MAX_QUEUE_BYTES / 2
    shard.released.set()
    outcomes = await asyncio.gather(*futures, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ShardUnavailable] * 3


@pytest.mark.parametrize(
    ("environment", "destination", "is_known"),
    [
        pytest.param("production", 6, True, id="both exist"),
        pytest.param("development", 6, False, id="in the other environment"),
        pytest.param("production", 7, False, id="one does not"),
    ],
)
async def test_an_alias_is_handed_on_if_both_mpids_exist(
    environment: Environment, destination: int, is_known: bool
) -> None:
    """spec/identity.md, worked case 32."""
    coordinator = FakeCoordinator(("production", 5), ("production", 6))
    made, _ = gateway(FakeShard(), coordinator=coordinator)
    request = AliasRequest("r", environment, 5, destination, 1, 2, "mpid", None, 3, 1)
    problem = await made.alias(request)
    assert problem == (None if is_known else UNKNOWN_ALIAS_MPID)
    assert coordinator.aliases == ([request] if is_known else [])


async def test_an_identity_call_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """spec/identity.md, 4.4, row 19; whatever the patience with shards is elsewhere."""
    assert server.gateway.IDENTITY_PATIENCE_S == 5.0
    monkeypatch.setattr(server.gateway, "IDENTITY_PATIENCE_S", 0.0)
    made, _ = gateway(FakeShard(), coordinator=DeadCoordinator())
    call = IdentityCall("identify", "production", {"email": "a"}, 1)
    asked: list[Awaitable[Any]] = [
        made.identity_call(call),
        made.modify(ModifyCall("production", 5, (), 1)),
        made.alias(AliasRequest("r", "production", 5, 6, 1, 2, "mpid", None, 3, 1)),
    ]
    for each in asked:
        with pytest.raises(ShardUnavailable):
            await each


async def test_operators_look_identities_up_where_they_are_decided() -> None:
    """spec/identity.md, Requirements: reads see committed states only; no shard is asked."""
    made, _ = gateway(coordinator=FakeCoordinator())
    assert await made.lookup("production", "email", "four") == [4]


async def test_dead_letters_are_deleted_on_all_shards() -> None:
    made, _ = gateway(FakeShard(1), FakeShard(2), FakeShard(3))
    assert await made.discard_dead_letters(1, ["dl_1", "dl_2"]) == 6
