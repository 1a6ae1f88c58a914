"""The outbox against two dicts, whatever is added, collected, settled, settled again, replayed."""

import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec.structs import replace

from actors.model.deliveries import DeadLetter, Delivery, Settlement
from actors.store import outbox, pending, queue_sums
from actors.store.environment import Store
from actors.store.keys import pending_key
from actors.store.pending import Pending
from tests.actors.store.builders import MAP_SIZE_BYTES, NOW, dead, delivery
from tests.actors.store.dead_index import dead_letter_ids

ALL = 1 << 30
connections = st.sampled_from([1, 2])
devices = st.sampled_from(["a", None])
# How a delivery is picked: by its place among all that were ever made, also those that are gone.
picks = st.sets(st.integers(min_value=0, max_value=15), max_size=4)


class OutboxMachine(RuleBasedStateMachine):
    """Each rule is one transaction; the invariants read what is committed."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._store = Store(Path(self._folder.name), MAP_SIZE_BYTES)
        outbox.begin_sums(self._store)
        self._sequence = 250  # numbers of one and of two bytes
        self._made: list[Delivery] = []
        self._waiting: dict[int, Delivery] = {}
        self._dead: dict[str, DeadLetter] = {}
        self._counts: Counter[int] = Counter()
        self._bytes: Counter[int] = Counter()

    def teardown(self) -> None:
        """Let go of the folder."""
        self._store.close()
        self._folder.cleanup()

    @rule(connection=connections, payload=st.binary(max_size=300))
    def add(self, connection: int, payload: bytes) -> None:
        """A batch makes a delivery."""
        made = delivery(self._next(), connection, payload=payload)
        with self._store.write() as txn:
            self._bytes[connection] += outbox.add(txn, made)
        self._counts[connection] += 1
        self._made.append(made)
        self._waiting[made.sequence] = made

    @rule(connection=connections, done=picks, died=picks, delayed=picks, attempts=st.integers(1, 9))
    def settle(
        self, connection: int, done: set[int], died: set[int], delayed: set[int], attempts: int
    ) -> None:
        """A forwarder tells what became of deliveries, of which some may be gone."""
        finished = self._picked(connection, done)
        letters = [dead(each) for each in self._picked(connection, died - done)]
        written_back = [
            replace(each, attempts=attempts, next_attempt_ms=NOW)
            for each in self._picked(connection, delayed - died - done)
        ]
        sequences = [each.sequence for each in finished]
        with self._store.write() as txn:
            count, size, _ = outbox.settle(
                txn, Settlement(connection, sequences, letters, written_back)
            )
        self._counts[connection] -= count
        self._bytes[connection] -= size
        for sequence in sequences:
            self._waiting.pop(sequence, None)
        for letter in letters:
            if self._waiting.pop(letter.delivery.sequence, None):
                self._dead[letter.delivery.delivery_id] = letter
        for each in written_back:
            if each.sequence in self._waiting:
                self._waiting[each.sequence] = each

    @rule(connection=connections, replayed=picks)
    def replay(self, connection: int, replayed: set[int]) -> None:
        """An operator puts dead letters back."""
        asked = [each.delivery_id for each in self._picked(connection, replayed)]
        revived = [self._dead.pop(each) for each in asked if each in self._dead]
        first = self._sequence + 1
        with self._store.write() as txn:
            reasons, size = outbox.replay(txn, connection, asked, self._next)
        assert reasons == [letter.reason for letter in revived]
        self._counts[connection] += len(revived)
        self._bytes[connection] += size
        for sequence, letter in enumerate(revived, start=first):
            again = replace(letter.delivery, sequence=sequence, attempts=0, next_attempt_ms=0)
            self._made.append(again)
            self._waiting[sequence] = again

    @rule(connection=connections, discarded=picks)
    def discard(self, connection: int, discarded: set[int]) -> None:
        """An operator deletes dead letters."""
        asked = [each.delivery_id for each in self._picked(connection, discarded)]
        gone = [self._dead.pop(each) for each in asked if each in self._dead]
        with self._store.write() as txn:
            reasons = outbox.discard(txn, connection, asked)
        assert reasons == [letter.reason for letter in gone]

    @rule(connection=connections, device=devices, payload=st.binary(max_size=300))
    def collect(self, connection: int, device: str | None, payload: bytes) -> None:
        """A batch is collected before it becomes a delivery."""
        part = delivery(self._next(), connection, payload=payload)
        key = pending_key(connection, "production", 5, device)
        with self._store.write() as txn:
            batch = pending.get(txn, key) or Pending(part.sequence, connection, 5, NOW, NOW)
            self._bytes[connection] += pending.add(txn, key, batch, part)
        self._counts[connection] += 1

    @rule(connection=connections, device=devices)
    def complete(self, connection: int, device: str | None) -> None:
        """What was collected is due."""
        key = pending_key(connection, "production", 5, device)
        with self._store.write() as txn:
            batch = pending.get(txn, key)
            if batch is not None:
                _, removed = pending.take_out(txn, key, batch)
                self._counts[connection] -= removed.count
                self._bytes[connection] -= removed.size

    @rule()
    def begin_anew(self) -> None:
        """Slots have moved, and the shard starts."""
        with self._store.write() as txn:
            queue_sums.drop(txn)
        outbox.begin_sums(self._store)

    @invariant()
    def waits_what_was_added_and_not_settled(self) -> None:
        """In order, by connection."""
        for connection in (1, 2):
            with self._store.read() as txn:
                found = outbox.decode(outbox.read_encoded(txn, connection, 0, ALL, ALL))
            assert found == [
                each for _, each in sorted(self._waiting.items()) if each.connection == connection
            ]

    @invariant()
    def is_dead_what_was_buried_and_not_replayed(self) -> None:
        """Found by connection, by id, and in the list of ids."""
        with self._store.read() as txn:
            letters = [each for n in (1, 2) for each in outbox.dead_letters(txn, n, 0, ALL)]
            assert letters == list(outbox.all_dead_letters(txn))
            assert {each.delivery.delivery_id: each for each in letters} == self._dead
            ids = [each for n in (1, 2) for each in dead_letter_ids(txn, n)]
            assert sorted(ids) == sorted(self._dead)
            for letter in letters:
                died = letter.delivery
                assert outbox.dead_letter(txn, died.connection, died.delivery_id) == letter

    @invariant()
    def depths_follow_from_what_the_calls_returned(self) -> None:
        """So counts kept in memory need not scan the outbox."""
        with self._store.read() as txn:
            depths = outbox.depths(txn)
            reasons = outbox.dead_counts(txn)
        assert reasons == Counter(
            (each.delivery.connection, each.reason) for each in self._dead.values()
        )
        assert depths == {n: (self._counts[n], self._bytes[n]) for n in depths}
        assert all(not self._bytes[n] for n in (1, 2) if n not in depths)

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence

    def _picked(self, connection: int, places: set[int]) -> list[Delivery]:
        """Return deliveries of a connection as they were made, the newest first."""
        made = [each for each in reversed(self._made) if each.connection == connection]
        return [made[place] for place in sorted(places) if place < len(made)]


TestOutbox = OutboxMachine.TestCase
TestOutbox.settings = settings(max_examples=20, stateful_step_count=20, deadline=None)
