"""What subscriptions are told when an audience is deactivated (spec/audiences.md, 2.1)."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from actors.audiences.objects import AbTest, Variation
from actors.audiences.told import LiveSubscription
from actors.audiences.variations import variation
from tests.actors.audience_shards import Asked, audience
from tests.actors.standard_shards import HOOK, PEOPLE, S, heard, login, open_asked, sending, tell
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
