"""A server that keeps batches in memory, and lies about them when it is told to."""

import asyncio
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import web

Answer = tuple[int, dict[str, str]]


class FakeServer:
    """Accepts, refuses, loses and doubles batches; shows what it keeps as the real one does.

    Attributes:
        bodies: the bodies of all requests to the events API, in order.
        refuse: decides per request (counted from 0) on a status and headers instead of 202.
        lose, double: decide by request id about batches that are acknowledged.
        problems: decides by position in a bulk request which batches are refused.
        stall_s: how long the request of that number waits before it is answered.
        hide_reads: how many timelines are shown empty at first.
        busy_reads: how many readings are answered 429 at first.
    """

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.refuse: Callable[[int], Answer | None] = lambda number: None
        self.lose: Callable[[str], bool] = lambda request_id: False
        self.double: Callable[[str], bool] = lambda request_id: False
        self.problems: Callable[[int], bool] = lambda position: False
        self.stall_s: dict[int, float] = {}
        self.drop: set[int] = set()
        self.hide_reads = 0
        self.busy_reads = 0
        self.page_batches = 1000
        self.owner: Callable[[str], str] = lambda identity: identity
        self._request_ids: set[str] = set()
        self._profiles: dict[str, list[dict[str, Any]]] = {}
        self._mpids: list[str] = []

    def app(self) -> web.Application:
        """Build the application."""
        app = web.Application(client_max_size=2**20)
        users = "/platform/v2/workspaces/1/users"
        app.add_routes(
            [
                web.post("/v2/events", self._events),
                web.post("/v2/bulkevents", self._events),
                web.post("/oauth/token", self._token),
                web.get(users + "/search", self._search),
                web.get(users + "/{mpid}/events", self._timeline),
                web.get("/userprofile/v1/1/1/1/{mpid}", self._profile),
            ]
        )
        return app

    async def _events(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Basic " + b64encode(b"k1:s1").decode()
        number = len(self.bodies)
        body = await request.read()
        self.bodies.append(body)
        await asyncio.sleep(self.stall_s.get(number, 0))
        if (answer := self.refuse(number)) is not None:
            return web.Response(status=answer[0], headers=answer[1])
        document = orjson.loads(body)
        batches = document if isinstance(document, list) else [document]
        errors = []
        for position, batch in enumerate(batches):
            if self.problems(position):
                errors.append({"code": "BAD_REQUEST", "message": "", "path": f"[{position}].x"})
            else:
                self._store(batch)
        if number in self.drop:  # stored, but the answer never arrives
            assert request.transport is not None
            request.transport.abort()
        if errors:
            return web.json_response({"errors": errors[:20]}, status=202)
        return web.Response(status=202)

    def _store(self, batch: dict[str, Any]) -> None:
        request_id = batch["source_request_id"]
        if request_id in self._request_ids or self.lose(request_id):
            return
        self._request_ids.add(request_id)
        identity = batch.get("user_identities", {}).get("customer_id") or batch["mp_deviceid"]
        identity = self.owner(identity)
        if identity not in self._profiles:
            self._profiles[identity] = []
            self._mpids.append(identity)
        for _ in range(2 if self.double(request_id) else 1):
            self._profiles[identity].append({"batch_id": 1, "events": batch["events"]})

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.json()
        if (form["client_id"], form["client_secret"]) != ("reader", "sesame"):
            return web.json_response({"error": "invalid_client"}, status=401)
        return web.json_response({"access_token": "t", "expires_in": 28800})

    def _is_busy(self, request: web.Request) -> bool:
        assert request.headers["Authorization"] == "Bearer t"
        self.busy_reads -= 1
        return self.busy_reads >= 0

    async def _search(self, request: web.Request) -> web.Response:
        if self._is_busy(request):
            return web.Response(status=429, headers={"Retry-After": "0"})
        query = request.query["q"]
        rows = [{"mpid": self._mpids.index(query) + 1}] if query in self._profiles else []
        return web.json_response(rows)

    async def _timeline(self, request: web.Request) -> web.Response:
        if self._is_busy(request):
            return web.Response(status=503)
        start = int(request.query.get("cursor", "0"))
        items = self._profiles[self._mpids[int(request.match_info["mpid"]) - 1]]
        self.hide_reads -= 1
        if self.hide_reads >= 0:
            items = []
        end = start + self.page_batches
        cursor = str(end) if end < len(items) else None
        return web.json_response({"items": items[start:end], "next_cursor": cursor})

    async def _profile(self, request: web.Request) -> web.Response:
        identity = self._mpids[int(request.match_info["mpid"]) - 1]
        shown = [{"type": "customer_id", "encoding": "none", "value": identity}]
        return web.json_response({"mpid": 1, "user_identities": shown})
