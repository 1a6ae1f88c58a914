"""What is stored follows the identity settings, however often that is cut off."""

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.clock import ManualClock, SystemClock, SystemRandomness
from actors.errors import IdentitiesShared, ShardUnavailable
from actors.identity.findings import Findings, Question
from actors.identity.state import identity_rules
from actors.model.micro_batches import Unresolved
from actors.model.profiles import Profile, ProfileKey
from actors.model.workspaces import ENVIRONMENTS, Environment
from actors.shard import Shard
from actors.store import identity_settings, intents
from actors.store.environment import Store
from actors.store.folder import DataFolder
from actors.store.identities import IdentityChange, Term, decode_entry
from actors.store.identity_settings import IdentitySettings, bring_to_settings
from actors.store.keys import identity_key, profile_key, shard_of_slot, slot_of_mpid
from actors.store.layout import scope_store
from actors.store.trail import TrailEntry
from tests.actors.coordinators import LoneCoordinator
from tests.actors.profiles.builders import NOW, WORKSPACE
from tests.actors.shards import MAP_SIZE_BYTES, open_shard

SCOPE = WORKSPACE.scope
FILE = f"identity-{SCOPE}.json"
Sent = tuple[Environment, dict[str, str]]  # the identities of one batch
TYPES = ("customerid", "email", "other")
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None


class CutOff(Exception):
    """The process ends here."""


