"""Bodies of the Events API over HTTP: size, encoding, syntax (spec/events-api.md, 3.2)."""

import gzip
import json
import zlib
from typing import Any

import pytest

from server.inflating import MAX_GZIP_MEMBERS
from tests.server.conftest import K1, World, first_error
from tests.server.routes.batches import ALL, GOOD, ONE, body_for, old

KIB = 1024

LIMIT_BYTES = 256 * KIB


async def test_malformed_json_gets_400(world: World) -> None:
    """spec/events-api.md, worked case 4."""
    response = await world.client.post("/v2/events", data=b"{", headers=K1)
    assert response.status == 400
    error = await first_error(response)
    assert error["message"].startswith("Request body is not valid JSON: ")
    assert error["code"] == "BAD_REQUEST"
    assert response.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("/v2/events", b"[]", "Request body must be a JSON object."),
        ("/v2/events", b"1", "Request body must be a JSON object."),
        ("/v2/bulkevents", b"{}", "Request body must be a JSON array of batches."),
        ("/v2/bulkevents", b"[]", "Request must contain at least one batch."),
        ("/v2/bulkevents/historical", b'"x"', "Request body must be a JSON array of batches."),
    ],
)
async def test_the_root_type_is_checked(world: World, path: str, body: bytes, message: str) -> None:
    """spec/events-api.md, worked case 6."""
    response = await world.client.post(path, data=body, headers=K1)
    assert response.status == 400
    assert (await first_error(response))["message"] == message


@pytest.mark.parametrize("path", ALL)
async def test_an_empty_body_gets_400(world: World, path: str) -> None:
    """spec/events-api.md, worked case 6."""
    assert (await world.client.post(path, headers=K1)).status == 400


@pytest.mark.parametrize("path", ALL)
async def test_the_largest_body_passes_and_one_byte_more_does_not(world: World, path: str) -> None:
    """spec/events-api.md, worked case 8."""
    body = body_for(path, old(GOOD)).ljust(LIMIT_BYTES)
    assert (await world.client.post(path, data=body, headers=K1)).status == 202
    response = await world.client.post(path, data=body + b" ", headers=K1)
    assert response.status == 413
    assert (await first_error(response))["code"] == "REQUEST_TOO_LARGE"
    assert world.deployment.calls == 1


@pytest.mark.parametrize("path", ALL)
async def test_a_chunked_body_is_bounded_while_it_is_read(world: World, path: str) -> None:
    async def chunks(last: bytes) -> Any:
        yield body_for(path, old(GOOD)).ljust(LIMIT_BYTES - 1)
        yield last

    assert (await world.client.post(path, data=chunks(b" "), headers=K1)).status == 202
    assert (await world.client.post(path, data=chunks(b"  "), headers=K1)).status == 413


def deflated(data: bytes, window: int) -> bytes:
    deflater = zlib.compressobj(wbits=window)
    return deflater.compress(data) + deflater.flush()


ENCODINGS = [
    pytest.param("gzip", gzip.compress, id="gzip"),
    pytest.param("GZIP", gzip.compress, id="GZIP"),
    pytest.param("deflate", lambda data: deflated(data, 15), id="deflate, zlib's format"),
    pytest.param("deflate", lambda data: deflated(data, -15), id="deflate, bare"),
    pytest.param("identity", lambda data: data, id="identity"),
]


@pytest.mark.parametrize(("encoding", "compress"), ENCODINGS)
@pytest.mark.parametrize("path", ALL)
async def test_compressed_bodies_are_bounded_by_what_they_hold(
    world: World, path: str, encoding: str, compress: Any
) -> None:
    """spec/events-api.md, worked case 8."""
    headers = {**K1, "Content-Encoding": encoding}
    body = body_for(path, old(GOOD)).ljust(LIMIT_BYTES)
    response = await world.client.post(path, data=compress(body), headers=headers)
    assert response.status == 202
    response = await world.client.post(path, data=compress(body + b" "), headers=headers)
    assert response.status == 413


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        pytest.param("gzip", b"{}", id="not gzip"),
        pytest.param("gzip", gzip.compress(b"{}" + b" " * 999)[:-9], id="cut"),
        pytest.param("deflate", b"{}", id="not deflate"),
        pytest.param("br", b"{}", id="unknown encoding"),
        pytest.param("gzip, gzip", gzip.compress(gzip.compress(b"{}")), id="twice"),
    ],
)
async def test_corrupt_and_unknown_encodings_get_400(
    world: World, encoding: str, body: bytes
) -> None:
    """spec/events-api.md, worked case 8."""
    headers = {**K1, "Content-Encoding": encoding}
    assert (await world.client.post("/v2/events", data=body, headers=headers)).status == 400


