"""A gate before a deployment: it refuses, and loses answers, as a test says."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

LOST = "lost"  # the request arrives, its answer does not
HELD = "held"  # the request arrives when the test says so
HELD_S = 60
NOT_HANDED_ON = ("host", "content-length", "connection", "accept-encoding", "transfer-encoding")


class Gate(ThreadingHTTPServer):
    """Hands requests on, but for the first ones, one for each of `faults`.

    `faults` are statuses to answer with, `LOST`, or `HELD`. `handed_on` counts requests that
    arrived, `holding` those that wait until `release` is set.
    """

    def __init__(self, target: Callable[[], str], *faults: int | str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = target
        self.faults = list(faults)
        self.handed_on = 0
        self.holding = 0
        self.release = Event()
        self.lock = Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Gate

    def do_POST(self) -> None:
        body = self._body()
        with self.server.lock:
            fault = self.server.faults.pop(0) if self.server.faults else None
        if isinstance(fault, int):
            self._answer(fault, b'{"code":"unavailable","message":"later"}')
            return
        if fault == HELD:
            with self.server.lock:
                self.server.holding += 1
            self.server.release.wait(HELD_S)
        headers = {
            name: value for name, value in self.headers.items() if name.lower() not in NOT_HANDED_ON
        }
        try:
            request = Request(self.server.target() + self.path, body, headers, method="POST")
            with urlopen(request, timeout=30) as response:
                status, answer = response.status, response.read()
        except HTTPError as error:
            status, answer = error.code, error.read()
        except (OSError, HTTPException, ValueError):  # without a URL while it starts
            self.close_connection = True
            return
        with self.server.lock:
            self.server.handed_on += 1
        if fault == LOST:
            self.close_connection = True
        else:
            self._answer(status, answer)

    def _body(self) -> bytes:
        length = self.headers["Content-Length"]
        if length is not None:
            return self.rfile.read(int(length))
        parts = []  # in chunks, each after its size and before an empty line
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        if body:
            self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if status in (429, 503):
            self.send_header("Retry-After", "1")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # its name there
        pass


@contextmanager
def gate_before(target: Callable[[], str], *faults: int | str) -> Iterator[Gate]:
    """Run a gate before a deployment, whose URL may change when it starts again."""
    with Gate(target, *faults) as gate:
        thread = Thread(target=gate.serve_forever)
        thread.start()
        try:
            yield gate
        finally:
            gate.shutdown()
            thread.join()
