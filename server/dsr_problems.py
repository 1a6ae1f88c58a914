"""Errors of the data subject request API, signed as all of its answers (spec/privacy.md, 3.6)."""

from collections.abc import Mapping, Sequence

import msgspec
from aiohttp import web
from aiohttp.web_request import BaseRequest

from actors.errors import SubjectRequestRefused
from actors.privacy.desk import EXISTS, IN_PROGRESS, NOT_PENDING
from server.dsr_answers import answer
from server.problems import error_answer
from server.rates import EXCEEDED

INVALID = "Invalid data was detected"
NOT_FOUND = "The specified subject request id could not be found."
NOT_VALID = "The credentials provided in the request are not valid."

_ARGUMENT = "IllegalArgumentException"
# What is wrong with a request beside what it says.
_REASONS: Mapping[str, str] = dict.fromkeys(
    (EXISTS, IN_PROGRESS, NOT_PENDING), "InvalidOperationException"
)
_HEADERS: Mapping[int, Mapping[str, str]] = {
    401: {"WWW-Authenticate": 'Basic realm="data subject requests"'}
}


class DsrRefused(Exception):
    """A request is answered with an error; `messages`: all that is wrong, without values."""

    def __init__(self, status: int, messages: Sequence[str]) -> None:
        super().__init__(status, messages)
        self.status = status
        self.messages = messages


def invalid(*messages: str) -> DsrRefused:
    """Return the error of a body that is wrong."""
    return DsrRefused(400, messages or [INVALID])


def dsr_errors(error: Exception, request: BaseRequest, request_id: str) -> web.Response:
    """Write what a route of the API raised."""
    match error:
        case DsrRefused():
            status, messages, headers = error.status, error.messages, _HEADERS.get(error.status, {})
        case SubjectRequestRefused():
            status, messages, headers = error.status, [error.message], {}
            if error.retry_after_ms is not None:
                seconds = -(-error.retry_after_ms // 1000)
                headers = {"Retry-After": str(seconds), EXCEEDED: "workspace"}
        case _:
            other = error_answer(error, request, request_id)
            assert isinstance(other.body, bytes), "errors are written at once"
            status = other.status
            messages = [each["message"] for each in msgspec.json.decode(other.body)["errors"]]
            kept = ("Retry-After", "Allow", EXCEEDED)
            headers = {name: other.headers[name] for name in kept if name in other.headers}
    body = {
        "code": status,
        "message": messages[0],
        "errors": [
            {"domain": "Validation", "reason": _REASONS.get(each, _ARGUMENT), "message": each}
            for each in messages
        ],
    }
    assert isinstance(request, web.Request), "routes are asked by them"
    return answer(request, body, status, headers)
