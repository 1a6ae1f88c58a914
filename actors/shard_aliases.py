"""What an alias asks of the shards of its source and its destination (spec/identity.md, 10.2).

Every call may be repeated, also after a crash of either side, and changes nothing the second time.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

from msgspec.structs import replace

from actors.batches.identities import DEVICE_STAMP
from actors.clock import Clock
from actors.identity.alias_calls import AliasOrder, CopiesChunk, Receipt
from actors.identity.calls import AliasRequest
from actors.identity.keys import canonical
from actors.model.batches import StoredBatch
from actors.model.profiles import Profile, ProfileKey
from actors.model.workspaces import Environment
from actors.profiles.aliasing import SourceFacts, is_merged, merge_from, note, source_facts
from actors.shard import Shard
from actors.steps.enqueue_alias import enqueue_alias
from actors.store import copies, erased, log
from actors.store.copies import EncodedCopy, Places, Progress
from actors.store.environment import Transaction

# What one call looks at and takes along at most: some milliseconds, for which ingestion waits.
CHUNK_BATCHES = 200
CHUNK_BYTES = 512 * 1024


class ShardAliases:
    """The part of one shard in aliases."""

    def __init__(
        self,
        shard: Shard,
        clock: Clock,
        chunk_batches: int = CHUNK_BATCHES,
        chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        """Args: batches that `read_copies` looks at, and bytes of copies that make it stop."""
        self._shard = shard
        self._store = shard.store
        self._profiles = shard.profiles
        self._workspace = shard.options.workspace
        self._clock = clock
        self._chunk_batches = chunk_batches
        self._chunk_bytes = chunk_bytes

    # -- The source's -----------------------------------------------------------------------------

    def alias_source(self, environment: Environment, mpid: int) -> SourceFacts | None:
        """Return what a source's profile has to give, `None` if there is no such profile."""
        with self._store.read() as txn:
            profile = self._existing(txn, self._key(environment, mpid))
            if profile is None:
                return None
            return source_facts(profile, self._workspace, self._clock.now_ms())

    def read_copies(self, order: AliasOrder, places: Places | None) -> CopiesChunk:
        """Read the source's events that the alias is about, as copies for the destination.

        Args:
            order: the alias.
            places: `CopiesChunk.next` of the call before, `None` at first.
        """
        request = order.request
        made: list[EncodedCopy] = []
        size = 0
        with self._store.read() as txn:
            if places is None:
                places = self._first_places(txn, request)
            for seen, stored in enumerate(_chains(txn, places)):
                if seen == self._chunk_batches or size >= self._chunk_bytes:
                    return CopiesChunk(made, _at(stored, places))
                copied = _copied(stored, request)
                if copied is not None:
                    made.append(copied)
                    size += len(copied.encoded)
        return CopiesChunk(made, copies.END)

    def note_alias(self, order: AliasOrder) -> None:
        """Tell the source's profile what became of it. Raises StoreFull."""
        request = order.request
        key = self._key(request.environment, request.source_mpid)
        with self._changing(key) as (_, profile):
            if profile is not None:
                note(profile, "aliased_to", request.destination_mpid, order.begun_ms)

    def _first_places(self, txn: Transaction, request: AliasRequest) -> Places:
        profile = self._profiles.get(txn, self._key(request.environment, request.source_mpid))
        section = profile and profile.workspaces.get(self._workspace.number)
        if not section:
            return copies.END
        return Places(section.newest_log_id, section.newest_historical_id)

    # -- The destination's ------------------------------------------------------------------------

    def alias_receipt(self, order: AliasOrder) -> Receipt | None:
        """Return how far the destination has got, `None` if there is no such profile."""
        with self._store.read() as txn:
            profile = self._existing(txn, self._destination(order))
            if profile is None:
                return None
            return self._receipt(txn, profile, order)

    def write_copies(self, order: AliasOrder, places: Places | None, chunk: CopiesChunk) -> None:
        """Give the destination copies, with how far it has got, in one transaction.

        Args:
            order: the alias.
            places: where the destination had got before. If it is somewhere else, this is a late
                repetition, and nothing is written.
            chunk: as read from the source.

        Raises:
            StoreFull: nothing was written.
        """
        request, key = order.request, self._destination(order)
        with self._store.write() as txn:
            profile = self._existing(txn, key)
            if profile is None or self._receipt(txn, profile, order) != Receipt(places):
                return
            for copy in chunk.copies:
                copies.write(txn, key, copy)
            progress = Progress(order.begun_ms, chunk.next)
            copies.write_progress(txn, request.destination_mpid, order.number, progress)

    def finish_alias(self, order: AliasOrder, facts: SourceFacts) -> None:
        """Let the destination's profile take over what it is to have. Raises StoreFull."""
        request = order.request
        with self._changing(self._destination(order)) as (txn, profile):
            copies.forget_progress(txn, request.destination_mpid, order.number)
            if profile is not None and not is_merged(profile, request.source_mpid, order.begun_ms):
                merge_from(profile, request.source_mpid, facts, self._workspace, order.begun_ms)
                self._shard.counts.merged()
                # Audiences see the copied events; calculated attributes do not.
                profile.workspaces[self._workspace.number].entries_epoch = 0
                for joint in profile.joint.values():
                    joint.entries_epoch = 0
                self._forward(order, profile)

    def _forward(self, order: AliasOrder, profile: Profile) -> None:
        """Queue what connections get of an alias; `profile`: of its destination."""
        shard, request = self._shard, order.request
        pipelines = shard.pipelines.get(request.input, ())
        deliveries, drops = enqueue_alias(order, profile, self._workspace, pipelines)
        if drops:
            shard.counts.dropped(drops)
        for delivery in deliveries:
            delivery.sequence = shard.ids.next()
        shard.outbox.take(deliveries, request.received_ms)

    def _receipt(self, txn: Transaction, profile: Profile, order: AliasOrder) -> Receipt:
        request = order.request
        if is_merged(profile, request.source_mpid, order.begun_ms):
            return Receipt(None, is_finished=True)
        return Receipt(
            copies.read_progress(txn, request.destination_mpid, order.number, order.begun_ms)
        )

    # -- Both -------------------------------------------------------------------------------------

    def _destination(self, order: AliasOrder) -> ProfileKey:
        return self._key(order.request.environment, order.request.destination_mpid)

    def _key(self, environment: Environment, mpid: int) -> ProfileKey:
        return ProfileKey(self._workspace.scope, environment, mpid)

    def _existing(self, txn: Transaction, key: ProfileKey) -> Profile | None:
        """Return a profile, `None` if it is gone or its record was erased, or is going.

        An erasure takes the rest of the profile later, and nothing is to come to it meanwhile: from
        other workspaces either, nor by calls of a coordinator that has died.
        """
        profile = None if erased.is_erased(txn, key) else self._profiles.get(txn, key)
        return None if profile is not None and profile.is_expired else profile

    @contextmanager
    def _changing(self, key: ProfileKey) -> Iterator[tuple[Transaction, Profile | None]]:
        """Run a write transaction with a profile to be changed in place, `None` if it is gone."""
        with self._shard.transaction() as txn:
            known = self._existing(txn, key)
            if known is not None:
                known = self._profiles.stage(txn, key, known.created_timestamp_ms)
            yield txn, known


