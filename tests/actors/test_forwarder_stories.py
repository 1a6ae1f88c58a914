"""Random stories of one forwarder, its shard and its receiver, on simulated time.

Whatever happens, and however often the forwarder is killed: each delivery is delivered, dead for
the right reason or queued; order, pace, repeats and counts are as spec/connections.md, 3, has them.

    STORIES=1000 python -m pytest tests/actors/test_forwarder_stories.py

tells as many as one likes.
"""

import asyncio
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from actors.clock import ManualClock
from actors.forwarding import connections
from tests.actors.forwarding.simulated import SimulatedLoop
from tests.actors.forwarding.story import CONNECTIONS, Setup, Story

STORIES = int(os.environ.get("STORIES", "10"))
DAY_S = 86_400.0

Step = tuple[Any, ...]  # name of a method of `Story`, and its arguments


async def tell(clock: ManualClock, setup: Setup, steps: Sequence[Step], seed: int) -> None:
    """Tell a story to its end."""
    bounds = patch.multiple(connections, WINDOW=0, MIN_SHARE=0)  # which the story sets
    with bounds, tempfile.TemporaryDirectory() as folder:
        story = Story(Path(folder), clock, setup, seed)
        try:
            for name, *arguments in steps:
                await getattr(story, name)(*arguments)
                await story.check()
            await story.calm()
        finally:
            await story.close()


def run(setup: Setup, steps: Sequence[Step], seed: int = 0) -> None:
    """Tell a story on simulated time."""
    clock = ManualClock()
    with asyncio.Runner(loop_factory=lambda: SimulatedLoop(clock)) as runner:
        runner.run(tell(clock, setup, steps, seed))


WEEK = 7 * DAY_S
PLAIN = Setup()
HELD: list[Step] = [
    ("mood", "suspend", None, 1),
    ("enqueue", 1, [1], 1),
    ("wait", 1),
    ("enqueue", 1, [1], 1),
    ("wait", 3 * DAY_S),
    ("enqueue", 1, [2], 1),  # so that not all of the page is overdue
    ("wait", WEEK - 3 * DAY_S - 60),
    ("shard_is", "full"),
    ("wait", 3 * 3600),
]
IN_FLIGHT_WHEN_OVERDUE: list[Step] = [
    ("enqueue", 1, [1], 1),
    ("activate", 1, False),
    ("wait", WEEK - 20),
    ("mood", "slow", None, 1),
    ("activate", 1, True),
    ("wait", 4),
    ("activate", 1, False),
    ("wait", 60),
]
PAUSED_WHILE_FULL: list[Step] = [
    ("mood", 500, None, 1),
    ("enqueue", 1, [1], 1),
    ("shard_is", "full"),
    ("wait", 1),
    ("activate", 1, False),
    ("turn", 12),
    ("activate", 1, True),
    ("wait", 5),
]
TOO_LARGE: list[Step] = [("mood", 413, None, 1), ("enqueue", 1, [1], 4), ("wait", 60)]
TOO_LARGE_AND_PAUSED: list[Step] = [
    ("mood", 413, None, 1),
    ("enqueue", 1, [1], 4),
    ("turn", 20),  # some parts have failed by then
    ("activate", 1, False),
    ("wait", 5),
]

numbers = st.sampled_from(CONNECTIONS)
users = st.sampled_from([1, 1, 2, 3, None])
turns = st.integers(0, 12)
statuses = st.sampled_from([200, 200, 429, 503, 500, 400, 401, 413, 302])
moods = statuses | st.sampled_from(
    ["hang", "drop", "slow", "garbage", "mistake", "forget", "suspend", "refuse"]
)
retry_after = st.sampled_from([None, None, "0", "45", "7200", "date", "soon"])
setups = st.builds(
    Setup,
    ordering=st.sampled_from(["user", "user", "none", "strict"]),
    max_in_flight=st.sampled_from([1, 2, 16]),
    requests_per_second=st.sampled_from([None, None, 0.5, 5.0]),
    events_per_second=st.sampled_from([None, None, 2.0]),
    together=st.sampled_from([1, 1, 3]),
    in_memory=st.sampled_from([connections.WINDOW, 4]),
)
waits = st.sampled_from([0.05, 1, 4, 10, 30, 60, 900, 3600, DAY_S, 3 * DAY_S, 7 * DAY_S - 20])
steps = st.one_of(
    st.tuples(
        st.just("enqueue"), numbers, st.lists(users, min_size=1, max_size=6), st.integers(1, 4)
    ),
    st.tuples(st.just("enqueue"), numbers, st.just([1, 2, 3, None] * 6), st.just(1)),
    st.tuples(st.just("wait"), waits),
    st.tuples(st.just("wait"), waits),
    st.tuples(st.just("turn"), turns),
    st.tuples(st.just("mood"), moods, retry_after, st.integers(0, 3)),
    st.tuples(
        st.just("mood"),
        st.sampled_from([429, 503]),
        st.sampled_from(["45", "7200", "date"]),
        st.just(1),
    ),
    st.tuples(st.just("mood_towards"), st.sampled_from([1, 2]), statuses | st.just("hang")),
    st.tuples(st.just("kill"), turns),
    st.tuples(st.just("kill"), turns),
    st.tuples(st.just("shard_is"), st.sampled_from(["", "", "away", "full", "mute"])),
    st.tuples(st.just("activate"), numbers, st.booleans()),
    st.tuples(st.just("resume"), numbers),
    st.tuples(st.just("reread")),
    st.tuples(st.just("replay"), numbers, st.integers(1, 5)),
    st.tuples(st.just("discard"), numbers, st.integers(1, 5)),
    st.tuples(st.just("configure"), setups),
)
# Long enough for something to go wrong, and for something to depend on it.
stories = st.lists(steps, min_size=12, max_size=40)


@settings(
    max_examples=STORIES, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)
@example(PLAIN, [*HELD, ("shard_is", ""), ("wait", 60)], 0)
@example(PLAIN, [*HELD, ("mood", 200, None, 1), ("resume", 1), ("wait", 60)], 0)
@example(PLAIN, IN_FLIGHT_WHEN_OVERDUE, 0)
@example(PLAIN, PAUSED_WHILE_FULL, 0)
@example(PLAIN, TOO_LARGE, 0)
@example(PLAIN, TOO_LARGE_AND_PAUSED, 0)
@given(setups, stories, st.integers(0, 2**32))
def test_whatever_happens_each_delivery_ends_in_one_place_in_order(
    setup: Setup, steps: list[Step], seed: int
) -> None:
    """spec/connections.md, 3: no story breaks what is promised."""
    run(setup, steps, seed)
