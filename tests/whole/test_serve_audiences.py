"""Audiences in a real deployment: from an event to a webhook, over actors and restarts."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.serving import WORKSPACE, Served, eventually

pytestmark = pytest.mark.ray

AUDIENCES = "/platform/v2/workspaces/1/audiences"
GOLD = {
    "type": "user_attribute",
    "attribute_name": "status",
    "value_type": "string",
    "operator": "equals",
    "value": "gold",
}
DOCUMENT = """
  - id: hook
    kind: audience
    module: webhook
    name: Hook
    settings: {url: "http://127.0.0.1:PORT/in"}
audiences:
  - id: buyers
    name: Buyers
    definition: {type: event, event_type: custom_event, event_name: Bought,
                 within: {value: 1, unit: hours}}
    subscriptions: [{output: hook}]
"""


class Receiver(ThreadingHTTPServer):
    """Keeps what it is sent; answers with a status that a test sets."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[dict[str, Any]] = []
        self.status = 200

    def changes(self, audience: str) -> list[tuple[str, int]]:
        """Return (action, MPID) of what came of an audience, each message id once, in order."""
        once = {each["id"]: each for each in self.bodies}
        return [
            (change["action"], change["mpid"])
            for each in once.values()
            if each["audience"]["name"] == audience and "changes" in each
            for change in each["changes"]
        ]


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.status == 200:
            self.server.bodies.append(body)
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # its name there
        pass


@contextmanager
def receiving() -> Iterator[Receiver]:
    with Receiver() as receiver:
        thread = Thread(target=receiver.serve_forever)
        thread.start()
        try:
            yield receiver
        finally:
            receiver.shutdown()
            thread.join()


def document(receiver: Receiver) -> str:
    """Return the workspace document with an audience and an output for it."""
    outputs, connections = WORKSPACE.split("connections:")
    more = DOCUMENT.replace("PORT", str(receiver.server_port)).strip("\n")
    output, audiences = more.split("audiences:")
    return f"{outputs}{output}connections:{connections}audiences:{audiences}\n"


def send(served: Served, user: str, *events: str, **attributes: str) -> None:
    body = {
        "user_identities": {"customer_id": user},
        "user_attributes": attributes,
        "events": [
            {
                "event_type": "custom_event",
                "data": {"event_name": each, "custom_event_type": "other"},
            }
            for each in events
        ],
    }
    status, answer = served.post("/v2/events", body)
    assert status == 202, answer


def audience(served: Served, number: int) -> dict[str, Any]:
    status, shown = served.get(f"{AUDIENCES}/{number}")
    assert status == 200, shown
    result: dict[str, Any] = shown
    return result


def memberships(served: Served, user: str) -> list[str]:
    [mpid] = served.find(user)
    path = f"/userprofile/v1/1/1/1/{mpid}?fields=audience_memberships"
    return [each["audience_name"] for each in served.get(path)[1]["audience_memberships"]]


def test_a_membership_goes_from_an_event_to_a_webhook_and_outlives_a_kill(
    tmp_path: Path,
) -> None:
    """Worked cases 31, 35, 38 and 48."""
    with receiving() as receiver:
        settings = tmp_path / "settings.yaml"
        settings.write_text(f"egress_allow: ['127.0.0.1:{receiver.server_port}']")
        served = Served(tmp_path, "--settings", str(settings), workspace=document(receiver))
        served.start()
        eventually(lambda: audience(served, 1)["status"], lambda status: status == "active")
        send(served, "ann", "Bought", status="gold")
        send(served, "bob", status="gold")
        [ann], [bob] = served.find("ann"), served.find("bob")
        eventually(lambda: receiver.changes("Buyers"), lambda found: found == [("add", ann)])
        assert memberships(served, "ann") == ["Buyers"]

        status, made = served.manage("POST", AUDIENCES, {"name": "Gold", "definition": GOLD})
        assert status == 201, made
        gold = made["id"]
        subscriptions = f"{AUDIENCES}/{gold}/subscriptions"
        status, connected = served.manage("POST", subscriptions, {"output_id": 2})
        assert status == 201, connected
        assert served.manage("POST", f"{AUDIENCES}/{gold}/activation")[0] == 204
        eventually(lambda: audience(served, gold)["status"], lambda status: status == "active")
        both = {("add", ann), ("add", bob)}
        eventually(lambda: set(receiver.changes("Gold")), lambda found: found == both)
        assert audience(served, gold)["size"] == 2

        served.process.kill()
        served = Served(tmp_path, "--settings", str(settings), workspace=document(receiver))
        served.start()
        assert (audience(served, gold)["status"], audience(served, gold)["size"]) == ("active", 2)
        assert memberships(served, "ann") == ["Buyers", "Gold"]

        receiver.status = 401
        send(served, "bob", status="silver")
        path = f"{subscriptions}/{connected['id']}"
        eventually(lambda: served.get(path)[1]["is_faulted"], lambda found: found is True)
        send(served, "cid", status="gold")
        send(served, "dan", status="gold")
        send(served, "dan", status="silver")
        receiver.status = 200
        [cid] = served.find("cid")
        assert served.manage("POST", f"{path}/resume")[0] == 204
        after = [("delete", bob), ("add", cid)]
        eventually(lambda: set(receiver.changes("Gold")), lambda found: set(after) <= found)
        assert sorted(receiver.changes("Gold")) == sorted([*both, *after])

        assert served.manage("DELETE", f"{AUDIENCES}/{gold}")[0] == 204
        ended = eventually(
            lambda: [each for each in receiver.bodies if each["type"] == "audience_subscription"],
            lambda found: len(found) == 1,
        )
        assert (ended[0]["audience"]["id"], ended[0]["action"]) == (gold, "remove")
        assert memberships(served, "ann") == ["Buyers"]
        assert sorted(receiver.changes("Gold")) == sorted([*both, *after])
        assert served.process.stop() == 0


