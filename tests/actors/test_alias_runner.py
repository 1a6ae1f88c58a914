"""Aliases are applied once each, whoever dies on the way, and in the order of acceptance."""

import asyncio
import contextlib
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors import alias_runner
from actors.clock import ManualClock
from actors.errors import ShardUnavailable, StoreDamaged
from actors.identity.calls import AliasRequest
from actors.model.profiles import StatusMessage
from actors.shard_aliases import ShardAliases
from tests.actors.aliasing import (
    DESTINATION,
    OTHER,
    SOURCE,
    STAMPS,
    THEN,
    Death,
    Deployment,
    Killed,
    Sent,
    deployment,
    request,
)
from tests.actors.forwarding.support import until
from tests.actors.profiles.builders import DAY, NOW

HISTORY = [
    Sent((-50, -40)),
    Sent((-35,), is_historical=True),
    Sent((-30, -5), device=1),
    Sent((-90, -20)),
    Sent((-20,)),
    Sent((-10, -9)),
    Sent((-25, -1), is_historical=True),
]
STATES = list[tuple[str, str | None]]


def fill(world: Deployment) -> None:
    """Make a source with a history, a destination with an event, and somebody else."""
    for sent in HISTORY:
        world.send(SOURCE, sent)
    world.send(DESTINATION, Sent((-15,)))
    world.send(OTHER, Sent((-15,)))


async def states(world: Deployment, mpid: int = SOURCE) -> STATES:
    return [(each.state, each.reason) for each in await world.runner.aliases(mpid)]


def expected(world: Deployment, asked: AliasRequest) -> list[tuple[int, int]]:
    """Return what a request copies of the source's events, found without looking at batches."""
    return sorted(
        (SOURCE, event_id)
        for event_id, (at, device) in world.events(SOURCE).items()
        if asked.start_ms <= THEN + at <= asked.end_ms
        and (asked.scope == "mpid" or STAMPS[device] == asked.device_stamp)
    )


# -- Crashes --------------------------------------------------------------------------------------


async def dying(folder: Path, step: int) -> bool:
    """Run what waits until the process dies at a step; return whether it died."""
    with deployment(folder, death=Death(step)) as world:
        try:
            await world.runner.run_due()
        except Killed:
            return True
        return False


async def test_wherever_it_dies_each_event_is_copied_once(tmp_path: Path) -> None:
    """spec/identity.md, 10.2: before and after every call and every write of the sequencer."""
    asked = request(start=-50, end=-5)
    step, whole = 0, None
    while True:
        folder = tmp_path / str(step)
        with deployment(folder) as world:
            fill(world)
            await world.runner.alias(asked)
        has_died = await dying(folder, step)
        with deployment(folder) as world:
            await world.runner.run_due()
            assert await states(world) == [("applied", None)]
            assert world.copied(DESTINATION) == expected(world, asked)
            assert world.settled("applied") <= 1
            assert [each.status_messages for each in map(world.profile, (SOURCE, DESTINATION))] == [
                [StatusMessage("aliased_to", DESTINATION, NOW)],
                [StatusMessage("merged_from", SOURCE, NOW)],
            ]
            result = world.disk()
            whole = whole or result
            assert result == whole  # ids follow from the clock, so all runs are the same
        if not has_died:
            break
        step += 1
    assert step > 20  # it did die, in chunks too


async def test_dying_at_every_step_in_turn_still_comes_to_an_end(tmp_path: Path) -> None:
    asked = request(start=-50, end=-5)
    with deployment(tmp_path) as world:
        fill(world)
        await world.runner.alias(asked)
    lives = 0
    while await dying(tmp_path, 8):  # enough for one chunk
        lives += 1
        assert lives < 50
    assert lives > 1
    with deployment(tmp_path) as world:
        assert await states(world) == [("applied", None)]
        assert world.copied(DESTINATION) == expected(world, asked)
        assert all(not tables["copy_progress"] for tables in world.disk())


async def test_a_late_repetition_of_a_chunk_changes_nothing(tmp_path: Path) -> None:
    """A call whose answer was lost may still be on its way when its alias is long done."""
    calls: list[tuple[Any, ...]] = []

    class Recorded(ShardAliases):
        def write_copies(self, *arguments: Any) -> None:
            calls.append(arguments)
            super().write_copies(*arguments)

    with deployment(tmp_path) as world:
        fill(world)
        await world.runner.alias(request())
        target = Recorded(world.shard(DESTINATION), world.clock)
        handle: Any = world.runner._of(DESTINATION)
        handle._target = target
        await world.runner.run_due()
        before = world.disk()
        assert len(calls) > 2
        sent = tuple(calls)
        for call in sent:
            target.write_copies(*call)
        assert world.disk() == before


