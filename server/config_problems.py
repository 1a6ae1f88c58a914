"""Errors of what changes the configuration (spec/connections.md, 10; spec/platform-api.md, 1)."""

from collections.abc import Mapping, Sequence

from aiohttp import web
from aiohttp.web_request import BaseRequest

from actors.errors import ConfigurationRefused, Problem
from server.problems import error_answer, json_answer

# The status of each code, and the code that is shown.
_ANSWERS: Mapping[str, tuple[int, str]] = {
    "VALIDATION_ERROR": (422, "VALIDATION_ERROR"),
    "DANGEROUS": (422, "VALIDATION_ERROR"),
    "LIMIT_EXCEEDED": (422, "LIMIT_EXCEEDED"),
    "IN_USE": (422, "IN_USE"),
    "TIER_NOT_PERSONALIZE": (422, "TIER_NOT_PERSONALIZE"),
    "FORBIDDEN": (403, "FORBIDDEN"),
    "UNKNOWN_FIELD": (400, "BAD_REQUEST"),
    "MANIFEST": (400, "BAD_REQUEST"),
    "STALE": (409, "CONFLICT"),
    "MANAGED": (409, "CONFLICT"),
    "MISMATCH": (412, "CONFLICT"),
}
UNKNOWN = "unknown key"
# spec/platform-api.md, 7, and spec/connections.md, 1: the words that clients know.
_EXACT: Mapping[str, str] = {
    "does not accept unbound feeds": "Service does not support app platform.",
    "does not support platform": "Service does not support app platform.",
    "input and output are already joined by": "Connection already exists.",
}


def config_errors(error: Exception, request: BaseRequest, request_id: str) -> web.Response:
    """Write what a route raised."""
    if not isinstance(error, ConfigurationRefused):
        return error_answer(error, request, request_id)
    status, code = _ANSWERS[error.code]
    errors = [
        {"code": code, "message": each.message} | ({} if each.path is None else {"path": each.path})
        for each in error.problems
    ]
    return json_answer({"errors": errors}, status)


def of_object(error: ConfigurationRefused, place: str) -> ConfigurationRefused:
    """Return an error as the sender of one object reads it.

    Args:
        error: of the whole document.
        place: of the object in it (`connections[2]`); its problems come first, without the place.
    """
    if error.code != "VALIDATION_ERROR":
        return error
    ordered = sorted(error.problems, key=lambda each: not (each.path or "").startswith(place))
    problems = [Problem(_exact(each.message), _below(each.path, place)) for each in ordered]
    is_unknown = any(each.message == UNKNOWN for each in error.problems)
    return ConfigurationRefused("UNKNOWN_FIELD" if is_unknown else error.code, problems)


def refused(code: str, message: str, path: str | None = None) -> ConfigurationRefused:
    """Make the error of one problem."""
    return ConfigurationRefused(code, [Problem(message, path)])


def _below(path: str | None, place: str) -> str | None:
    if path is None or not path.startswith(place):
        return path
    return path[len(place) :].removeprefix(".") or None


def _exact(message: str) -> str:
    found: Sequence[str] = [exact for part, exact in _EXACT.items() if part in message]
    return found[0] if found else message
