"""Request bodies: read, bound, inflate, and taken apart into the JSON text of batches.

Source: spec/events-api.md, 3.1 (steps 3 and 4) and 3.2; spec/clients.md, 2. Bodies are decoded by
what they hold, never by their `Content-Type`.
"""

import asyncio
import re
from typing import Any

import msgspec
from aiohttp import web

from server.inflating import inflated
from server.problems import BodyTimeout, Refused, too_large
from server.received import RECEIVED

_RECEIVED = web.RequestKey("received", bytes)
# A body that comes more slowly is sent by somebody who only wants to keep the connection: it has
# so many seconds, and more for what has come, at the speed of a bad mobile network; and it never
# stops for so long.
BODY_TIMEOUT_S = 30.0
SLOWEST_BYTES_PER_S = 4096
# What may be there of a body beside what was read of it; that is counted before it has come.
PART_BYTES = 64 * 1024
BOM = b"\xef\xbb\xbf"

# Half of a surrogate pair without its other half, where no escaped backslash is before it.
_HALF_PAIR = re.compile(
    rb"\\u[dD](?:[89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD])[c-fC-F][0-9a-fA-F]{2})"
)
_BACKSLASH = rb"\\"
_HIDDEN = b"\0\0"  # no JSON text has such bytes

# What msgspec raises of a text that is no JSON; what is not UTF-8 it finds in strings alone.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_one = msgspec.json.Decoder(msgspec.Raw).decode
_many = msgspec.json.Decoder(list[msgspec.Raw]).decode
_any = msgspec.json.Decoder().decode


def expected_bytes(request: web.Request, limit_bytes: int) -> int:
    """Return how long a body is; one that does not say may become as long as any."""
    length = request.content_length
    return limit_bytes if length is None else min(length, limit_bytes)


async def read_body(request: web.Request, limit_bytes: int) -> bytes:
    """Read a request's body, inflated, without a byte order mark.

    Raises:
        Refused: longer than the limit as declared, received or inflated (413); an unknown or
            corrupt content encoding, or not UTF-8 (400).
        BodyTimeout: not there in time.
        ShardUnavailable: the edge holds as many bodies as it may.
    """
    return as_text(await read_bytes(request, limit_bytes))


async def read_bytes(request: web.Request, limit_bytes: int) -> bytes:
    """Read a request's body, inflated, whatever it holds: what a signature is made over.

    Raises:
        Refused: longer than the limit as declared, received or inflated (413); an unknown or
            corrupt content encoding (400).
        BodyTimeout: not there in time.
        ShardUnavailable: the edge holds as many bodies as it may.
    """
    body = await _received(request, limit_bytes)
    encoding = request.headers.get("Content-Encoding", "").strip().lower()
    if encoding and encoding != "identity" and body:
        content = inflated(body, encoding, limit_bytes)
        _hold(request, len(body) + len(content))
        body = content
    received = request.app.get(RECEIVED)
    if received is not None:
        received.came(request, len(body))
    return body


def as_text(body: bytes) -> bytes:
    """Return a body without a byte order mark. Raises Refused if it is not UTF-8 (400)."""
    body = body.removeprefix(BOM)
    if not body.isascii():
        try:
            body.decode()
        except UnicodeDecodeError:
            raise Refused(
                "BAD_REQUEST", "Request body is not valid JSON: not encoded as UTF-8."
            ) from None
    return body


def without_half_pairs(body: bytes) -> bytes:
    """Return a JSON text whose halves of surrogate pairs are replaced: no decoder takes them.

    Without a step in Python for each escape: a body of nothing else would take the loop a second.
    """
    if rb"\u" not in body or b"\0" in body:
        return body
    hidden = body.replace(_BACKSLASH, _HIDDEN)
    return _HALF_PAIR.sub(rb"\\ufffd", hidden).replace(_HIDDEN, _BACKSLASH)


def one_batch(body: bytes) -> bytes:
    """Check that a body is one JSON object and return its text.

    Raises:
        Refused: not JSON, or another root type (400).
    """
    try:
        batch = bytes(_one(body))
    except UNREADABLE as error:
        batch = bytes(_again(_one, body, error))
    if not batch.startswith(b"{"):
        raise Refused("BAD_REQUEST", "Request body must be a JSON object.")
    return batch


