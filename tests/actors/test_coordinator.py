"""The coordinator against real shards, and against a model that fits on one page."""

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.clock import ManualClock, SystemRandomness
from actors.errors import StoreFull
from actors.identity.findings import Findings, Question
from actors.identity.state import identity_rules
from actors.model.micro_batches import EventName, EventNames, Unresolved
from actors.model.profiles import Profile
from actors.model.workspaces import ENVIRONMENTS, Environment
from actors.shard import Shard
from actors.shard_views import ShardViews
from actors.store.environment import Store
from actors.store.identities import Holder, IdentityChange, IndexEntry, Term
from actors.store.keys import (
    identity_key,
    profile_key_parts,
    shard_of_slot,
    slot_of_hash,
    slot_of_mpid,
)
from actors.store.trail import TrailEntry
from tests.actors.coordinators import LoneCoordinator
from tests.actors.profiles.builders import NOW, WORKSPACE
from tests.actors.shards import MAP_SIZE_BYTES, open_shard

SCOPE = WORKSPACE.scope
RULES = identity_rules(WORKSPACE)
# Hundreds of commits wait for no disk where there is a folder in memory.
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None


class IndexOfShard:
    """A shard as the coordinator sees it, which can be kept from writing."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard
        self.writes = 0

    async def read_identities(
        self, term: Term, questions: Sequence[Question], candidates: Sequence[int]
    ) -> Findings:
        return self._shard.identities.read_identities(term, questions, candidates)

    async def write_identities(
        self, term: Term, write: int, changes: Sequence[IdentityChange]
    ) -> None:
        self.writes += 1
        self._shard.identities.write_identities(term, write, changes)

    async def trail(self, environment: Environment, mpid: int) -> list[TrailEntry]:
        return ShardViews(self._shard, ManualClock(NOW)).trail(environment, mpid)


class Deployment:
    """Some shards and a coordinator, which can be started again."""

    def __init__(self, folder: Path, shards: int, max_event_names: int = 5) -> None:
        self._folder = folder
        self._max_event_names = max_event_names
        self.shards = [
            open_shard(folder / f"shard-{number}", number, shards) for number in range(shards)
        ]
        self.index = [IndexOfShard(shard) for shard in self.shards]
        self.coordinator = self._start()

    def restart(self) -> None:
        """Start the coordinator again on what the last one left on disk."""
        self.coordinator.close()
        self.coordinator = self._start()

    def close(self) -> None:
        self.coordinator.close()
        for shard in self.shards:
            shard.state.close()

    def _start(self) -> LoneCoordinator:
        return LoneCoordinator(
            Store(self._folder / "coordinator", MAP_SIZE_BYTES),
            self.index,
            SCOPE,
            RULES,
            self._max_event_names,
            ManualClock(NOW),
            SystemRandomness(),
        )

    # -- What is on disk --------------------------------------------------------------------------

    def records(self) -> dict[tuple[Environment, int], list[tuple[str, str, int]]]:
        """Return the lookups of every profile, each found on the shard that owns it."""
        decode = msgspec.msgpack.Decoder(Profile).decode
        found = {}
        for number, shard in enumerate(self.shards):
            with shard.store.read() as txn:
                for key, encoded in txn.scan("profiles"):
                    parts = profile_key_parts(key)
                    assert shard_of_slot(slot_of_mpid(parts.mpid), len(self.shards)) == number
                    found[parts.environment, parts.mpid] = [
                        (each.type, each.value, each.link) for each in decode(encoded).lookups
                    ]
        return found

    def entries(self) -> dict[tuple[Environment, str, str], list[Holder]]:
        """Return every entry of the index, each found on the shard that owns it."""
        decode = msgspec.msgpack.Decoder(IndexEntry).decode
        found = {}
        for number, shard in enumerate(self.shards):
            with shard.store.read() as txn:
                for key, encoded in txn.scan("identities"):
                    assert shard_of_slot(slot_of_hash(key), len(self.shards)) == number
                    entry = decode(encoded)
                    [environment] = [
                        each
                        for each in ENVIRONMENTS
                        if identity_key(SCOPE, each, entry.type, entry.value) == key
                    ]
                    found[environment, entry.type, entry.value] = entry.holders
        return found

    def check(self) -> None:
        """Check the invariants of spec/identity.md over all shards."""
        entries, records = self.entries(), self.records()
        by_record = {
            (environment, kind, value, mpid, link)
            for (environment, mpid), lookups in records.items()
            for kind, value, link in lookups
        }
        by_entry = {
            (environment, kind, value, holder.mpid, holder.link)
            for (environment, kind, value), holders in entries.items()
            for holder in holders
        }
        assert by_entry == by_record
        known = {
            (environment, mpid)
            for (environment, mpid), lookups in records.items()
            if any(kind in RULES.login_ids for kind, _, _ in lookups)
        }
        for (environment, kind, _), holders in entries.items():
            assert all(each.is_known == ((environment, each.mpid) in known) for each in holders)
            links = [holder.link for holder in holders]
            assert links == sorted(set(links))
            assert kind not in RULES.unique_ids or len(holders) == 1
        for lookups in records.values():
            for unique in RULES.unique_ids:
                assert sum(kind == unique for kind, _, _ in lookups) <= 1
        mpids = [mpid for _, mpid in records]
        assert len(mpids) == len(set(mpids)), "one MPID in both environments"


@contextmanager
def deployment(shards: int = 3, **changes: int) -> Iterator[Deployment]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=MEMORY)))
        made = Deployment(folder, shards, **changes)
        stack.callback(made.close)
        yield made


class Model:
    """The default strategy over one dict: spec/identity.md, 7.1 to 7.4, `customerid` fixed."""

    def __init__(self) -> None:
        self._users: list[dict[tuple[str, str], int]] = []  # lookups to their links
        self._links = 0

    def identify(self, request: list[tuple[str, str]]) -> int:
        """Return the number of the user."""
        logins = [each for each in request if each[0] == "customerid"]
        known = [user for user in self._holding(request) if self._login(user)]
        known = [user for user in known if any(each in self._users[user] for each in logins)]
        anonymous = [user for user in self._holding(request) if not self._login(user)]
        if known or anonymous:
            user = self._pick(known or anonymous, request)
        else:
            self._users.append({})
            user = len(self._users) - 1
        for each in request:
            if each in self._users[user]:
                continue
            if each[0] == "customerid" and (self._login(user) or self._holding([each])):
                continue
            self._links += 1
            self._users[user][each] = self._links
        return user

    def _holding(self, request: list[tuple[str, str]]) -> list[int]:
        return [
            number
            for number, lookups in enumerate(self._users)
            if any(each in lookups for each in request)
        ]

    def _login(self, user: int) -> bool:
        return any(kind == "customerid" for kind, _ in self._users[user])

    def _pick(self, pool: list[int], request: list[tuple[str, str]]) -> int:
        left = pool
        held = [each for each in request if any(each in self._users[user] for user in pool)]
        for each in held:
            left = [user for user in left if each in self._users[user]] or left
        return max(left, key=lambda user: self._users[user][held[0]])


PRIORITY = ("customerid", "email", "device_application_stamp")
values = st.sampled_from(["1", "2", "3"])
requests = st.builds(
    lambda environment, sent: Unresolved(
        environment, [(kind, sent[kind]) for kind in PRIORITY if kind in sent]
    ),
    st.sampled_from(["production", "production", "production", "development"]),
    st.dictionaries(st.sampled_from(PRIORITY), values, min_size=1),
)
calls = st.tuples(st.lists(requests, min_size=1, max_size=4), st.booleans())


@given(st.sampled_from([1, 2, 5]), st.lists(calls, min_size=1, max_size=12))
@settings(max_examples=60, deadline=None)
def test_it_resolves_like_the_model(shards: int, sent: list[tuple[list[Unresolved], bool]]) -> None:
    """Also what one call asks for of the same identities, and after a new start."""

    async def run(made: Deployment) -> None:
        models = {environment: Model() for environment in ENVIRONMENTS}
        mpids: dict[tuple[Environment, int], int] = {}
        for asked, is_restarted in sent:
            users = [models[each.environment].identify(each.identities) for each in asked]
            if is_restarted:
                made.restart()
            # One by one: what is asked for together is in order only for the same identities.
            answers = [mpid for each in asked for mpid in await made.coordinator.resolve([each])]
            for each, user, mpid in zip(asked, users, answers, strict=True):
                assert mpids.setdefault((each.environment, user), mpid) == mpid
            made.check()
        assert len(set(mpids.values())) == len(mpids)

    with deployment(shards) as made:
        asyncio.run(run(made))


async def test_requests_of_the_same_identities_are_resolved_in_their_order() -> None:
    """Of one call: the last customer ID finds the device's user taken."""
    for shards in range(1, 4):
        with deployment(shards) as made:
            device = Unresolved("production", [("device_application_stamp", "d")])
            users = [customer(f"{number}", device_application_stamp="d") for number in range(20)]
            first, second, *others = await made.coordinator.resolve([device, *users])
            assert first == second
            assert len({first, *others}) == 20
            made.check()


