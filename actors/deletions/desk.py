"""The desk of bulk profile deletions, in the coordinator's process (spec/profiles.md, 10)."""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Sequence

from msgspec.structs import replace

from actors.clock import Clock
from actors.deletions.deleting import SectionDeleter
from actors.deletions.requests import BulkDeletion
from actors.errors import HotIdentity, ShardUnavailable, StoreFull
from actors.model.workspaces import Environment
from actors.store import bulk_deletions
from actors.store.environment import Store

RETRY_PAUSE_S = 5.0
MAX_WAITING = 1_000  # requests: at most some 10 MB, and a quarter of an hour's work

logger = logging.getLogger("headwater.actors")


class DeletionDesk:
    """Takes requests, and fulfils one after the other in the order of their receipt.

    Fulfilled alone, each is told exactly how many sections it has deleted. What a request is about
    is on disk before the first section goes, and so is whose sections are gone: when it is cut off
    it goes on with the others.
    """

    def __init__(self, store: Store, deleter: SectionDeleter, clock: Clock) -> None:
        """Args: `store` of the workspace; `clock`: of the times that are kept."""
        self._store = store
        self._deleter = deleter
        self._clock = clock
        self._accepted = asyncio.Event()

    # -- Asked by edges ---------------------------------------------------------------------------

    async def bulk_delete(
        self, request_id: str, environment: Environment, mpids: Sequence[int]
    ) -> bool:
        """Take a request, on disk when this returns; tell whether it was taken.

        Args:
            request_id: a UUID that nobody else has chosen; a repeat with the same one does nothing.
            environment, mpids: of the users, each once.

        Returns:
            False if too many requests wait.

        Raises:
            StoreFull: it was not taken.
        """
        now_ms = self._clock.now_ms()
        with self._store.write() as txn:
            if bulk_deletions.read(txn, request_id) is not None:
                return True
            waiting = itertools.islice(bulk_deletions.waiting(txn), MAX_WAITING)
            if sum(1 for _ in waiting) == MAX_WAITING:
                return False
            request = BulkDeletion(
                id=request_id,
                environment=environment,
                mpids=tuple(mpids),
                requested=len(mpids),
                received_ms=now_ms,
            )
            bulk_deletions.write(txn, request)
            bulk_deletions.forget(txn, now_ms)
        self._accepted.set()
        return True

    async def bulk_deletion(self, request_id: str) -> BulkDeletion | None:
        """Return a request, `None` if there is none of that id, or none any more."""
        with self._store.read() as txn:
            return bulk_deletions.read(txn, request_id)

    # -- In the background ------------------------------------------------------------------------

    async def run(self) -> None:
        """Fulfil what there is, for ever."""
        while True:
            self._accepted.clear()
            pause_s = None
            try:
                await self.work()
            except (HotIdentity, ShardUnavailable, StoreFull) as error:
                pause_s = RETRY_PAUSE_S
                logger.warning(
                    "bulk deletions of profiles wait",
                    extra={"event": "bulk_deletion_waits", "kind": type(error).__name__},
                )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._accepted.wait()

    async def work(self) -> None:
        """Fulfil all that waits. Raises HotIdentity, ShardUnavailable, StoreFull."""
        while (request := self._next()) is not None:
            if not request.is_marked:
                request = await self._begun(request)
            if request.mpids or request.deleted:  # and has to be told of at its end
                request = await self._deleted(request)
            self._write(replace(request, status="completed", ended_ms=self._clock.now_ms()))

    async def _begun(self, request: BulkDeletion) -> BulkDeletion:
        """Keep whom a request is about: once they are gone nobody can tell."""
        found = await self._deleter.mark(request.environment, request.mpids)
        begun = replace(request, status="in_progress", is_marked=True)
        if request.status == "pending":  # and not begun before there were marks
            begun = replace(begun, mpids=tuple(found), not_found=request.requested - len(found))
        self._write(begun)
        return begun

    async def _deleted(self, request: BulkDeletion) -> BulkDeletion:
        """Delete what is left of a request, and keep after each step what has gone."""

        def keep_deleted(mpids: Sequence[int]) -> None:
            nonlocal request
            gone = frozenset(mpids)
            left = tuple(mpid for mpid in request.mpids if mpid not in gone)
            request = replace(request, mpids=left, deleted=request.deleted + len(gone))
            self._write(request)

        await self._deleter.delete(request.environment, request.mpids, keep_deleted)
        return request

    def _next(self) -> BulkDeletion | None:
        with self._store.read() as txn:
            oldest = next(bulk_deletions.waiting(txn), None)
            return None if oldest is None else bulk_deletions.read(txn, oldest)

    def _write(self, request: BulkDeletion) -> None:
        with self._store.write() as txn:
            bulk_deletions.write(txn, request)
