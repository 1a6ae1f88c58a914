"""The harness's own record: what was sent, what was acknowledged, and when."""

import random
from collections import Counter
from collections.abc import Iterable, Sequence

from msgspec import Struct

_TOKEN_BITS = 32
WEIGHTS = 7  # events weigh 1 to 7, so that a sum tells more than a count


class Sent(Struct):
    """One batch of one event, which is sent until it is acknowledged, or given up.

    Attributes:
        number: of the run; in the request id, in the event's id and in its attribute `n`.
        begun: place in the order of all beginnings and acknowledgements, of its first attempt.
        acknowledged: the same of its acknowledgement; `None` if there was none.
        begun_s, acknowledged_s: when.
        padding_bytes: by which it is larger than others.
    """

    number: int
    user: int
    begun: int
    begun_s: float
    acknowledged: int | None = None
    acknowledged_s: float = 0.0
    padding_bytes: int = 0

    @property
    def weight(self) -> int:
        """What its event weighs."""
        return 1 + self.number % WEIGHTS


class Record:
    """What a run has sent, by number.

    Attributes:
        mpids: user to the MPIDs that identity calls have answered.
        emails: user to those that calls have acknowledged as the user's.
        repeats: how often a batch was sent again although it had been acknowledged.
        cuts: requests that a client broke off, in mid-body or before the answer.
        refused: how often a request was answered 429 or 503, by why.
    """

    def __init__(self, seed: int) -> None:
        """Args: `seed`: of the run; no other one on its deployment has it."""
        self.seed = seed
        # Of the seed alone, so that the same seed has the same users, in the same slots, whichever
        # run of its deployment it is. The number behind it is like nothing else in a log.
        self.token = f"f{seed}-{random.Random(f'users {seed}').getrandbits(_TOKEN_BITS):08x}"
        self.sent: list[Sent] = []
        self.mpids: dict[int, set[int]] = {}
        self.emails: dict[int, set[str]] = {}
        self.devices: dict[int, set[str]] = {}
        self.repeats = 0
        self.cuts = 0
        self.refused: Counter[str] = Counter()
        self._moments = 0

    def begin(self, user: int, now_s: float, padding_bytes: int = 0) -> Sent:
        """Note that a batch is about to be sent for the first time."""
        one = Sent(
            number=len(self.sent),
            user=user,
            begun=self._moment(),
            begun_s=now_s,
            padding_bytes=padding_bytes,
        )
        self.sent.append(one)
        return one

    def acknowledge(self, one: Sent, now_s: float) -> None:
        """Note a 202; only the first counts."""
        if one.acknowledged is None:
            one.acknowledged, one.acknowledged_s = self._moment(), now_s
        else:
            self.repeats += 1

    def customer_id(self, user: int) -> str:
        """Return a user's customer id; no other run has it."""
        return f"{self.token}-u{user}"

    def message_id(self, number: int) -> str:
        """Return the id of a batch and of its event."""
        return f"{self.token}-{number}"

    def number_of(self, message_id: str | None) -> int | None:
        """Return the number in a message id, `None` if it is none of this run."""
        token, _, number = (message_id or "").rpartition("-")
        return int(number) if token == self.token else None

    def of_user(self, user: int) -> list[Sent]:
        """Return what was sent for a user."""
        return [one for one in self.sent if one.user == user]

    @property
    def users(self) -> list[int]:
        """Return the users for whom something was sent."""
        return sorted({one.user for one in self.sent})

    @property
    def acknowledged(self) -> int:
        """Return how many batches are acknowledged."""
        return sum(one.acknowledged is not None for one in self.sent)

    @property
    def longest_wait_s(self) -> float:
        """Return the longest time from the first attempt of a batch to its acknowledgement."""
        waits = (o.acknowledged_s - o.begun_s for o in self.sent if o.acknowledged is not None)
        return max(waits, default=0.0)

    def _moment(self) -> int:
        self._moments += 1
        return self._moments


def out_of_order(batches: Sequence[Sent]) -> int:
    """Return how many batches come after one that was sent only after their acknowledgement.

    A batch whose 202 was received before another was sent comes first (spec/events-api.md, 5.2);
    of those under way at once any may.
    """
    wrong = 0
    earliest: int | None = None  # acknowledgement of all behind
    for one in reversed(batches):
        wrong += earliest is not None and earliest < one.begun
        if one.acknowledged is not None:
            earliest = min(earliest or one.acknowledged, one.acknowledged)
    return wrong


def first_seen(numbers: Iterable[int]) -> list[int]:
    """Return each number once, where it came first."""
    return list(dict.fromkeys(numbers))
