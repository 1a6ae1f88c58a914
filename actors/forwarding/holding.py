"""What happens to deliveries that are not sent (spec/connections.md, 1.3).

Those of a connection that is inactive or faulted, and those of an environment that is off.
"""

from collections.abc import Callable, Collection, Mapping

import msgspec

from actors.forwarding.connections import ConnectionState
from actors.forwarding.desk import Desk
from actors.forwarding.kept import Kept, Memory
from actors.forwarding.streams import Stream
from actors.model.deliveries import DeadLetter
from actors.model.workspaces import ENVIRONMENTS, Environment
from actors.outputs.environment import OutputState

HOLD_MAX_AGE_MS = 7 * 24 * 3600 * 1000
HOLD_SWEEP_MS = 3600 * 1000
PAGE = 500
PAGE_BYTES = 4 * 1024 * 1024

Held = dict[Environment, int]  # since when, in ms
HoldMemory = Memory[Held]

_decode = msgspec.json.Decoder(dict[int, Held]).decode


def kept_holds(output: str, state: OutputState) -> Kept[Held]:
    """Return where it is kept since when an output (its id) is not sent what waits."""
    return Kept(output, state, "holds", _decode)


class Holding:
    """Knows since when what waits of each connection is held, over restarts too."""

    def __init__(
        self,
        states: Mapping[int, ConnectionState],
        enabled: Collection[Environment],
        memory: HoldMemory,
        now_ms: Callable[[], int],
    ) -> None:
        """Set up.

        Args:
            states: of the forwarder's connections, as they are just now.
            enabled: environments that are sent.
            memory: where it is kept.
            now_ms: the time.
        """
        self._states = states
        self._enabled = enabled
        self._memory = memory
        self._now_ms = now_ms
        self._since = memory.read()
        self.note()

    def note(self) -> None:
        """Take it over that connections are not what they were."""
        now_ms = self._now_ms()
        changes: dict[int, Held] = {}
        for number, state in self._states.items():
            former = self._since.get(number, {})
            held = {each: former.get(each, now_ms) for each in self._held_of(state)}
            if held != former:
                changes[number] = held
        if changes:
            self._keep(self._since | changes)

    def forget(self, number: int) -> None:
        """Forget a connection of which nothing waits."""
        if number in self._since:
            self._keep({**self._since, number: {}})

    def holds(self, number: int) -> bool:
        """Whether something of a connection may be held, for some days."""
        return bool(self._held_of(self._states[number]))

    def overdue(self, number: int) -> Collection[Environment]:
        """List the environments of a connection that have been held for too long."""
        latest_ms = self._now_ms() - HOLD_MAX_AGE_MS
        held = self._since.get(number, {})
        return [each for each, since_ms in held.items() if since_ms <= latest_ms]

    def _held_of(self, state: ConnectionState) -> Collection[Environment]:
        if state.is_given_up:
            return ENVIRONMENTS
        if not state.is_sending:
            return ()
        return [each for each in ENVIRONMENTS if each not in self._enabled]

    def _keep(self, since: Mapping[int, Held]) -> None:
        self._since = {number: held for number, held in since.items() if held}
        self._memory.write(self._since)


async def bury_overdue(stream: Stream, desk: Desk, holding: Holding, now_ms: int) -> None:
    """Make dead letters of what has been held for too long.

    A delivery is held since it came, or since nothing is sent, whichever was later.

    Raises:
        ShardUnavailable, StoreFull: the source fails.
    """
    number = stream.connection.number
    state = desk.connections[number]
    is_faulted = state.is_faulted
    reason = "connection_faulted" if is_faulted else "connection_inactive"
    after = 0
    while True:
        page = await stream.source.read(number, after, PAGE, PAGE_BYTES)
        stream.was_empty = not page and not after
        environments = holding.overdue(number)
        overdue = [each for each in page if each.created_ms + HOLD_MAX_AGE_MS <= now_ms]
        for delivery in overdue:
            if delivery.environment not in environments:
                continue
            if stream.knows(delivery.sequence):
                continue  # it is under way, or its end has yet to be told
            letter = DeadLetter(delivery, reason, now_ms, last_attempt_ms=0)
            desk.buried(letter)
            stream.settle_dead(letter)
        # They lie in the order of their age.
        if not environments or not page or len(overdue) < len(page):
            return
        after = page[-1].sequence
        await stream.settled()