async def test_joined_gzip_files_are_one_body(world: World) -> None:
    headers = {**K1, "Content-Encoding": "gzip"}
    body = gzip.compress(b'{"events"') + gzip.compress(b":[]}")
    assert (await world.client.post("/v2/events", data=body, headers=headers)).status == 202


async def test_more_joined_gzip_files_than_anybody_needs_get_400(world: World) -> None:
    headers = {**K1, "Content-Encoding": "gzip"}
    whole, nothing = gzip.compress(b'{"events":[]}'), gzip.compress(b"")
    as_many_as_may_be = whole + nothing * (MAX_GZIP_MEMBERS - 1)
    answer = await world.client.post("/v2/events", data=as_many_as_may_be, headers=headers)
    assert answer.status == 202
    answer = await world.client.post(
        "/v2/events", data=as_many_as_may_be + nothing, headers=headers
    )
    assert answer.status == 400
    assert "cannot be decompressed" in (await first_error(answer))["message"]


async def test_one_large_batch_is_accepted(world: World) -> None:
    """spec/events-api.md, worked case 8: 150,000 bytes."""
    body = json.dumps({**GOOD, "foo": "x" * 149_000}).encode()
    assert (await world.client.post("/v2/events", data=body, headers=K1)).status == 202


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"a": NaN}', id="NaN"),
        pytest.param(b'{"a": -Infinity}', id="Infinity"),
        pytest.param(b'{"a": "\xff"}', id="invalid UTF-8"),
        pytest.param(b'{"a": "\xed\xa0\x80"}', id="surrogate in UTF-8"),
        pytest.param(b'{"a": 1,}', id="trailing comma"),
        pytest.param(b'{"a": 1 /* x */}', id="comment"),
        pytest.param(b'{"a": 1} x', id="something after it"),
        pytest.param(b"[" * 200_000, id="very deep"),
        pytest.param(b'{"a":' * 65 + b"1" + b"}" * 65, id="65 levels"),
    ],
)
async def test_what_is_not_json_gets_400(world: World, body: bytes) -> None:
    """spec/events-api.md, worked case 10."""
    response = await world.client.post("/v2/events", data=body, headers=K1)
    assert response.status == 400
    assert (await first_error(response))["message"].startswith("Request body is not valid JSON: ")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"environment":"development","environment":"production"}', id="last wins"),
        pytest.param(b'\xef\xbb\xbf{"a":1}', id="byte order mark"),
        pytest.param(b'{"a":' * 64 + b"1" + b"}" * 64, id="64 levels"),
    ],
)
async def test_odd_json_is_accepted(world: World, body: bytes) -> None:
    """spec/events-api.md, worked case 10."""
    response = await world.client.post("/v2/events", data=body, headers=K1)
    assert response.status == 202
    assert world.deployment.applied[0][0].environment == "production"


@pytest.mark.parametrize("path", ALL)
async def test_half_a_surrogate_pair_is_replaced(world: World, path: str) -> None:
    """Clients that cut strings send them; whole pairs and escaped backslashes stay."""
    name = rb"\ud83d\ude00 \\ud83d \ud83d"
    event = b'{"event_type":"custom_event","data":{"event_name":"%s",' % name
    batch = b'{"events":[%s"timestamp_unixtime_ms":1}}]}' % event
    body = batch if path in ONE else b"[" + batch + b"]"
    assert (await world.client.post(path, data=body, headers=K1)).status == 202
    stored = world.deployment.applied[0][0].events[0]
    assert stored.data["event_name"] == "\N{GRINNING FACE} \\ud83d \ufffd"
