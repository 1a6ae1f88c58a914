"""The table of profiles, with hot copies in memory, bounded in bytes."""

from collections import OrderedDict
from collections.abc import Callable, Collection

import msgspec

from actors.model.profiles import Profile, ProfileKey
from actors.store.environment import Transaction
from actors.store.keys import profile_key

# What a decoded profile takes in memory for each byte that it takes on disk; measured with
# tracemalloc over generated profiles of 1 to 5 devices, rounded up. What it has as bytes, which may
# be most of an active user's, takes no more than it does on disk.
_MEMORY_PER_ENCODED_BYTE = 10
_MEMORY_PER_ENTRY_BYTES = 600

NOBODY = 0  # no workspace has this number
WORKSPACE_BYTES = 4  # of a number, in a key

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
        self._opened: set[bytes] = set()
        self._followers: dict[int, set[bytes]] = {}
        self._recovered: dict[int, set[bytes]] = {}  # of workspaces that do not follow yet
        self._told: list[tuple[int, bytes]] = []  # in this transaction: workspace, key
        self._following: list[tuple[int, bytes]] = []  # those of them that have to look
        self._removed: list[bytes] = []
        self._faces: dict[bytes, object] = {}  # as they were, where several follow

    def follow(self, workspace: int) -> set[bytes]:
        """Return a set to which the keys of profiles are added that a workspace has to look at.

        They are those with a section of the workspace (by its number) whose change may concern it,
        also those from before a start. Who has looked at one takes it out, and has that kept by
        `flush` or `looked_at`.
        """
        return self._followers.setdefault(workspace, self._recovered.pop(workspace, set()))

    def recover(self, txn: Transaction) -> None:
        """Read which profiles workspaces had to look at when the last process ended."""
        for key, _ in txn.scan("followed"):
            workspace = int.from_bytes(key[-WORKSPACE_BYTES:], "big")
            self._recovered.setdefault(workspace, set()).add(key[:-WORKSPACE_BYTES])

    def looked_at(self, txn: Transaction, workspace: int, packed: bytes) -> None:
        """Keep that a workspace has looked at a profile, which may be gone."""
        txn.delete("followed", _followed_key(packed, workspace))

    def follow_no_more(self, workspace: int) -> None:
        """Tell a workspace of no more changes."""
        self._followers.pop(workspace, None)

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
        packed = profile_key(key)
        self._note(packed, profile)
        self._staged[packed] = profile
        return profile

    def edit(
        self,
        txn: Transaction,
        packed: bytes,
        change: Callable[[Profile], None],
        by: int = NOBODY,
    ) -> None:
        """Change a profile that exists; one that is not hot does not become so.

        For work that goes over everybody, and must not take the place of those who are active.
        `by`: see `flush`.
        """
        profile = self.open(txn, packed)
        if profile is not None:
            change(profile)
            self.write(txn, packed, profile, by)

    def open(self, txn: Transaction, packed: bytes) -> Profile | None:
        """Return a profile that may be changed and is then to be given to `write`; see `edit`."""
        hot = self._hot.get(packed)
        profile = self._staged.get(packed, hot and hot[0])
        if profile is not None:
            self._opened.add(packed)
        else:
            encoded = txn.get("profiles", packed)
            if encoded is None:
                return None
            profile = decode_profile(encoded)
        self._note(packed, profile)
        return profile

    def write(self, txn: Transaction, packed: bytes, profile: Profile, by: int = NOBODY) -> None:
        """Write a profile that `open` has returned; `by`: see `flush`."""
        if packed in self._opened:
            self._staged[packed] = profile
        else:
            txn.put("profiles", packed, _encoder.encode(profile))
            self._tell(packed, profile, by)

    def remove(self, txn: Transaction, packed: bytes) -> None:
        """Delete a profile. Should the transaction fail, it is read anew."""
        txn.delete("profiles", packed)
        self._staged.pop(packed, None)
        _, size = self._hot.pop(packed, (None, 0))
        self._used_bytes -= size
        self._removed.append(packed)
        for key in [key for key, _ in txn.scan("followed", prefix=packed)]:
            txn.delete("followed", key)

    def flush(self, txn: Transaction, by: int = NOBODY, seen: Collection[bytes] = ()) -> None:
        """Write what was staged.

        Args:
            txn: of the shard.
            by: the workspace whose section alone was changed, beside what all of them see;
                `NOBODY`: it may be any of them.
            seen: keys of what that workspace has looked at as it is now.

        Raises:
            StoreFull: nothing of it is on disk once the transaction has failed.
        """
        for packed, profile in self._staged.items():
            encoded = _encoder.encode(profile)
            txn.put("profiles", packed, encoded)
            self._keep(packed, profile, len(encoded))
            if self._followers:
                self._tell(packed, profile, by)
        for workspace, packed in self._told:
            if workspace != by or packed not in seen:
                self._following.append((workspace, packed))
                txn.put("followed", _followed_key(packed, workspace), b"")
        for packed in self._followers.get(by, set()).intersection(seen):
            self.looked_at(txn, by, packed)

    def published(self) -> None:
        """The transaction is on disk: what was staged is what everybody sees."""
        for followed in self._followers.values():
            followed.difference_update(self._removed)
        for workspace, packed in self._following:
            self._followers[workspace].add(packed)
        self._end()
        self._make_room()

    def abandon(self) -> None:
        """The transaction failed: forget every copy that it may have changed."""
        for packed in self._opened.union(self._staged):
            _, size = self._hot.pop(packed, (None, 0))
            self._used_bytes -= size
        self._end()

    def _end(self) -> None:
        self._staged.clear()
        self._opened.clear()
        self._faces.clear()
        self._told.clear()
        self._following.clear()
        self._removed.clear()

    def _note(self, packed: bytes, profile: Profile) -> None:
        """Remember what all workspaces see of a profile that is about to be changed."""
        if len(self._followers) > 1 and packed not in self._faces:
            self._faces[packed] = _face(profile)

    def _tell(self, packed: bytes, profile: Profile, by: int) -> None:
        is_for_all = by == NOBODY
        if not is_for_all and len(self._followers) > 1:
            is_for_all = self._faces.get(packed) != _face(profile)
        for workspace in self._followers:
            if workspace in profile.workspaces and (is_for_all or workspace == by):
                self._told.append((workspace, packed))

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
        size = _memory_of(profile, encoded_bytes)
        _, former = self._hot.pop(packed, (None, 0))
        self._hot[packed] = (profile, size)
        self._used_bytes += size - former


def _memory_of(profile: Profile, encoded_bytes: int) -> int:
    """Return what a hot copy takes, in bytes."""
    raw = 0
    for section in profile.workspaces.values():
        raw += len(section.entries)
        for state in section.calculated.values():
            raw += len(state.data)
    return (encoded_bytes - raw) * _MEMORY_PER_ENCODED_BYTE + raw + _MEMORY_PER_ENTRY_BYTES


def _followed_key(packed: bytes, workspace: int) -> bytes:
    return packed + workspace.to_bytes(WORKSPACE_BYTES, "big")


def _face(profile: Profile) -> object:
    """Return what a workspace may react to though another one has changed it."""
    return (
        profile.is_opted_out,
        profile.limit_ad_tracking,
        {name: each.value for name, each in profile.user_identities.items()},
        dict(profile.partner_identities),
        [number for number, section in profile.workspaces.items() if section.is_aged_out],
    )
