"""Requests of real SDKs, recorded from the wire."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.batches.identities import batch_identities
from tests.actors.batches.support import IOS, client_context, context, decoded, workspace

RECORDED = Path(__file__).parents[2] / "data" / "recorded"
PURPOSES = workspace(gdpr=frozenset({"analytics", "ads"}))


def recorded(sdk: str) -> Iterator[dict[str, Any]]:
    for line in (RECORDED / f"{sdk}.ndjson").read_text().splitlines():
        request = json.loads(line)
        if request["method"] == "POST" and request["call"] not in ("wrong secret", "wrong key"):
            yield request


def batches(sdk: str) -> list[Any]:
    bodies = [
        request["body"]
        for request in recorded(sdk)
        if request["path"].endswith(("/events", "bulkevents"))
    ]
    return [batch for body in bodies for batch in (body if isinstance(body, list) else [body])]


@pytest.mark.parametrize(("sdk", "count"), [("python", 23), ("node", 19)])
def test_what_server_sdks_send_is_taken_whole(sdk: str, count: int) -> None:
    """spec/events-api.md, worked case 28; spec/clients.md, worked case 5."""
    sent = batches(sdk)
    assert len(sent) == count
    for body in sent:
        batch = decoded(body, context(IOS), PURPOSES)
        assert len(batch.events) == len(body.get("events", []))
        assert batch_identities(batch)["customerid"] == body["user_identities"]["customerid"]
        assert batch.drops == []


def test_what_the_web_sdk_sends_is_taken_whole() -> None:
    """spec/clients.md, 4.4 and worked case 16."""
    sent = batches("web")
    assert len(sent) == 38
    for body in sent:
        batch = decoded(body, client_context(), PURPOSES)
        assert batch.mpid == int(body["mpid"])
        assert batch.timestamp_ms == body["timestamp_unixtime_ms"]
        assert [event.event_type for event in batch.events] == [
            event["event_type"] for event in body["events"]
        ]
        assert "invalid_field" not in batch.drops
        assert "invalid_event" not in batch.drops
