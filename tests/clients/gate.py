"""A gate before a deployment: it refuses, and loses answers, as a test says."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

LOST = "lost"  # the request arrives, its answer does not
NOT_HANDED_ON = ("host", "content-length", "connection", "accept-encoding")


class Gate(ThreadingHTTPServer):
    """Hands requests on, but for the first ones, one for each of `faults`.

    `faults` are statuses to answer with, or `LOST`. `handed_on` counts requests that arrived.
    """

    def __init__(self, target: Callable[[], str], *faults: int | str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = target
        self.faults = list(faults)
        self.handed_on = 0
        self.lock = Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Gate

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.lock:
            fault = self.server.faults.pop(0) if self.server.faults else None
        if isinstance(fault, int):
            self._answer(fault, b'{"code":"unavailable","message":"later"}')
            return
        headers = {
            name: value for name, value in self.headers.items() if name.lower() not in NOT_HANDED_ON
        }
        request = Request(self.server.target() + self.path, body, headers, method="POST")
        try:
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
