"""spec/connections.md, 3.6: what is collected of a device before it goes out."""

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec.structs import replace

from actors.clock import ManualClock
from actors.model.deliveries import Delivery, Settlement
from actors.model.micro_batches import Accepted, EventName, EventNames
from actors.outputs.connection_settings import ConnectionSettings, payload_settings
from actors.pipeline.connection import Collecting, ConnectionInfo
from actors.shard import Shard
from actors.steps.enqueue import delivery_id
from actors.store.resharding import reshard
from actors.sweeper import Sweeper
from tests.actors.forwarding.support import connection
from tests.actors.profiles.builders import BACKEND, NOW
from tests.actors.shards import MAP_SIZE_BYTES, context, item, micro, open_shard

ANN, BOB = 4411, 4412
DEVICES = {name: str(UUID(int=number)) for number, name in enumerate(("d1", "d2"), 1)}
MINUTE_MS = 60_000
TEN_MINUTES = Collecting(10 * MINUTE_MS, max_events=1000, max_bytes=1024 * 1024)
COMPLETE = Collecting(30 * MINUTE_MS, 100_000, 16 * 1024 * 1024, is_until_session_end=True)


def collecting(how: Collecting | None, number: int = 1, **changes: Any) -> ConnectionInfo:
    settings = payload_settings(ConnectionSettings(include_mp_device_id=True))
    return connection(
        number, **{"input": BACKEND, "collecting": how, "settings": settings} | changes
    )


class World:
    """One shard that can be closed and opened again, and what its forwarder would read."""

    def __init__(self, folder: Path, *connections: ConnectionInfo) -> None:
        self.clock = ManualClock(NOW)
        self.connections = connections
        self.limits: dict[int, int] = {}
        self._folder = folder
        self._number = 0
        self.woken: list[str] = []
        self.shard = self._open()

    def _open(self) -> Shard:
        return open_shard(
            self._folder,
            clock=self.clock,
            wake=self.woken.append,
            connections=self.connections,
            queue_limits={each.number: 2**40 for each in self.connections} | self.limits,
        )

    def reopen(self) -> None:
        self.close()
        self.shard = self._open()

    def close(self) -> None:
        self.shard.state.close()

    def connect(self, *connections: ConnectionInfo) -> None:
        self.connections = connections
        limits = {each.number: 2**40 for each in connections}
        options = replace(self.shard.options, connections=connections, queue_limits=limits)
        self.shard.take_over(options)

    def send(
        self,
        mpid: int,
        *names: str,
        device: str | None = "d1",
        ahead_ms: int = 0,
        **members: Any,
    ) -> None:
        """Commit a batch of custom events; `session_end` is the end of a session.

        `ahead_ms`: of the edge's clock.
        """
        events = [
            {"event_type": name, "data": {}}
            if name == "session_end"
            else {"event_type": "custom_event", "data": {"event_name": name}}
            for name in names
        ]
        body = {"environment": "production", "mpid": mpid, "events": events, **members}
        if device is not None:
            body["mp_deviceid"] = DEVICES[device]
        self._number += 1
        where = context(self.clock.now_ms() + ahead_ms)
        known = EventNames([EventName("custom_event", name) for name in names], is_full=False)
        sent = micro(self._number, item(body, mpid=mpid), where=where, names=known)
        [result] = self.shard.commit(sent)
        assert isinstance(result, Accepted), result

    def pass_time(self, minutes: float) -> None:
        self.clock.advance(round(minutes * MINUTE_MS))
        Sweeper(self.shard.state, [self.shard], self.clock).sweep()

    def sent(self, number: int = 1) -> list[Delivery]:
        """Read and settle what a forwarder gets."""
        found = self.shard.outbox.read_outbox(number, 0, 10_000, 2**30)
        done = [each.sequence for each in found]
        self.shard.outbox.settle(Settlement(number, done=done))
        return found

    def names(self, number: int = 1) -> list[list[str]]:
        return [names_of(each) for each in self.sent(number)]

    def waiting(self, number: int = 1) -> tuple[int, int]:
        queue = self.shard.outbox.queue(number)
        return queue["depth"], queue["bytes"]


def names_of(delivery: Delivery) -> list[str]:
    events = json.loads(delivery.payload)["events"]
    return [each["data"].get("event_name", each["event_type"]) for each in events]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, collecting(TEN_MINUTES))
    yield made
    made.close()


