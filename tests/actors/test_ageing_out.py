"""What is counted and told of users who age out, and of those who return (spec/profiles.md, 6)."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from actors.audience_members import MemberViews
from actors.audiences.answers import Counts
from actors.clock import ManualClock
from actors.profiles.retention import DAY_MS
from actors.sweeper import Sweeper
from tests.actors.audience_shards import Asked, audience
from tests.actors.joint_shards import JOINT, LIVE, Shared
from tests.actors.profiles.builders import NOW
from tests.actors.standard_shards import S, login, open_asked
from tests.oracle.audiences.build import event, within_last

LATER_MS = 100 * DAY_MS  # more than any lifetime of a profile
TODAY = audience(S, event("Login", within_last(DAY_MS)))


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Asked]:
    opened = open_asked(tmp_path)
    yield opened
    opened.shard.state.close()


def age_out(asked: Asked, after_ms: int = LATER_MS) -> None:
    """Let everybody age out, and do all that is due."""
    asked.clock.advance(after_ms)
    sweeper = Sweeper(asked.shard.state, [asked.shard], asked.clock)
    while sweeper.sweep():
        pass
    asked.settle()


@pytest.mark.parametrize("is_swept", [False, True])
def test_users_who_return_are_counted_as_they_enter(asked: Asked, is_swept: bool) -> None:
    """As users are whom nobody knew, whether or not a sweep has come to them."""
    asked.define(TODAY)
    login(asked, 1)
    asked.settle()
    if is_swept:
        age_out(asked)
        asked.clock.advance(2 * DAY_MS)
    else:
        asked.clock.advance(2 * DAY_MS)
        asked.settle()
        asked.clock.advance(LATER_MS)
    assert asked.members.audience_counts() == {S: Counts(0)}
    for entered, mpid in enumerate((1, 2), 1):
        login(asked, mpid)
        assert asked.members.audience_counts() == {S: Counts(entered, entered)}


def test_users_who_return_are_counted_in_audiences_over_several_workspaces(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    with closing(Shared(tmp_path, clock)) as shared:
        shared.worker.set_audiences(LIVE)
        shared.settle()
        shared.login()
        clock.advance(LATER_MS)
        shared.sweep()
        shared.settle()
        clock.advance(2 * DAY_MS)
        views = MemberViews(shared.home, clock)
        assert views.audience_counts() == {JOINT.number: Counts(0)}
        shared.login()
        assert views.audience_counts() == {JOINT.number: Counts(1, 1)}
