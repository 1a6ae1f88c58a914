"""Shards and a sequencer of aliases in one process, which can be made to die at every step."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast

from msgspec import Struct

from actors.alias_runner import AliasRunner
from actors.clock import ManualClock
from actors.identity.alias_calls import AliasShard
from actors.identity.aliases import Alias
from actors.identity.calls import AliasRequest
from actors.metric_groups import CoordinatorMetrics
from actors.model.micro_batches import Accepted
from actors.model.profiles import Profile
from actors.profiles.timeline import TimelineQuery
from actors.shard import Shard
from actors.shard_aliases import ShardAliases
from actors.shard_views import ShardViews
from actors.store.environment import Store
from actors.store.keys import shard_of_slot, slot_of_mpid
from tests.actors.profiles.builders import DAY, NOW
from tests.actors.shards import (
    MAP_SIZE_BYTES,
    context,
    disk,
    item,
    micro,
    open_shard,
    opened,
    profile_of,
)

SOURCE, DESTINATION, OTHER = 5, 0xFFFF << 37 | 7, 0x8000 << 37 | 9  # on three of three shards
THEN = NOW - 4 * DAY  # long enough ago for historical batches
STAMPS = ("6f9619ff-8b86-4d01-b42d-00cf4fc964f1", "6f9619ff-8b86-4d01-b42d-00cf4fc964f2")


class Killed(BaseException):
    """The process is gone."""


class Death:
    """Ends the process before or after its step number `step`, counted from 0; -1: never."""

    def __init__(self, step: int = -1) -> None:
        self._left = step

    def step(self) -> None:
        """Live through a step, or not."""
        if self._left == 0:
            raise Killed
        self._left -= 1


class Sent(Struct, frozen=True):
    """A batch: the times of its events in ms after `THEN`, and its device."""

    times: tuple[int, ...]
    device: int = 0
    is_historical: bool = False


class MortalShard:
    """A shard's part in aliases as a handle to it; the process may die around every call."""

    def __init__(self, target: ShardAliases, death: Death) -> None:
        self._target = target
        self._death = death

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._target, name)

        async def call(*arguments: Any) -> Any:
            self._death.step()
            result = method(*arguments)
            self._death.step()
            return result

        return call


class MortalRunner(AliasRunner):
    """The sequencer; its process may die around every write of its own."""

    death: Death

    def _write(self, alias: Alias) -> None:
        self.death.step()
        super()._write(alias)
        self.death.step()


class Deployment:
    """Shards and a sequencer on a folder."""

    def __init__(
        self,
        shards: list[Shard],
        runner: MortalRunner,
        store: Store,
        clock: ManualClock,
        metrics: CoordinatorMetrics,
    ) -> None:
        self.shards = shards
        self.runner = runner
        self.store = store
        self.clock = clock
        self._metrics = metrics
        self._number = 0

    def shard(self, mpid: int) -> Shard:
        """Return the owner of an MPID."""
        return self.shards[shard_of_slot(slot_of_mpid(mpid), len(self.shards))]

    def send(self, mpid: int, sent: Sent, received_ms: int | None = None, **members: Any) -> None:
        """Apply a batch of a user that is received now, or at another time."""
        self._number += 1
        events = [
            {
                "event_type": "custom_event",
                "data": {"event_name": "Opened", "timestamp_unixtime_ms": THEN + at},
            }
            for at in sent.times
        ]
        body = opened(mpid, mp_deviceid=STAMPS[sent.device], **members) | {"events": events}
        where = context(received_ms or self.clock.now_ms(), is_historical=sent.is_historical)
        results = self.shard(mpid).commit(micro(self._number, item(body), where=where))
        assert results == [Accepted(mpid, len(events))]

    def profile(self, mpid: int) -> Profile:
        """Return a profile that exists."""
        profile = profile_of(self.shard(mpid), mpid)
        assert profile is not None
        return profile

    def timeline(self, mpid: int, limit: int = 1000) -> list[dict[str, Any]]:
        """Return all of a user's timeline, page by page."""
        views = ShardViews(self.shard(mpid), self.clock)
        items: list[dict[str, Any]] = []
        cursor = None
        while True:
            query = TimelineQuery(limit=limit, cursor=cursor)
            page = views.timeline(mpid, "production", query)
            assert page is not None
            items += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return items

    def copied(self, mpid: int) -> list[tuple[int, int]]:
        """Return (MPID of the source, event id) of what was copied to a user, in any order."""
        return sorted(
            (shown["copied_from"], event["event_id"])
            for shown in self.timeline(mpid)
            if "copied_from" in shown
            for event in shown["events"]
        )

    def events(self, mpid: int) -> dict[int, tuple[int, int]]:
        """Return a user's own events: id to (time in ms after `THEN`, device)."""
        return {
            event["event_id"]: (
                event["timestamp_unixtime_ms"] - THEN,
                STAMPS.index(shown["mp_deviceid"]),
            )
            for shown in self.timeline(mpid)
            if "copied_from" not in shown
            for event in shown["events"]
        }

    def settled(self, result: str) -> float:
        """Return how many aliases this process has applied or dropped."""
        found = self._metrics.registry.get_sample_value("headwater_alias_total", {"result": result})
        return found or 0.0

    def disk(self) -> list[dict[str, dict[bytes, bytes]]]:
        """Return all that the shards have committed."""
        found = [dict(disk(shard)) for shard in self.shards]
        for shard, tables in zip(self.shards, found, strict=True):
            with shard.store.read() as txn:
                tables |= {"copies": dict(txn.scan("copies"))}
                tables |= {"copy_progress": dict(txn.scan("copy_progress"))}
        return found


@contextmanager
def deployment(
    folder: Path,
    *,
    shards: int = 3,
    chunk_batches: int = 2,
    chunk_bytes: int = 1 << 20,
    delay_ms: int = 0,
    death: Death | None = None,
    clock: ManualClock | None = None,
) -> Iterator[Deployment]:
    """Open a deployment; what is on the folder is what earlier ones have left."""
    clock, death = clock or ManualClock(NOW), death or Death()
    with ExitStack() as stack:
        owners = [
            open_shard(folder / f"shard-{number}", number, shards, clock=clock)
            for number in range(shards)
        ]
        for owner in owners:
            stack.callback(owner.state.close)
        store = Store(folder / "coordinator", MAP_SIZE_BYTES)
        stack.callback(store.close)
        metrics = CoordinatorMetrics("test")
        handles = [
            MortalShard(ShardAliases(each, clock, chunk_batches, chunk_bytes), death)
            for each in owners
        ]
        runner = MortalRunner(store, cast(list[AliasShard], handles), delay_ms, clock, metrics)
        runner.death = death
        yield Deployment(owners, runner, store, clock, metrics)


def request(
    source: int = SOURCE,
    destination: int = DESTINATION,
    start: int = -(10**9),
    end: int = 0,
    **members: Any,
) -> AliasRequest:
    """Ask for an alias of what happened from `start` to `end`, in ms after `THEN`."""
    values: dict[str, Any] = {
        "request_id": f"{source} {destination} {start} {end}",
        "environment": "production",
        "scope": "mpid",
        "device_stamp": None,
        "received_ms": NOW,
        "input": 1,
    }
    return AliasRequest(
        source_mpid=source,
        destination_mpid=destination,
        start_ms=THEN + start,
        end_ms=THEN + end,
        **(values | members),
    )