def test_the_events_of_one_device_are_one_batch_after_ten_minutes(world: World) -> None:
    world.send(ANN, "a", "b")
    world.pass_time(9.9)
    world.send(ANN, "c")
    world.send(BOB, "x", device="d2")
    assert world.names() == []
    world.pass_time(0.2)
    assert world.names() == [["a", "b", "c"]]
    assert "hook" in world.woken
    world.pass_time(10)
    assert world.names() == [["x"]]
    assert world.waiting() == (0, 0)


def test_a_collected_batch_has_the_ids_of_its_first_and_the_state_of_its_last(
    world: World,
) -> None:
    world.send(ANN, "a", batch_id=71, device_info={"brand": "old"}, user_attributes={"k": "1"})
    world.pass_time(1)
    world.send(ANN, "b", batch_id=72, user_attributes={"k": "2"})
    world.pass_time(10)
    [delivery] = world.sent()
    payload = json.loads(delivery.payload)
    assert delivery.delivery_id == delivery_id("c1", 71, 0)
    assert (delivery.mpid, delivery.event_count) == (ANN, 2)
    assert payload["batch_id"] == 71
    assert payload["user_attributes"] == {"k": "2"}
    assert payload["device_info"]["brand"] == "old"
    assert payload["timestamp_unixtime_ms"] == NOW + MINUTE_MS
    assert list(payload)[-1] == "events"


def test_no_change_of_consent_and_no_deletion_is_lost_in_between(world: World) -> None:
    world.connect(collecting(TEN_MINUTES, settings=payload_settings(ConnectionSettings())))
    given = {"ccpa": {"data_sale_opt_out": {"consented": True, "timestamp_unixtime_ms": NOW}}}
    world.send(ANN, "a", consent_state=given, user_attributes={"k": "1", "l": "1"})
    world.send(ANN, "b", deleted_user_attributes=["k", "l"])
    world.send(ANN, "c", user_attributes={"l": "2"})
    world.pass_time(10)
    [delivery] = world.sent()
    payload = json.loads(delivery.payload)
    assert [each["type"] for each in payload["system_notifications"]] == ["ccpa_change"]
    assert payload["user_attributes"] == {"l": "2"}
    assert payload["deleted_user_attributes"] == ["k"]


def test_devices_and_users_are_collected_apart(world: World) -> None:
    world.send(ANN, "a", device="d1")
    world.send(ANN, "b", device="d2")
    world.send(BOB, "c", device="d1")
    world.send(ANN, "d", device=None)
    world.send(ANN, "e", device="d1")
    world.pass_time(10)
    assert sorted(world.names()) == [["a", "e"], ["b"], ["c"], ["d"]]


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        (Collecting(600_000, max_events=3, max_bytes=2**20), [["a", "b"], ["c", "d"]]),
        (Collecting(600_000, max_events=2, max_bytes=2**20), [["a", "b"], ["c", "d"]]),
        (Collecting(600_000, max_events=1000, max_bytes=1024), [["a", "b"], ["c", "d"]]),
    ],
)
def test_what_is_large_enough_goes_at_once(
    tmp_path: Path, how: Collecting, expected: list[list[str]]
) -> None:
    world = World(tmp_path, collecting(how))
    padding: dict[str, Any] = {"device_info": {"brand": "b" * 300}}
    for names in ("a", "b"), ("c", "d"), ("e", "f"):
        world.send(ANN, *names, **padding)
    early = world.names()
    world.pass_time(10)
    assert [*early, *world.names()] == [*expected, ["e", "f"]]
    assert early
    world.close()


def test_a_complete_batch_waits_for_the_end_of_the_session(tmp_path: Path) -> None:
    world = World(tmp_path, collecting(COMPLETE))
    world.send(ANN, "a")
    world.pass_time(29)
    world.send(ANN, "b")
    world.pass_time(29)
    assert world.names() == []
    world.send(BOB, "x", device="d2")
    world.send(ANN, "c", "session_end")
    assert world.names() == [["a", "b", "c", "session_end"]]
    world.send(ANN, "session_end")
    assert world.names() == [["session_end"]]
    world.pass_time(30)
    assert world.names() == [["x"]]
    world.close()


def test_a_device_that_was_silent_for_half_an_hour_is_complete(tmp_path: Path) -> None:
    world = World(tmp_path, collecting(COMPLETE))
    for name in ("a", "b", "c"):
        world.send(ANN, name)
        world.pass_time(20)
    assert world.names() == []
    world.pass_time(9)
    assert world.names() == []
    world.pass_time(1)
    assert world.names() == [["a", "b", "c"]]
    world.close()