def test_a_window_closes_without_an_event_also_while_nothing_runs(tmp_path: Path) -> None:
    """spec/audiences.md, 7, Trigger b: at most 60 s after the instant."""
    with receiving() as receiver:
        settings = tmp_path / "settings.yaml"
        settings.write_text(f"egress_allow: ['127.0.0.1:{receiver.server_port}']")
        long, short = "{value: 1, unit: hours}", "{value: 0.1, unit: minutes}"
        workspace = document(receiver).replace(long, short)
        served = Served(tmp_path, "--settings", str(settings), workspace=workspace)
        served.start()
        eventually(lambda: audience(served, 1)["status"], lambda status: status == "active")
        send(served, "ann", "Bought")
        [ann] = served.find("ann")
        told = [("add", ann), ("delete", ann)]
        eventually(lambda: receiver.changes("Buyers"), lambda found: found == told, 66.0)
        assert memberships(served, "ann") == []
        assert audience(served, 1)["size"] == 0

        send(served, "bob", "Bought")
        [bob] = served.find("bob")
        told.append(("add", bob))
        eventually(lambda: receiver.changes("Buyers"), lambda found: found == told)
        served.process.kill()
        served = Served(tmp_path, "--settings", str(settings), workspace=workspace)
        served.start()
        told.append(("delete", bob))
        eventually(lambda: receiver.changes("Buyers"), lambda found: found == told, 66.0)
        assert memberships(served, "bob") == []
        assert served.process.stop() == 0


def test_a_shared_audience_reaches_the_output_of_another_account(tmp_path: Path) -> None:
    """spec/audiences.md, 12.1; what waits for a receiver that refuses outlives a kill."""
    with receiving() as receiver:
        settings, other = tmp_path / "settings.yaml", tmp_path / "other.yaml"
        settings.write_text(f"egress_allow: ['127.0.0.1:{receiver.server_port}']")
        own = document(receiver)
        foreign = own.split("audiences:")[0]
        for before, after in [
            ("{id: acme, name: Acme}", "{id: beta, name: Beta}"),
            ("id: w1", "id: w2"),
            ("us1-test-", "us1-other-"),
            ("client_id: ops", "client_id: other"),
            ("id: hook", "id: other-hook"),
            ("files", "other-files"),
        ]:
            foreign = foreign.replace(before, after)
        other.write_text(foreign)
        flags = ("--settings", str(settings), "--workspace", str(other))
        served = Served(tmp_path, *flags, workspace=own)
        served.start()
        levels = {"accounts": [{"account_id": 2, "level": "usable"}]}
        assert served.manage("PUT", f"{AUDIENCES}/1/sharing", levels)[0] == 200
        send(served, "ann", "Bought")
        [ann] = served.find("ann")
        eventually(lambda: receiver.changes("Buyers"), lambda found: found == [("add", ann)])

        receiver.status = 503
        theirs = served.of(2, "other")
        subscriptions = f"{AUDIENCES}/1/subscriptions"
        status, made = theirs.manage("POST", subscriptions, {"output_id": 2})
        assert status == 201, made
        served.process.kill()
        receiver.bodies.clear()
        receiver.status = 200
        served = Served(tmp_path, *flags, workspace=own)
        served.start()
        eventually(lambda: receiver.changes("Buyers"), lambda found: found == [("add", ann)])
        assert served.of(2, "other").manage("DELETE", f"{subscriptions}/{made['id']}")[0] == 204
        eventually(lambda: [each["type"] for each in receiver.bodies][1:], lambda ends: bool(ends))
        assert receiver.bodies[-1]["action"] == "remove"
        assert served.process.stop() == 0
