"""Every error -> status and body: the only such table (spec/events-api.md, 3.3 and 3.4)."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import msgspec
from aiohttp import web
from aiohttp.web_request import BaseRequest

from actors.errors import (
    BatchRejected,
    CursorInvalid,
    GroupExists,
    GroupInvalid,
    HotIdentity,
    Problem,
    ShardUnavailable,
    StoreFull,
)
from server.received import Overloaded

log = logging.getLogger("headwater.http")

Code = Literal[
    "BAD_REQUEST",
    "UNAUTHORIZED",
    "FORBIDDEN",
    "NOT_FOUND",
    "METHOD_NOT_ALLOWED",
    "REQUEST_TIMEOUT",
    "CONFLICT",
    "REQUEST_TOO_LARGE",
    "URI_TOO_LONG",
    "UNSUPPORTED_MEDIA_TYPE",
    "TOO_MANY_REQUESTS",
    "SERVICE_UNAVAILABLE",
    "INTERNAL_ERROR",
]

STATUS: Mapping[Code, int] = {
    "BAD_REQUEST": 400,
    "UNAUTHORIZED": 401,
    "FORBIDDEN": 403,
    "NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "REQUEST_TIMEOUT": 408,
    "CONFLICT": 409,
    "REQUEST_TOO_LARGE": 413,
    "URI_TOO_LONG": 414,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "TOO_MANY_REQUESTS": 429,
    "SERVICE_UNAVAILABLE": 503,
    "INTERNAL_ERROR": 500,
}
CODES: Mapping[int, Code] = {status: code for code, status in STATUS.items()}

MAX_PROBLEMS = 20  # spec/events-api.md, 3.4
RETRY_AFTER_UNAVAILABLE_S = 1
# A batch that is not stored was not applied; one whose data are not reached may have been.
NOT_STORED = "The data cannot be stored now. Try again later."
NOT_REACHED = "The data cannot be reached now. Try again later."
TOO_MUCH = "More comes than can be stored now. Try again later."

_encode = msgspec.json.Encoder().encode

# Writes what a route raised, as its API writes errors: the error, its request, the request's id.
ErrorWriter = Callable[[Exception, BaseRequest, str], web.Response]


class Refused(Exception):
    """A request is answered with an error body; raised by routes and what they call.

    Attributes:
        code: decides the status.
        problems: what is wrong, in document order; at most 20 are shown.
        headers: to add to the answer.
    """

    def __init__(
        self,
        code: Code,
        problems: str | Sequence[Problem],
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code, problems, headers)
        self.code = code
        self.problems = [Problem(problems)] if isinstance(problems, str) else list(problems)
        self.headers = headers or {}


def too_large(limit_bytes: int) -> Refused:
    """Return the error of a body that is longer than so many bytes, as sent or inflated."""
    return Refused("REQUEST_TOO_LARGE", f"Request body is larger than {limit_bytes} bytes.")


class BodyTimeout(Exception):
    """A request's body did not come in time.

    408, but for client SDKs: most throw away what is answered 4xx and send again what is answered
    503 (spec/clients.md, 2.1 and 5.1), and a phone whose network is slow has done nothing wrong.
    """


class OAuthRefused(Exception):
    """A token is not issued: RFC 6749's own shape of error (spec/platform-api.md, 2)."""

    def __init__(
        self, status: int, error: str, description: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status, error, description, headers)
        self.status = status
        self.error = error
        self.description = description
        self.headers = headers or {}


def errors_body(code: Code, problems: Sequence[Problem]) -> bytes:
    """Write the errors body of some problems."""
    return _encode({"errors": [_entry(code, problem) for problem in problems[:MAX_PROBLEMS]]})


