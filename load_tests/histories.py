"""Fills the store of a shard with users and their histories, copied from users that are in it."""

from collections.abc import Iterator, Sequence

import msgspec
from msgspec.structs import replace

from actors.model.batches import StoredBatch
from actors.model.profiles import Profile, ProfileKey
from actors.shard import Shard
from actors.store import log
from actors.store.ids import write_last
from actors.store.keys import profile_key, profile_key_parts
from actors.store.profiles import decode_profile

_COPIES_PER_COMMIT = 20_000

_Model = tuple[Profile, list[StoredBatch]]  # a user, and what was sent for him, oldest first
_encode = msgspec.msgpack.Encoder().encode


def fill(shard: Shard, mpids: Sequence[int]) -> dict[int, list[int]]:
    """Copy users of a shard with their batches, as if the copies had sent one after the other.

    Args:
        shard: nobody is changed in it meanwhile; the users that are there are the models.
        mpids: of the copies, ascending.

    Returns:
        The log ids of each copy's batches, oldest first.
    """
    models, number = _models(shard), shard.options.workspace.number
    scope = shard.options.workspace.scope
    log_ids: dict[int, list[int]] = {mpid: [] for mpid in mpids}
    for turn in range(max(len(batches) for _, batches in models)):
        for some in _some(mpids):
            with shard.store.write() as txn:
                for mpid in some:
                    _, batches = models[mpid % len(models)]
                    if turn < len(batches):
                        own = log_ids[mpid]
                        previous = own[-1] if own else 0
                        own.append(shard.ids.next())
                        copy = replace(
                            batches[turn], log_id=own[-1], previous_log_id=previous, mpid=mpid
                        )
                        log.append(txn, copy)
                write_last(txn, shard.ids.last)
    for some in _some(mpids):
        with shard.store.write() as txn:
            for mpid in some:
                profile, _ = models[mpid % len(models)]
                profile.workspaces[number].newest_log_id = log_ids[mpid][-1]
                key = profile_key(ProfileKey(scope, "production", mpid))
                txn.put("profiles", key, _encode(profile))
    return log_ids


def _models(shard: Shard) -> list[_Model]:
    number = shard.options.workspace.number
    found: list[_Model] = []
    with shard.store.read() as txn:
        for packed, encoded in txn.scan("profiles"):
            if profile_key_parts(packed).environment == "production":
                profile = decode_profile(encoded)
                newest = profile.workspaces[number].newest_log_id
                found.append((profile, [*log.chain(txn, newest)][::-1]))
    return found


def _some(mpids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(mpids), _COPIES_PER_COMMIT):
        yield mpids[start : start + _COPIES_PER_COMMIT]
