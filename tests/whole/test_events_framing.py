"""Authentication and framing of the Events API: worked cases 1 to 10."""

import gzip
import os
from pathlib import Path
from typing import Any

import orjson

from actors.clock import ManualClock
from tests.whole.cases import EV, USED, dropped, problems, user
from tests.whole.world import DOCUMENT, World, basic, changed, running

EVENTS = "/v2/events"
LARGEST = 256 * 1024


async def test_case_1_without_authentication(world: World) -> None:
    """spec/events-api.md, worked case 1."""
    response = await world.client.post(EVENTS, json=user())
    assert response.status == 401
    assert response.headers["WWW-Authenticate"] == 'Basic realm="events"'
    assert (await problems(response))[0]["code"] == "UNAUTHORIZED"
    assert await world.find("a") == []


async def test_case_2_authentication_that_proves_nothing(world: World) -> None:
    """spec/events-api.md, worked case 2."""
    for headers in (
        basic("k1-backend:bad"),
        {"Authorization": "Bearer x"},
        {"Authorization": "Basic ###"},
        {"Authorization": "Basic azE="},
    ):
        response = await world.client.post(EVENTS, json=user(), headers=headers)
        assert response.status == 403, headers
        assert (await problems(response))[0]["code"] == "FORBIDDEN"
    assert await world.find("a") == []


async def test_case_3_scheme_and_padding_are_tolerated(world: World) -> None:
    """spec/events-api.md, worked case 3."""
    padded = basic("k1-backend:s1")["Authorization"].replace("Basic", "basic")
    assert padded.endswith("=")
    headers = {"Authorization": padded.rstrip("=")}
    assert (await world.client.post(EVENTS, data=b"{}", headers=headers)).status == 202


async def test_case_4_authentication_is_checked_before_syntax(world: World) -> None:
    """spec/events-api.md, worked case 4."""
    assert (await world.client.post(EVENTS, data=b"{")).status == 401
    response = await world.post(EVENTS, b"{")
    assert response.status == 400
    message = (await problems(response))[0]["message"]
    assert message.startswith("Request body is not valid JSON")


async def test_case_5_method_and_path(world: World) -> None:
    """spec/events-api.md, worked case 5."""
    response = await world.client.get(EVENTS, headers=basic("k1-backend:s1"))
    assert (response.status, response.headers["Allow"]) == (405, "POST")
    assert (await world.post("/v2/event", user())).status == 404


async def test_case_6_root_type_and_number_of_batches(world: World) -> None:
    """spec/events-api.md, worked case 6."""
    for path, body, message in (
        (EVENTS, b"[]", "Request body must be a JSON object."),
        ("/v2/bulkevents", b"{}", "Request body must be a JSON array of batches."),
        ("/v2/bulkevents", b"[]", "Request must contain at least one batch."),
    ):
        response = await world.post(path, body)
        assert response.status == 400
        [problem] = await problems(response)
        assert (problem["code"], problem["message"]) == ("BAD_REQUEST", message)
    for path in (EVENTS, "/v2/bulkevents"):
        assert (await world.post(path, b"")).status == 400


async def test_case_7_every_spelling_of_the_path(world: World) -> None:
    """spec/events-api.md, worked case 7."""
    for path in ("/v2/events/", "/s2s/v2/events"):
        response = await world.post(path, user())
        assert (response.status, response.headers["Content-Length"]) == (202, "0")
        assert await response.read() == b""
        assert 0 <= int(response.headers[USED]) <= 100
    assert [each["name"] for each in await world.events("a")] == ["Opened", "Opened"]


def large(customer: str, size: int) -> bytes:
    """Make a batch of so many bytes, which is one event with large custom flags."""
    batch = user(customer, events=[{**EV, "data": {**EV["data"], "custom_flags": {"f": ""}}}])
    empty = orjson.dumps(batch)
    return empty.replace(b'"f":""', b'"f":"' + b"x" * (size - len(empty)) + b'"')


