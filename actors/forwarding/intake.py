"""Brings deliveries from the outboxes into memory, and settlements back."""

from collections.abc import Callable, Mapping, Sequence

from actors.forwarding.bundles import BundleCourier
from actors.forwarding.connections import Connections
from actors.forwarding.desk import Desk
from actors.forwarding.holding import Holding, bury_overdue
from actors.forwarding.journal import Journal
from actors.forwarding.requests import RequestCourier
from actors.forwarding.streams import SOURCE_FAULTS, Stream
from actors.forwarding.subscriptions import inheriting, superfluous
from actors.model.deliveries import Delivery
from actors.model.workspaces import Environment
from actors.outputs.contract import BulkOutput, StreamOutput
from actors.outputs.retry import longest_wait_s

Courier = RequestCourier | BundleCourier

READ_PAGE = 1000
READ_PAGE_BYTES = 4 * 1024 * 1024
# Between two reads of a stream that was near its end: under load a shard has something new all the
# time, and a call for every micro-batch would cost more than what it brings. Bulk outputs are in no
# hurry: a tenth of the time that they collect for, within bounds.
READ_PAUSE_MS = 50
BULK_READ_PAUSE_MS = 500


class Intake:
    """Reads for the couriers of one forwarder, and settles what they are done with."""

    def __init__(
        self,
        couriers: Mapping[Environment, Courier],
        connections: Connections,
        desk: Desk,
        journal: Journal,
        holding: Holding,
        now_ms: Callable[[], int],
    ) -> None:
        """Set up.

        Args:
            couriers: of each environment that is enabled; several may have the same.
            connections: of the forwarder, with their streams.
            desk: of the forwarder.
            journal: of requests that a crash must not part.
            holding: of the forwarder.
            now_ms: the time.
        """
        self._by_environment = couriers
        self._couriers = list({id(each): each for each in couriers.values()}.values())
        self._connections = connections
        self._desk = desk
        self._journal = journal
        self._holding = holding
        self._now_ms = now_ms
        outputs = (each.output for each in self._couriers)
        self._pause_ms = min(map(_read_pause_ms, outputs), default=READ_PAUSE_MS)

    def wants_more(self, stream: Stream) -> bool:
        """Whether a stream is to be read now."""
        share, share_bytes = self._connections.share, self._connections.share_bytes
        return (
            stream.may_have_more
            and not stream.is_reading
            # What is sent meanwhile could not be noted: it would fill the memory, and come again.
            and not stream.has_failed_to_settle
            # Half: reading a few at a time as they go out would cost a call for each.
            and stream.waiting <= share // 2
            and stream.waiting_bytes <= share_bytes // 2
            and self._connections.of(stream).is_sending
            and not any(courier.is_choked(stream) for courier in self._couriers)
        )

    async def read(self, stream: Stream) -> None:
        """Read some of a stream; `is_reading` is set until it is done."""
        share, share_bytes = self._connections.share, self._connections.share_bytes
        rereads = stream.rereads
        try:
            deliveries = await stream.read(
                min(READ_PAGE, share - stream.waiting),
                min(READ_PAGE_BYTES, share_bytes - stream.waiting_bytes),
            )
            if stream.is_near_end:
                stream.next_read_ms = self._now_ms() + self._pause_ms
            self._put_back(deliveries)
            await self._accept(stream, deliveries)
            if stream.not_before_ms <= self._now_ms():  # else there was no room for what it has
                stream.recover()
        except SOURCE_FAULTS as error:
            self._desk.source_failed(stream, error)
        finally:
            stream.is_reading = False
        await self._release(stream, rereads)

    def may_hold(self, stream: Stream) -> bool:
        """Whether something of a stream may be held, for some days (spec/connections.md, 1.3)."""
        return self._holding.holds(stream.connection.number)

    async def bury_overdue(self, stream: Stream) -> None:
        """Bury what has been held for too long; `is_reading` is set until it is done."""
        rereads = stream.rereads
        try:
            await bury_overdue(stream, self._desk, self._holding, self._now_ms())
        except SOURCE_FAULTS as error:
            self._desk.source_failed(stream, error)
        finally:
            stream.is_reading = False
        await self._release(stream, rereads)

    async def _release(self, stream: Stream, rereads: int) -> None:
        """Let go of a stream if that was asked for while it was being read."""
        if not self._connections.of(stream).is_sending or rereads != stream.rereads:
            for courier in self._couriers:
                await courier.release(stream.connection.number)

    async def settle(self, stream: Stream) -> None:
        """Tell a source what has become of deliveries; `is_settling` is set until it is done."""
        try:
            await stream.settle()
            stream.recover()
        except SOURCE_FAULTS as error:
            self._desk.source_failed(stream, error)
        finally:
            stream.is_settling = False

    async def _accept(self, stream: Stream, deliveries: list[Delivery]) -> None:
        delivered = self._connections.of(stream).delivered.among(deliveries)
        if delivered:
            known = {delivery.sequence for delivery in delivered}
            stream.settle_done(known)
            deliveries = [each for each in deliveries if each.sequence not in known]
        if stream.connection.is_subscription:
            deliveries = self._without_superfluous(stream, deliveries)
        by_environment: dict[Environment, list[Delivery]] = {}
        for delivery in deliveries:
            by_environment.setdefault(delivery.environment, []).append(delivery)
        rereads = stream.rereads
        for environment, members in by_environment.items():
            courier = self._by_environment.get(environment)
            if rereads != stream.rereads:
                stream.forget([each.sequence for each in members])
            elif courier is not None:
                await courier.accept(stream, members)
            else:  # the environment was switched off since; until it is back they are held
                stream.pass_by([each.sequence for each in members])

    def _put_back(self, deliveries: Sequence[Delivery]) -> None:
        """Have nobody wait for an instant that no schedule of today would have given.

        It may have been reckoned by a clock that was ahead, or before what receivers may ask for
        was bounded.
        """
        now_ms = self._now_ms()
        longest_ms = round(longest_wait_s(self._desk.output.schedule) * 1000)
        for each in deliveries:
            if each.delayed_ms > now_ms:
                each.next_attempt_ms -= each.delayed_ms - now_ms
                each.delayed_ms = now_ms
            latest_ms = (each.delayed_ms or now_ms) + longest_ms
            each.next_attempt_ms = min(each.next_attempt_ms, latest_ms)

    def _without_superfluous(
        self, stream: Stream, deliveries: Sequence[Delivery]
    ) -> list[Delivery]:
        """Leave out, and settle, changes of membership that come to nothing together."""
        # What was sent before a crash is sent again as it was.
        sequences = [each.sequence for each in deliveries]
        repeated = {each for each in sequences if self._journal.parts(stream, each)}
        dropped = superfluous(deliveries, repeated)
        for each in inheriting(deliveries, dropped):
            stream.settle_delayed(each)
        gone = {each.sequence for each in dropped}
        stream.settle_done(gone)
        return [each for each in deliveries if each.sequence not in gone]


def _read_pause_ms(output: StreamOutput | BulkOutput) -> int:
    if isinstance(output, BulkOutput):
        return max(READ_PAUSE_MS, min(BULK_READ_PAUSE_MS, output.max_wait_ms // 10))
    return READ_PAUSE_MS
