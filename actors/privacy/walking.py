"""Erases what is about users where it lies in another order than theirs (spec/privacy.md, 5.2)."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import msgspec
from msgspec import Raw, Struct

from actors.identity.keys import IdentityName, canonical
from actors.model.workspaces import Environment
from actors.privacy.erasing import Cursor, Walk
from actors.privacy.requests import Identities, Subject
from actors.privacy.strangers import named_in
from actors.store import groups, micro_batches, outbox, pending, queue_sums
from actors.store.environment import Table, Transaction
from actors.store.keys import pending_part_key, profile_key_parts

# What one call looks at at most: some milliseconds, for which ingestion waits.
STEP_ENTRIES = 5_000
STEP_BYTES = 16 * 1024 * 1024


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


class Step:
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
_Erase = Callable[[Transaction, Step, bytes, bytes], None]


def _erase_delivery(txn: Transaction, step: Step, key: bytes, encoded: bytes) -> None:
    owned = _owned(encoded)
    if step.is_wanted_delivery(owned):
        txn.delete("outbox", key)
        queue_sums.change_waiting(txn, owned.connection, -1, -len(encoded))
        step.left[owned.connection] += 1
        step.freed[owned.connection] += len(encoded)


def _erase_pending(txn: Transaction, step: Step, key: bytes, encoded: bytes) -> None:
    batch = _pending(encoded)
    prefix = pending_part_key(batch.connection, batch.number)
    first = next(txn.scan("pending_parts", prefix=prefix), None)
    if first is not None and step.is_wanted(_owned(first[1]).environment, batch.mpid):
        _, removed = pending.take_out(txn, key, batch)
        step.left[batch.connection] += removed.count
        step.freed[batch.connection] += removed.size


def _erase_dead_letter(txn: Transaction, step: Step, key: bytes, encoded: bytes) -> None:
    owned = _buried(encoded).delivery
    if step.is_wanted_delivery(owned):
        letter = outbox.unbury(txn, key)
        if letter is not None:
            step.forgotten.append((owned.connection, letter.reason))


def _erase_member(txn: Transaction, step: Step, key: bytes, _: bytes) -> None:
    member = groups.member_of(key)
    if step.is_wanted(member.environment, member.mpid):
        txn.delete("group_members", key)


def _erase_candidate(txn: Transaction, step: Step, key: bytes, _: bytes) -> None:
    user = profile_key_parts(groups.candidate_of(key))
    if step.is_wanted(user.environment, user.mpid):
        txn.delete("group_candidates", key)


def _erase_answer(txn: Transaction, _: Step, key: bytes, encoded: bytes) -> None:
    """Whoever they are of: they are answers of the last moments, and few."""
    without = micro_batches.without_identities(encoded)
    if without is not None:
        txn.put("micro_batches", key, without)


_WALKED: Mapping[Walk, Sequence[tuple[Table, _Erase]]] = {
    "deliveries": (
        ("outbox", _erase_delivery),
        ("pending_batches", _erase_pending),
        ("dead_letters", _erase_dead_letter),
    ),
    "groups": (("group_members", _erase_member), ("group_candidates", _erase_candidate)),
    "answers": (("micro_batches", _erase_answer),),
}


def erase_step(txn: Transaction, step: Step, walk: Walk, cursor: Cursor) -> Cursor | None:
    """Go on with a walk as far as a step has room; return where the next one goes on."""
    tables = _WALKED[walk]
    place, start = cursor
    table, erase = tables[place]
    following: Cursor | None = (place + 1, b"") if place + 1 < len(tables) else None
    found: list[tuple[bytes, bytes]] = []
    for key, encoded in txn.scan(table, start=start):
        if not step.has_room(encoded):
            following = (place, key)
            break
        found.append((key, encoded))
    for key, encoded in found:
        erase(txn, step, key, encoded)
    return following
