"""Sees to it that callback URLs are told of statuses, in their order (spec/privacy.md, 4.2)."""

import asyncio
import itertools

from actors.clock import Clock
from actors.privacy.callbacks import Post, after_attempt, callback_body, due_notices
from actors.privacy.requests import Notice, SubjectRequest
from actors.store import subject_requests
from actors.store.environment import Store

# Receivers may be slow, and each has ten seconds.
POSTS_AT_ONCE = 64


class Announcer:
    """Tells of the requests of one workspace."""

    def __init__(self, store: Store, controller: str, base: str, post: Post, clock: Clock) -> None:
        """Args: as `actors.privacy.statements.statement`; `post` sends callbacks."""
        self._store = store
        self._controller = controller
        self._base = base
        self._post = post
        self._clock = clock

    async def tell(self) -> None:
        """Tell what is to be told by now; who failed is tried again later. Raises StoreFull."""
        now_ms = self._clock.now_ms()
        while due := self._due(now_ms):
            taken = await asyncio.gather(
                *(
                    self._post(
                        request.sent.callback_urls[notice.url],
                        request.sent.version,
                        callback_body(request, notice, self._controller, self._base),
                    )
                    for request, notice in due
                )
            )
            told_ms = self._clock.now_ms()
            with self._store.write() as txn:
                for (told, notice), is_taken in zip(due, taken, strict=True):
                    request = subject_requests.existing(txn, told.id)
                    request = after_attempt(request, notice, told_ms, is_taken=is_taken)
                    subject_requests.write(txn, request)

    def _due(self, now_ms: int) -> list[tuple[SubjectRequest, Notice]]:
        with self._store.read() as txn:
            found = (
                (request, notice)
                for request in subject_requests.to_be_told(txn, now_ms)
                for notice in due_notices(request, now_ms)
            )
            return list(itertools.islice(found, POSTS_AT_ONCE))
