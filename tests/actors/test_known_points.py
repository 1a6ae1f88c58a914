"""The data points that a shard knows: they follow what is on disk, and are bounded."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from actors import known_points
from actors.known_points import KnownPoints
from actors.outgoing import outgoing_batch
from actors.pipeline.points import DataPoint
from actors.pipeline.settings import DataFilter, PipelineSettings
from actors.points_exchange import PointsExchange
from actors.store import data_points, log
from actors.store.environment import Store
from tests.actors.forwarding.support import connection
from tests.actors.pipeline.support import RECEIVED_MS, batch_of, custom
from tests.actors.test_outgoing import workspace

CHOOSING = connection(1, pipeline=PipelineSettings(filter=DataFilter(sends_new=False)))
OPEN = DataPoint("Event", "other", "Open")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "store", 16 * 1024 * 1024)
    yield made
    made.close()


def known(store: Store) -> KnownPoints:
    with store.read() as txn:
        return KnownPoints(store, txn)


def see(points: KnownPoints, *names: str) -> None:
    batch = batch_of(*(custom(name) for name in names))
    points.see(batch, outgoing_batch(batch, None, workspace(), []))


def test_points_of_a_failed_transaction_are_forgotten(store: Store) -> None:
    points = known(store)
    points.begin([CHOOSING], RECEIVED_MS - 1)
    see(points, "Open")
    points.abandon()
    assert points.data_points() == {}
    see(points, "Open")
    with store.write() as txn:
        points.write(txn)
    points.published()
    again = known(store)
    again.begin([CHOOSING], RECEIVED_MS + 10)
    assert again.data_points() == {OPEN: RECEIVED_MS}
    assert not again.is_known_to(1, OPEN)  # the connection was active before


def test_a_connection_of_later_knows_more(store: Store) -> None:
    points = known(store)
    points.begin([CHOOSING], RECEIVED_MS - 1)
    see(points, "Open")
    later = connection(2, pipeline=CHOOSING.pipeline)
    points.begin([CHOOSING, later], RECEIVED_MS + 1)
    assert [points.is_known_to(number, OPEN) for number in (1, 2, 3)] == [False, True, False]


def test_a_connection_of_later_knows_what_only_the_log_has(store: Store) -> None:
    points = known(store)
    points.begin([CHOOSING], RECEIVED_MS - 9)
    see(points, "Open")
    with store.write() as txn:
        log.append(txn, replace(batch_of(custom("Open")), received_ms=RECEIVED_MS - 10))
        log.append(txn, replace(batch_of(custom("Ping")), log_id=9))
    later = connection(2, pipeline=CHOOSING.pipeline)
    points.begin([CHOOSING, later], RECEIVED_MS + 1)
    ping = DataPoint("Event", "other", "Ping")
    assert [points.is_known_to(number, ping) for number in (1, 2)] == [False, True]
    assert not points.is_known_to(1, OPEN)  # it has been left out as a new one till now
    with store.read() as txn:
        assert data_points.read_points(txn)[ping] == RECEIVED_MS


def test_there_are_at_most_so_many(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_points, "MAX_POINTS", 2)
    points = known(store)
    points.begin([CHOOSING], RECEIVED_MS)
    see(points, "A", "B", "C")
    assert {each.name for each in points.data_points()} == {"A", "B"}


@pytest.mark.parametrize("is_active", [True, False])
def test_nothing_is_tracked_for_connections_that_get_everything(
    store: Store, is_active: bool
) -> None:
    points = known(store)
    inactive = connection(1, is_active=False, pipeline=CHOOSING.pipeline)
    points.begin([connection(2) if is_active else inactive], RECEIVED_MS)
    assert not points.is_tracking


class FakeShard:
    """Knows points; counts what it is asked."""

    def __init__(self, **points: int) -> None:
        self.points = {DataPoint("Event", "other", name): each for name, each in points.items()}
        self.told = 0

    async def point_count(self) -> int:
        return len(self.points)

    async def data_points(self) -> dict[DataPoint, int]:
        return dict(self.points)

    async def learn_points(self, points: dict[DataPoint, int]) -> None:
        self.told += 1
        self.points |= points


async def test_shards_tell_each_other_what_is_news_and_when_it_was_first_received() -> None:
    first, second = FakeShard(a=1, b=9), FakeShard(b=2)
    exchange = PointsExchange([first, second])
    for _ in range(2):
        await exchange.work()
        assert first.points == second.points == FakeShard(a=1, b=2).points
        assert (first.told, second.told) == (1, 1)
    first.points |= FakeShard(c=3).points
    await exchange.work()
    assert second.points == first.points
    assert (first.told, second.told) == (1, 2)


async def test_what_a_shard_sees_while_others_are_told_is_told_the_next_time() -> None:
    class Seeing(FakeShard):
        async def learn_points(self, points: dict[DataPoint, int]) -> None:
            await super().learn_points(points)
            first.points |= FakeShard(late=3).points

    first, second = FakeShard(a=1), Seeing(b=2)
    exchange = PointsExchange([first, second])
    await exchange.work()
    await exchange.work()
    assert second.points == FakeShard(a=1, b=2, late=3).points