def test_an_edge_whose_clock_is_ahead_makes_nobody_wait(tmp_path: Path) -> None:
    world = World(tmp_path, collecting(TEN_MINUTES, 1), collecting(COMPLETE, 2))
    world.send(ANN, "a", ahead_ms=60 * MINUTE_MS)
    world.pass_time(10)
    assert world.names(1) == [["a"]]
    assert world.names(2) == []
    world.pass_time(20)
    assert world.names(2) == [["a"]]
    world.close()


def test_what_was_collected_while_the_clock_was_ahead_waits_no_longer_after_a_restart(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, collecting(TEN_MINUTES, 1), collecting(COMPLETE, 2))
    world.clock.advance(60 * MINUTE_MS)
    world.send(ANN, "a")
    world.clock.advance(-60 * MINUTE_MS)
    world.send(BOB, "x", device="d2")
    world.reopen()
    world.pass_time(10)
    assert sorted(world.names(1)) == [["a"], ["x"]]
    world.pass_time(20)
    assert sorted(world.names(2)) == [["a"], ["x"]]
    world.close()


def test_the_end_of_a_session_counts_where_it_does_not_go_out_itself(tmp_path: Path) -> None:
    silent = payload_settings(ConnectionSettings(send_lifecycle_events=False))
    world = World(tmp_path, collecting(COMPLETE, settings=silent))
    world.send(ANN, "a")
    world.send(ANN, "session_end")
    assert world.names() == [["a"]]
    world.close()


def test_what_was_pending_is_there_after_a_restart_and_goes_only_when_it_is_due(
    world: World,
) -> None:
    world.send(ANN, "a")
    before = world.waiting()
    assert before[0] == 1
    world.reopen()
    assert world.waiting() == before
    world.pass_time(5)
    assert world.names() == []
    world.send(ANN, "b")
    world.reopen()
    world.pass_time(5)
    assert world.names() == [["a", "b"]]


def test_what_is_due_goes_with_the_next_batch_of_anybody(world: World) -> None:
    world.send(ANN, "a")
    world.clock.advance(10 * MINUTE_MS)
    world.send(BOB, "x", device="d2")
    assert world.names() == [["a"]]


def test_what_is_collected_counts_in_the_queue_and_is_bounded_by_its_limit(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, collecting(TEN_MINUTES))
    world.limits = {1: 3000}
    world.reopen()
    for index in range(20):
        world.send(ANN, f"e{index}")
    depth, size = world.waiting()
    assert 0 < depth < 20
    assert size < 4000
    assert world.shard.outbox.queue(1)["dead_letters"] == 20 - depth
    world.pass_time(10)
    [names] = world.names()
    assert len(names) == depth
    assert world.waiting() == (0, 0)
    world.close()


def test_purging_a_queue_removes_what_is_collected(world: World) -> None:
    world.send(ANN, "a")
    world.send(BOB, "b")
    assert world.shard.outbox.purge(1, 1000) == 2
    assert world.waiting() == (0, 0)
    world.pass_time(11)
    assert world.names() == []
    world.send(ANN, "c")
    world.pass_time(11)
    assert world.names() == [["c"]]


def test_what_a_dropped_connection_has_collected_is_deleted(world: World) -> None:
    world.send(ANN, "a")
    options = replace(world.shard.options, connections=(), dropped=frozenset({1}))
    world.shard.take_over(options)
    world.pass_time(0)
    assert world.waiting() == (0, 0)
    world.pass_time(11)
    assert world.waiting() == (0, 0)


def test_a_connection_that_collects_no_more_sends_what_it_has_first(world: World) -> None:
    world.send(ANN, "a")
    world.send(BOB, "x")
    world.connect(collecting(None))
    world.send(ANN, "b")
    assert world.names() == [["a"], ["b"], ["x"]]
    world.send(ANN, "c")
    world.reopen()
    world.send(ANN, "d")
    assert world.names() == [["c"], ["d"]]


def test_other_connections_of_the_input_are_not_held_up(tmp_path: Path) -> None:
    world = World(tmp_path, collecting(TEN_MINUTES, 1), collecting(None, 2))
    world.send(ANN, "a")
    assert (world.names(1), world.names(2)) == ([], [["a"]])
    world.close()


