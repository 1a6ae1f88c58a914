"""What became of every batch that was sent: the record that verification is checked against."""

from collections.abc import Iterable

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from load_tests.client import Response
from load_tests.pool import Pool

UNSENT, ACKNOWLEDGED, REFUSED, UNKNOWN = range(4)

_MAX_LISTED_PROBLEMS = 20  # spec/events-api.md, 3.4


class _Problem(Struct):
    path: str = ""


class _Errors(Struct):
    errors: list[_Problem] = []


class Ledger:
    """One byte per batch: not sent, acknowledged, refused, or not known.

    Not known are batches that a server may or may not have stored: no answer, or a 5xx, and
    nothing better afterwards (spec/events-api.md, 5.3).
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._states = bytearray()

    def open(self, number: int) -> None:
        """Make room for request `number`, which nothing is known of yet; numbers ascend."""
        missing = (number + 1) * self._pool.batches_per_request - len(self._states)
        self._states.extend(bytes(missing))

    def settle(
        self, number: int, response: Response | None, *, is_doubtful: bool
    ) -> tuple[int, int]:
        """Write down the outcome of a request that was sent.

        Args:
            number: the request.
            response: the last answer, `None` if there is none or it asked to come again.
            is_doubtful: an attempt may have been stored without being acknowledged.

        Returns:
            The numbers of batches and of events that are acknowledged.
        """
        count = self._pool.batches_per_request
        first = number * count
        if response is not None and response.status == 202:
            states = _accepted(response.body, count, is_doubtful)
        elif is_doubtful or (response is not None and response.status >= 500):
            states = bytes([UNKNOWN]) * count
        else:
            states = bytes([REFUSED]) * count
        self._states[first : first + count] = states
        place = first % self._pool.size
        events = self._pool.events[place : place + count]
        accepted = np.frombuffer(states, np.uint8) == ACKNOWLEDGED
        return int(accepted.sum()), int(events[accepted].sum())

    def states(self) -> NDArray[np.uint8]:
        """Return the state of every batch so far, by the number under which it was sent."""
        return np.frombuffer(bytes(self._states), np.uint8)

    def events(self) -> NDArray[np.int64]:
        """Return the number of events of every batch so far."""
        return np.resize(self._pool.events, len(self._states))

    def users(self) -> NDArray[np.int64]:
        """Return the user of every batch so far."""
        return np.resize(self._pool.users, len(self._states))


def _accepted(body: bytes, count: int, is_doubtful: bool) -> bytes:
    """Return the states of the batches of a request that was answered 202.

    Batches behind the last problem of a full list may have been refused without being listed.
    """
    states = bytearray([ACKNOWLEDGED]) * count
    if not body:
        return bytes(states)
    problems = msgspec.json.decode(body, type=_Errors).errors
    refused = set(_indexes(problem.path for problem in problems))
    for index in refused:
        states[index] = UNKNOWN if is_doubtful else REFUSED
    if len(problems) >= _MAX_LISTED_PROBLEMS and refused:
        for index in range(max(refused) + 1, count):
            states[index] = UNKNOWN
    return bytes(states)


def _indexes(paths: Iterable[str]) -> Iterable[int]:
    """Read the batch index from paths such as `[3].events[2].data.label`."""
    for path in paths:
        if path.startswith("["):
            yield int(path[1 : path.index("]")])
