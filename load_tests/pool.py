"""Request bodies, made before the clock starts and completed when they are sent.

A pool holds a bounded number of batches. Sending goes round it; every batch as sent has a number
of its own, which is written into its request id and message ids, and the time of sending. So a
pool of some tens of megabytes feeds runs of any length, and no two sent batches are alike.
"""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from load_tests.draws import Draws, zipf_ranks
from load_tests.journeys import SECONDS, TOKEN
from load_tests.people import Batch, Person

MAX_BATCH_BYTES = 3 * 1024
MAX_REQUEST_BYTES = 256 * 1024  # spec/events-api.md, 3.2
MAX_BATCHES_PER_REQUEST = 100  # spec/events-api.md, 1
MAX_EVENTS_PER_BATCH = 50  # mean; message ids number the events of a batch with two digits
RUN_BITS = 32

_SECONDS = str(SECONDS).encode()
_TOKEN = TOKEN.encode()


@dataclass(frozen=True, kw_only=True)
class PoolOptions:
    """What is in a pool. `events_per_batch` is a mean: batches have 1 to 2n-1 events."""

    seed: int
    users: int
    batches: int
    is_bulk: bool
    batches_per_request: int
    events_per_batch: int


@dataclass(frozen=True)
class UserTraces:
    """Where the batches of one user ended up: under its customer id, or under its devices.

    A batch with a customer id belongs to the profile of that id; one without belongs to a profile
    that holds its device application stamp. So these find all profiles that a user can have.
    """

    customer_id: str | None
    devices: tuple[str, ...]


class Pool:
    """Requests without their heads, to be sent in turn.

    Attributes:
        users: the user of each batch, in the order of sending.
        events: the number of events of each batch.
        traces: what finds each user, by user number.
        is_bulk: whether a request is an array of batches.
    """

    def __init__(
        self, options: PoolOptions, run: int, on_batch: Callable[[], object] | None = None
    ) -> None:
        """Make all batches; `on_batch` is called after each, to show progress.

        Raises:
            ValueError: a request would be larger than a server takes.
        """
        self.is_bulk = options.is_bulk
        self._per_request = options.batches_per_request
        self._run = f"{run:08x}"
        size = max(1, options.batches // self._per_request) * self._per_request
        self.users: NDArray[np.int64] = zipf_ranks(options.users, size, options.seed)
        self.events: NDArray[np.int64] = np.zeros(size, np.int64)
        self.traces: dict[int, UserTraces] = {}
        self._parts: list[list[bytes]] = []
        self._fill(options, on_batch)
        self._check_sizes()

    @property
    def size(self) -> int:
        """Number of batches in the pool."""
        return len(self._parts)

    @property
    def batches_per_request(self) -> int:
        """Number of batches in each request."""
        return self._per_request

    def token(self, sequence: int) -> str:
        """Return the request id of the batch that is sent as number `sequence`."""
        return f"{self._run}{sequence:010x}"

    def sequence_of(self, message_id: str) -> tuple[int, int] | None:
        """Return (batch number, event index) of a message id, `None` if it is not of this run."""
        token, _, index = message_id.partition("-")
        if len(token) != len(TOKEN) or not token.startswith(self._run):
            return None
        return int(token[len(self._run) :], 16), int(index)

    def body(self, number: int, now_ms: int) -> bytes:
        """Return the body of request `number`, whose events happened in the second before now."""
        count = self._per_request
        sequence = number * count
        place = sequence % len(self._parts)
        batches = [
            self.token(sequence + offset).encode().join(self._parts[place + offset])
            for offset in range(count)
        ]
        text = b"[%b]" % b",".join(batches) if self.is_bulk else batches[0]
        return text.replace(_SECONDS, b"%010d" % (now_ms // 1000 - 1))

    def _fill(self, options: PoolOptions, on_batch: Callable[[], object] | None) -> None:
        draws = Draws(options.seed)
        people: dict[int, Person] = {}
        known: set[int] = set()
        anonymous: dict[int, set[str]] = {}
        for place, user in enumerate(self.users.tolist()):
            person = people.get(user)
            if person is None:
                person = people[user] = Person(options.seed, user)
            count = 1 + draws.below(2 * options.events_per_batch - 1)
            batch = person.next_batch(count, draws)
            text = _encode(batch, options.events_per_batch)
            if "user_identities" in batch:
                known.add(user)
            else:
                anonymous.setdefault(user, set()).add(batch["mp_deviceid"])
            self.events[place] = len(batch["events"])
            self._parts.append(text.split(_TOKEN))
            if on_batch is not None:
                on_batch()
        for user, person in people.items():
            customer_id = person.customer_id if user in known else None
            devices = tuple(sorted(anonymous.get(user, ())))
            self.traces[user] = UserTraces(customer_id, devices)

    def _check_sizes(self) -> None:
        sizes = [len(self.body(number, 0)) for number in range(self.size // self._per_request)]
        if max(sizes) > MAX_REQUEST_BYTES:
            raise ValueError(
                f"a request would have {max(sizes)} bytes, the maximum is {MAX_REQUEST_BYTES}: "
                "take fewer batches per request or fewer events per batch"
            )


def _encode(batch: Batch, mean_events: int) -> bytes:
    """Encode a batch; one that is too long gives up its last events, down to the mean."""
    batch["source_request_id"] = TOKEN
    text = msgspec.json.encode(batch)
    while len(text) > MAX_BATCH_BYTES and len(batch["events"]) > mean_events:
        batch["events"].pop()
        text = msgspec.json.encode(batch)
    return text
