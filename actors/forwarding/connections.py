"""The connections of one forwarder, as they are just now, with their streams.

Connections of inputs come with the configuration, subscriptions of audiences from the coordinator.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from actors.forwarding.faults import Fault
from actors.forwarding.streams import OutboxSource, RecentIds, Stream
from actors.forwarding.subscriptions import Followed
from actors.pipeline.connection import ConnectionInfo

# What may be in memory, over all connections.
WINDOW = 20_000
WINDOW_BYTES = 64 * 1024 * 1024
MIN_SHARE = 500
MIN_SHARE_BYTES = 1024 * 1024
# What may wait for a retry beside it, as `Parked`: some 350 bytes each, 700 where no order is kept.
PARKED = 400_000
MIN_PARKED = 2000


class ConnectionState:
    """A connection as it is just now. A faulted one sends nothing until it is resumed."""

    def __init__(self, info: ConnectionInfo, fault: Fault | None = None) -> None:
        """Args: `fault`: that it had before this process, and that nobody has resumed since."""
        self.info = info
        self.fault = fault
        self.is_faulted = info.is_faulted or fault is not None
        self.is_ended = False  # it is not there any more; something of it may wait
        self.delivered = RecentIds()
        self.auth_failures = 0
        self.refused_since_ms: int | None = None
        self.resumed = 0
        self.is_awaited = False  # its receiver has not agreed to it yet
        self.last_sent_ms: int | None = None

    @property
    def is_sending(self) -> bool:
        """Whether what is queued may be sent."""
        return self.info.is_active and not self.is_faulted and not self.is_awaited

    @property
    def is_given_up(self) -> bool:
        """Whether what has been held for too long becomes dead letters (spec 1.3).

        Of a subscription that is connected nothing does: once it is resumed its receiver gets the
        difference, however long the fault lasted (spec/connections.md, 4.4).
        """
        is_kept = self.info.is_subscription and self.info.is_active
        return not self.is_sending and not is_kept

    @property
    def status(self) -> str:
        """Its word in `Forwarder.state()`."""
        if not self.info.is_active:
            return "inactive"
        return "faulted" if self.is_faulted else "active"

    def resume(self) -> None:
        """Let it send again."""
        self.is_faulted, self.fault, self.auth_failures = False, None, 0


class Change(NamedTuple):
    """A connection that is new here, or is not what it was."""

    state: ConnectionState
    is_held: bool  # it was sending, and does no more


class Connections:
    """Keeps which there are, and shares the memory for what waits among their streams."""

    def __init__(
        self,
        infos: Iterable[ConnectionInfo],
        sources: Sequence[OutboxSource],
        faults: Mapping[int, Fault],
        notify: Callable[[], None],
    ) -> None:
        """Set up.

        Args:
            infos: the connections of inputs, inactive ones too.
            sources: the shards' outboxes.
            faults: what connections of inputs, by number, had before; taken up once.
            notify: called when a stream has something to do.
        """
        self._sources = sources
        self._faults = dict(faults)
        self._notify = notify
        self.states: dict[int, ConnectionState] = {}
        self.streams: list[Stream] = []
        self._parked = 0
        for info in infos:
            self._add(info, self._faults.get(info.number))

    @property
    def share(self) -> int:
        """How many deliveries each stream may have in memory: so none starves another."""
        return max(WINDOW // max(len(self.streams), 1), MIN_SHARE)

    @property
    def share_bytes(self) -> int:
        """How many bytes of payload each stream may have in memory."""
        return max(WINDOW_BYTES // max(len(self.streams), 1), MIN_SHARE_BYTES)

    def may_park(self, stream: Stream) -> bool:
        """Whether a stream may, and has to, let go of what is not needed for long.

        At a quarter of its share: at half of it nothing more is read. It may have as much parked as
        it leaves free for the others, so that one that fails alone has half of what there is.
        """
        is_crowded = (
            stream.waiting > self.share // 4 or stream.waiting_bytes > self.share_bytes // 4
        )
        return is_crowded and stream.parked < max(PARKED - self._parked, MIN_PARKED)

    def park(self, stream: Stream) -> None:
        """Count a delivery as parked."""
        stream.parked += 1
        self._parked += 1

    def unpark(self, stream: Stream) -> None:
        """Undo `park`."""
        stream.parked -= 1
        self._parked -= 1

    def of(self, stream: Stream) -> ConnectionState:
        """Return the connection of a stream."""
        return self.states[stream.connection.number]

    def connect(self, infos: Sequence[ConnectionInfo]) -> Iterator[Change]:
        """Take over which connections of inputs there are.

        What waits for one that is not there any more stays in the outboxes.
        """
        wanted = {each.number: each for each in infos}
        for number, info in wanted.items():
            if number not in self.states:
                yield Change(self._add(info, self._faults.get(number)), is_held=False)
            yield from self._take_over(number, info)
        yield from self._end(wanted, are_subscriptions=False)

    def drop_ended(self) -> list[ConnectionState]:
        """Drop, and return, those that have ended and of which nothing waits anywhere.

        Whether something waits is known from the last look for what is overdue. One that comes back
        begins at the start of the outboxes, as after a start of the process.
        """
        waiting = {each.connection.number for each in self.streams if not _is_over(each)}
        over = [
            number
            for number, state in self.states.items()
            if state.is_ended and number not in waiting
        ]
        if not over:
            return []
        self.streams = [each for each in self.streams if each.connection.number not in over]
        dropped = [self.states.pop(number) for number in over]
        for state in dropped:
            if state.fault is not None and not state.info.is_subscription:
                self._faults[state.info.number] = state.fault
        return dropped

    def follow(
        self, subscriptions: Sequence[Followed], has_a_say: Callable[[Followed], bool]
    ) -> Iterator[Change]:
        """Take over which subscriptions there are.

        Args:
            subscriptions: all of them.
            has_a_say: tells whether a receiver has to agree first.
        """
        wanted = {each.info.number: each for each in subscriptions}
        for number, each in wanted.items():
            state = self.states.get(number)
            if state is None:
                state = self._add(each.info)
                state.is_faulted, state.resumed = each.is_faulted, each.resumed
                state.is_awaited = has_a_say(each)
                yield Change(state, is_held=False)
            if each.resumed > state.resumed:
                state.resumed = each.resumed
                state.resume()
                yield Change(state, is_held=False)
            yield from self._take_over(number, each.info)
        yield from self._end(wanted, are_subscriptions=True)

    def resume(self, number: int) -> ConnectionState:
        """Let a connection send again (spec/connections.md, 1.3)."""
        state = self.states[number]
        state.resume()
        self._faults.pop(number, None)
        return state

    def _add(self, info: ConnectionInfo, fault: Fault | None = None) -> ConnectionState:
        state = self.states[info.number] = ConnectionState(info, fault)
        for index, source in enumerate(self._sources):
            self.streams.append(Stream(source, index, info, self._notify))
        return state

    def _take_over(self, number: int, info: ConnectionInfo) -> Iterator[Change]:
        state = self.states[number]
        state.is_ended = False
        if info == state.info:
            return
        was_sending, state.info = state.is_sending, info
        yield Change(state, is_held=was_sending and not state.is_sending)

    def _end(self, wanted: Mapping[int, object], *, are_subscriptions: bool) -> Iterator[Change]:
        for number, state in self.states.items():
            is_one = state.info.is_subscription is are_subscriptions
            if is_one and number not in wanted and not state.is_ended:
                yield from self._take_over(number, replace(state.info, is_active=False))
                state.is_ended = True
                for stream in self.streams:
                    if stream.connection.number == number:
                        stream.was_empty = False  # something may have come since it was


def _is_over(stream: Stream) -> bool:
    return stream.was_empty and stream.is_idle
