"""The table of profiles, with hot copies in memory, bounded in bytes."""

from collections import OrderedDict
from collections.abc import Callable

import msgspec

from actors.model import Profile, ProfileKey
from actors.store.environment import Transaction
from actors.store.keys import profile_key

# What a decoded profile takes in memory for each byte that it takes on disk; measured with
# tracemalloc over generated profiles of 1 to 5 devices, rounded up.
_MEMORY_PER_ENCODED_BYTE = 10
_MEMORY_PER_ENTRY_BYTES = 600

_encoder = msgspec.msgpack.Encoder()
decode_profile = msgspec.msgpack.Decoder(Profile).decode


class Profiles:
    """Reads and changes profiles; what a transaction changed reaches disk in `flush`.

    Memory follows disk: when a transaction fails, `abandon` drops every copy that it may have
    changed, so that the next reader gets what was committed.
    """

    def __init__(self, cache_bytes: int) -> None:
        self._cache_bytes = cache_bytes
        self._used_bytes = 0
        self._hot: OrderedDict[bytes, tuple[Profile, int]] = OrderedDict()
        self._staged: dict[bytes, Profile] = {}
        self._followers: list[set[bytes]] = []

    def follow(self, followed: set[bytes]) -> None:
        """Add the keys of all profiles that are changed from now on to a set."""
        self._followers.append(followed)

    def follow_no_more(self, followed: set[bytes]) -> None:
        """Add no more keys to a set that `follow` was called for."""
        self._followers = [each for each in self._followers if each is not followed]

    def get(self, txn: Transaction, key: ProfileKey) -> Profile | None:
        """Return a profile for reading, as this transaction sees it."""
        packed = profile_key(key)
        staged = self._staged.get(packed)
        if staged is not None:
            return staged
        hot = self._hot.get(packed)
        if hot is not None:
            self._hot.move_to_end(packed)
            return hot[0]
        encoded = txn.get("profiles", packed)
        if encoded is None:
            return None
        profile = decode_profile(encoded)
        self._keep(packed, profile, len(encoded))
        self._make_room()
        return profile

    def stage(self, txn: Transaction, key: ProfileKey, created_ms: int) -> Profile:
        """Return a profile to be changed in place, made at `created_ms` if it does not exist."""
        profile = self.get(txn, key)
        if profile is None:
            profile = Profile(created_timestamp_ms=created_ms)
        self._staged[profile_key(key)] = profile
        return profile

    def edit(self, txn: Transaction, packed: bytes, change: Callable[[Profile], None]) -> None:
        """Change a profile that exists; one that is not hot does not become so.

        For work that goes over everybody, and must not take the place of those who are active.
        """
        profile = self.open(txn, packed)
        if profile is not None:
            change(profile)
            self.write(txn, packed, profile)

    def open(self, txn: Transaction, packed: bytes) -> Profile | None:
        """Return a profile that may be changed and is then to be given to `write`; see `edit`."""
        hot = self._hot.get(packed)
        profile = self._staged.get(packed, hot and hot[0])
        if profile is not None:
            self._staged[packed] = profile
            return profile
        encoded = txn.get("profiles", packed)
        return None if encoded is None else decode_profile(encoded)

    def write(self, txn: Transaction, packed: bytes, profile: Profile) -> None:
        """Write a profile that `open` has returned."""
        if packed not in self._staged:
            txn.put("profiles", packed, _encoder.encode(profile))
            for followed in self._followers:
                followed.add(packed)

    def flush(self, txn: Transaction) -> None:
        """Write what was staged. Raises StoreFull."""
        for packed, profile in self._staged.items():
            encoded = _encoder.encode(profile)
            txn.put("profiles", packed, encoded)
            self._keep(packed, profile, len(encoded))
        for followed in self._followers:
            followed.update(self._staged)

    def published(self) -> None:
        """The transaction is on disk: what was staged is what everybody sees."""
        self._staged.clear()
        self._make_room()

    def abandon(self) -> None:
        """The transaction failed: forget every copy that it may have changed."""
        for packed in self._staged:
            _, size = self._hot.pop(packed, (None, 0))
            self._used_bytes -= size
        self._staged.clear()

    @property
    def in_memory(self) -> int:
        """How many profiles have a hot copy."""
        return len(self._hot)

    def _make_room(self) -> None:
        """Drop copies that were not used for longest; what is staged is held elsewhere as well."""
        while self._used_bytes > self._cache_bytes and self._hot:
            _, (_, size) = self._hot.popitem(last=False)
            self._used_bytes -= size

    def _keep(self, packed: bytes, profile: Profile, encoded_bytes: int) -> None:
        size = encoded_bytes * _MEMORY_PER_ENCODED_BYTE + _MEMORY_PER_ENTRY_BYTES
        _, former = self._hot.pop(packed, (None, 0))
        self._hot[packed] = (profile, size)
        self._used_bytes += size - former
