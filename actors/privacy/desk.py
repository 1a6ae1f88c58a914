"""The desk of data subject requests, in the coordinator's process (spec/privacy.md, 3 and 4)."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from msgspec.structs import replace

from actors.clock import Clock
from actors.errors import HotIdentity, ShardUnavailable, StoreFull, SubjectRequestRefused
from actors.model.deliveries import Delivery, Settlement
from actors.once import answer_with
from actors.output_states import Seal
from actors.privacy import forwards
from actors.privacy.announcing import Announcer
from actors.privacy.callbacks import notices_of
from actors.privacy.fulfilment import Fulfilment
from actors.privacy.gauges import Gauges
from actors.privacy.limits import LONGEST_MS, Received
from actors.privacy.options import PrivacyOptions
from actors.privacy.requests import SubjectRequest, Submission, content_of, without_identities
from actors.privacy.results import Found, Results
from actors.privacy.subjects import Subjects
from actors.store import outbox, subject_requests
from actors.store.environment import Store, Transaction

LOOK_S = 1.0  # a time of day is to be met, so no timer would do
RETRY_PAUSE_S = 5.0

EXISTS = "Subject request already exists."
IN_PROGRESS = "There is an in-progress request with the same identities, extensions and type."
NOT_PENDING = "Only pending requests can be cancelled."

logger = logging.getLogger("headwater.privacy")


class PrivacyDesk:
    """Takes requests, has them forwarded and fulfilled, and tells of it.

    What writes raises StoreFull, and what asks about identities as those calls do.
    """

    def __init__(
        self,
        store: Store,
        options: PrivacyOptions,
        subjects: Subjects,
        fulfilment: Fulfilment,
        results: Results,
        announcer: Announcer,
        gauges: Gauges,
        seal: Seal,
        wake: Callable[[str], None],
        clock: Clock,
    ) -> None:
        """Set up.

        Args:
            store: of the workspace.
            subjects: tells whose data requests are about.
            fulfilment, results, announcer, gauges: its parts.
            seal: of what is kept of identities.
            wake: called with the id of an output for which there is something.
            clock: of everything here.
        """
        self._store = store
        self._subjects = subjects
        self._fulfilment = fulfilment
        self._results = results
        self._announcer = announcer
        self._gauges = gauges
        self._seal = seal
        self._wake = wake
        self._clock = clock
        self.take_over(options)
        with store.read() as txn:
            since_ms = clock.now_ms() - LONGEST_MS
            self.received = Received(subject_requests.received_since(txn, since_ms))

    def take_over(self, options: PrivacyOptions) -> None:
        """Go on with another configuration; requests keep the times that they were given."""
        self._schedule = options.schedule
        self._outputs = {each.output: each for each in options.outputs}
        self._fulfilment.take_over(options)

    # -- Asked by edges ---------------------------------------------------------------------------

    async def submit(self, sent: Submission) -> SubjectRequest:
        """Take a request; it is on disk when this returns. Raises SubjectRequestRefused."""
        with self._store.read() as txn:
            self._check(txn, sent)
        is_forwarded = forwards.is_forwarded(sent)
        profile = None
        if is_forwarded and self._outputs:
            profile = await self._subjects.identities(sent)
        now_ms = self._clock.now_ms()
        due_ms = self._schedule.run_ms(sent.type, now_ms, skips_waiting=sent.skips_waiting)
        request = SubjectRequest(
            sent=sent,
            received_ms=now_ms,
            fingerprint=self._seal.fingerprint(content_of(sent)),
            status="pending",
            due_ms=due_ms,
            expected_ms=self._schedule.expected_ms(due_ms),
            changed_ms=now_ms,
            forwards=forwards.forwards(sent, self._outputs, profile) if is_forwarded else None,
        )
        request = notices_of(request, self._schedule.callbacks_ms(now_ms))
        outputs = dict(self._outputs)
        with self._store.write() as txn:
            self._check(txn, sent)  # it may have come twice at once
            request = forwards.enqueue(txn, request, outputs, profile)
            subject_requests.write(txn, request)
            # They are not to be found anywhere once the request is over.
            answer_with(replace(request, sent=without_identities(sent)))
        self.received.add(now_ms)
        for each in request.forwards or ():
            self._wake(each.output)
        return request

    async def request(self, request_id: str) -> SubjectRequest | None:
        """Return a request, `None` if there is none of that id."""
        with self._store.read() as txn:
            return subject_requests.read(txn, request_id)

    async def requests_of(self, group: str, after: str) -> list[SubjectRequest]:
        """Return the next requests of a group behind an id; see `subject_requests.of_group`."""
        with self._store.read() as txn:
            return subject_requests.of_group(txn, group, after)

    async def cancel(self, request_id: str) -> SubjectRequest | None:
        """Cancel a pending request; `None` if there is none of that id.

        Raises:
            SubjectRequestRefused: it is not pending.
        """
        now_ms = self._clock.now_ms()
        with self._store.write() as txn:
            request = subject_requests.read(txn, request_id)
            if request is None:
                return None
            if request.status != "pending":
                raise SubjectRequestRefused(400, NOT_PENDING)
            request = replace(
                request,
                sent=without_identities(request.sent),
                status="cancelled",
                expected_ms=None,
                changed_ms=now_ms,
            )
            request = forwards.give_up(txn, request, self._outputs)
            request = notices_of(request, self._schedule.callbacks_ms(now_ms))
            subject_requests.write(txn, request)
            answer_with(request)
        return request

    async def find_result(self, request_id: str, token: str) -> Found:
        """Tell whether what somebody asked for can be fetched by a token."""
        return self._results.find(request_id, token)

    async def read_result(self, request_id: str, offset: int) -> bytes:
        """Return the next bytes of what can be fetched; none at the end."""
        return await self._results.read(request_id, offset)

    # -- Asked by forwarders ----------------------------------------------------------------------

    async def read_forwards(
        self, connection: int, after_sequence: int, limit: int, max_bytes: int
    ) -> list[Delivery]:
        """See `actors.forwarding.streams.OutboxSource.read`."""
        with self._store.read() as txn:
            return outbox.decode(
                outbox.read_encoded(txn, connection, after_sequence, limit, max_bytes)
            )

    async def settle_forwards(self, settlement: Settlement) -> None:
        """See `actors.forwarding.streams.OutboxSource.settle`."""
        with self._store.write() as txn:
            for request in forwards.settle(txn, settlement):
                subject_requests.write(txn, request)

    # -- In the background ------------------------------------------------------------------------

    async def run(self) -> None:
        """Fulfil what is due, for ever."""
        await self._run(self.fulfil)

    async def run_callbacks(self) -> None:
        """Tell what is due, for ever: apart, because receivers may be slow."""
        await self._run(self._announcer.tell)

    async def fulfil(self) -> None:
        """Fulfil all that is due now. Raises as `Fulfilment.fulfil`."""
        try:
            while await self._fulfilment.fulfil():
                pass
        finally:
            self._gauges.show(self._store, self._clock.now_ms())

    async def work(self) -> None:
        """Do all that is due now. Raises as `fulfil`; what is to be told is told all the same."""
        try:
            await self.fulfil()
        finally:
            await self._announcer.tell()

    async def _run(self, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            pause_s = LOOK_S
            try:
                await work()
            except (HotIdentity, ShardUnavailable, StoreFull) as error:
                pause_s = RETRY_PAUSE_S
                logger.warning(
                    "data subject requests wait",
                    extra={"event": "dsr_waits", "kind": type(error).__name__},
                )
            await asyncio.sleep(pause_s)

    # -- Inside -----------------------------------------------------------------------------------

    def _check(self, txn: Transaction, sent: Submission) -> None:
        """Raises SubjectRequestRefused."""
        wait_ms = self.received.wait_ms(self._clock.now_ms())
        if wait_ms:
            message = "There are too many data subject requests. Try again later."
            raise SubjectRequestRefused(429, message, wait_ms)
        if subject_requests.read(txn, sent.id) is not None:
            raise SubjectRequestRefused(400, EXISTS)
        if subject_requests.same(txn, self._seal.fingerprint(content_of(sent))) is not None:
            raise SubjectRequestRefused(409, IN_PROGRESS)
