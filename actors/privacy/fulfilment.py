"""Brings requests whose run has come to their end (spec/privacy.md, 4.1 and 5)."""

import asyncio
import itertools
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from actors.clock import Clock
from actors.errors import StoreFull
from actors.output_states import Seal
from actors.privacy import forwards
from actors.privacy.callbacks import notices_of
from actors.privacy.erasing import Eraser
from actors.privacy.options import PrivacyOptions
from actors.privacy.requests import Result, Stage, SubjectRequest, without_identities
from actors.privacy.results import Results, fingerprint
from actors.privacy.subjects import Subjects
from actors.store import subject_requests
from actors.store.environment import Store

# Requests that are fulfilled together: what waits for outputs is gone through once for all of them.
RUN_SIZE = 500


class Fulfilment:
    """Fulfils the requests of one workspace."""

    def __init__(
        self,
        store: Store,
        subjects: Subjects,
        eraser: Eraser,
        results: Results,
        seal: Seal,
        clock: Clock,
    ) -> None:
        """Set up; `take_over` comes next.

        Args:
            store: of the workspace.
            subjects: tells whose data requests are about; `eraser` erases them, `results` hands
                them out.
            seal: of what is kept of whom a request was about.
            clock: of what is due, and of the times that are kept.
        """
        self._store = store
        self._subjects = subjects
        self._eraser = eraser
        self._results = results
        self._seal = seal
        self._clock = clock

    def take_over(self, options: PrivacyOptions) -> None:
        """Go on with another configuration."""
        self._schedule = options.schedule
        self._outputs = {each.output: each for each in options.outputs}
        self._profiles_for = options.profiles_for
        self._eraser.take_over(options.forwarders)
        self._may_be_stranded = True

    async def fulfil(self) -> bool:
        """Fulfil what is due, at most `RUN_SIZE` requests; tell whether there was anything.

        Raises:
            ShardUnavailable, StoreFull: they are not done yet; the next call goes on.
        """
        if self._may_be_stranded:
            await self._give_up()
        now_ms = self._clock.now_ms()
        self._results.expire(now_ms)
        with self._store.read() as txn:
            due = list(itertools.islice(subject_requests.due(txn, now_ms), RUN_SIZE))
            has_old = next(subject_requests.forgettable(txn, now_ms), None) is not None
        if has_old:
            with self._store.write() as txn:
                subject_requests.forget(txn, now_ms)
        begun = [each for each in await self._begun(due) if each.status == "in_progress"]
        erasures = [each for each in begun if each.sent.type == "erasure"]
        if erasures:
            await self._eraser.erase(erasures, self._write_stages)
            self._complete(dict.fromkeys(each.id for each in erasures))
        for request in begun:
            if request.sent.type != "erasure":
                self._complete({request.id: await self._result(request)})
        return bool(due)

    async def _give_up(self) -> None:
        """Let go of what waits, with raw identities, for outputs that will never be sent it."""
        outputs, self._may_be_stranded = self._outputs, False
        try:
            with self._store.read() as txn:
                stranded = forwards.stranded(txn, outputs)
            for connection in stranded:
                after: int | None = 0
                while after is not None:
                    with self._store.write() as txn:
                        after = forwards.give_up_some(txn, connection, after, outputs)
                    await asyncio.sleep(0)
        except StoreFull:
            self._may_be_stranded = True
            raise

    async def _begun(self, due: Sequence[SubjectRequest]) -> list[SubjectRequest]:
        """Keep whom requests are about: once their identities are gone nobody can tell."""
        found = {
            each.id: tuple(await self._subjects.of(each.sent))
            for each in due
            if each.subjects is None
        }
        if not found:
            return list(due)
        now_ms = self._clock.now_ms()
        begun: list[SubjectRequest] = []
        with self._store.write() as txn:
            for request in due:
                if request.id in found:
                    request = subject_requests.existing(txn, request.id)
                    if request.status == "pending":  # not cancelled in the meantime
                        subjects = found[request.id]
                        request = self._announced(
                            replace(
                                request,
                                status="in_progress",
                                changed_ms=now_ms,
                                subjects=subjects,
                            )
                        )
                        subject_requests.write(txn, request)
                begun.append(request)
        return begun

    def _write_stages(self, stages: Mapping[str, Stage]) -> None:
        with self._store.write() as txn:
            for request_id, stage in stages.items():
                request = subject_requests.existing(txn, request_id)
                subject_requests.write(txn, replace(request, stages=(*request.stages, stage)))

    async def _result(self, request: SubjectRequest) -> Result:
        expires_ms = self._clock.now_ms() + self._schedule.results_ttl_s * 1000
        has_profiles = request.sent.regulation in self._profiles_for
        return await self._results.make(request, expires_ms, has_profiles=has_profiles)

    def _complete(self, results: Mapping[str, Result | None]) -> None:
        """End requests, by their id, in one transaction: a run may have very many."""
        now_ms = self._clock.now_ms()
        with self._store.write() as txn:
            for request_id, result in results.items():
                request = subject_requests.existing(txn, request_id)
                about = tuple(fingerprint(self._seal, each) for each in request.subjects or ())
                request = replace(
                    request,
                    sent=without_identities(request.sent),
                    status="completed",
                    changed_ms=now_ms,
                    subjects=(),
                    about=about,
                    result=result,
                )
                request = forwards.give_up(txn, request, self._outputs)
                subject_requests.write(txn, self._announced(request))

    def _announced(self, request: SubjectRequest) -> SubjectRequest:
        return notices_of(request, self._schedule.callbacks_ms(request.changed_ms))
