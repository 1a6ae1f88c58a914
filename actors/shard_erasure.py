"""Erases users from one shard (spec/privacy.md, 5.2).

Every call may be repeated, also after a crash. What raises StoreFull has changed nothing.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import msgspec
from msgspec import Raw, Struct

from actors.audience_changes import AudienceChanges
from actors.identity.keys import IdentityName, canonical
from actors.model.profiles import ProfileKey
from actors.model.workspaces import Environment
from actors.privacy.erasing import Cursor, Walk
from actors.privacy.requests import Identities, Subject
from actors.privacy.strangers import named_in
from actors.profiles.retention import age_out
from actors.shard import Shard
from actors.store import groups, log, micro_batches, outbox, pending, queue_sums, static_lists
from actors.store.environment import Table, Transaction
from actors.store.keys import log_key, pending_part_key, profile_key, profile_key_parts

# What one call looks at or deletes at most: some milliseconds, for which ingestion waits.
STEP_ENTRIES = 5_000
STEP_BYTES = 16 * 1024 * 1024
STEP_BATCHES = 200


class _Owned(Struct, array_like=True):
    """The beginning of an encoded `Delivery`: whose it is.

    `payload` is a bytes value as it is encoded, which is left so unless it is asked for.
    """

    sequence: int
    connection: int
    delivery_id: str
    mpid: int | None
    payload: Raw
    created_ms: int
    first_event_ms: int = 0
    event_count: int = 0
    environment: Environment = "production"


class _Buried(Struct, array_like=True):
    """The beginning of an encoded `DeadLetter`."""

    delivery: _Owned


_owned = msgspec.msgpack.Decoder(_Owned).decode
_buried = msgspec.msgpack.Decoder(_Buried).decode
_bytes = msgspec.msgpack.Decoder(bytes).decode
_pending = msgspec.msgpack.Decoder(pending.Pending).decode


class _Step:
    """What one call may still look at, and what it has removed.

    Attributes:
        removed: place of a user or, behind them, of identities, among those that were asked for, to
            how many entries.
        left, freed: connection to the deliveries, and their bytes, that wait no more.
        forgotten: (connection, reason) of each dead letter.
    """

    def __init__(self, users: Sequence[Subject], strangers: Sequence[Identities]) -> None:
        self.removed: Counter[int] = Counter()
        self.left: Counter[int] = Counter()
        self.freed: Counter[int] = Counter()
        self.forgotten: list[tuple[int, str]] = []
        self._users: Mapping[Subject, int] = {user: place for place, user in enumerate(users)}
        self._strangers = {
            IdentityName(kind, canonical(kind, value)): place
            for place, identities in enumerate(strangers, len(users))
            for kind, value in identities
        }
        self._entries = STEP_ENTRIES
        self._bytes = STEP_BYTES

    def has_room(self, encoded: bytes) -> bool:
        """Count an entry that is looked at; tell whether it is not left to the next call."""
        if self._entries <= 0 or self._bytes <= 0:
            return False
        self._entries -= 1
        self._bytes -= len(encoded)
        return True

    def is_wanted_delivery(self, owned: _Owned) -> bool:
        """Tell whether a delivery is of one of the users, or of nobody and names an identity."""
        if owned.mpid is not None or not self._strangers:
            return self.is_wanted(owned.environment, owned.mpid)
        names = named_in(_bytes(owned.payload))
        place = next((self._strangers[each] for each in names if each in self._strangers), None)
        if place is not None:
            self.removed[place] += 1
        return place is not None

    def is_wanted(self, environment: Environment, mpid: int | None) -> bool:
        """Tell whether an entry is of one of the users; it is counted if so."""
        place = None if mpid is None else self._users.get((environment, mpid))
        if place is not None:
            self.removed[place] += 1
        return place is not None


# Deletes an entry of a table, by its key and value, if it is wanted.
_Erase = Callable[[Transaction, _Step, bytes, bytes], None]


def _erase_delivery(txn: Transaction, step: _Step, key: bytes, encoded: bytes) -> None:
    owned = _owned(encoded)
    if step.is_wanted_delivery(owned):
        txn.delete("outbox", key)
        queue_sums.change_waiting(txn, owned.connection, -1, -len(encoded))
        step.left[owned.connection] += 1
        step.freed[owned.connection] += len(encoded)


def _erase_pending(txn: Transaction, step: _Step, key: bytes, encoded: bytes) -> None:
    batch = _pending(encoded)
    prefix = pending_part_key(batch.connection, batch.number)
    first = next(txn.scan("pending_parts", prefix=prefix), None)
    if first is not None and step.is_wanted(_owned(first[1]).environment, batch.mpid):
        _, removed = pending.take_out(txn, key, batch)
        step.left[batch.connection] += removed.count
        step.freed[batch.connection] += removed.size


def _erase_dead_letter(txn: Transaction, step: _Step, key: bytes, encoded: bytes) -> None:
    owned = _buried(encoded).delivery
    if step.is_wanted_delivery(owned):
        letter = outbox.unbury(txn, key)
        if letter is not None:
            step.forgotten.append((owned.connection, letter.reason))


def _erase_member(txn: Transaction, step: _Step, key: bytes, _: bytes) -> None:
    member = groups.member_of(key)
    if step.is_wanted(member.environment, member.mpid):
        txn.delete("group_members", key)


def _erase_candidate(txn: Transaction, step: _Step, key: bytes, _: bytes) -> None:
    user = profile_key_parts(groups.candidate_of(key))
    if step.is_wanted(user.environment, user.mpid):
        txn.delete("group_candidates", key)


def _erase_answer(txn: Transaction, _: _Step, key: bytes, encoded: bytes) -> None:
    """Whoever they are of: they are answers of the last moments, and few."""
    without = micro_batches.without_identities(encoded)
    if without is not None:
        txn.put("micro_batches", key, without)


# The tables that lie in other orders than that of the users, and have to be walked.
_WALKED: Mapping[Walk, Sequence[tuple[Table, _Erase]]] = {
    "deliveries": (
        ("outbox", _erase_delivery),
        ("pending_batches", _erase_pending),
        ("dead_letters", _erase_dead_letter),
    ),
    "groups": (("group_members", _erase_member), ("group_candidates", _erase_candidate)),
    "answers": (("micro_batches", _erase_answer),),
}


class ShardErasure:
    """The part of one shard in erasures."""

    def __init__(self, shard: Shard, changes: AudienceChanges) -> None:
        """Args: `changes` of the same shard: they tell those that follow audiences."""
        self._shard = shard
        self._changes = changes
        self._number = shard.options.workspace.number
        self._scope = shard.options.workspace.scope

    def is_shared(self, environment: Environment, mpid: int) -> bool:
        """Tell whether another workspace has data of a user."""
        with self._shard.store.read() as txn:
            profile = self._shard.profiles.get(txn, self._key(environment, mpid))
            return profile is not None and any(each != self._number for each in profile.workspaces)

    def erase_walking(
        self,
        walk: Walk,
        users: Sequence[Subject],
        strangers: Sequence[Identities],
        cursor: Cursor,
    ) -> tuple[dict[int, int], Cursor | None]:
        """Delete some of the entries about users in tables that have to be walked.

        Args:
            strangers: of deliveries that are nobody's those go that have one of the identities.

        Returns:
            Place of a user, or behind them of identities, to how many, and where to go on, `None`
            at the end.
        """
        tables = _WALKED[walk]
        place, start = cursor
        table, erase = tables[place]
        following: Cursor | None = (place + 1, b"") if place + 1 < len(tables) else None
        step = _Step(users, strangers)
        with self._shard.store.write() as txn:
            found: list[tuple[bytes, bytes]] = []
            for key, encoded in txn.scan(table, start=start):
                if not step.has_room(encoded):
                    following = (place, key)
                    break
                found.append((key, encoded))
            for key, encoded in found:
                erase(txn, step, key, encoded)
        queues = self._shard.outbox.queues
        for connection, count in step.left.items():
            queues.left(connection, count, step.freed[connection])
        queues.forgotten(step.forgotten)
        return dict(step.removed), following

    def leave_audiences(self, environment: Environment, mpid: int) -> int:
        """End a user's memberships, as those who follow them are told; return how many there were.

        What else is known of the user in the workspace goes at once.
        """
        key = self._key(environment, mpid)
        packed = profile_key(key)
        with self._changes.changing() as txn:
            for audience in self._static_audiences():
                static_lists.remove(txn, audience, key)
            profile = self._shard.profiles.open(txn, packed)
            if profile is None or self._number not in profile.workspaces:
                return 0
            count = len(profile.workspaces[self._number].audiences)
            age_out(profile, self._number)
            self._shard.profiles.write(txn, packed, profile, self._number)
            self._changes.refresh(txn, [key])
        return count

    def erase_events(self, environment: Environment, mpid: int) -> tuple[int, bool]:
        """Delete some of a user's events; return how many batches, and whether there are more."""
        key = self._key(environment, mpid)
        packed = profile_key(key)
        with self._shard.transaction() as txn:
            found = itertools.islice(txn.scan("copies", prefix=packed), STEP_BATCHES)
            copied = [each for each, _ in found]
            for each in copied:
                txn.delete("copies", each)
            profile = self._shard.profiles.open(txn, packed)
            section = profile and profile.workspaces.get(self._number)
            if not profile or not section:
                return len(copied), len(copied) == STEP_BATCHES
            section.newest_log_id, live = _unchained(txn, section.newest_log_id)
            section.newest_historical_id, historical = _unchained(txn, section.newest_historical_id)
            self._shard.profiles.write(txn, packed, profile, self._number)
        has_more = STEP_BATCHES in (len(copied), live, historical)
        return len(copied) + live + historical, has_more

    def erase_profile(self, environment: Environment, mpid: int) -> bool:
        """Delete the rest of a user's data; tell whether there was a profile.

        Of a profile that another workspace has data of, only this workspace's part.
        """
        key = self._key(environment, mpid)
        packed = profile_key(key)
        with self._shard.transaction() as txn:
            for each in [each for each, _ in txn.scan("scores", prefix=packed)]:
                txn.delete("scores", each)
            profile = self._shard.profiles.open(txn, packed)
            if profile is not None:
                profile.workspaces.pop(self._number, None)
                if profile.workspaces:
                    self._shard.profiles.write(txn, packed, profile)
                else:
                    self._shard.profiles.remove(txn, packed)
        if profile is not None and profile.workspaces:
            self._shard.audiences.engine.forget(key)
        else:
            self._shard.audiences.users.forget(key)
        return profile is not None

    def _static_audiences(self) -> set[int]:
        parts = self._shard.audiences.parts
        return {number for part in parts for number in part.known.static}

    def _key(self, environment: Environment, mpid: int) -> ProfileKey:
        return ProfileKey(self._scope, environment, mpid)


def _unchained(txn: Transaction, newest_log_id: int) -> tuple[int, int]:
    """Delete the newest batches of a chain; return the next one's log id, and how many went."""
    count, log_id = 0, newest_log_id
    while log_id and count < STEP_BATCHES:
        stored = log.read(txn, log_id)
        if stored is None:  # past its retention, and so are all before it
            return 0, count
        txn.delete("log", log_key(log_id))
        log_id = stored.previous_log_id
        count += 1
    return log_id, count