def json_answer(
    data: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Answer with JSON."""
    return web.Response(
        status=status,
        body=_encode(data),
        headers=headers,
        content_type="application/json",
        charset="utf-8",
    )


def error_answer(error: Exception, request: BaseRequest, request_id: str) -> web.Response:
    """Turn what a route raised into an answer; what nobody foresaw is logged and becomes a 500."""
    match error:
        case Refused():
            return _answer(error.code, error.problems, error.headers)
        case OAuthRefused():
            body = {"error": error.error, "error_description": error.description}
            headers = {"Cache-Control": "no-store", **error.headers}
            return json_answer(body, error.status, headers)
        case BatchRejected():
            return _answer("BAD_REQUEST", error.problems)
        case CursorInvalid():
            return _answer("BAD_REQUEST", "The cursor was not given out by the page before.")
        case HotIdentity():
            retry = {"Retry-After": str(RETRY_AFTER_UNAVAILABLE_S)}
            message = "Too many requests are about the same user. Try again later."
            return _answer("TOO_MANY_REQUESTS", message, retry)
        case GroupExists():
            return _answer("CONFLICT", "There is a group definition of this id already.")
        case GroupInvalid():
            return _answer("BAD_REQUEST", error.message)
        case ShardUnavailable() | StoreFull():
            log_unavailable(error, request_id)
            after_s = RETRY_AFTER_UNAVAILABLE_S
            message = NOT_STORED if isinstance(error, StoreFull) else NOT_REACHED
            if isinstance(error, Overloaded):
                after_s, message = error.retry_after_s, TOO_MUCH
            retry = {"Retry-After": str(after_s)}
            return _answer("SERVICE_UNAVAILABLE", message, retry)
        case BodyTimeout():
            return _answer("REQUEST_TIMEOUT", "The request's body did not come in time.")
        case web.HTTPException():
            return _http_answer(error, request)
        case web.RequestPayloadError() | ConnectionError():
            return _answer("BAD_REQUEST", "Request body ended before it was complete.")
        case _:
            log_defect(error, request_id)
            message = f"Internal error. Quote request id {request_id}."
            return _answer("INTERNAL_ERROR", message)


def client_error_answer(error: Exception, request: BaseRequest, request_id: str) -> web.Response:
    """Do what `error_answer` does, for routes of client SDKs."""
    if isinstance(error, BodyTimeout):
        retry = {"Retry-After": str(RETRY_AFTER_UNAVAILABLE_S)}
        message = "The request's body did not come in time. Send it again."
        return _answer("SERVICE_UNAVAILABLE", message, retry)
    return error_answer(error, request, request_id)


def log_unavailable(error: Exception, request_id: str) -> None:
    """Say that a request gets a 503, and for want of what; of those that come too fast is told
    when they are refused."""
    if isinstance(error, Overloaded):
        return
    log.warning(
        "a request was answered 503",
        extra={
            "event": "unavailable",
            "request_id": request_id,
            "kind": type(error).__name__,
            "reason": str(error),
        },
    )


def log_defect(error: Exception, request_id: str) -> None:
    """Say that a request gets a 500, with where it came from."""
    log.error(
        "a request failed by a defect",
        exc_info=error,
        extra={"event": "internal_error", "request_id": request_id},
    )


def _http_answer(error: web.HTTPException, request: BaseRequest) -> web.Response:
    """Answer what aiohttp refuses by itself: unknown paths, methods that a path does not have."""
    code = CODES.get(error.status, "BAD_REQUEST" if error.status < 500 else "INTERNAL_ERROR")
    if code == "NOT_FOUND":
        return _answer(code, "No such path.")
    if code == "METHOD_NOT_ALLOWED":
        message = f"Method {request.method} is not allowed on this path."
        return _answer(code, message, {"Allow": error.headers["Allow"]})
    return _answer(code, f"{error.reason}.")


def _answer(
    code: Code, problems: str | Sequence[Problem], headers: Mapping[str, str] | None = None
) -> web.Response:
    entries = [Problem(problems)] if isinstance(problems, str) else problems
    return web.Response(
        status=STATUS[code],
        body=errors_body(code, entries),
        headers=headers,
        content_type="application/json",
    )


def _entry(code: Code, problem: Problem) -> dict[str, str]:
    entry = {"code": code, "message": problem.message}
    if problem.path is not None:
        entry["path"] = problem.path
    return entry