async def test_case_8_size(world: World) -> None:
    """spec/events-api.md, worked case 8."""
    batch = orjson.dumps(user("fits"))
    assert (await world.post(EVENTS, batch.ljust(LARGEST))).status == 202
    response = await world.post(EVENTS, orjson.dumps(user("big")).ljust(LARGEST + 1))
    assert response.status == 413
    assert (await problems(response))[0]["code"] == "REQUEST_TOO_LARGE"

    gzipped = {"Content-Encoding": "gzip"}
    noise = os.urandom(4_700).hex().encode()  # gzip makes about 5 KB of it
    bomb = gzip.compress(orjson.dumps(user("bomb", foo=noise.decode())).ljust(300 * 1024))
    assert len(bomb) < 10 * 1024
    assert (await world.post(EVENTS, bomb, headers=gzipped)).status == 413
    whole = gzip.compress(orjson.dumps(user("zipped")))
    assert (await world.post(EVENTS, whole, headers=gzipped)).status == 202
    for corrupt in (whole[:-9], b"\x1f\x8bnothing"):
        assert (await world.post(EVENTS, corrupt, headers=gzipped)).status == 400

    assert dropped(world, "oversize_batch") == 0
    assert (await world.post(EVENTS, large("large", 150_000))).status == 202
    assert dropped(world, "oversize_batch") == 1
    found = {name: len(await world.find(name)) for name in ("fits", "big", "bomb", "large")}
    assert found == {"fits": 1, "big": 0, "bomb": 0, "large": 1}
    assert len(await world.find("zipped")) == 1


def with_backend(**members: Any) -> dict[str, Any]:
    """Return the document with other members of the input "backend"."""
    backend, *others = DOCUMENT["inputs"]
    return changed(DOCUMENT, inputs=[backend | members, *others])


async def test_case_9_keys_are_switched_off_and_on(tmp_path: Path, clock: ManualClock) -> None:
    """spec/events-api.md, worked case 9."""
    key = DOCUMENT["inputs"][0]["keys"][0]
    revoked = with_backend(keys=[key | {"status": "revoked"}])
    inactive = with_backend(status="inactive")
    for document, status in (
        (DOCUMENT, 202),
        (revoked, 403),
        (DOCUMENT, 202),
        (inactive, 403),
        (DOCUMENT, 202),
    ):
        async with running(tmp_path, document=document, clock=clock) as world:
            assert (await world.send(user())).status == status
            assert (await world.send(user("other"), "k2")).status == 202
    async with running(tmp_path, clock=clock) as world:
        assert len(await world.events("a")) == 3


async def test_case_9_the_key_of_a_workspace_sends_no_events(
    tmp_path: Path, clock: ManualClock
) -> None:
    """spec/events-api.md, worked case 9."""
    own = {"dsr_credentials": {"key": "workspace-key", "secret": "workspace-secret"}}
    async with running(tmp_path, document=changed(DOCUMENT, workspace=own), clock=clock) as world:
        headers = basic("workspace-key:workspace-secret")
        assert (await world.client.post(EVENTS, json=user(), headers=headers)).status == 403


async def test_case_9_a_second_key_takes_over(tmp_path: Path, clock: ManualClock) -> None:
    """spec/events-api.md, 2.1: each key of an input can be deactivated on its own."""
    old = DOCUMENT["inputs"][0]["keys"][0] | {"status": "revoked"}
    document = with_backend(keys=[old, {"key": "k1-backend-2", "secret": "s1-2"}])
    async with running(tmp_path, document=document, clock=clock) as world:
        for pair, status in (("k1-backend:s1", 403), ("k1-backend-2:s1-2", 202)):
            response = await world.client.post(EVENTS, json=user(), headers=basic(pair))
            assert response.status == status
        assert [each["input"] for each in await world.timeline("a")] == ["backend"]


async def test_case_10_what_is_not_json(world: World) -> None:
    """spec/events-api.md, worked case 10, and 3.2: 64 levels are the most."""
    for body in (
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": 1,}',
        b'{"a": 1} // no',
        b'{"a": "\xff"}',
        b'{"a": ' + b"[" * 64 + b"]" * 64 + b"}",
    ):
        assert (await world.post(EVENTS, body)).status == 400, body


async def test_case_10_what_is_json_nevertheless(world: World) -> None:
    """spec/events-api.md, worked case 10, and 3.2: of equal keys the last, no BOM."""
    identities = b'"user_identities":{"customer_id":"a"}'
    event = b'"events":[{"event_type":"custom_event","data":{"event_name":"Opened"}}]'
    twice = b'{"environment":"development","environment":"production",%b,%b}' % (identities, event)
    assert (await world.post(EVENTS, twice)).status == 202
    assert (await world.post(EVENTS, b"\xef\xbb\xbf" + orjson.dumps(user()))).status == 202
    deep = b'{"a": ' + b"[" * 63 + b"]" * 63 + b"}"
    assert (await world.post(EVENTS, deep)).status == 202
    shown = [each["environment"] for each in await world.timeline("a")]
    assert shown == ["production", "production"]
