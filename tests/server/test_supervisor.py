"""What the supervisor does when an actor misbehaves in a way that nobody foresaw."""

import asyncio
from pathlib import Path
from typing import cast

import pytest

from actors.clock import ManualClock
from actors.errors import ActorFailed, ShardUnavailable
from actors.metric_groups import AdminMetrics
from actors.remote import Handle
from server import supervisor
from server.supervisor import Supervisor, Watched


class Actor:
    """Answers; `pid` fails the first time."""

    def __init__(self) -> None:
        self.asked = 0
        self.asked_again = asyncio.Event()

    def within(self, _: float) -> "Actor":
        return self

    async def pid(self) -> int:
        self.asked += 1
        if self.asked == 1:
            raise LookupError("nobody expects this")
        self.asked_again.set()
        return 7


async def test_an_error_that_nobody_expects_does_not_end_the_watch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Else an edge that is restarted later would never be told to listen."""
    monkeypatch.setattr(supervisor, "CHECK_S", 0.0)
    actor = Actor()
    watched = [Watched("coordinator", "0", cast(Handle, actor))]
    watching = asyncio.create_task(
        Supervisor(watched, AdminMetrics("test"), 60.0, tmp_path, ManualClock()).run()
    )
    async with asyncio.timeout(5):
        await actor.asked_again.wait()
    assert not watching.done()
    assert [record.message for record in caplog.records] == ["the supervisor failed; it goes on"]
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


class Gone:
    """An actor whose constructor fails: Ray will not start it again."""

    def within(self, _: float) -> "Gone":
        return self

    async def pid(self) -> int:
        raise ActorFailed("shard-0: its store is damaged")


async def test_an_actor_that_is_gone_for_good_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`serve` ends then: whoever started it can start it again."""
    monkeypatch.setattr(supervisor, "CHECK_S", 0.0)
    watched = [Watched("shard", "0", cast(Handle, Gone()))]
    made = Supervisor(watched, AdminMetrics("test"), 60.0, tmp_path, ManualClock())
    watching = asyncio.create_task(made.run())
    async with asyncio.timeout(5):
        assert str(await made.failure) == "shard-0: its store is damaged"
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


class Away(Actor):
    """An actor that does not answer at first."""

    async def pid(self) -> int:
        self.asked += 1
        if self.asked <= 3:
            raise ShardUnavailable("edge-0 does not answer")
        return 7


async def test_who_is_back_from_death_begins_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def paused(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", paused)
    actor, begun = Away(), asyncio.Event()

    async def begin() -> None:
        begun.set()

    watched = [Watched("edge", "0", cast(Handle, actor), begin)]
    metrics = AdminMetrics("test")
    checking = Supervisor(watched, metrics, 60.0, tmp_path, ManualClock())
    await checking._check()
    assert begun.is_set()
    assert pauses == [supervisor.AGAIN_S] * 3
    labels = {"role": "edge", "id": "0"}
    restarts = metrics.registry.get_sample_value("headwater_actor_restarts_total", labels)
    assert restarts == 0, "the first of them would be no rise to Prometheus"


class Swept:
    """A shard that has something to remove for so many calls of 0.2 s."""

    def __init__(self, clock: ManualClock, calls: int) -> None:
        self._clock = clock
        self.calls = calls

    def within(self, _: float) -> "Swept":
        return self

    async def sweep(self) -> bool:
        self._clock.advance(200)
        self.calls -= 1
        return self.calls > 0


@pytest.mark.parametrize(("calls", "left"), [(1, 0), (2, 0), (3, 0), (10, 7)])
async def test_a_shard_is_swept_again_at_once_while_it_removes_something(
    tmp_path: Path, calls: int, left: int
) -> None:
    """For half a second; the rest has to wait for the next time."""
    clock = ManualClock()
    shard = Swept(clock, calls)
    watched = [Watched("shard", "0", cast(Handle, shard))]
    await Supervisor(watched, AdminMetrics("test"), 60.0, tmp_path, clock)._sweep()
    assert shard.calls == left