# -- What is copied -------------------------------------------------------------------------------

times = st.integers(-6, 6)
batches = st.builds(
    Sent,
    st.lists(times, min_size=1, max_size=3).map(tuple),
    st.integers(0, 1),
    st.booleans(),
)
requests = st.builds(
    lambda start, length, scope, device: request(
        start=start,
        end=start + length,
        scope=scope,
        device_stamp=STAMPS[device].upper(),  # it is matched in its canonical form
    ),
    times,
    st.integers(0, 8),
    st.sampled_from(["mpid", "device"]),
    st.integers(0, 1),
)


@given(
    st.lists(batches, max_size=8),
    requests,
    st.integers(1, 3),
    st.integers(1, 4),
    st.sampled_from([1, 600, 1 << 20]),
    st.integers(0, 60),
)
@settings(max_examples=40, deadline=None)
async def test_what_is_copied_is_what_the_request_says(
    history: list[Sent],
    asked: AliasRequest,
    shards: int,
    chunk_batches: int,
    chunk_bytes: int,
    step: int,
) -> None:
    """Whatever the window, the scope, the chunks, and where it dies once."""
    sizes: dict[str, Any] = {
        "chunk_batches": chunk_batches,
        "chunk_bytes": chunk_bytes,
        "shards": shards,
    }
    with tempfile.TemporaryDirectory() as path:
        folder = Path(path)
        with deployment(folder, **sizes) as world:
            world.send(SOURCE, Sent((-100,)))  # so that it exists, outside all windows
            world.send(DESTINATION, Sent((-15,)))
            for sent in history:
                world.send(SOURCE, sent)
            await world.runner.alias(asked)
        with (
            deployment(folder, death=Death(step), **sizes) as world,
            contextlib.suppress(Killed),
        ):
            await world.runner.run_due()
        with deployment(folder, **sizes) as world:
            await world.runner.run_due()
            wanted = sorted(
                (SOURCE, event_id)
                for event_id, (at, device) in world.events(SOURCE).items()
                if asked.start_ms <= THEN + at <= asked.end_ms
                and (asked.scope == "mpid" or STAMPS[device].upper() == asked.device_stamp)
            )
            assert world.copied(DESTINATION) == wanted
            assert len(world.events(SOURCE)) == 1 + sum(len(sent.times) for sent in history)
            assert world.timeline(DESTINATION, limit=1) == world.timeline(DESTINATION)


async def test_copies_are_shown_in_the_order_of_their_dates(tmp_path: Path) -> None:
    """Between what was received before and after them, with a mark of where they come from."""
    with deployment(tmp_path) as world:
        for at in (-60, -22, -7):
            world.send(DESTINATION, Sent((at,)), received_ms=THEN + at)
        world.send(DESTINATION, Sent((-28,), is_historical=True))
        for sent in HISTORY:
            world.send(SOURCE, sent)
        await world.runner.alias(request(start=-50, end=-5))
        await world.runner.run_due()
        shown = [
            (
                max(event["timestamp_unixtime_ms"] for event in each["events"]) - THEN,
                each.get("copied_from"),
            )
            for each in world.timeline(DESTINATION)
        ]
        assert shown == [
            (-5, SOURCE),
            (-7, None),
            (-9, SOURCE),
            (-20, SOURCE),
            (-20, SOURCE),
            (-22, None),
            (-25, SOURCE),
            (-28, None),
            (-35, SOURCE),
            (-40, SOURCE),
            (-60, None),
        ]


# -- Order ----------------------------------------------------------------------------------------


