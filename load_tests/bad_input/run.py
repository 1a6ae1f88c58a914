"""Sends bad requests to a deployment while others send good ones, and judges the answers."""

import asyncio
import base64
from collections import Counter
from collections.abc import Mapping
from typing import Any

import orjson
from msgspec import Struct, field

from actors.clock import Clock
from load_tests.bad_input.connection import Answer, Connection, Hang
from load_tests.bad_input.examples import CALCULATED, CRITERIA, GROUP
from load_tests.bad_input.requests import Known, Requests, Sent

CREDENTIALS = {
    "client_id": "bad-client",
    "client_secret": "bad-secret",
    "grant_type": "client_credentials",
}
KEYS = ("us1-bad-backend-key", "us1-bad-web-key", "us1-bad-ios-key")
WORKSPACE_KEY = "us1-bad-workspace-key"
MAX_FINDINGS = 50
GOOD_PAUSE_S = 0.05

_GOOD = orjson.dumps(
    {
        "events": [{"event_type": "custom_event", "data": {"event_name": "Good"}}],
        "user_identities": {"customer_id": "good"},
    }
)


class Finding(Struct):
    """A request that was not answered as it has to be; `number` makes it again."""

    number: int
    method: str
    path: str
    what: str


class Tally(Struct):
    """What came back.

    Attributes:
        statuses: of bad requests; 0 is a connection that was closed without an answer, which is
            what some of them deserve.
        findings: the first ones; `failures` and `hangs` count all.
        good: requests that were in order, sent all the time beside the bad ones, and how many of
            them were not accepted; `slowest_good_s` is the longest that one of them took.
        slowest: number of the bad request that took longest, and `slowest_s`.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    failures: int = 0
    hangs: int = 0
    good: int = 0
    good_refused: int = 0
    slowest_good_s: float = 0.0
    slowest_s: float = 0.0
    slowest: int | None = None

    def note(self, number: int, sent: Sent, what: str) -> None:
        """Keep a request that was not answered as it has to be."""
        if len(self.findings) < MAX_FINDINGS:
            operation = sent.operation
            self.findings.append(Finding(number, operation.method, operation.path, what))


class Run:
    """One deployment and what is sent to it; what comes back is added to a tally."""

    def __init__(self, host: str, port: int, clock: Clock, tally: Tally) -> None:
        self._host, self._port = host, port
        self._clock = clock
        self._is_over = False
        self._tally = tally

    async def prepare(self, seed: int) -> Requests:
        """Make what requests can name; return the requests of a seed.

        Raises:
            RuntimeError: the deployment does not answer as it should.
        """
        connection = Connection(self._host, self._port)
        document = await self._json(connection, "GET", "/openapi.json", {})
        token = await self._json(connection, "POST", "/oauth/token", {}, CREDENTIALS)
        bearer = f"Bearer {token['access_token']}"
        known = await _made(self, connection, bearer)
        connection.close()
        return Requests(document, known, seed)

    async def send(self, requests: Requests, start: int, count: int, connections: int) -> None:
        """Send requests of some numbers."""
        numbers = iter(range(start, start + count))
        good = asyncio.create_task(self._send_good())
        workers = (self._work(requests, numbers) for _ in range(connections))
        try:
            await asyncio.gather(*workers)
        finally:
            self._is_over = True
            await good

    async def show(self, sent: Sent) -> Answer:
        """Send one request alone and return the answer. Raises Hang."""
        connection = Connection(self._host, self._port)
        try:
            return await _send(connection, sent)
        finally:
            connection.close()

    async def _work(self, requests: Requests, numbers: Any) -> None:
        connection = Connection(self._host, self._port)
        for number in numbers:
            sent = requests[number]
            began = self._clock.monotonic()
            try:
                answer = await _send(connection, sent)
            except Hang:
                self._tally.hangs += 1
                self._tally.note(number, sent, "no answer in time")
                continue
            took_s = self._clock.monotonic() - began
            if took_s > self._tally.slowest_s:
                self._tally.slowest, self._tally.slowest_s = number, took_s
            self._tally.statuses[answer.status] += 1
            problem = _problem(answer, sent)
            if problem:
                self._tally.failures += 1
                self._tally.note(number, sent, problem)
        connection.close()

    async def _send_good(self) -> None:
        """Send what is in order, all the time: no bad request may disturb it."""
        connection = Connection(self._host, self._port)
        request = _request("POST", "/v2/events", _basic(KEYS[0]), _GOOD)
        tally = self._tally
        while not self._is_over:
            began = self._clock.monotonic()
            try:
                answer = await connection.ask(request)
                accepted = answer.status == 202
            except (Hang, OSError):
                accepted = False
            tally.good += 1
            tally.good_refused += not accepted
            tally.slowest_good_s = max(tally.slowest_good_s, self._clock.monotonic() - began)
            await asyncio.sleep(GOOD_PAUSE_S)
        connection.close()

    async def _json(
        self,
        connection: Connection,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: Any = None,
    ) -> Any:
        content = b"" if body is None else orjson.dumps(body)
        answer = await connection.ask(_request(method, path, headers, content))
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {answer.body[:200]!r}")
        return orjson.loads(answer.body) if answer.body else None


async def _made(run: Run, connection: Connection, bearer: str) -> Known:
    headers = {"Authorization": bearer}
    workspace = "/platform/v2/workspaces/1"

    async def make(path: str, body: Any) -> Any:
        return await run._json(connection, "POST", path, headers, body)

    definition = {"name": "Known", "definition": CRITERIA[3], "type": "real_time"}
    audience = (await make(workspace + "/audiences", definition))["id"]
    attribute = await make(workspace + "/calculatedattributes", CALCULATED[0])
    await make("/platform/workspaces/1/groups", GROUP)
    journey = (await make(workspace + "/journeys", {"name": "Known"}))["id"]
    for _ in range(2):
        await connection.ask(_request("POST", "/v2/events", _basic(KEYS[0]), _GOOD))
    found = await run._json(connection, "GET", f"{workspace}/users/search?q=good", headers)
    return Known(
        [_basic(key)["Authorization"] for key in (*KEYS, WORKSPACE_KEY)],
        bearer,
        {
            "workspace": ("1", "bad"),
            "account": ("1",),
            "org": ("1",),
            "scope": ("1",),
            "environment": ("production", "development"),
            "mpid": (str(found[0]["mpid"]), "-5", "0"),
            "key": KEYS,
            "api_key": KEYS,
            "write_key": KEYS,
            "input": ("backend", "1"),
            "output": ("files", "1"),
            "connection": ("backend-files", "1"),
            "audience": (str(audience),),
            "calculated_attribute": (str(attribute),),
            "group": (str(GROUP["id"]),),
            "journey": (str(journey),),
            "revision": ("1",),
            "module": ("file", "webhook"),
        },
    )


async def _send(connection: Connection, sent: Sent) -> Answer:
    if sent.is_last:
        return await connection.ask_last(sent.data)
    return await connection.ask(sent.data, is_head=sent.operation.method == "HEAD")


def _problem(answer: Answer, sent: Sent) -> str:
    """Say what is wrong with an answer; nothing if it is right."""
    if answer.status >= 500:
        return f"{answer.status} {answer.body[:200]!r}"
    if answer.status == 0 and not sent.is_last:
        return "closed without an answer"
    return ""


def _basic(key: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{key}:bad-secret".encode()).decode()}


def _request(method: str, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"]
    lines += ["Content-Type: application/json"] if body else []
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body
