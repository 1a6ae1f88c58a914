"""Requests of real server SDKs, recorded from the wire and sent again as they were."""

import json
import re
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse

from actors.clock import ManualClock
from tests.whole.world import DOCUMENT, World, changed, running

RECORDED = Path(__file__).parents[1] / "data" / "recorded"
KEY, SECRET = "us1-0123456789abcdef0123456789abcdef", "recorded-secret"
REFUSED = "wrong secret"
FULL = {  # by SDK: the MPID that its full batch was sent with, as the SDK wrote it
    "python": ("upload_events:full batch", 7346244611012968789),
    "node": ("uploadEvents:full batch", 7346244611012968000),
}


@pytest.fixture(params=[1, 3], ids=["1 shard", "3 shards"])
async def world(
    request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock
) -> AsyncIterator[World]:
    feed = DOCUMENT["inputs"][0] | {"keys": [{"key": KEY, "secret": SECRET}]}
    document = changed(DOCUMENT, inputs=[feed, *DOCUMENT["inputs"][1:]])
    async with running(tmp_path, shards=request.param, clock=clock, document=document) as world:
        yield world


def recorded(sdk: str) -> list[dict[str, Any]]:
    """Return the requests of an SDK."""
    lines = (RECORDED / f"{sdk}.ndjson").read_text().splitlines()
    return [json.loads(line) for line in lines]


def batches(request: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the batches of a request."""
    body = request["body"]
    return body if isinstance(body, list) else [body]


async def send(world: World, request: dict[str, Any]) -> ClientResponse:
    """Send a request as it was recorded."""
    return await world.client.request(
        request["method"],
        request["path"],
        data=json.dumps(request["body"]),
        headers=request["headers"],
    )


async def send_all(world: World, sdk: str) -> list[dict[str, Any]]:
    """Send all that was recorded of an SDK; return the requests that have to be stored."""
    stored = []
    for request in recorded(sdk):
        response = await send(world, request)
        if request["call"] == REFUSED:
            assert response.status == 403
            assert (await response.json())["errors"][0]["code"] == "FORBIDDEN"
        else:
            assert (response.status, await response.read()) == (202, b""), request["call"]
            stored.append(request)
    return stored


def expected(requests: list[dict[str, Any]]) -> dict[str, list[tuple[str, str]]]:
    """Return the events that each user has to have: message id and type, in the order sent.

    A batch with an MPID belongs to that. A repeated `source_request_id` counts once. The Python
    SDK calls its crash reports `commerce_event`.
    """
    known: set[str] = set()
    events: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for request in requests:
        for batch in batches(request):
            request_id = batch.get("source_request_id")
            if request_id in known:
                continue
            known.update([request_id] if request_id else [])
            user = str(batch.get("mpid") or batch["user_identities"]["customerid"])
            is_crash = request["call"] == "upload_events:CrashReportEvent"
            events[user] += [
                (
                    event["data"]["source_message_id"],
                    "crash_report" if is_crash else event["event_type"],
                )
                for event in batch.get("events", ())
            ]
    return events


@pytest.mark.parametrize(("sdk", "count"), [("python", 22), ("node", 18)])
async def test_what_an_sdk_sent_is_stored_whole(world: World, sdk: str, count: int) -> None:
    """spec/events-api.md, worked case 28; spec/clients.md, worked case 5."""
    requests = await send_all(world, sdk)
    assert len(requests) == count
    users = expected(requests)
    assert len(users) >= 2
    for user, sent in users.items():
        kept = [
            (each["data"]["source_message_id"], each["event_type"])
            for each in await world.events(user)
        ]
        assert kept == sent
    assert sum(len(batch.batch.events) for batch in world.log()) == sum(map(len, users.values()))


@pytest.mark.parametrize("sdk", ["python", "node"])
async def test_a_full_batch_is_its_mpids(world: World, sdk: str) -> None:
    """spec/clients.md, worked case 7: JavaScript has lost the last digits before it sends."""
    call, mpid = FULL[sdk]
    [request] = [each for each in await send_all(world, sdk) if each["call"] == call]
    assert request["body"]["mpid"] == mpid
    [event, *_] = await world.events(mpid)
    sent = request["body"]["events"][0]["data"]["source_message_id"]
    assert event["data"]["source_message_id"] == sent


UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def kept_as(value: Any) -> tuple[Any, Any]:
    """Return what may be kept of a value: a UUID in small letters, an attribute as text."""
    if isinstance(value, str):
        return value, value.lower() if UUID.fullmatch(value) else value
    return value, json.dumps(value)


def missing(sent: Any, stored: Any, path: str = "") -> list[str]:
    """Return the paths of what was sent and is not stored. Null is as good as left out."""
    if sent is None:
        return []
    if isinstance(sent, dict) and isinstance(stored, dict):
        return [
            lack
            for name, value in sent.items()
            for lack in missing(value, stored.get(name), f"{path}.{name}")
        ]
    if isinstance(sent, list) and isinstance(stored, list) and len(sent) == len(stored):
        pairs = zip(sent, stored, strict=True)
        return [
            lack for place, pair in enumerate(pairs) for lack in missing(*pair, f"{path}[{place}]")
        ]
    return [] if stored in kept_as(sent) else [f"{path}: {sent!r}, not {stored!r}"]


def without_overruled(data: dict[str, Any]) -> dict[str, Any]:
    """Return an event without its session's id, where a UUID gives another one."""
    return data | {"session_id": None} if "session_uuid" in data else data


@pytest.mark.parametrize("sdk", ["python", "node"])
async def test_every_member_that_an_sdk_sent_is_stored(world: World, sdk: str) -> None:
    requests = await send_all(world, sdk)
    stored = {
        event.data["source_message_id"]: (batch.batch, event.data)
        for batch in world.log()
        for event in batch.batch.events
    }
    lacks: list[str] = []
    for request in requests:
        for sent in batches(request):
            for event in sent.get("events", ()):
                batch, data = stored[event["data"]["source_message_id"]]
                lacks += missing(without_overruled(event["data"]), data, request["call"])
                for name in ("device_info", "application_info", "integration_attributes", "ip"):
                    found = getattr(batch, name)
                    lacks += missing(sent.get(name), found, f"{request['call']}.{name}")
    assert lacks == []
