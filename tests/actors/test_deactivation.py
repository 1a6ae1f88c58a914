"""What subscriptions are told when an audience is deactivated (spec/audiences.md, 2.1)."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from actors.audiences.answers import Counts
from actors.audiences.objects import AbTest, Variation
from actors.audiences.told import LiveSubscription
from actors.audiences.variations import variation
from tests.actors.audience_shards import Asked, audience
from tests.actors.standard_shards import (
    HOOK,
    PEOPLE,
    S,
    heard,
    login,
    members,
    open_asked,
    sending,
    tell,
)
from tests.oracle.audiences.build import event

LOGGED_IN = audience(S, event("Login"))
SPLIT = AbTest(1, (Variation("A", 5000), Variation("B", 3000)), "ann", 0)


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Asked]:
    opened = open_asked(tmp_path)
    yield opened
    opened.shard.state.close()


def changes(number: int = HOOK, of: str | None = None) -> LiveSubscription:
    """Make a subscription that is told of changes; `of`: a variation."""
    return replace(sending(0, number), variation=of, sends=None)


def test_variations_are_cleared_downstream_of_their_members(asked: Asked) -> None:
    """A connection is told `delete` for those for whom it was told `add`."""
    names = ("A", "B", "Control")
    connections = [changes(HOOK + place, name) for place, name in enumerate(names)]
    tell(asked, replace(LOGGED_IN, test=SPLIT), subscriptions=connections)
    asked.settle()
    for mpid in PEOPLE:
        login(asked, mpid)
    leaving = frozenset({S})
    tell(asked, subscriptions=connections, leaving=leaving, leaving_tests={S: SPLIT})
    asked.settle()
    told = {name: heard(asked, HOOK + place) for place, name in enumerate(names)}
    for name in names:
        own = [mpid for mpid in PEOPLE if variation(S, SPLIT, mpid) == name]
        assert told[name] == [(action, mpid) for action in ("add", "delete") for mpid in own]
    assert all(told.values())


@pytest.mark.parametrize("clears", [False, True])
def test_who_is_told_does_not_depend_on_how_soon_an_audience_is_activated_again(
    tmp_path: Path, clears: bool
) -> None:
    """After no user has left yet, some have, or all: whoever matches enters with it."""
    told = []
    leaving = frozenset({S}) if clears else frozenset[int]()
    for steps in (0, 1, 100):
        asked = open_asked(tmp_path / str(steps))
        with closing(asked.shard.state):
            tell(asked, LOGGED_IN, subscriptions=[changes()])
            asked.settle()
            for mpid in PEOPLE:
                login(asked, mpid)
            tell(asked, subscriptions=[changes()], leaving=leaving)
            for _ in range(steps):
                asked.worker.audience_step()
            tell(asked, LOGGED_IN, subscriptions=[changes()], leaving=leaving)
            asked.settle()
            assert members(asked) == set(PEOPLE)
            assert asked.members.audience_counts() == {S: Counts(len(PEOPLE))}
            told.append(sorted(heard(asked)))
    actions = ["add", "add", "delete"] if clears else ["add", "add"]
    assert told[0] == sorted((action, mpid) for action in actions for mpid in PEOPLE)
    assert told[1] == told[2] == told[0]


def test_who_comes_before_all_have_left_is_told_of_in_order(asked: Asked) -> None:
    """A batch that makes a user ready for the new beginning finds him a member no more."""
    tell(asked, LOGGED_IN, subscriptions=[changes()])
    asked.settle()
    login(asked, 1)
    tell(asked, subscriptions=[changes()], leaving=frozenset({S}))
    tell(asked, LOGGED_IN, subscriptions=[changes()], leaving=frozenset({S}))
    login(asked, 1)
    assert heard(asked) == [("add", 1), ("delete", 1), ("add", 1)]