def test_a_transaction_that_fails_leaves_what_was_collected_as_it_was(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.send(ANN, "a")
    world.clock.advance(10 * MINUTE_MS)
    with monkeypatch.context() as patch:
        patch.setattr("actors.store.outbox._encoder", None)
        with pytest.raises(AttributeError):
            world.send(ANN, "b")
    assert world.waiting()[0] == 1
    world.send(ANN, "b")
    assert world.names() == [["a", "b"]]


def test_a_move_to_other_shards_takes_what_is_collected_along(tmp_path: Path) -> None:
    world = World(tmp_path / "old", collecting(TEN_MINUTES))
    mpids = [slot << 37 | 5 for slot in (1, 40_000, 65_000)]
    for mpid in mpids:
        world.send(mpid, f"a{mpid}")
        world.send(mpid, f"b{mpid}")
    world.close()
    folders = [tmp_path / name for name in ("new0", "new1")]
    reshard([tmp_path / "old"], folders, MAP_SIZE_BYTES)
    found = []
    for folder in folders:
        moved = World(folder, collecting(TEN_MINUTES))
        moved.pass_time(10)
        found += moved.names()
        moved.close()
    assert sorted(found) == sorted([f"a{mpid}", f"b{mpid}"] for mpid in mpids)


class CollectingMachine(RuleBasedStateMachine):
    """Whatever happens, each device's events go out once, in their order."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = TemporaryDirectory()
        self.world = World(Path(self._folder.name), *self._connections(1000))
        self.given: dict[str, list[str]] = defaultdict(list)
        self.got: dict[tuple[int, str], list[str]] = defaultdict(list)
        self.number = 0

    def _connections(self, events: int | None) -> tuple[ConnectionInfo, ...]:
        how = None if events is None else replace(TEN_MINUTES, max_events=events)
        return (collecting(how, 1), collecting(COMPLETE, 2))

    def teardown(self) -> None:
        try:
            self._finish()
        finally:
            self.world.close()
            self._folder.cleanup()

    def _finish(self) -> None:
        self.world.connect(*self._connections(None))
        self.world.pass_time(31)
        self._read()
        for device, names in self.given.items():
            assert self.got[1, device] == names
            assert self.got[2, device] == names
        assert self.world.waiting(1) == self.world.waiting(2) == (0, 0)

    @rule(
        mpid=st.sampled_from([ANN, BOB]),
        device=st.sampled_from(["d1", "d2"]),
        count=st.integers(0, 3),
        is_end=st.booleans(),
    )
    def send(self, mpid: int, device: str, count: int, is_end: bool) -> None:
        names = []
        for _ in range(count):
            self.number += 1
            names.append(f"{mpid}-{device}-{self.number}")
        self.given[f"{mpid}-{device}"] += names
        self.world.send(mpid, *names, *(["session_end"] if is_end else []), device=device)

    @rule(minutes=st.sampled_from([0, 1, 10, 31]))
    def pass_time(self, minutes: int) -> None:
        self.world.pass_time(minutes)

    @rule()
    def restart(self) -> None:
        self.world.reopen()

    @rule(events=st.sampled_from([None, 1, 2, 5, 1000]))
    def configure(self, events: int | None) -> None:
        self.world.connect(*self._connections(events))

    @rule(at=st.sampled_from(["actors.store.outbox._encoder", "actors.shard.write_last"]))
    def fail(self, at: str) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(at, None)
            try:
                self.world.send(ANN, "lost", device="d1")
            except (AttributeError, TypeError):
                return
        self.given[f"{ANN}-d1"].append("lost")  # nothing had to be encoded

    @rule()
    def read(self) -> None:
        self._read()

    def _read(self) -> None:
        for number in (1, 2):
            for delivery in self.world.sent(number):
                sent = json.loads(delivery.payload)["mp_deviceid"]
                [device] = [name for name, each in DEVICES.items() if each == sent]
                own = [name for name in names_of(delivery) if name != "session_end"]
                self.got[number, f"{delivery.mpid}-{device}"] += own

    @invariant()
    def what_is_kept_in_memory_is_what_is_on_disk(self) -> None:
        before = self.world.waiting(1), self.world.waiting(2)
        with self.world.shard.store.read() as txn:
            parts = [key[:4] for key, _ in txn.scan("pending_parts")]
            ready = [key[:4] for key, _ in txn.scan("outbox")]
        for number, (depth, _) in enumerate(before, 1):
            name = number.to_bytes(4, "big")
            assert depth == parts.count(name) + ready.count(name)


TestCollecting = CollectingMachine.TestCase
TestCollecting.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


def test_what_is_due_for_a_connection_that_is_gone_fails_no_commit(tmp_path: Path) -> None:
    """Its forwarder may read the outbox once more before it is ended."""
    world = World(tmp_path, collecting(TEN_MINUTES))
    world.send(ANN, "a")
    world.connect()
    assert world.shard.outbox.read_outbox(1, 0, 10, 1 << 20) == []
    world.clock.advance(20 * MINUTE_MS)
    world.send(ANN, "b")
    assert world.woken == []
    world.close()
