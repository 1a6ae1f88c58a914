"""Planted secrets and personal values are in no log, metric, status page or answer of an error.

Sources: spec/observability.md, 6 and 8, worked cases 19 and 23; spec/events-api.md, 3.4.
"""

import json
import re
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit
from urllib.request import urlopen

import psutil  # type: ignore[import-untyped]
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.serving import KEY, SECRET, WORKSPACE, Served, eventually
from tests.whole.world import basic

pytestmark = pytest.mark.ray

# What nobody but its owner may read; each is found whatever is around it.
EMAIL = "planted.person@example.com"
PLANTED = {
    "identity": EMAIL,
    "customer id": "planted-customer-4711",
    "attribute value": "planted attribute value",
    "event attribute": "planted event value",
    "input secret": "planted-input-secret",
    "client secret": "planted-client-secret",
    "wrong secret": "planted-wrong-secret",
    "header of an output": "planted-output-header",
    "token": "planted.bearer.token",
    "file of an exception": "planted-in-a-broken-body",
}
DOCUMENT = (
    WORKSPACE.replace("secret: test-secret", f"secret: {PLANTED['input secret']}")
    .replace("client_secret: ops-secret", f"client_secret: {PLANTED['client secret']}")
    .replace(
        "connections:",
        f"""  - id: dead
    kind: event
    module: webhook
    name: Dead
    settings:
      url: "http://127.0.0.1:1/in?of=hidden"
      authorization_header: {PLANTED["header of an output"]}
connections:
  - {{id: backend-dead, input: backend, output: dead}}""",
    )
)
BATCH: dict[str, Any] = {
    "user_identities": {"email": EMAIL, "customer_id": PLANTED["customer id"]},
    "user_attributes": {"note": PLANTED["attribute value"]},
    "events": [
        {
            "event_type": "custom_event",
            "data": {
                "event_name": "Opened",
                "custom_attributes": {"a": PLANTED["event attribute"]},
            },
        }
    ],
}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    settings = tmp_path / "settings.yaml"
    settings.write_text(
        "egress_allow: ['127.0.0.1:1']\nlog_level: debug\nmetrics_interval_s: 0.5\n"
    )
    assert SECRET not in DOCUMENT
    served = Served(tmp_path, "--settings", str(settings), workspace=DOCUMENT)
    served.start()
    yield served
    if served.process.is_running:
        served.process.kill()


def ask(
    served: Served,
    method: str,
    path: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> str:
    """Send a request as it is; return the whole answer."""
    target = urlsplit(served.process.url)
    lines = [f"{method} {path} HTTP/1.1", "Host: a", "Connection: close"]
    lines += [f"Content-Length: {len(body)}", "Content-Type: application/json"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    with socket.create_connection((target.hostname, target.port), timeout=30) as connection:
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    return answer.decode(errors="replace")


def test_nothing_that_was_planted_is_in_logs_metrics_or_errors(served: Served) -> None:
    good = basic(f"{KEY}:{PLANTED['input secret']}")
    wrong = basic(f"{KEY}:{PLANTED['wrong secret']}")
    bearer = {"Authorization": f"Bearer {PLANTED['token']}"}
    email, customer = quote(EMAIL), PLANTED["customer id"]
    spoiled = {**BATCH, "events": [{"event_type": PLANTED["event attribute"], "data": {}}]}
    unreadable = {**BATCH, "mpid": PLANTED["attribute value"]}
    broken = b'{"a": "%s", ' % PLANTED["file of an exception"].encode()
    sent = {"email": EMAIL, "customerid": customer}
    known = {"environment": "production", "known_identities": sent}
    call = {"environment": "production", "known_identities": {"email": EMAIL, "nope": customer}}
    token = {
        "client_id": "ops",
        "client_secret": PLANTED["wrong secret"],
        "grant_type": "client_credentials",
    }
    users = "/platform/v2/workspaces/1/users/search?q=" + email

    accepted = ask(served, "POST", "/v2/events", json.dumps(BATCH).encode(), good)
    assert " 202 " in accepted.partition("\r\n")[0]
    identified = ask(served, "POST", "/v1/identify", json.dumps(known).encode(), good)
    mpid = json.loads(identified.partition("\r\n\r\n")[2])["mpid"]
    errors = [
        ask(served, "POST", "/v2/events", json.dumps(BATCH).encode(), wrong),
        ask(served, "POST", "/v2/events", json.dumps(BATCH).encode(), bearer),
        ask(served, "POST", "/v2/events", json.dumps(unreadable).encode(), good),
        ask(served, "POST", "/v2/bulkevents", json.dumps([spoiled]).encode(), good),
        ask(served, "POST", "/v2/events", broken, good),
        ask(served, "POST", "/v1/identify", json.dumps(call).encode(), good),
        ask(served, "POST", "/v1/login", json.dumps(call).encode(), wrong),
        ask(served, "POST", "/v1/track", json.dumps({"userId": EMAIL}).encode(), wrong),
        ask(served, "POST", "/oauth/token", json.dumps(token).encode()),
        ask(served, "GET", users, headers=bearer),
        ask(served, "GET", f"/nowhere/{email}?a={customer}", headers=good),
        ask(served, "GET", f"/v1/us1-test-web-key/Pixel?dt=Foo&ui_t=email&ui_v={email}"),
        ask(served, "PUT", f"/platform/v2/workspaces/{email}/config", broken, bearer),
    ]
    assert all(re.match(r"HTTP/1.1 4\d\d ", answer) for answer in errors), errors
    # Twice what is no HTTP: aiohttp itself answers, and logs.
    ask(served, "GET", "/healthz", headers={"Authorization\x00": PLANTED["input secret"]})
    ask(served, "GET", "/healthz\x7f", headers=good)

    def logged() -> str:
        return served.process.text()

    eventually(logged, lambda text: "backend-dead" in text)  # what could not be delivered
    admin = served.process.admin_url
    shown = eventually(
        lambda: _read(f"{admin}/metrics"), lambda text: "headwater_forwarder_requests_total" in text
    )
    _refuse_personal_labels(shown, mpid)
    pages = [shown, *(_read(f"{admin}/{name}") for name in ("status", "readyz", "version"))]
    ray_logs = _written_by(served)
    assert served.process.stop() == 0
    _refuse_planted({"log": logged(), "pages": "".join(pages), **ray_logs})
    _refuse_planted({"errors": "".join(errors)})


def _refuse_personal_labels(metrics: str, mpid: str) -> None:
    """spec/observability.md, worked case 19."""
    samples = [each for kind in text_string_to_metric_families(metrics) for each in kind.samples]
    assert all(re.match("(headwater|python|process)_", each.name) for each in samples)
    values = {value for each in samples for value in each.labels.values()}
    assert "backend-dead" in values
    assert not [value for value in values if mpid in value or "@" in value]


def _refuse_planted(texts: Mapping[str, str]) -> None:
    found = [
        f"{what} in {where}"
        for where, text in texts.items()
        for what, value in PLANTED.items()
        if value in text or quote(value) in text
    ]
    assert not found, found
    assert any(texts.values())


def _read(url: str) -> str:
    with urlopen(url, timeout=30) as answer:
        content: bytes = answer.read()
    return content.decode()


def _written_by(served: Served) -> dict[str, str]:
    """Return what the deployment's processes have written into files of logs, Ray's among them."""
    found: dict[str, str] = {}
    for process in served.process.processes():
        try:
            files = [each.path for each in process.open_files()]
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        for path in files:
            if path.endswith((".log", ".out", ".err")):
                found[path] = Path(path).read_text(errors="replace")
    return found
