"""Sees to it that callback URLs are told of statuses, in their order (spec/privacy.md, 4.2)."""

import asyncio

from actors.clock import Clock
from actors.privacy.callbacks import Post, after_attempt, callback_body, due_notices
from actors.privacy.hosts import Hosts, Place
from actors.privacy.requests import Notice, SubjectRequest
from actors.store import subject_requests
from actors.store.environment import Store

LOOK_S = 1.0
PAGE = 200


class _Scan:
    """How far one call has looked: `is_over` for now; something was passed by for want of room."""

    def __init__(self) -> None:
        self.after = b""
        self.is_over = False
        self.has_passed_by = False


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
        """Tell what is due, also what becomes so meanwhile, until there is nothing more.

        Who failed is told again later.

        Raises:
            StoreFull: what was told since the last transaction is told again.
        """
        hosts, scan = Hosts(), _Scan()
        under_way: dict[asyncio.Task[bool], tuple[Place, Notice]] = {}
        try:
            while True:
                if hosts.has_room:
                    self._look(hosts, scan)
                self._begin(hosts, under_way)
                if under_way:
                    timeout_s = 0 if hosts.has_room and not scan.is_over else LOOK_S
                    done, _ = await asyncio.wait(
                        under_way, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
                    )
                    self._end(hosts, {each: under_way.pop(each) for each in done})
                elif scan.is_over and hosts.has_room:
                    if not scan.has_passed_by:
                        return
                    scan = _Scan()
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    def _look(self, hosts: Hosts, scan: _Scan) -> None:
        """Let the next page of what is due wait for its turn."""
        now_ms = self._clock.now_ms()
        with self._store.read() as txn:
            found = subject_requests.to_be_told(txn, now_ms, scan.after, PAGE)
        for key, request in found:
            scan.after = key
            for notice in due_notices(request, now_ms):
                url = request.sent.callback_urls[notice.url]
                if not hosts.add(Place(request.id, notice.url), url):
                    scan.has_passed_by = True
        scan.is_over = len(found) < PAGE
        if scan.is_over:  # what becomes due from now on may come before the last key
            scan.after = subject_requests.told_from(now_ms)

    def _begin(
        self, hosts: Hosts, under_way: dict[asyncio.Task[bool], tuple[Place, Notice]]
    ) -> None:
        """Tell as much as may be told at once."""
        now_ms = self._clock.now_ms()
        while (place := hosts.take()) is not None:
            with self._store.read() as txn:
                request = subject_requests.read(txn, place.request)
            due = [] if request is None else due_notices(request, now_ms)
            notice = next((each for each in due if each.url == place.url), None)
            if request is None or notice is None:
                hosts.end(place)
            else:
                task = asyncio.create_task(self._tell(request, notice))
                under_way[task] = (place, notice)

    async def _tell(self, request: SubjectRequest, notice: Notice) -> bool:
        return await self._post(
            request.sent.callback_urls[notice.url],
            request.sent.version,
            callback_body(request, notice, self._controller, self._base),
        )

    def _end(self, hosts: Hosts, done: dict[asyncio.Task[bool], tuple[Place, Notice]]) -> None:
        """Write what came of it; what a URL is to be told after it waits for its turn."""
        if not done:
            return
        told_ms = self._clock.now_ms()
        with self._store.write() as txn:
            for task, (place, notice) in done.items():
                request = subject_requests.existing(txn, place.request)
                request = after_attempt(request, notice, told_ms, is_taken=task.result())
                subject_requests.write(txn, request)
                hosts.end(place)
                if any(each.url == place.url for each in due_notices(request, told_ms)):
                    hosts.add(place, request.sent.callback_urls[place.url])
