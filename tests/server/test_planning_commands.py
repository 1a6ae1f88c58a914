"""`headwater planning:...`: plans on the command line, and what is sent again of quarantine."""

import gzip
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import zstandard
from click.testing import CliRunner, Result

from server.cli import main
from tests.actors.plans.plans import Data, document, quote

VERSION = {"version": 1, "data_plan_id": "web_plan", "version_document": document()}
BATCH = {"events": [quote({"premium": 1})]}
WRONG = {"events": [quote({"premium": "twelve"})]}

QUARANTINED: Data = {
    "environment": "development",
    "batch_id": "5",
    "mpid": "77",
    "timestamp_unixtime_ms": "1767225600000",
    "source_request_id": "first time",
    "user_identities": {"email": "a@b.c", "twitter": "t"},
    "user_attributes": {"tier": "gold", "age": "30"},
    "device_info": {"ios_idfv": "i", "device_model": "m"},
    "context": {
        "data_plan": {
            "plan_id": "web_plan",
            "plan_version": 1,
            "block_metadata": {
                "dto_version": 1,
                "blocked_event_ids": ["1"],
                "blocked_event_attributes": [
                    {"event_id": "2", "event_attributes": ["./data/custom_attributes/coupon"]}
                ],
                "blocked_user_attributes": ["age"],
                "blocked_user_identities": ["twitter"],
                "blocked_device_identities": ["ios_idfv"],
            },
        }
    },
    "events": [
        {"event_type": "custom_event", "data": {"event_id": number, "event_name": number}}
        for number in ("1", "2", "3")
    ],
}


def run(*arguments: object) -> Result:
    """Run a command."""
    return CliRunner().invoke(main, list(map(str, arguments)))


@pytest.fixture
def written(tmp_path: Path) -> Any:
    """Return what writes JSON into a file."""

    def write(name: str, value: Any) -> Path:
        file = tmp_path / name
        file.write_text(json.dumps(value), "utf-8")
        return file

    return write


def test_a_batch_is_validated_without_a_deployment(written: Any, tmp_path: Path) -> None:
    plan = written("version.json", VERSION)
    right = run(
        *("planning:batches:validate", "--dataPlanVersionFile", plan),
        *("--batchFile", written("batch.json", BATCH)),
    )
    assert (right.exit_code, json.loads(right.output)) == (0, {"results": [], "batch": BATCH})
    out = tmp_path / "answer.json"
    wrong = run(
        *("planning:batches:validate", "--dataPlanVersion", json.dumps(VERSION)),
        *("--batch", json.dumps(WRONG), "--outFile", out),
    )
    assert (wrong.exit_code, wrong.output) == (1, "")
    [result] = json.loads(out.read_text())["results"]
    [error] = result["data"]["validation_errors"]
    assert (error["actual"], error["error_pointer"]) == (
        "string",
        "#/data/custom_attributes/premium",
    )


def test_case_27_results_name_the_form_that_was_sent() -> None:
    attributes = {"properties": {"x": {"type": "boolean"}}}
    schema = {"properties": {"data": {"properties": {"custom_attributes": attributes}}}}
    match = {
        "type": "custom_event",
        "criteria": {"event_name": "Quote Requested", "custom_event_type": "other"},
    }
    written = {
        "data_points": [
            {"match": match, "validator": {"type": "json_schema", "definition": schema}}
        ]
    }
    for value, expected in ((True, []), ("TRUE", []), ("yes", ["string"]), (1, ["number"])):
        batch = {"events": [quote({"x": value})]}
        found = run(
            *("planning:batches:validate", "--dataPlanVersion", json.dumps(written)),
            *("--batch", json.dumps(batch)),
        )
        results = json.loads(found.output)["results"]
        actual = [each["data"]["validation_errors"][0]["actual"] for each in results]
        assert actual == expected