# -- Single steps ---------------------------------------------------------------------------------


def customer(value: str, environment: Environment = "production", **more: str) -> Unresolved:
    return Unresolved(environment, [("customerid", value), *more.items()])


async def test_nothing_is_written_for_what_is_known() -> None:
    with deployment() as made:
        asked = [customer("1", email="a@example.com")]
        first = await made.coordinator.resolve(asked)
        before = [each.writes for each in made.index]
        assert await made.coordinator.resolve(asked * 3) == first * 3
        assert [each.writes for each in made.index] == before


async def test_an_mpid_lies_where_its_first_identity_lies() -> None:
    with deployment(5) as made:
        asked = [customer(str(number), email="shared@example.com") for number in range(40)]
        mpids = await made.coordinator.resolve(asked)
        assert len(set(mpids)) == 40
        for each, mpid in zip(asked, mpids, strict=True):
            key = identity_key(SCOPE, "production", *each.identities[0])
            assert slot_of_mpid(mpid) == slot_of_hash(key)
            assert 0 < mpid < 2**53
        assert len(made.entries()["production", "email", "shared@example.com"]) == 40
        made.check()


async def test_values_are_matched_in_their_canonical_form() -> None:
    with deployment() as made:
        [ann] = await made.coordinator.resolve([Unresolved("production", [("email", "A@b.c ")])])
        [same] = await made.coordinator.resolve([Unresolved("production", [("email", "a@B.c")])])
        [upper] = await made.coordinator.resolve([customer("x")])
        [lower] = await made.coordinator.resolve([customer("X")])
        assert ann == same
        assert upper != lower


