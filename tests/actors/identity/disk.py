"""The identity index as it lies on disk on all shards, and the rules that always hold for it."""

from collections.abc import Collection, Sequence

import msgspec

from actors.model.profiles import Profile
from actors.model.workspaces import ENVIRONMENTS, Environment
from actors.store.environment import Store
from actors.store.identities import Holder, IndexEntry
from actors.store.keys import (
    identity_key,
    profile_key_parts,
    shard_of_slot,
    slot_of_hash,
    slot_of_mpid,
)

Entries = dict[tuple[Environment, str, str], list[Holder]]
Profiles = dict[tuple[Environment, int], Profile]
Records = dict[tuple[Environment, int], list[tuple[str, str, int]]]


def read_profiles(stores: Sequence[Store]) -> Profiles:
    """Return every profile, each found on the shard that owns it."""
    decode = msgspec.msgpack.Decoder(Profile).decode
    found: Profiles = {}
    for number, store in enumerate(stores):
        with store.read() as txn:
            for key, encoded in txn.scan("profiles"):
                parts = profile_key_parts(key)
                assert shard_of_slot(slot_of_mpid(parts.mpid), len(stores)) == number
                found[parts.environment, parts.mpid] = decode(encoded)
    return found


def read_records(stores: Sequence[Store]) -> Records:
    """Return the lookups of every profile."""
    return {
        who: [(each.type, each.value, each.link) for each in profile.lookups]
        for who, profile in read_profiles(stores).items()
    }


def read_entries(stores: Sequence[Store], scope: int) -> Entries:
    """Return every entry of the index, each found on the shard that owns it."""
    decode = msgspec.msgpack.Decoder(IndexEntry).decode
    found: Entries = {}
    for number, store in enumerate(stores):
        with store.read() as txn:
            for key, encoded in txn.scan("identities"):
                assert shard_of_slot(slot_of_hash(key), len(stores)) == number
                entry = decode(encoded)
                [environment] = [
                    each
                    for each in ENVIRONMENTS
                    if identity_key(scope, each, entry.type, entry.value) == key
                ]
                found[environment, entry.type, entry.value] = entry.holders
    return found


def check(
    entries: Entries, records: Records, login_ids: Collection[str], unique_ids: Collection[str]
) -> None:
    """Check V1, V2 and V10 of spec/identity.md over all shards."""
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
    assert by_entry == by_record, "V10"
    known = {
        who for who, lookups in records.items() if any(kind in login_ids for kind, _, _ in lookups)
    }
    for (environment, kind, _), holders in entries.items():
        assert all(each.is_known == ((environment, each.mpid) in known) for each in holders)
        links = [holder.link for holder in holders]
        assert links == sorted(set(links))
        assert kind not in unique_ids or len(holders) == 1, "V1"
    for lookups in records.values():
        for unique in unique_ids:
            assert sum(kind == unique for kind, _, _ in lookups) <= 1, "V2"
    mpids = [mpid for _, mpid in records]
    assert len(mpids) == len(set(mpids)), "one MPID in both environments"