def _chains(txn: Transaction, places: Places) -> Iterator[StoredBatch]:
    """Yield a user's live batches, then the historical ones."""
    return chain(log.chain(txn, places.live), log.chain(txn, places.historical))


def _at(stored: StoredBatch, places: Places) -> Places:
    """Return the place of a batch that was met on the way from `places`."""
    if stored.is_historical:
        return Places(0, stored.log_id)
    return Places(stored.log_id, places.historical)


def _copied(stored: StoredBatch, request: AliasRequest) -> EncodedCopy | None:
    """Return the copy of a batch with those of its events that the request is about."""
    batch = stored.batch
    if request.scope == "device" and not _is_same_device(batch.mp_deviceid, request.device_stamp):
        return None
    events = [
        event for event in batch.events if request.start_ms <= event.timestamp_ms <= request.end_ms
    ]
    if not events:
        return None
    copied = replace(
        stored,
        mpid=request.destination_mpid,
        previous_log_id=0,
        batch=replace(batch, events=events),
    )
    return copies.encode(request.source_mpid, copied)


def _is_same_device(sent: str | None, wanted: str | None) -> bool:
    if sent is None or wanted is None:
        return False
    return canonical(DEVICE_STAMP, sent) == canonical(DEVICE_STAMP, wanted)