async def test_writing_the_last_intent_again_undoes_nothing() -> None:
    """Every start writes it; what batches did to the profiles meanwhile stays."""
    with deployment() as made:
        [mpid] = await made.coordinator.resolve([customer("1")])
        before = made.records(), made.entries()
        made.restart()
        assert await made.coordinator.resolve([customer("1")]) == [mpid]
        assert (made.records(), made.entries()) == before


async def test_a_new_store_beside_old_shards_goes_on_where_they_are(tmp_path: Path) -> None:
    with deployment() as made:
        mpids = [await made.coordinator.resolve([customer(f"{number}")]) for number in range(3)]
        made.coordinator.close()
        made.coordinator = LoneCoordinator(
            Store(tmp_path, MAP_SIZE_BYTES),
            made.index,
            SCOPE,
            RULES,
            10,
            ManualClock(NOW),
            SystemRandomness(),
        )
        new = await made.coordinator.resolve([customer("new")])
        assert new not in mpids
        assert await made.coordinator.resolve([customer("0")]) == mpids[0]
        made.check()


async def test_a_full_store_of_its_own_decides_nothing(tmp_path: Path) -> None:
    with deployment(1) as made:
        made.coordinator.close()
        store = Store(tmp_path, 256 * 1024)
        coordinator = LoneCoordinator(
            store, made.index, SCOPE, RULES, 10, ManualClock(NOW), SystemRandomness()
        )
        many = [customer(f"{number}{'x' * 4000}") for number in range(200)]
        with pytest.raises(StoreFull):
            await coordinator.resolve(many)
        assert made.entries() == {}
        assert len(await coordinator.resolve([customer("1"), many[0]])) == 2
        assert len(made.entries()) == 2
        made.check()
        made.coordinator = coordinator


# -- Event names ----------------------------------------------------------------------------------


def named(*names: str) -> list[EventName]:
    return [EventName("custom_event", name) for name in names]


async def test_event_names_are_admitted_up_to_the_limit() -> None:
    """spec/events-api.md, 14."""
    with deployment(1, max_event_names=3) as made:
        admit = made.coordinator.admit_event_names
        assert await admit(named("a", "b", "a")) == EventNames(named("a", "b", "a"), False)
        assert await admit(named("b")) == EventNames(named("b"), False)
        told = await admit(named("c", "d", "a"))
        assert (set(told.admitted), told.is_full) == (set(named("a", "b", "c")), True)
        made.restart()
        told = await made.coordinator.admit_event_names(named("e"))
        assert (set(told.admitted), told.is_full) == (set(named("a", "b", "c")), True)


async def test_a_name_counts_by_its_event_type() -> None:
    with deployment(1, max_event_names=2) as made:
        both = [EventName("custom_event", "a"), EventName("screen_view", "a")]
        told = await made.coordinator.admit_event_names(both)
        assert (sorted(told.admitted), told.is_full) == (sorted(both), True)
