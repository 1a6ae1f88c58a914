"""The errors of identity calls: every row of spec/identity.md, 4.4 that an edge finds, and shapes.

Clients read different members of the one error, so each body has all of them, and never a `code`
at its top: Apple's SDK expects a number there. Alias errors are one flat object instead (10.1).
"""

from collections.abc import Mapping
from typing import Any

from aiohttp import web
from aiohttp.web_request import BaseRequest

from actors.errors import HotIdentity, ShardUnavailable, StoreFull
from actors.identity.calls import IdentityProblem
from server.envelopes import in_envelope
from server.paths import CLIENT_PREFLIGHT
from server.problems import BodyTimeout, error_answer, json_answer, log_defect, log_unavailable
from server.rates import EXCEEDED
from server.received import Overloaded

# Where a handler leaves the client's `request_id` for an error to name.
REQUEST_ID = web.RequestKey("identity_request_id", str)

NOT_FOUND = IdentityProblem(404, "NOT_FOUND_ERROR", "Not found.")
UNAUTHORIZED = IdentityProblem(401, "UNAUTHORIZED", "")
FORBIDDEN = IdentityProblem(403, "FORBIDDEN", "")
TOO_MANY = IdentityProblem(429, "TOO_MANY_REQUESTS", "Too many requests.")
TOO_LARGE = IdentityProblem(413, "BAD_REQUEST", "Request body is too large.")
NOT_JSON = IdentityProblem(400, "BAD_REQUEST", "Request body is not valid JSON.")
MALFORMED_ALIAS = IdentityProblem(
    400, "BAD_REQUEST", "Request body is malformed or is missing required fields."
)
NO_ENVIRONMENT = IdentityProblem(400, "BAD_REQUEST", 'Field "environment" is missing or invalid.')
NO_IDENTITIES = IdentityProblem(400, "LOOKUP_ERROR", "knownIdentities is empty.")
DEFECT = IdentityProblem(500, "INTERNAL_ERROR", "An unknown error was encountered.")
UNAVAILABLE = IdentityProblem(503, "SERVICE_UNAVAILABLE", "Service unavailable.")

# Browsers get these with every answer of an identity path (spec/identity.md, 4.1).
CORS = {
    name: value
    for name, value in CLIENT_PREFLIGHT.items()
    if name.startswith("Access-Control-Allow-")
}

MAX_SHOWN = 128  # characters of an unknown type that an error repeats

_IDENTITY_PATHS = ("/v1/", "/identity/")
_BODILESS = (401, 403)
_HEADERS: Mapping[int, Mapping[str, str]] = {
    429: {"Retry-After": "1", EXCEEDED: "workspace"},
    503: {"Retry-After": "1"},
}


class IdentityRefused(Exception):
    """An identity call is answered with an error; `headers` go over those of its status."""

    def __init__(self, problem: IdentityProblem, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(problem, headers)
        self.problem = problem
        self.headers = headers or {}


def bad_field(name: str) -> IdentityRefused:
    """Make the error of a field with a wrong value (rows 7 to 9)."""
    return IdentityRefused(IdentityProblem(400, "BAD_REQUEST", f'Field "{name}" is invalid.'))


def unknown_type(name: str) -> IdentityRefused:
    """Make the error of row 10."""
    message = f'Unknown identity type "{name[:MAX_SHOWN]}".'
    return IdentityRefused(IdentityProblem(400, "BAD_REQUEST", message))


def bad_value(name: str) -> IdentityRefused:
    """Make the error of row 11."""
    message = f'Identity value for "{name}" is invalid.'
    return IdentityRefused(IdentityProblem(400, "BAD_REQUEST", message))


def identity_error(error: Exception, request: BaseRequest, request_id: str) -> web.Response:
    """Write what an identity call raised; `request_id` is the server's own, for the log."""
    problem, headers = _found(error, request_id)
    named = None if problem is DEFECT else request.get(REQUEST_ID)
    return _answer(problem, headers, _body(problem, named))


def alias_error(error: Exception, request: BaseRequest, request_id: str) -> web.Response:
    """Write what an alias request raised."""
    problem, headers = _found(error, request_id)
    if problem is NOT_JSON:
        problem = MALFORMED_ALIAS
    return _answer(problem, headers, {"code": problem.code, "message": problem.message})


def unrouted_answer(error: Exception, request: BaseRequest, request_id: str) -> web.Response:
    """Write the error of a request that no route takes: row 1 where identity calls live."""
    if isinstance(error, web.HTTPNotFound) and request.path.startswith(_IDENTITY_PATHS):
        return _answer(NOT_FOUND, {}, _body(NOT_FOUND, None))
    return in_envelope(request.path, error_answer)(error, request, request_id)


def _found(error: Exception, request_id: str) -> tuple[IdentityProblem, Mapping[str, str]]:
    match error:
        case IdentityRefused():
            return error.problem, error.headers
        case HotIdentity():
            return TOO_MANY, {}
        case BodyTimeout():  # a 400 would be an answer to the web SDK
            return UNAVAILABLE, {}
        case Overloaded():
            return UNAVAILABLE, {"Retry-After": str(error.retry_after_s)}
        case ShardUnavailable() | StoreFull():
            log_unavailable(error, request_id)
            return UNAVAILABLE, {}
        case web.RequestPayloadError() | ConnectionError():
            return NOT_JSON, {}
        case _:
            log_defect(error, request_id)
            return DEFECT, {}


def _answer(
    problem: IdentityProblem, headers: Mapping[str, str], body: Mapping[str, Any]
) -> web.Response:
    sent = {**CORS, **_HEADERS.get(problem.status, {}), **headers}
    if problem.status in _BODILESS:
        return web.Response(status=problem.status, headers=sent)
    return json_answer(body, problem.status, sent)


def _body(problem: IdentityProblem, request_id: str | None) -> dict[str, Any]:
    entries = [{"code": problem.code, "message": problem.message}]
    return {
        "Errors": entries,
        "errors": entries,
        "ErrorCode": problem.code,
        "StatusCode": problem.status,
        "RequestId": request_id,
        "message": problem.message,
    }
