"""Fills stores with copies of the profiles that are in them, until there are as many as wanted."""

from collections.abc import Iterator, Sequence

from actors.model.profiles import ProfileKey
from actors.store.environment import Store
from actors.store.keys import profile_key, profile_key_parts

_PUTS_PER_COMMIT = 20_000


def fill(stores: Sequence[Store], mpids_of: Sequence[Sequence[int]]) -> None:
    """Copy profiles.

    Args:
        stores: of all shards; the first profiles in them are the models.
        mpids_of: for each of them the MPIDs of the copies.
    """
    models: list[bytes] = []
    scope = 0
    for store in stores:
        with store.read() as txn:
            for packed, encoded in txn.scan("profiles"):
                models.append(bytes(encoded))
                scope = profile_key_parts(packed).scope
    for store, own in zip(stores, mpids_of, strict=True):
        packed_keys = sorted(
            (profile_key(ProfileKey(scope, "production", mpid)), mpid) for mpid in own
        )
        for some in _chunks(packed_keys):
            with store.write() as txn:
                for packed, mpid in some:
                    txn.put("profiles", packed, models[mpid % len(models)])


def _chunks(keys: Sequence[tuple[bytes, int]]) -> Iterator[Sequence[tuple[bytes, int]]]:
    for start in range(0, len(keys), _PUTS_PER_COMMIT):
        yield keys[start : start + _PUTS_PER_COMMIT]
