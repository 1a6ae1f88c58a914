"""Brings what is stored to changed identity settings, while nobody serves (spec/identity.md, 3).

An index entry tells of each holder whether it is known, because the holder's record may lie on
another shard. That depends on which types are login IDs; so when these are others than before, all
entries are looked through once. Nothing else that is kept depends on the settings.

`identity-<scope>.json` in the data folder says which settings the stores agree with. It is emptied
before the first entry is changed, and written after the last one: a pass that was cut off is begun
again, whatever the settings are then.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import islice

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from actors.errors import DataFolderError, IdentitiesShared
from actors.identity.keys import IdentityName
from actors.model.profiles import Lookup, ProfileKey
from actors.model.workspaces import ENVIRONMENTS, Environment
from actors.store import intents
from actors.store.environment import Store, Transaction
from actors.store.folder import DataFolder
from actors.store.identities import Holder, IndexEntry, decode_entry, write_holders
from actors.store.keys import identity_key, profile_key, slot_of_mpid
from actors.store.layout import scope_store
from actors.store.moving import settle_folder
from actors.store.slots import Placed, Slots, slots_of

logger = logging.getLogger("headwater.store")

CHUNK = 20_000  # entries that are read at once, and written in one transaction

Key = tuple[Environment, IdentityName]


class IdentitySettings(Struct, frozen=True):
    """The settings that stored data depend on. `login_ids` `None`: unknown, or half done."""

    login_ids: frozenset[str] | None = None
    unique_ids: frozenset[str] = frozenset()


class _StoredRecord(Struct, array_like=True):
    """The beginning of a `Profile`, of which only the lookups are decoded."""

    created_timestamp_ms: Raw
    last_stored_timestamp_ms: Raw
    is_opted_out: Raw
    limit_ad_tracking: Raw
    lookups: list[Lookup]


_record = msgspec.msgpack.Decoder(_StoredRecord).decode
_settings = msgspec.json.Decoder(IdentitySettings).decode
# Sorted, so that the same settings are always the same text.
_encode = msgspec.json.Encoder(order="deterministic").encode


def bring_to_settings(
    folder: DataFolder,
    scope: int,
    wanted: IdentitySettings,
    map_size_bytes: int,
    on_chunk: Callable[[int], object] = lambda _: None,
) -> None:
    """Make a data folder agree with the settings that are going to be used.

    Args:
        folder: held by this process.
        scope: whose settings they are.
        wanted: the settings of its identities.
        map_size_bytes: of the stores.
        on_chunk: called with how many entries were looked at, after each chunk.

    Raises:
        IdentitiesShared: a type is to be unique, and users share values of it; nothing was changed.
        DataFolderError, StoreDamaged, StoreFull: a store cannot be used; the next start goes on.
            Or the folder is that of a cluster, whose other nodes cannot be reached from here.
    """
    file = f"identity-{scope}.json"
    found = _found(folder, file)
    if found == wanted:
        return
    if folder.nodes:
        if folder.made and folder.read(file) is not None:
            raise DataFolderError(
                f"the identity settings of scope {scope} are not those of the stored data: on a "
                "cluster login_ids and unique_ids stay as they are"
            )
    elif any(path.exists() for path in folder.shards):  # else it is a new folder
        for number, path in enumerate(folder.shards):  # or a user would be seen twice
            settle_folder(path, map_size_bytes, number, folder.slots)
        with ExitStack() as stack:
            stores = []
            for path in (scope_store(folder.coordinator, scope), *folder.shards):
                stores.append(Store(path, map_size_bytes))
                stack.callback(stores[-1].close)
            index = _StoredIndex(scope, stores[0], Placed(stores[1:], Slots(folder.slots)))
            if not wanted.unique_ids <= found.unique_ids:
                index.check(wanted.unique_ids)
            if found.login_ids != wanted.login_ids:
                folder.write(file, _encode(IdentitySettings()))
                changed = index.mark_known(wanted.login_ids or frozenset(), on_chunk)
                logger.info(
                    "the index was brought to the identity settings",
                    extra={"event": "identity_settings_applied", "changed": changed},
                )
    folder.write(file, _encode(wanted))


def _found(folder: DataFolder, file: str) -> IdentitySettings:
    kept = folder.read(file)
    try:
        return IdentitySettings() if kept is None else _settings(kept)
    except msgspec.DecodeError:
        return IdentitySettings()


class _StoredIndex:
    """The index of all shards, with what the coordinator has decided and they may not have yet."""

    def __init__(self, scope: int, coordinator: Store, shards: Sequence[Store]) -> None:
        self._scope = scope
        self._coordinator = coordinator
        self._shards = shards
        self._slots = slots_of(shards)
        with coordinator.read() as txn:
            self._intents = intents.read_all(txn)
        # The intents hold absolute values, each of other entries and records.
        self._entries: dict[Key, IndexEntry] = {}
        self._records: dict[tuple[Environment, int], Sequence[Lookup]] = {}
        for change in self._intents:
            for entry in change.entries:
                self._entries[change.environment, IdentityName(entry.type, entry.value)] = entry
            for record in change.records:
                lookups = [] if record.is_erased else record.lookups
                self._records[change.environment, record.mpid] = lookups

    def check(self, unique_ids: frozenset[str]) -> None:
        """Raise IdentitiesShared if there are values of these types that several users hold."""
        shared: Counter[str] = Counter()
        decided = {(environment, name) for environment, name in self._entries}
        for store in self._shards:
            with store.read() as txn:
                for key, encoded in txn.scan("identities"):
                    entry = decode_entry(encoded)
                    if entry.type not in unique_ids or len(entry.holders) < 2:
                        continue
                    environment = self._environment(key, entry)
                    name = IdentityName(entry.type, entry.value)
                    if environment is not None and (environment, name) not in decided:
                        shared[entry.type] += 1
        for entry in self._entries.values():
            if entry.type in unique_ids and len(entry.holders) > 1:
                shared[entry.type] += 1
        if shared:
            raise IdentitiesShared(dict(sorted(shared.items())))

    def mark_known(self, login_ids: frozenset[str], on_chunk: Callable[[int], object]) -> int:
        """Note at all entries which holders have a login ID; return how many entries it changed."""
        changed = 0
        for store in self._shards:
            start = b""
            while True:
                with ExitStack() as stack:
                    readers = [stack.enter_context(each.read()) for each in self._shards]
                    reader = readers[self._shards.index(store)]
                    entries = list(islice(reader.scan("identities", start=start), CHUNK))
                    known = _Known(
                        self._scope, Placed(readers, self._slots), self._records, login_ids
                    )
                    marked = list(self._marked(entries, known))
                if marked:
                    with store.write() as txn:
                        for key, entry in marked:
                            write_holders(txn, key, entry)
                    changed += len(marked)
                on_chunk(len(entries))
                if len(entries) < CHUNK:
                    break
                start = entries[-1][0] + b"\0"
        self._mark_intents(login_ids)
        return changed

    def _marked(
        self, entries: Sequence[tuple[bytes, bytes]], known: "_Known"
    ) -> Iterator[tuple[bytes, IndexEntry]]:
        """Yield the entries that have to be written, as they have to be."""
        for key, encoded in entries:
            entry = decode_entry(encoded)
            environment = self._environment(key, entry)
            if environment is not None:
                holders = known.marked(environment, entry.holders)
                if holders != entry.holders:
                    yield key, replace(entry, holders=holders)

    def _mark_intents(self, login_ids: frozenset[str]) -> None:
        with ExitStack() as stack:
            readers = [stack.enter_context(each.read()) for each in self._shards]
            known = _Known(self._scope, Placed(readers, self._slots), self._records, login_ids)
            for change in self._intents:
                for entry in change.entries:
                    entry.holders = known.marked(change.environment, entry.holders)
        with self._coordinator.write() as txn:
            intents.write(txn, self._intents)

    def _environment(self, key: bytes, entry: IndexEntry) -> Environment | None:
        """Return the environment of an entry, which only its key tells; `None`: another scope's."""
        for environment in ENVIRONMENTS:
            if identity_key(self._scope, environment, entry.type, entry.value) == key:
                return environment
        return None


