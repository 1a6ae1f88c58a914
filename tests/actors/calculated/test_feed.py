"""What the Calculated Attributes feed tells of values that go.

Source: spec/calculated-attributes.md, 7.2.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from msgspec.structs import replace

from actors.calculated.calls import Planting
from actors.calculated.definition import Attribute, LiveAttributes
from actors.calculated.reading import read_definition
from actors.calculated.state import Seed
from actors.calculated.worker import CalculatedWorker
from actors.clock import ManualClock
from actors.profiles.retention import DAY_MS
from tests.actors.joint_shards import LOGINS, Shared
from tests.actors.profiles.builders import NOW

FEED = 1  # its connection
LATER_MS = 400 * DAY_MS  # more than any lifetime
LOGIN_COUNT, OTHER_COUNT = (
    Attribute(number, name, 1, read_definition(LOGINS))
    for number, name in enumerate(("logins", "others"), 1)
)
KEPT, DELETED = frozenset({1}), frozenset[int]()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def shared(tmp_path: Path, clock: ManualClock) -> Iterator[Shared]:
    opened = Shared(tmp_path, clock)
    yield opened
    opened.close()


def activate(shared: Shared, *attributes: Attribute, kept: frozenset[int] = DELETED) -> None:
    """Let these be the active attributes; nothing is done yet."""
    version = shared.home.audiences.in_force.attributes.version + 1
    shared.worker.set_calculated_attributes(LiveAttributes(version, attributes, kept, 9))


def told(shared: Shared) -> list[tuple[int, dict[str, Any], list[str]]]:
    """Return MPID, values that changed and names of those that went, in order."""
    found = []
    for each in shared.home.outbox.read_outbox(FEED, 0, 100, 1 << 20):
        batch = orjson.loads(each.payload)
        changed, gone = batch.get("user_attributes"), batch.get("deleted_user_attributes")
        found.append((each.mpid or 0, changed or {}, gone or []))
    return found


@pytest.mark.parametrize("kept", [KEPT, DELETED], ids=["deactivated", "deleted"])
@pytest.mark.parametrize("others", [(), (OTHER_COUNT,)], ids=["the last", "one of two"])
def test_a_value_goes_with_its_attribute(
    shared: Shared, kept: frozenset[int], others: tuple[Attribute, ...]
) -> None:
    """Of each user who had one, once: with the walk, or with a batch that comes before."""
    activate(shared, LOGIN_COUNT)
    shared.settle()
    shared.login(1)
    shared.login(2)
    activate(shared, *others, kept=kept)
    shared.login(2)
    shared.settle()
    shared.login(1)
    shared.login(3)
    shared.settle()
    ended = sorted((mpid, names) for mpid, _, names in told(shared) if names)
    assert ended == [(1, ["logins"]), (2, ["logins"])]
    assert not shared.kept().ended_attributes


def test_a_value_that_another_attribute_of_its_name_has_does_not_go(shared: Shared) -> None:
    activate(shared, LOGIN_COUNT)
    shared.settle()
    shared.login(1)
    activate(shared, Attribute(2, "logins", 1, read_definition(LOGINS)))
    shared.settle()
    assert [names for _, _, names in told(shared)] == [[], []]


@pytest.mark.parametrize("comes_first", [False, True], ids=["walk first", "batch first"])
def test_a_value_comes_back_with_its_attribute(shared: Shared, comes_first: bool) -> None:
    """Though it is as it was when the attribute was deactivated."""
    activate(shared, LOGIN_COUNT)
    shared.settle()
    shared.login(1)
    activate(shared, kept=KEPT)
    shared.settle()
    activate(shared, replace(LOGIN_COUNT, revision=2))
    if comes_first:
        shared.login(1, name="Logout")
    shared.settle()
    assert told(shared) == [(1, {"logins": "1"}, []), (1, {}, ["logins"]), (1, {"logins": "1"}, [])]


def test_a_value_that_seeds_come_to_first_goes_once(shared: Shared, clock: ManualClock) -> None:
    """Its seeds stay for when the attribute is active again."""
    worker, cutoff_ms = CalculatedWorker(shared.home, clock), NOW - DAY_MS
    definition = replace(LOGIN_COUNT.definition, cutoff_ms=cutoff_ms)
    seeded = replace(LOGIN_COUNT, definition=definition)
    activate(shared, seeded)
    shared.settle()
    shared.login(1)
    activate(shared, kept=KEPT)
    seed = Seed("logins", definition.function, cutoff_ms, number=4)
    for seeds in ({1: seed}, {}):
        planting = Planting(
            environment="production",
            mpid=1,
            received_ms=clock.now_ms(),
            seeds=seeds,
            user_attributes={},
            is_by_identities=False,
        )
        worker.plant_seeds([planting])
    shared.settle()
    assert told(shared) == [(1, {"logins": "1"}, []), (1, {}, ["logins"])]
    activate(shared, replace(seeded, revision=2))
    shared.settle()
    assert told(shared)[2:] == [(1, {"logins": "5"}, [])]


def test_values_go_with_users_who_age_out(shared: Shared, clock: ManualClock) -> None:
    activate(shared, LOGIN_COUNT)
    shared.settle()
    shared.login(1)
    clock.advance(LATER_MS)
    shared.sweep()
    shared.settle()
    assert told(shared) == [(1, {"logins": "1"}, []), (1, {}, ["logins"])]
    shared.settle()
    shared.login(2)
    assert [names for _, _, names in told(shared)] == [[], ["logins"], []]


@pytest.mark.parametrize(
    ("name", "changed", "gone"), [("Login", {"logins": "1"}, []), ("Logout", {}, ["logins"])]
)
def test_who_returns_before_it_is_told_has_the_values_of_now(
    shared: Shared, clock: ManualClock, name: str, changed: dict[str, str], gone: list[str]
) -> None:
    """Of those that are there again it is told, though they may be the same."""
    activate(shared, LOGIN_COUNT)
    shared.settle()
    shared.login(1)
    clock.advance(LATER_MS)
    shared.login(1, name=name)
    shared.settle()
    assert told(shared)[1:] == [(1, changed, gone)]
