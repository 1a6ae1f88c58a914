"""Definitions that change while batches arrive (spec/audiences.md, 2.1 and 7).

After an edit the profiles are walked one by one, batches between them. Whoever was not walked keeps
its membership; whoever was has that of the new definition; each event counts once.
"""

from random import Random

import pytest

from actors.audiences.criteria import AudienceMembership, Group, Node
from actors.audiences.engine.engine import Engine
from actors.audiences.engine.records import Change
from actors.model.profiles import ProfileKey
from tests.oracle.audiences.evaluate import is_in_population, is_member
from tests.oracle.audiences.fixture import DAY, HOUR, NOW, WORKSPACE
from tests.oracle.audiences.people import Surroundings
from tests.oracle.audiences.random_bodies import make_body
from tests.oracle.audiences.random_definitions import Definitions
from tests.oracle.audiences.users import Users
from tests.oracle.audiences.vocabulary import AUDIENCES, chance

HISTORIES, PARTS = 120, 6
PEOPLE, STEPS, EDITS = 6, 12, 3
LOOKBACK_MS = WORKSPACE.audience_event_days * DAY


def names(node: Node, audience: int) -> bool:
    """Tell whether a definition asks about membership of an audience."""
    if isinstance(node, Group):
        return any(names(each, audience) for each in node.nodes)
    asked = node.criterion
    return isinstance(asked, AudienceMembership) and asked.audience == audience


class History:
    """Users whose batches come while definitions change."""

    def __init__(self, randomness: Random) -> None:
        self.randomness = randomness
        self.now_ms = NOW - 15 * DAY
        self.users, self.engine = Users(WORKSPACE), Engine(WORKSPACE, LOOKBACK_MS)
        self.audiences: dict[int, Node] = {}
        self.revision = 0
        self.edited: set[int] = set()
        self.waiting: list[int] = []
        self.frozen: dict[tuple[int, int], bool] = {}  # (audience, MPID): as before the edit
        self.announced: set[tuple[int, int]] = set()

    def edit(self) -> None:
        """Activate a definition: a new one, or one in the place of another."""
        self.now_ms += HOUR
        self._due()
        self.revision += 1
        number = self.randomness.choice((*AUDIENCES, 1, 2, 3))
        is_inner = number in AUDIENCES
        can_nest = not is_inner and self.audiences.keys() >= set(AUDIENCES)
        definitions = Definitions(self.randomness, NOW, nests=can_nest)
        self.audiences[number] = definitions.node(1 if is_inner else 2)
        self.engine.activate(number, "production", self.audiences[number], self.revision)
        self.edited = {
            each for each, node in self.audiences.items() if each == number or names(node, number)
        }
        self.waiting = list(self.users.profiles)
        self.randomness.shuffle(self.waiting)
        self.frozen = {
            (audience, mpid): audience in self.engine.audiences_of(self.key(mpid))
            for audience in self.audiences
            for mpid in self.waiting
        }

    def arrive(self) -> None:
        """Let a batch of some user come."""
        self.now_ms += self.randomness.choice((1, HOUR, 6 * HOUR))
        mpid = self.randomness.randint(1, PEOPLE)
        body = make_body(self.randomness, self.now_ms)
        stored = self.users.send(mpid, body, self.now_ms)
        self.engine.observe(self.key(mpid), self.users.profiles[mpid], stored)
        self._evaluate(mpid)

    def walk(self) -> None:
        """Go to the next profile that has not been looked at since the edit."""
        if self.waiting:
            mpid = self.waiting.pop()
            key = self.key(mpid)
            self.engine.refresh(key, self.users.profiles[mpid])
            self.engine.rebuild_events(key, self.users.batches[mpid], self.revision, self.now_ms)
            self._evaluate(mpid)

    def check(self) -> int:
        """Compare all memberships; return how many there are."""
        count = 0
        around = Surroundings(WORKSPACE, self.audiences)
        for number, node in self.audiences.items():
            found = {each.mpid for each in self.engine.members(number)}
            for person in self.users.people():
                if number in self.edited and person.mpid in self.waiting:
                    is_there = is_in_population(person, around, self.now_ms)
                    expected = self.frozen[number, person.mpid] and is_there
                else:
                    expected = is_member(node, person, around, self.now_ms)
                assert (person.mpid in found) == expected, (number, person.mpid, node)
                self.frozen[number, person.mpid] = expected
            assert found == {mpid for audience, mpid in self.announced if audience == number}
            count += len(found)
        return count

    def key(self, mpid: int) -> ProfileKey:
        """Return the key of a user."""
        return ProfileKey(WORKSPACE.scope, "production", mpid)

    def _evaluate(self, mpid: int) -> None:
        rows = self.engine.rows_of([self.key(mpid)])
        self._announce(self.engine.evaluate(rows, self.now_ms))
        self._due()

    def _due(self) -> None:
        self._announce(self.engine.evaluate(self.engine.due(self.now_ms), self.now_ms))

    def _announce(self, changes: list[Change]) -> None:
        for change in changes:
            membership = change.audience, change.key.mpid
            assert (membership in self.announced) != change.entered, "a change is told once"
            self.announced ^= {membership}


def follow(randomness: Random) -> int:
    """Follow one history; return how many memberships were seen."""
    history, seen = History(randomness), 0
    for _ in range(EDITS):
        history.edit()
        for _ in range(STEPS):
            if chance(randomness, 0.5):
                history.arrive()
            else:
                history.walk()
            seen += history.check()
        while history.waiting:
            history.walk()
        seen += history.check()
    return seen


@pytest.mark.parametrize("part", range(PARTS))
def test_an_edit_reaches_each_user_once(part: int) -> None:
    """Only differences are announced, whatever comes between."""
    randomness = Random(part)
    seen = sum(follow(randomness) for _ in range(HISTORIES // PARTS))
    assert seen > HISTORIES // PARTS * STEPS