def test_a_plan_may_be_named_by_a_configuration_file(
    written: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole = {"data_plan_id": "web_plan", "data_plan_versions": [VERSION]}
    planning = {"dataPlanFile": str(written("plan.json", whole)), "versionNumber": 1}
    written("mp.config.json", {"planningConfig": planning})
    monkeypatch.chdir(tmp_path)
    assert run("planning:document:lint").exit_code == 0
    other = run("planning:document:lint", "--dataPlanFile", "plan.json", "--versionNumber", 2)
    assert "the plan has no version 2" in other.output


def test_a_document_is_checked_as_an_upload_would(written: Any) -> None:
    wrong = document()
    wrong["data_points"][0]["validator"]["definition"]["anyOf"] = []
    found = run("planning:document:lint", "--dataPlanVersionFile", written("d.json", wrong))
    assert found.exit_code == 1
    assert found.output == (
        "data_points[0].validator.definition.anyOf: the keyword 'anyOf' is not supported\n"
    )
    assert run("planning:document:lint").exit_code == 2
    assert "is not JSON" in run("planning:document:lint", "--dataPlanVersion", "{").output
    missing = run("planning:document:lint", "--dataPlanVersionFile", "/nowhere.json")
    assert "cannot be read" in missing.output


class Receiver:
    """An Events API that keeps what it is sent, and answers as it is told."""

    def __init__(self) -> None:
        self.bodies: list[Data] = []
        self.credentials: set[str] = set()
        self.answers: list[int] = []
        self.retry_after = "0"
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = outer.answers.pop(0) if outer.answers else 202
                if status == 202:
                    outer.bodies.append(json.loads(body))
                outer.credentials.add(self.headers["Authorization"])
                self.send_response(status)
                self.send_header("Retry-After", outer.retry_after)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def replay(receiver: Receiver, *arguments: object) -> Result:
    """Run the command against a receiver."""
    return run(
        *("planning:quarantine:replay", "--input-key", "key", "--input-secret", "secret"),
        *("--url", receiver.url, *arguments),
    )


def test_only_what_was_blocked_is_sent_again(written: Any, receiver: Receiver) -> None:
    file = written("q.ndjson", QUARANTINED)
    done = replay(receiver, "--file", file)
    assert (done.exit_code, done.output) == (0, f"{file}: 1 sent, 0 skipped, 0 failed\n")
    [sent] = receiver.bodies
    request_id = sent.pop("source_request_id")
    assert request_id.startswith("quarantine-")
    assert sent == {
        "environment": "development",
        "mpid": "77",
        "user_identities": {"email": "a@b.c"},
        "device_info": {"device_model": "m"},
        "context": {"data_plan": {"plan_id": "web_plan", "plan_version": 1}},
        "events": [{"event_type": "custom_event", "data": {"event_name": "1"}}],
    }
    assert receiver.credentials == {"Basic a2V5OnNlY3JldA=="}
    replay(receiver, "--file", file)
    assert receiver.bodies[1]["source_request_id"] == request_id  # taken once


def test_more_is_sent_where_that_is_asked_for(written: Any, receiver: Receiver) -> None:
    flags = ("--event-attributes", "--user-attributes", "--user-identities")
    done = replay(receiver, "--file", written("q.ndjson", QUARANTINED), *flags)
    assert "come a second time" in done.output
    [sent] = receiver.bodies
    assert [each["data"]["event_name"] for each in sent["events"]] == ["1", "2"]
    assert sent["user_attributes"] == {"age": "30"}
    assert sent["user_identities"] == QUARANTINED["user_identities"]
    assert sent["device_info"] == QUARANTINED["device_info"]


CHANGES: list[Data] = [
    *(
        {"event_type": "user_attribute_change", "data": {"user_attribute_name": name}}
        for name in ("age", "tier")
    ),
    *(
        {"event_type": "user_identity_change", "data": {side: {"identity_type": kind}}}
        for side, kind in (("new", "twitter"), ("old", "ios_idfv"), ("new", "email"))
    ),
    {"event_type": "opt_out", "data": {"is_opted_out": True}},
]


def quarantined(*events: Data, **members: Any) -> Data:
    """Make a quarantine batch all of whose events are blocked."""
    made: Data = json.loads(json.dumps(QUARANTINED | members))
    numbered = [
        each | {"data": {"event_id": str(index), **each["data"]}}
        for index, each in enumerate(events)
    ]
    ids = [each["data"]["event_id"] for each in numbered]
    made["context"]["data_plan"]["block_metadata"]["blocked_event_ids"] = ids
    return made | {"events": numbered}


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ([], []),
        (["--user-attributes"], [CHANGES[0]]),
        (["--user-identities"], CHANGES[2:4]),
        (["--user-attributes", "--user-identities"], [CHANGES[0], *CHANGES[2:4]]),
    ],
)
def test_changes_of_the_user_are_sent_again_where_that_is_asked_for(
    flags: list[str], told: list[Data], written: Any, receiver: Receiver
) -> None:
    other = {"event_type": "custom_event", "data": {"event_name": "Other"}}
    replay(receiver, "--file", written("q.ndjson", quarantined(*CHANGES, other)), *flags)
    [sent] = receiver.bodies
    assert sent["events"] == [*told, other]


