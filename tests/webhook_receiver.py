"""A receiver of webhooks, as whole-system and crash tests run one."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def names(payload: dict[str, Any]) -> list[str]:
    """Return the names of a payload's events."""
    return [event["data"]["event_name"] for event in payload["events"]]


class Receiver(ThreadingHTTPServer):
    """A webhook's receiver.

    Attributes:
        status: that it answers with.
        requests: (delivery id, payload) of those answered 200, in the order of coming.
        on_answer: called when a 200 has been sent.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.on_answer: Callable[[], None] = lambda: None
        self.lock = threading.Lock()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of connections that end with a kill."""

    def names(self) -> list[str]:
        """Return the names of all events that came, each once, in their order."""
        with self.lock:
            payloads = [payload for _, payload in self.requests]
        return list(dict.fromkeys(name for payload in payloads for name in names(payload)))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Receiver

    def do_POST(self) -> None:
        payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status = self.server.status
        if status == 200:
            with self.server.lock:
                self.server.requests.append((self.headers["X-CDP-Delivery-Id"], payload))
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.wfile.flush()
        if status == 200:
            self.server.on_answer()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Run one."""
    receiver = Receiver()
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    try:
        yield receiver
    finally:
        receiver.shutdown()
        receiver.server_close()
