"""Random histories of a desk whose shards come and go and whose process ends and begins again."""

import tempfile
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.audiences.fields import AudienceFields
from actors.audiences.language.references import References
from actors.audiences.reading import understand
from actors.errors import AudienceRefused, ShardUnavailable
from tests.actors.audiences.desks import ACTOR, Desk, age_from, attribute, clips, open_desk
from tests.oracle.audiences.fixture import NOW, make_users
from tests.oracle.audiences.users import Users

DEFINITIONS = (attribute("premium"), age_from(18), clips(1), attribute("gold"))
NODES = [
    understand(each, References(workspaces=frozenset(), now_ms=NOW)).node for each in DEFINITIONS
]
NAMES = ("a", "b", "c")
Action = Literal["make", "edit", "activate", "deactivate", "delete"]

ACTIONS: tuple[Action, ...] = ("make", "edit", "activate", "activate", "deactivate", "delete")
EVENTS = ("away", "back", "restart", "settle", "settle")
STEPS = 40


class History:
    """A desk, and what it should have by what it was told."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._users: Users = make_users()
        self._former = ExitStack()
        self.known: dict[str, tuple[int, int, bool]] = {}  # name to id, definition, is active
        self.desk: Desk = self._former.enter_context(open_desk(folder, self._users, shards=2))
        stack.callback(lambda: self._former.close())

    def restart(self) -> None:
        """End the process, and begin another one on what it has left."""
        shards = self.desk.shards
        self._former.close()
        self.desk = self._former.enter_context(open_desk(self._folder, self._users, kept=shards))

    async def act(self, action: Action, name: str, definition: int) -> None:
        """Do something; what is answered with a shard's absence holds nevertheless."""
        calls = self.desk.calls
        fields = AudienceFields(definition=DEFINITIONS[definition])
        number, former, is_active = self.known.get(name, (0, 0, False))
        after: tuple[int, int, bool] | None = None
        refusal: str | None = None
        try:
            if action == "make":
                new = AudienceFields(name=name, definition=DEFINITIONS[definition])
                number = (await calls.create_audience(new, ACTOR)).number
                self.known[name] = (number, definition, False)
                return
            if action == "edit":
                after = (number, definition, is_active)
                await calls.replace_audience(number, fields, ACTOR)
            elif action == "activate":
                after = (number, former, True)
                await calls.activate_audience(number, ACTOR)
            elif action == "deactivate":
                after = (number, former, False)
                await calls.deactivate_audience(number, False, ACTOR)
            else:
                await calls.delete_audience(number)
        except AudienceRefused as error:
            refusal = error.code
        except ShardUnavailable:
            pass
        if refusal is not None:
            assert (action, refusal) == ("make", "NAME_NOT_UNIQUE")
            assert name in self.known
        elif name in self.known:
            if after is None:
                del self.known[name]
            else:
                self.known[name] = after

    async def happen(self, event: str) -> None:
        """Let something happen that nobody asked for."""
        if event == "restart":
            self.restart()
        elif event == "settle":
            for shard in self.desk.shards:
                shard.walk()
            try:
                await self.desk.desk.work()
            except ShardUnavailable:
                assert self.desk.shards[1].is_away
            else:
                self.check_told()
        else:
            self.desk.shards[1].is_away = event == "away"

    def check_told(self) -> None:
        """Check that all shards know what is active."""
        active = {number for number, _, is_active in self.known.values() if is_active}
        for shard in self.desk.shards:
            if not shard.is_away:
                assert {each.number for each in shard.live.audiences} == active

    async def check(self) -> None:
        """Check that it comes to what it should be when all shards are there."""
        self.desk.shards[1].is_away = False
        await self.desk.settle()
        kept = await self.desk.calls.audiences()
        assert {each.name: (each.number, each.status == "active") for each in kept} == {
            name: (number, is_active) for name, (number, _, is_active) in self.known.items()
        }
        assert {each.status for each in kept} <= {"draft", "active", "inactive"}
        active = {number for number, _, is_active in self.known.values() if is_active}
        self.check_told()
        for shard in self.desk.shards:
            assert shard.members.keys() == active
        nodes = {each.number: each.node for each in self.desk.shards[0].live.audiences}
        for number, definition, is_active in self.known.values():
            if is_active:
                node = NODES[definition]
                assert nodes[number] == node
                assert self.desk.members(number) == self._users.members(node, NOW)


@given(st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
async def test_the_desk_and_all_shards_come_to_what_was_asked_for(seed: int) -> None:
    """Whatever is away and whenever it ends: what was answered holds, and is evaluated."""
    random = Random(seed)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        history = History(Path(folder), stack)
        for _ in range(STEPS):
            if random.random() < 0.3:
                await history.happen(random.choice(EVENTS))
            else:
                definition = random.randrange(len(DEFINITIONS))
                await history.act(random.choice(ACTIONS), random.choice(NAMES), definition)
        await history.check()
        history.restart()
        await history.check()
