"""Segment's and RudderStack's SDKs, unmodified (spec/clients.md, 6 and 7)."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.clients.tools import npm_packages, run
from tests.serving import WORKSPACE, Served, eventually

pytestmark = [
    pytest.mark.ray,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of the SDKs' own making
]

KEY = "us1-test-tracking-key"
FEED = (
    "inputs:\n  - {id: tracking, kind: feed, module: segment, name: Tracking, "
    f"keys: [{{key: {KEY}, secret: test-secret}}]}}"
)
NODE_PACKAGES = ["@segment/analytics-node@3.1.0", "@rudderstack/rudder-sdk-node@3.0.13"]
TRAITS = {"email": "EMAIL", "firstName": "Ada", "plan": "pro", "address": {"city": "Turin"}}
ORDER = {"order_id": "o1", "total": 21.0, "products": [{"product_id": "p", "quantity": 2}]}
NAMES = ["Opened", "purchase", "Pricing", "Main"]

SEGMENT_NODE = """
import { Analytics } from "@segment/analytics-node";
const { KEY, HOST } = process.env;
const sdk = new Analytics({ writeKey: KEY, host: HOST, flushInterval: 100 });
"""
RUDDER_NODE = """
import RudderAnalytics from "@rudderstack/rudder-sdk-node";
const { KEY, HOST } = process.env;
const sdk = new RudderAnalytics(KEY, { dataPlaneUrl: HOST, flushInterval: 100 });
"""
NODE_CALLS = """
const userId = process.env.USER_ID;
const traits = { email: userId + "@example.test", firstName: "Ada", plan: "pro",
  address: { city: "Turin" } };
sdk.identify({ userId, traits });
sdk.track({ userId, event: "Opened", properties: { n: 1 } });
sdk.track({ userId, event: "Order Completed", properties: { order_id: "o1", total: 21.0,
  products: [{ product_id: "p", quantity: 2 }] } });
sdk.page({ userId, name: "Pricing", category: "Docs" });
sdk.screen({ userId, name: "Main" });
sdk.group({ userId, groupId: "acme", traits: { size: 3 } });
"""
SEGMENT_END = "await sdk.closeAndFlush();"
RUDDER_END = "await new Promise((done, fail) => sdk.flush(error => error ? fail(error) : done()));"


class Gate(ThreadingHTTPServer):
    """Stands before the deployment and refuses as often as a test says; else hands on."""

    def __init__(self, url: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = url
        self.refusals: list[int] = []
        self.loses_answers = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Gate

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.refusals:
            self._answer(self.server.refusals.pop(), b'{"code":"unavailable","message":"later"}')
            return
        kept = ("authorization", "content-type", "content-encoding")
        headers = {name: value for name, value in self.headers.items() if name.lower() in kept}
        request = Request(self.server.target + self.path, body, headers, method="POST")
        try:
            with urlopen(request, timeout=30) as response:
                status, answer = response.status, response.read()
        except HTTPError as error:
            status, answer = error.code, error.read()
        if self.server.loses_answers:
            self.server.loses_answers -= 1
            status, answer = 502, b'{"code":"lost","message":"lost"}'
        self._answer(status, answer)

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if status in (429, 503):
            self.send_header("Retry-After", "1")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # its name there
        pass


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    document = WORKSPACE.replace("inputs:", FEED)
    served = Served(tmp_path_factory.mktemp("tracking"), workspace=document)
    served.start()
    yield served
    served.process.kill()


@pytest.fixture
def gate(served: Served) -> Iterator[Gate]:
    with Gate(served.process.url) as gate:
        thread = Thread(target=gate.serve_forever)
        thread.start()
        try:
            yield gate
        finally:
            gate.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return npm_packages(tmp_path_factory.mktemp("npm"), NODE_PACKAGES)


def python_client(sdk: str, host: str, failed: list[Any]) -> Any:
    """Make a client of one of the two SDKs, which are one in two names."""
    options = {"host": host, "on_error": lambda error, _: failed.append(error)}
    if sdk == "segment":
        from segment.analytics.client import Client
    else:
        from rudderstack.analytics.client import Client
    return Client(KEY, **options)


def use_python(client: Any, user: str) -> None:
    """Make every call that the SDK has, and wait until all are sent."""
    client.identify(user, TRAITS | {"email": f"{user}@example.test"})
    client.track(user, "Opened", {"n": 1})
    client.track(user, "Order Completed", ORDER)
    client.page(user, "Docs", "Pricing")
    client.screen(user, "Onboarding", "Main")
    client.group(user, "acme", {"size": 3})
    client.flush()
    client.join()


def use_node(packages: Path, sdk: str, host: str, user: str) -> None:
    begin, end = (SEGMENT_NODE, SEGMENT_END) if sdk == "segment" else (RUDDER_NODE, RUDDER_END)
    script = packages / f"{sdk}-{user}.mjs"
    script.write_text(begin + NODE_CALLS + end + "\nprocess.exit(0);\n")
    environ = {"KEY": KEY, "HOST": host, "USER_ID": user}
    run("node", str(script), folder=packages, environ=environ)


def shown(event: dict[str, Any]) -> str:
    data = event["data"]
    name: str = data.get("event_name") or data.get("screen_name") or data["custom_event_type"]
    return name


def check(served: Served, user: str) -> None:
    """Check that profile and history show what was sent, each event once, in its order."""
    eventually(
        lambda: served.profile(user)["user_attributes"] if served.find(user) else {},
        lambda found: found.get("group_id") == "acme",
    )
    profile = served.profile(user)
    assert profile["user_attributes"] == {
        "$FirstName": "Ada",
        "plan": "pro",
        "$City": "Turin",
        "group_id": "acme",
        "group_size": "3",
    }
    assert {each["type"]: each["value"] for each in profile["user_identities"]} == {
        "customer_id": user,
        "email": f"{user}@example.test",
    }
    assert [shown(each) for each in served.events(user)] == NAMES


@pytest.mark.parametrize("sdk", ["segment", "rudder"])
def test_every_call_of_the_python_sdk_arrives(served: Served, sdk: str) -> None:
    failed: list[Any] = []
    use_python(python_client(sdk, served.process.url, failed), f"py-{sdk}")
    assert failed == []
    check(served, f"py-{sdk}")


@pytest.mark.parametrize("sdk", ["segment", "rudder"])
def test_every_call_of_the_node_sdk_arrives(served: Served, packages: Path, sdk: str) -> None:
    use_node(packages, sdk, served.process.url, f"node-{sdk}")
    check(served, f"node-{sdk}")


@pytest.mark.parametrize("sdk", ["segment", "rudder"])
def test_what_was_refused_or_whose_answer_was_lost_arrives_once(
    served: Served, gate: Gate, sdk: str
) -> None:
    """Worked cases 38 and 39."""
    gate.refusals = [503, 429]
    gate.loses_answers = 1
    failed: list[Any] = []
    use_python(python_client(sdk, gate.url, failed), f"faults-{sdk}")
    assert failed == []
    assert (gate.refusals, gate.loses_answers) == ([], 0)
    check(served, f"faults-{sdk}")


def test_a_wrong_key_is_told(served: Served) -> None:
    """Section 7, (d)."""
    from segment.analytics.client import Client

    failed: list[Any] = []
    client = Client(
        "wrong", host=served.process.url, on_error=lambda error, _: failed.append(error)
    )
    client.track("nobody", "Opened")
    client.flush()
    client.join()
    [error] = failed
    assert "401" in str(error) or getattr(error, "status", None) == 401
    assert served.find("nobody") == []