def test_consent_and_partners_of_that_time_are_not_sent_again(
    written: Any, receiver: Receiver
) -> None:
    consent = {"gdpr": {"ads": {"consented": True, "timestamp_unixtime_ms": "1"}}}
    batch = quarantined(CHANGES[-1], consent_state=consent, partner_identities={"p": "1"})
    file = written("q.ndjson", batch)
    done = replay(receiver, "--file", file)
    assert done.output == f"{file}: 0 sent, 1 skipped, 0 failed\n"
    replay(receiver, "--file", file, "--user-attributes")
    [sent] = receiver.bodies
    assert not {"consent_state", "partner_identities"} & sent.keys()


@pytest.mark.parametrize(
    "others",
    [
        {},
        {"user_identities": {"twitter": "t"}, "mp_deviceid": "d"},
        {"user_identities": {}, "device_info": {"ios_idfv": "i", "push_token": "p"}},
    ],
)
def test_blocked_identities_are_sent_for_whom_the_others_find(
    others: Data, written: Any, receiver: Receiver
) -> None:
    file = written("q.ndjson", quarantined(**others))
    assert replay(receiver, "--file", file, "--user-identities").exit_code == 0
    [sent] = receiver.bodies
    assert "mpid" not in sent
    assert sent["device_info"]["ios_idfv"] == "i"


def test_blocked_identities_that_nobody_would_be_found_by_are_told(
    written: Any, receiver: Receiver
) -> None:
    identities = {"twitter": "t", "alias": "no lookup"}
    file = written("q.ndjson", quarantined(user_identities=identities))
    done = replay(receiver, "--file", file, "--user-identities")
    assert (done.exit_code, receiver.bodies) == (1, [])
    assert f"{file}:1: no identity is left to find MPID 77 by" in done.output
    assert "/v1/77/modify" in done.output
    assert replay(receiver, "--file", file, "--user-attributes").exit_code == 0
    assert receiver.bodies[0]["mpid"] == "77"
    named = quarantined(user_identities=identities, mpid=None)
    assert (
        replay(receiver, "--file", written("n.ndjson", named), "--user-identities").exit_code == 0
    )


def test_a_dry_run_sends_nothing(written: Any, receiver: Receiver) -> None:
    file = written("q.ndjson", QUARANTINED)
    done = replay(receiver, "--file", file, "--dry-run")
    assert done.output == f"{file}: 1 would be sent, 0 skipped, 0 failed\n"
    assert receiver.bodies == []


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_files_are_read_as_outputs_write_them(
    suffix: str, tmp_path: Path, receiver: Receiver
) -> None:
    file = tmp_path / f"q.ndjson{suffix}"
    empty = json.loads(json.dumps(QUARANTINED))
    empty["context"]["data_plan"]["block_metadata"]["blocked_event_ids"] = []
    other = json.loads(json.dumps(QUARANTINED))
    other["context"]["data_plan"]["block_metadata"]["dto_version"] = 2
    batches: list[Any] = [QUARANTINED, empty, other, {}, []]
    lines = [json.dumps(each) for each in batches]
    content = "\n".join([*lines, "{", ""]).encode()
    if suffix == ".gz":
        content = gzip.compress(content)
    elif suffix == ".zst":
        content = zstandard.compress(content)
    file.write_bytes(content)
    done = replay(receiver, "--file", file)
    assert done.exit_code == 1
    assert f"{file}: 1 sent, 1 skipped, 4 failed\n" in done.output
    assert f"{file}:3: dto_version is not 1\n" in done.output


def test_what_is_refused_is_told_and_what_is_too_much_is_sent_again(
    written: Any, receiver: Receiver
) -> None:
    file = written("q.ndjson", QUARANTINED)
    receiver.answers = [429, 503, 202]
    assert replay(receiver, "--file", file).exit_code == 0
    assert len(receiver.bodies) == 1
    receiver.answers = [403]
    done = replay(receiver, "--file", file)
    assert done.exit_code == 1
    assert f"{file}:1: is answered 403\n" in done.output
    assert "secret" not in done.output


def test_a_date_that_a_receiver_asks_to_wait_for_is_read(written: Any, receiver: Receiver) -> None:
    receiver.answers = [429, 503]
    receiver.retry_after = "Thu, 01 Jan 2026 00:00:00 GMT"  # is over
    assert replay(receiver, "--file", written("q.ndjson", QUARANTINED)).exit_code == 0
    assert len(receiver.bodies) == 1
