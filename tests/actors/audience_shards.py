"""Shards with the users of the worked cases or of generated worlds, ready to be asked."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace as with_fields
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from actors.audience_members import MemberViews
from actors.audience_questions import QuestionViews
from actors.audience_worker import AudienceWorker
from actors.audiences.answers import Query
from actors.audiences.criteria import Node
from actors.audiences.told import LiveAudience, LiveAudiences
from actors.clock import ManualClock
from actors.model.batches import BatchContext
from actors.model.micro_batches import EventName, EventNames
from actors.model.profiles import IdentityValue, ProfileKey
from actors.shard import Shard
from actors.store import log
from actors.store.keys import profile_key
from tests.actors.shards import item, micro, open_shard
from tests.oracle.audiences.fixture import APP, EMAIL, NOW, WORKSPACE, bodies
from tests.oracle.audiences.generators import World
from tests.oracle.audiences.people import Person

NAMES = EventNames(
    [EventName("custom_event", name) for name in ("Clip Played", "Login", "Ping")], is_full=False
)
_encode = msgspec.msgpack.Encoder().encode


class Asked:
    """A shard, and the calls that audiences make of it."""

    def __init__(self, folder: Path, clock: ManualClock, **options: Any) -> None:
        self._folder = folder
        self._options = options
        self.clock = clock
        self._micro = 0
        self.live = LiveAudiences()
        self.open()

    def open(self, **setup: float) -> None:
        """Open the shard; `setup`: of the questions."""
        self.shard: Shard = open_shard(self._folder, clock=self.clock, **self._options)
        self.members = MemberViews(self.shard, self.clock)
        self.questions = QuestionViews(self.shard, self.clock, **setup)
        self.worker = AudienceWorker(self.shard, self.clock)

    def restart(self, **setup: float) -> None:
        """Open it again."""
        self.shard.state.close()
        self.open(**setup)

    def send(self, mpid: int, body: dict[str, Any], received_ms: int | None = None) -> None:
        """Commit a batch of a user as it would be committed when it is received, by default now."""
        at_ms = self.clock.now_ms() if received_ms is None else received_ms
        self.clock.advance(at_ms - self.clock.now_ms())
        self._micro += 1
        where = BatchContext(APP, "k", "server_to_server", at_ms)
        sent = item({"environment": "production", "mpid": mpid, "events": [], **body}, mpid=mpid)
        self.shard.commit(micro(self._micro, sent, where=where, names=NAMES))

    def identify(self, mpid: int, type_: str, value: str) -> None:
        """Let a user have an identity, which batches that name an MPID do not give."""
        key = ProfileKey(self.shard.options.workspace.scope, "production", mpid)
        now_ms = self.clock.now_ms()
        with self.shard.transaction() as txn:
            profile = self.shard.profiles.stage(txn, key, now_ms)
            profile.user_identities[type_] = IdentityValue(value, now_ms, now_ms)

    def define(self, *audiences: LiveAudience) -> None:
        """Let these audiences be live, and do all that is due."""
        self.live = LiveAudiences(version=self.live.version + 1, audiences=audiences)
        self.worker.set_audiences(self.live)
        self.settle()

    def settle(self) -> None:
        """Do all that is due."""
        while self.worker.audience_step():
            pass

    def matching(self, node: Node, mpids: Sequence[int], as_of_ms: int | None) -> set[int]:
        """Return whom a definition holds for."""
        found = self.questions.evaluate_audience(query(node), mpids, as_of_ms)
        assert [each.mpid for each in found] == list(mpids)
        return {each.mpid for each in found if each.result}


def query(node: Node, **members: Any) -> Query:
    """Ask about users of production."""
    return Query(node=node, environment="production", **members)


def audience(number: int, node: Node | None, revision: int = 1, **members: Any) -> LiveAudience:
    """Make a real-time audience; without a definition a static one."""
    known: dict[str, Any] = {
        "type": "static" if node is None else "real_time",
        "name": f"a{number}",
        "external_name": f"a{number}",
        "environment": "production",
    }
    return LiveAudience(number=number, revision=revision, node=node, **known | members)


@contextmanager
def fixture_shard(folder: Path, now_ms: int = NOW, **options: Any) -> Iterator[Asked]:
    """Open a shard to which the users of the worked cases have come; it is `now_ms` then."""
    sent = bodies()
    clock = ManualClock(sent[0].received_ms)
    asked = Asked(folder, clock, **{"workspace": WORKSPACE} | options)
    for each in sent:
        asked.send(each.person, each.body, each.received_ms)
    clock.advance(now_ms - clock.now_ms())
    asked.identify(1005, "email", EMAIL)
    try:
        yield asked
    finally:
        asked.shard.state.close()


def keep_world(asked: Asked, world: World) -> list[Person]:
    """Write the users of a world into a shard as if they had come; return them as they are there.

    What no shard knows by itself is taken from them: calculated attributes, predictions, segments.
    """
    every = [(stored, person.mpid) for person in world.people for stored in person.batches]
    every.sort(key=lambda each: (each[0].received_ms, each[0].log_id))
    heads: dict[tuple[int, bool], int] = {}
    batches: Mapping[int, list[Any]] = {person.mpid: [] for person in world.people}
    people = []
    with asked.shard.store.write() as txn:
        for log_id, (stored, mpid) in enumerate(every, 1):
            head = (mpid, stored.is_historical)
            kept = replace(stored, log_id=log_id, previous_log_id=heads.get(head, 0))
            heads[head] = log_id
            batches[mpid].append(kept)
            log.append(txn, kept)
        for person in world.people:
            profile = person.profile
            section = person.section
            if section is not None:
                section.newest_log_id = heads.get((person.mpid, False), 0)
                section.newest_historical_id = heads.get((person.mpid, True), 0)
                section.audiences = dict.fromkeys(person.memberships, 1)
            key = ProfileKey(person.workspace.scope, "production", person.mpid)
            txn.put("profiles", profile_key(key), _encode(profile))
            people.append(
                with_fields(
                    person,
                    batches=tuple(batches[person.mpid]),
                    calculated={},
                    segments=frozenset(),
                    predictions={},
                )
            )
    return people
