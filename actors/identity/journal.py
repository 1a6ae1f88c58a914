"""What the coordinator keeps on its own disk: intents, numbers, terms, answers of logouts."""

from collections.abc import Iterable, Mapping, Sequence

from actors.clock import Randomness
from actors.identity.calls import IdentityAnswer
from actors.model.workspaces import ENVIRONMENTS, Environment
from actors.store import intents, retries
from actors.store.environment import Store
from actors.store.identities import IdentityChange, Term

_NONCE_BITS = 32


class Journal:
    """The store of the coordinator, as far as identities go.

    Attributes:
        left: intents of earlier processes that may not be written everywhere.
        number: of the last intent that was ever kept.
        records: how many there are of each environment.
        term: how the shards know this process.
    """

    def __init__(self, store: Store, randomness: Randomness) -> None:
        """Begin a new term. Raises StoreFull."""
        self._store = store
        self._randomness = randomness
        self._settled: list[int] = []  # written everywhere and still kept
        with store.read() as txn:
            self.left = intents.read_all(txn)
            self.number = intents.read_number(txn)
            self.records = {each: intents.read_records(txn, each) for each in ENVIRONMENTS}
            self._start = intents.read_start(txn)
        self.begin_term()

    def begin_term(self, start: int = 0, number: int = 0, past: Iterable[int] = ()) -> None:
        """Begin a term after all that this store and the shards know of.

        Args:
            start, number: of a term and of an intent that a shard knows of.
            past: intents that are not to be written any more, by the next process neither.

        Raises:
            StoreFull: the old term goes on.
        """
        start, number = max(self._start, start) + 1, max(self.number, number)
        with self._store.write() as txn:
            intents.write_start(txn, start)
            intents.write_number(txn, number)
            intents.forget(txn, [*self._settled, *past])
        self._settled = []
        self._start, self.number = start, number
        self.term = Term(start, self._randomness.bits(_NONCE_BITS), number)

    def keep(
        self,
        changes: Sequence[IdentityChange],
        answers: Iterable[tuple[Environment, bytes, IdentityAnswer]],
        more_records: Mapping[Environment, int],
        now_ms: int,
    ) -> None:
        """Keep what was decided, with the answers of logouts under their retry keys: the commit.

        Args:
            changes: at least one, with the numbers that follow the last one.
            answers: environment, retry key, answer.
            more_records: by how many there are more. now_ms: the time.

        Raises:
            StoreFull: nothing was kept. After any other error it may be.
        """
        number = changes[-1].intent
        with self._store.write() as txn:
            intents.forget(txn, self._settled)
            intents.write(txn, [change for change in changes if change.entries or change.records])
            intents.write_number(txn, number)
            for environment, more in more_records.items():
                if more:
                    intents.write_records(txn, environment, self.records[environment] + more)
            for environment, retry_key, answer in answers:
                retries.write(txn, environment, retry_key, answer, now_ms)
        self._settled = []
        self.number = number
        for environment, more in more_records.items():
            self.records[environment] += more

    def settle(self, number: int) -> None:
        """An intent is written everywhere: it goes with the next commit."""
        self._settled.append(number)

    def forget_settled(self) -> None:
        """Let go now of what is written everywhere. Raises StoreFull."""
        with self._store.write() as txn:
            intents.forget(txn, self._settled)
        self._settled = []

    def answer(
        self, environment: Environment, retry_key: bytes, now_ms: int
    ) -> IdentityAnswer | None:
        """Return what a logout was answered within the last hour."""
        with self._store.read() as txn:
            return retries.read(txn, environment, retry_key, now_ms)