def many_batches(body: bytes, most: int) -> list[bytes]:
    """Split a JSON array into the texts of its elements, which may be of any type.

    Raises:
        Refused: not JSON, another root type, no element, or more than `most` (400).
    """
    try:
        raws = _many(body)
    except UNREADABLE as error:
        raws = _again(_many, body, error)
    if not raws:
        raise Refused("BAD_REQUEST", "Request must contain at least one batch.")
    if len(raws) > most:
        message = f"Request contains {len(raws)} batches; the maximum is {most}."
        raise Refused("BAD_REQUEST", message)
    return [bytes(raw) for raw in raws]


def json_values(body: bytes, most: int) -> list[Any]:
    """Decode a body that has to be a JSON array of 1 to `most` elements, of any type.

    Raises:
        Refused: not JSON, another root type, no element, or more than `most` (400).
    """
    try:
        return [_any(each) for each in many_batches(body, most)]
    except UNREADABLE as error:  # such as a number that is too large
        raise _malformed(error) from None


def json_object(body: bytes) -> dict[str, Any]:
    """Decode a body that has to be a JSON object.

    Raises:
        Refused: not JSON, or another root type (400).
    """
    try:
        value = _any(body)
    except UNREADABLE as error:
        value = _again(_any, body, error)
    if not isinstance(value, dict):
        raise Refused("BAD_REQUEST", "Request body must be a JSON object.")
    return value


async def keep_received(request: web.Request, limit_bytes: int) -> bytes:
    """Read a request's body as it was sent; it can still be read as by a handler. Raises Refused.

    For those who have to see it before the handler does.
    """
    if _RECEIVED not in request:
        request[_RECEIVED] = await _received(request, limit_bytes)
    return request[_RECEIVED]


async def _received(request: web.Request, limit_bytes: int) -> bytes:
    if _RECEIVED in request:
        return request[_RECEIVED]
    if (request.content_length or 0) > limit_bytes:
        raise too_large(limit_bytes)
    content = request.content
    if content.is_eof():  # small bodies are nearly always all there when their request is
        body = content.read_nowait()
        if len(body) > limit_bytes:
            raise too_large(limit_bytes)
        _hold(request, len(body))
        return body
    try:
        return await _rest(request, limit_bytes)
    except TimeoutError:
        raise BodyTimeout from None


def _hold(request: web.Request, size: int) -> None:
    received = request.app.get(RECEIVED)
    if received is not None:  # the admin port has few callers, and bounds nothing
        received.hold(request, size)


async def _rest(request: web.Request, limit_bytes: int) -> bytes:
    content, whole = request.content, expected_bytes(request, limit_bytes)
    parts = []
    received = 0
    _hold(request, min(PART_BYTES, whole))
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    async with asyncio.timeout(BODY_TIMEOUT_S) as timeout:
        while part := await content.readany():
            received += len(part)
            if received > limit_bytes:
                raise too_large(limit_bytes)
            _hold(request, min(received + PART_BYTES, whole))
            parts.append(part)
            earned_s = min(received / SLOWEST_BYTES_PER_S, loop.time() - began_s)
            timeout.reschedule(began_s + earned_s + BODY_TIMEOUT_S)
    return b"".join(parts)


def _again(decode: Any, body: bytes, error: Exception) -> Any:
    """Decode a refused text once more, without halves of surrogate pairs.

    Clients that cut strings, web browsers among them, send such halves; a 400 would make the web
    SDK repeat the same body for ever.
    """
    mended = without_half_pairs(body)
    if mended != body:
        try:
            return decode(mended)
        except UNREADABLE as second:
            error = second
    if isinstance(error, msgspec.ValidationError):  # well-formed so far, but no array
        raise Refused("BAD_REQUEST", "Request body must be a JSON array of batches.") from None
    raise _malformed(error) from None


def _malformed(error: Exception) -> Refused:
    if isinstance(error, RecursionError):
        reason = "nested too deeply"
    else:
        reason = str(error).removeprefix("JSON is malformed: ")
    return Refused("BAD_REQUEST", f"Request body is not valid JSON: {reason}.")