async def test_what_is_not_due_waits(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    with deployment(tmp_path, delay_ms=DAY, clock=clock) as world:
        fill(world)
        await world.runner.alias(request())
        clock.advance(DAY - 1)
        await world.runner.run_due()
        assert await states(world) == [("pending", None)]
        assert world.copied(DESTINATION) == []
        clock.advance(1)
        await world.runner.run_due()
        assert await states(world) == [("applied", None)]


async def test_an_earlier_one_that_is_not_due_is_not_overtaken(tmp_path: Path) -> None:
    """Clocks of edges differ: what was accepted first is applied first all the same."""
    with deployment(tmp_path) as world:
        fill(world)
        await world.runner.alias(request(received_ms=NOW + 5))
        await world.runner.alias(request(destination=OTHER, received_ms=NOW))
        await world.runner.run_due()
        assert await states(world) == [("pending", None)] * 2
        world.clock.advance(5)
        await world.runner.run_due()
        assert await states(world) == [("applied", None), ("dropped", "overlapping_source")]


async def test_one_that_fails_keeps_only_those_of_its_users_waiting(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    third = 11
    with deployment(tmp_path) as world:
        fill(world)
        world.send(third, Sent((-3,)))
        await world.runner.alias(request())  # 5 -> destination
        await world.runner.alias(request(source=DESTINATION, destination=third))
        await world.runner.alias(request(source=third, destination=OTHER))
        own = 12
        world.send(own, Sent((-2,)))
        last = 0x8000 << 37 | 13
        world.send(last, Sent((-2,)))
        await world.runner.alias(request(source=own, destination=last))
        handle: Any = world.runner._of(DESTINATION)
        target = handle._target
        for fault in (ShardUnavailable("it restarts"), ValueError("a mistake")):
            handle._target = Faulty(fault)
            assert not await world.runner.run_due()
            assert await states(world) == [("pending", None)]
            assert await states(world, third) == [("pending", None)] * 2
            assert await states(world, own) == [("applied", None)]
        events = [record.__dict__["event"] for record in caplog.records]
        assert events == ["alias_delayed", "alias_failed"]
        handle._target = target
        assert await world.runner.run_due()
        assert await states(world) == [("applied", None)]
        dropped = ("dropped", "source_was_destination")
        assert await states(world, third) == [dropped, ("applied", None)]


class Faulty:
    """A shard that does nothing."""

    def __init__(self, fault: Exception) -> None:
        self._fault = fault

    def __getattr__(self, name: str) -> Any:
        def fail(*_: Any) -> Any:
            raise self._fault

        return fail


async def test_a_damaged_store_ends_the_run(tmp_path: Path) -> None:
    with deployment(tmp_path) as world:
        fill(world)
        await world.runner.alias(request())
        handle: Any = world.runner._of(SOURCE)
        handle._target = Faulty(StoreDamaged("MDB_PANIC"))
        with pytest.raises(StoreDamaged):
            await world.runner.run()


async def test_one_whose_user_is_gone_is_dropped(tmp_path: Path) -> None:
    with deployment(tmp_path) as world:
        fill(world)
        await world.runner.alias(request(destination=4711))
        await world.runner.alias(request(source=4712))
        await world.runner.run_due()
        assert await states(world) == [("dropped", "unknown_mpid")]
        assert await states(world, 4712) == [("dropped", "unknown_mpid")]
        assert world.settled("dropped") == 2
        assert world.copied(DESTINATION) == []
        assert world.profile(SOURCE).status_messages == []


# -- The passing of time --------------------------------------------------------------------------


async def test_time_alone_makes_an_alias_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alias_runner, "PAUSE_S", 0.001)
    clock = ManualClock(NOW)
    with deployment(tmp_path, delay_ms=DAY, clock=clock) as world:
        fill(world)
        running = asyncio.create_task(world.runner.run())
        await world.runner.alias(request())
        for _ in range(20):
            await asyncio.sleep(0)
        assert await states(world) == [("pending", None)]
        clock.advance(DAY)
        await until(lambda: world.settled("applied"))
        assert await states(world) == [("applied", None)]
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


# -- Repetitions ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("age_ms", "is_new"), [(7 * DAY, False), (7 * DAY + 1, True)])
async def test_a_request_id_names_one_request_for_seven_days(
    tmp_path: Path, age_ms: int, is_new: bool
) -> None:
    """spec/identity.md, 10.1."""
    with deployment(tmp_path) as world:
        await world.runner.alias(request(request_id="r-1"))
        again = request(request_id="r-1", received_ms=NOW + age_ms)
        await world.runner.alias(again)
        await world.runner.alias(again)
        assert len(await world.runner.aliases(SOURCE)) == 1 + is_new


async def test_a_request_id_of_the_other_environment_is_another_one(tmp_path: Path) -> None:
    """spec/identity.md, V14."""
    with deployment(tmp_path) as world:
        await world.runner.alias(request(request_id="r-1"))
        await world.runner.alias(request(request_id="r-1", environment="development"))
        found = await world.runner.aliases(SOURCE)
        assert [each.request.environment for each in found] == ["production", "development"]
