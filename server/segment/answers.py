"""What Segment's and RudderStack's SDKs are answered (spec/clients.md, 2.1 and 6.2).

Success is 200, never 202 or 204: one of them takes everything else for a failure. An error carries
`code` and `message` at its top, for the same one repeats what it cannot read.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.web_request import BaseRequest

from server.problems import client_error_answer, json_answer
from server.segment.requests import SegmentRefused, Skipped

_CODES = {
    401: "unauthorized",
    403: "unauthorized",
    413: "too_large",
    429: "rate_limited",
    503: "unavailable",
}


def accepted(skipped: Sequence[Skipped] = ()) -> web.Response:
    """Answer a request that was stored, but for some messages."""
    body: dict[str, Any] = {"success": True}
    if skipped:
        body["skipped"] = skipped
    return json_answer(body)


def segment_errors(error: Exception, request: BaseRequest, request_id: str) -> web.Response:
    """Write what a route of the tracking API raised."""
    if isinstance(error, SegmentRefused):
        return _answer(error.status, error.code, error.message)
    answer = client_error_answer(error, request, request_id)
    body = answer.body
    assert isinstance(body, bytes), "errors are written at once"
    message = msgspec.json.decode(body)["errors"][0]["message"]
    fallback = "invalid_request" if answer.status < 500 else "internal_error"
    code = _CODES.get(answer.status, fallback)
    return _answer(answer.status, code, message, answer.headers.get("Retry-After"))


def _answer(status: int, code: str, message: str, retry_after: str | None = None) -> web.Response:
    body = {
        "success": False,
        "code": code,
        "message": message,
        "errors": [{"code": code, "message": message}],
    }
    headers = None if retry_after is None else {"Retry-After": retry_after}
    return json_answer(body, status, headers)
