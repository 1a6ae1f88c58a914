"""`Idempotency-Key`: a POST that is repeated is done once (spec/platform-api.md, 1)."""

import logging
from functools import wraps
from hashlib import sha256

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from actors.errors import ShardUnavailable, StoreFull
from actors.store.requests import KeptAnswer
from server.auth import bearer
from server.bodies import keep_received
from server.context import edge_of
from server.management import count
from server.openapi.takes import limit_of
from server.problems import Refused

logger = logging.getLogger("headwater.http")

HEADER = "Idempotency-Key"
MAX_KEY = 255
MAX_ANSWER_BYTES = 1024 * 1024

_encode = msgspec.msgpack.Encoder().encode


def once(handler: Handler) -> Handler:
    """Return a handler of the Platform API that answers a repeated request as the first time.

    A key holds for a credential and a path. Only answers of success are remembered: what was
    refused may be tried again.
    """

    @wraps(handler)
    async def answer(request: web.Request) -> web.StreamResponse:
        sent = request.headers.get(HEADER)
        if sent is None:
            return await handler(request)
        if not 0 < len(sent) <= MAX_KEY:
            raise Refused("BAD_REQUEST", f"{HEADER} must have 1 to {MAX_KEY} characters.")
        edge = edge_of(request)
        config = edge.config.current
        # Of whichever API: the handler checks which, and what was done is shown to its sender.
        credential = bearer(request, None, config, edge.clock)
        body = await keep_received(request, limit_of(handler, config.max_body_bytes))
        key = _digest(credential.client_id, request.path.rstrip("/"), sent)
        content = _digest(request.query_string, body)
        begun = await edge.deployment.begin_request(key, content)
        if isinstance(begun, KeptAnswer):
            count(request, edge, config.platform_limits)
            headers = {"Content-Type": begun.content_type, "ETag": begun.etag}
            headers = {name: value for name, value in headers.items() if value}
            return web.Response(status=begun.status, body=begun.body, headers=headers)
        if begun == "different":
            raise Refused("CONFLICT", f"The {HEADER} was used for another request.")
        if begun == "under_way":
            raise Refused("CONFLICT", f"A request with this {HEADER} is under way.")
        kept: KeptAnswer | None = None
        try:
            response = await handler(request)
            if isinstance(response, web.Response) and response.status < 300:
                kept = _kept(content, response)
            return response
        finally:
            try:
                await edge.deployment.end_request(key, kept)
            except (ShardUnavailable, StoreFull) as error:  # what was asked for is done
                _log_not_kept(type(error).__name__)

    return answer


def _kept(content: bytes, response: web.Response) -> KeptAnswer | None:
    body = response.body if isinstance(response.body, bytes) else b""
    if len(body) > MAX_ANSWER_BYTES:
        _log_not_kept("too large")
        return None
    headers = response.headers
    return KeptAnswer(
        content,
        response.status,
        headers.get("Content-Type", ""),
        body,
        headers.get("ETag", ""),
    )


def _log_not_kept(kind: str) -> None:
    logger.warning(
        "an answer is not remembered for repeats of its request",
        extra={"event": "answer_not_kept", "kind": kind},
    )


def _digest(*parts: str | bytes) -> bytes:
    return sha256(_encode(parts)).digest()