class LocalShard:
    """A shard as the coordinator sees it; one that is away takes no writes."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard
        self.is_away = False

    async def read_identities(
        self, term: Term, questions: Sequence[Question], candidates: Sequence[int]
    ) -> Findings:
        return self._shard.identities.read_identities(term, questions, candidates)

    async def write_identities(
        self, term: Term, write: int, changes: Sequence[IdentityChange]
    ) -> None:
        if self.is_away:
            raise ShardUnavailable("away")
        self._shard.identities.write_identities(term, write, changes)

    async def trail(self, environment: Environment, mpid: int) -> list[TrailEntry]:
        return []


def settings_of(*login_ids: str, unique: Sequence[str] | None = None) -> IdentitySettings:
    return IdentitySettings(
        frozenset(login_ids), frozenset(login_ids if unique is None else unique)
    )


@contextmanager
def deployment(
    folder: DataFolder, wanted: IdentitySettings
) -> Iterator[tuple[LoneCoordinator, list[LocalShard]]]:
    """Serve a data folder with some identity settings."""
    assert wanted.login_ids is not None
    workspace = replace(
        WORKSPACE,
        priority=TYPES,
        strategy="profile_conversion",
        login_ids=wanted.login_ids,
        unique_ids=wanted.unique_ids,
        immutable_ids=frozenset(),
    )
    paths = folder.shards
    with ExitStack() as stack:
        shards = []
        for number, path in enumerate(paths):
            shard = open_shard(path, number, len(paths), workspace=workspace)
            stack.callback(shard.state.close)
            shards.append(LocalShard(shard))
        coordinator = LoneCoordinator(
            Store(scope_store(folder.coordinator, SCOPE), MAP_SIZE_BYTES),
            shards,
            SCOPE,
            identity_rules(workspace),
            5,
            ManualClock(NOW),
            SystemRandomness(),
        )
        stack.callback(coordinator.close)
        yield coordinator, shards


@contextmanager
def data_folder(shards: int) -> Iterator[DataFolder]:
    with tempfile.TemporaryDirectory(dir=MEMORY) as path:
        folder = DataFolder(Path(path), shards, MAP_SIZE_BYTES, SystemClock())
        try:
            yield folder
        finally:
            folder.close()


def wrong_entries(folder: DataFolder, login_ids: frozenset[str]) -> list[tuple[str, str]]:
    """Return the identities that say of a holder that it is known while its record does not."""
    decode = msgspec.msgpack.Decoder(Profile).decode
    wrong = []
    with ExitStack() as stack:
        stores = [Store(path, MAP_SIZE_BYTES) for path in folder.shards]
        for store in stores:
            stack.callback(store.close)
        readers = [stack.enter_context(store.read()) for store in stores]
        for reader in readers:
            for key, encoded in reader.scan("identities"):
                entry = decode_entry(encoded)
                [environment] = [
                    each
                    for each in ENVIRONMENTS
                    if identity_key(SCOPE, each, entry.type, entry.value) == key
                ]
                for holder in entry.holders:
                    owner = readers[shard_of_slot(slot_of_mpid(holder.mpid), len(readers))]
                    user = ProfileKey(SCOPE, environment, holder.mpid)
                    kept = owner.get("profiles", profile_key(user))
                    lookups = [] if kept is None else decode(kept).lookups
                    if holder.is_known != any(each.type in login_ids for each in lookups):
                        wrong.append((entry.type, entry.value))
    return wrong


batches = st.lists(
    st.tuples(
        st.sampled_from(ENVIRONMENTS),
        st.dictionaries(st.sampled_from(TYPES), st.sampled_from(["1", "2", "3"]), min_size=1),
    ),
    min_size=1,
    max_size=8,
)


async def resolve(coordinator: LoneCoordinator, sent: Sequence[Sent]) -> None:
    for environment, identities in sent:
        ordered = [(kind, identities[kind]) for kind in TYPES if kind in identities]
        await coordinator.resolve([Unresolved(environment, ordered)])


async def leave_behind(
    coordinator: LoneCoordinator,
    shards: list[LocalShard],
    sent: Sequence[Sent],
) -> None:
    """Have something decided that a shard never gets to write, and end."""
    for shard in shards:
        shard.is_away = True
    asked = asyncio.create_task(resolve(coordinator, sent))
    for _ in range(20):
        await asyncio.sleep(0)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)


@settings(max_examples=60, deadline=None)
@given(
    first=batches,
    last=batches,
    shards=st.integers(1, 3),
    before=st.sampled_from([("customerid",), ("email",), ("customerid", "email")]),
    between=st.sampled_from([(), ("other",), ("customerid", "other")]),
    cut_off=st.integers(0, 12),
)
def test_who_is_known_follows_the_login_ids(
    first: list[Sent],
    last: list[Sent],
    shards: int,
    before: tuple[str, ...],
    between: tuple[str, ...],
    cut_off: int,
) -> None:
    """A pass to other settings may be cut off; the next one may be back to those of before."""
    with pytest.MonkeyPatch.context() as patch, data_folder(shards) as folder:
        patch.setattr(identity_settings, "CHUNK", 2)
        old = settings_of(*before)
        bring_to_settings(folder, SCOPE, old, MAP_SIZE_BYTES)
        with deployment(folder, old) as (coordinator, handles):

            async def fill() -> None:
                await resolve(coordinator, first)
                await leave_behind(coordinator, handles, last)

            asyncio.run(fill())
        chunks = 0

        def count(_: int) -> None:
            nonlocal chunks
            chunks += 1
            if chunks > cut_off:
                raise CutOff

        new = settings_of(*between, unique=())
        try:
            bring_to_settings(folder, SCOPE, new, MAP_SIZE_BYTES, count)
        except CutOff:
            new = old
            bring_to_settings(folder, SCOPE, new, MAP_SIZE_BYTES)
        assert new.login_ids is not None
        with deployment(folder, new) as (coordinator, handles):

            async def settle() -> None:
                coordinator.start()
                for number in range(4):  # answered when what was left is written
                    await coordinator.lookup("production", "other", f"{number}")

            asyncio.run(settle())
        assert wrong_entries(folder, new.login_ids) == []


def test_what_was_decided_and_not_written_follows_too() -> None:
    """The coordinator writes it at its next start, over what the pass has written."""
    with data_folder(2) as folder:
        old, new = settings_of("customerid"), settings_of("email", unique=())
        bring_to_settings(folder, SCOPE, old, MAP_SIZE_BYTES)
        with deployment(folder, old) as (coordinator, shards):
            sent: list[Sent] = [("production", {"email": "1", "other": "2"})]
            asyncio.run(leave_behind(coordinator, shards, sent))
        bring_to_settings(folder, SCOPE, new, MAP_SIZE_BYTES)
        store = Store(scope_store(folder.coordinator, SCOPE), MAP_SIZE_BYTES)
        with store.read() as txn:
            [left] = intents.read_all(txn)
        store.close()
        assert {each.type for each in left.entries} == {"email", "other"}
        assert all(holder.is_known for each in left.entries for holder in each.holders)


def test_a_type_that_users_share_does_not_become_unique() -> None:
    """spec/identity.md, 3: such a change is refused as a whole, and the old settings hold."""
    with data_folder(2) as folder:
        old = settings_of("customerid")
        bring_to_settings(folder, SCOPE, old, MAP_SIZE_BYTES)
        with deployment(folder, old) as (coordinator, _):
            sent: list[Sent] = [
                ("production", {"customerid": "1", "email": "e", "other": "o"}),
                ("production", {"customerid": "2", "email": "e"}),
            ]
            asyncio.run(resolve(coordinator, sent))
        kept = folder.read(FILE)
        for wanted in (settings_of("customerid", "email"), settings_of(unique=("email",))):
            with pytest.raises(IdentitiesShared) as refused:
                bring_to_settings(folder, SCOPE, wanted, MAP_SIZE_BYTES)
            assert refused.value.values == {"email": 1}
            assert folder.read(FILE) == kept
            assert wrong_entries(folder, frozenset({"customerid"})) == []
        bring_to_settings(folder, SCOPE, settings_of("customerid", "other"), MAP_SIZE_BYTES)


def test_a_folder_is_looked_through_only_when_it_has_to_be() -> None:
    """Once if it is not known which settings it agrees with, and not again with the same ones."""
    looked: list[int] = []
    with data_folder(2) as folder:
        wanted = settings_of("customerid")
        bring_to_settings(folder, SCOPE, wanted, MAP_SIZE_BYTES, looked.append)
        assert looked == []  # there is nothing yet
        with deployment(folder, wanted) as (coordinator, _):
            asyncio.run(resolve(coordinator, [("production", {"customerid": "1"})]))
        bring_to_settings(folder, SCOPE, wanted, MAP_SIZE_BYTES, looked.append)
        assert looked == []
        wider = settings_of("customerid", unique=("customerid", "email"))
        bring_to_settings(folder, SCOPE, wider, MAP_SIZE_BYTES, looked.append)
        assert looked == []
        for damaged in (b"{}", b"{"):
            folder.write(FILE, damaged)
            bring_to_settings(folder, SCOPE, wanted, MAP_SIZE_BYTES, looked.append)
            assert sorted(looked) == [0, 1]
            looked.clear()
