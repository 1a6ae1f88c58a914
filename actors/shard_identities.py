"""The part of a shard that the coordinator reads and writes: index entries and identity records.

spec/identity.md, Sharding and concurrency.
"""

from collections.abc import Collection, Sequence

from msgspec.structs import replace

from actors.clock import Clock, Randomness
from actors.errors import StaleTerm
from actors.identity.findings import Findings, Known, Question
from actors.identity.keys import IdentityName
from actors.identity.state import IdentityRecord
from actors.model.micro_batches import Newcomer
from actors.model.profiles import ProfileKey
from actors.model.workspaces import ENVIRONMENTS, Environment
from actors.profiles.identities import apply_identity_call
from actors.store import erased, trail
from actors.store.environment import Store, Transaction
from actors.store.identities import (
    Holder,
    IdentityChange,
    RecordChange,
    Term,
    Written,
    read_holders,
    read_written,
    write_holders,
    write_written,
)
from actors.store.keys import (
    MPID_RANDOM_BITS,
    identity_key,
    profile_key,
    slot_of_hash,
    slot_of_mpid,
)
from actors.store.profiles import Profiles
from actors.store.slots import Slots

# Of one identity, read along with it: an identity that many share would make an answer long.
MAX_RECORDS_ALONG = 16


class ShardIdentities:
    """Index entries and identity records of one identity scope on one shard."""

    def __init__(
        self,
        store: Store,
        profiles: Profiles,
        scope: int,
        other_scopes: Collection[int],
        priority: Collection[str],
        shard: int,
        slots: Slots,
        clock: Clock,
        randomness: Randomness,
    ) -> None:
        """Set up.

        Args:
            store, profiles: those of shard `shard` (from 0), by `slots`.
            scope: the only one whose changes come here.
            other_scopes: whose MPIDs are not given to anybody either.
            priority: IDSync keys of the types that resolution looks at in it.
            clock: of the times that are kept. randomness: of MPIDs.
        """
        self._store = store
        self._profiles = profiles
        self._scope = scope
        self._scopes = (scope, *other_scopes)
        self._priority = priority
        self._shard = shard
        self._slots = slots
        self._clock = clock
        self._randomness = randomness
        with store.read() as txn:
            self._written = read_written(txn, scope)

    def read_identities(
        self, term: Term, questions: Sequence[Question], candidates: Sequence[int]
    ) -> Findings:
        """Answer a coordinator.

        Raises:
            StaleTerm: there is a later term, or the coordinator knows less than it did.
        """
        # A new term begins with its first write. What an earlier one may still write here before
        # that is left in the coordinator's store, so the new one looks at it only when it has
        # written it here itself.
        self._admitted(term)
        with self._store.read() as txn:
            known = [self._answer(question, txn) for question in questions]
            taken = [self._is_taken(mpid, txn) for mpid in candidates]
        return Findings(known, taken)

    def write_identities(self, term: Term, write: int, changes: Sequence[IdentityChange]) -> None:
        """Write what the coordinator has decided, on disk when this returns.

        Args:
            term: of the coordinator.
            write: number of this write among those of the term to this shard. One that is not
                greater than the last was done or has been overtaken: nothing is done.
            changes: only what this shard owns.

        Raises:
            StaleTerm, StoreFull: nothing was written.
        """
        written = self._admitted(term)
        if write <= written.write:
            return
        last = max([written.intent, *(change.intent for change in changes)])
        written = replace(written, write=write, intent=last)
        try:
            with self._store.write() as txn:
                for change in changes:
                    self._apply(change, txn)
                write_written(txn, self._scope, written)
                self._profiles.flush(txn)
        except BaseException:
            self._profiles.abandon()
            raise
        self._profiles.published()
        self._written = written

    def newcomer(
        self, environment: Environment, names: Sequence[IdentityName], txn: Transaction
    ) -> Newcomer | None:
        """Say what there is to know here of somebody whose identities these are, if that is new.

        Args:
            environment, names: of the identities, of which the shard may have some.
            txn: that sees what was written last.
        """
        keys = [identity_key(self._scope, environment, name.type, name.value) for name in names]
        types = [
            name.type
            for name, key in zip(names, keys, strict=True)
            if self._slots.shard_of(slot_of_hash(key)) == self._shard
            and not read_holders(txn, key, name.type, name.value)
        ]
        if not types:
            return None
        mpid, slot = 0, slot_of_hash(keys[0])
        if self._slots.shard_of(slot) == self._shard:
            mpid = slot << MPID_RANDOM_BITS | self._randomness.bits(MPID_RANDOM_BITS)
            if self._is_taken(mpid, txn):
                mpid = 0
        written = self._written
        return Newcomer(written.start, written.nonce, written.write, types, mpid)

    def _admitted(self, term: Term) -> Written:
        """Return how far the shard is in a term; a new one begins with no writes."""
        written = self._written
        if (term.start, term.nonce) == (written.start, written.nonce):
            return written
        if term.start <= written.start or term.intent < written.intent:
            raise StaleTerm(written.start, written.intent)
        return Written(term.start, term.nonce, 0, written.intent)

    def _answer(self, question: Question, txn: Transaction) -> Known:
        environment = question.environment
        holders: list[list[Holder]] = []
        records: dict[int, IdentityRecord | None] = {}
        for name in question.names:
            key = identity_key(self._scope, environment, name.type, name.value)
            found = read_holders(txn, key, name.type, name.value)
            holders.append(found)
            for holder in found[-MAX_RECORDS_ALONG:]:
                if holder.mpid not in records and self._owns(holder.mpid):
                    records[holder.mpid] = self._record(environment, holder.mpid, txn)
        for mpid in question.mpids:
            if mpid not in records:
                records[mpid] = self._record(environment, mpid, txn)
        return Known(holders, records)

    def _record(
        self, environment: Environment, mpid: int, txn: Transaction
    ) -> IdentityRecord | None:
        key = ProfileKey(self._scope, environment, mpid)
        profile = self._profiles.get(txn, key)
        if profile is None or erased.is_erased(txn, key):
            return None
        return IdentityRecord(profile.lookups, profile.created_timestamp_ms, profile.source_mpid)

    def _is_taken(self, mpid: int, txn: Transaction) -> bool:
        """Tell whether somebody has an MPID, or had it."""
        keys = [
            ProfileKey(scope, environment, mpid)
            for scope in self._scopes
            for environment in ENVIRONMENTS
        ]
        return any(
            self._profiles.get(txn, key) is not None or erased.is_erased(txn, key) for key in keys
        )

    def _owns(self, mpid: int) -> bool:
        return self._slots.shard_of(slot_of_mpid(mpid)) == self._shard

    def _apply(self, change: IdentityChange, txn: Transaction) -> None:
        for entry in change.entries:
            key = identity_key(change.scope, change.environment, entry.type, entry.value)
            write_holders(txn, key, entry)
        for record in change.records:
            self._apply_record(
                ProfileKey(change.scope, change.environment, record.mpid), record, txn
            )

        for profile_change in change.profiles:
            key_of = ProfileKey(change.scope, change.environment, profile_change.mpid)
            profile = self._profiles.stage(txn, key_of, profile_change.time_ms)
            apply_identity_call(profile, profile_change, self._priority)

    def _apply_record(self, key: ProfileKey, record: RecordChange, txn: Transaction) -> None:
        packed = profile_key(key)
        if record.is_erased:
            if self._profiles.get(txn, key) is not None:
                self._profiles.stage(txn, key, record.created_ms).lookups = []
            erased.write(txn, key, self._clock.now_ms())
            trail.forget(txn, packed)
            return
        profile = self._profiles.stage(txn, key, record.created_ms)
        profile.lookups = record.lookups
        profile.source_mpid = record.source_mpid
        trail.write(txn, packed, record.trail, self._clock.now_ms())