class _Known:
    """Tells who is known by the login IDs that are going to hold."""

    def __init__(
        self,
        scope: int,
        readers: Sequence[Transaction],
        decided: Mapping[tuple[Environment, int], Sequence[Lookup]],
        login_ids: frozenset[str],
    ) -> None:
        self._scope = scope
        self._readers = readers
        self._decided = decided
        self._login_ids = login_ids
        self._answers: dict[tuple[Environment, int], bool] = {}  # of the readers' chunk

    def marked(self, environment: Environment, holders: Sequence[Holder]) -> list[Holder]:
        """Return holders with what is known of them now."""
        return [
            Holder(each.mpid, each.link, self._is_known(environment, each.mpid)) for each in holders
        ]

    def _is_known(self, environment: Environment, mpid: int) -> bool:
        user = environment, mpid
        if user not in self._answers:
            lookups = self._decided.get(user)
            if lookups is None:
                lookups = self._lookups(environment, mpid)
            self._answers[user] = any(each.type in self._login_ids for each in lookups)
        return self._answers[user]

    def _lookups(self, environment: Environment, mpid: int) -> Sequence[Lookup]:
        reader = self._readers[slots_of(self._readers).shard_of(slot_of_mpid(mpid))]
        encoded = reader.get("profiles", profile_key(ProfileKey(self._scope, environment, mpid)))
        return () if encoded is None else _record(encoded).lookups
