"""Errors of the Data Planning API (spec/data-plans.md, 5.1)."""

from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web
from aiohttp.web_request import BaseRequest

from actors.errors import ConfigurationRefused
from actors.plans.document import DocumentProblem
from server.problems import CODES, STATUS, Code, Refused, error_answer, json_answer

# What clients know these by.
_MESSAGES: Mapping[Code, str] = {
    "UNAUTHORIZED": "Unauthorized",
    "FORBIDDEN": "Forbidden",
    "REQUEST_TOO_LARGE": "Request too large.",
}
_CONFLICTS = ("MANAGED", "STALE")
INVALID_JSON = "Invalid JSON."
MAX_SHOWN = 100  # of what is wrong with a document


class PlanRefused(Exception):
    """A request is refused with these errors, each with its message at least."""

    def __init__(self, status: int, *errors: str | dict[str, Any]) -> None:
        super().__init__(status, errors)
        self.status = status
        self.errors = [{"message": each} if isinstance(each, str) else each for each in errors]


def document_refused(problems: Sequence[DocumentProblem]) -> PlanRefused:
    """Return the error of a document, with what is wrong in each place."""
    return PlanRefused(400, *map(_schema_error, problems[:MAX_SHOWN]))


def plan_errors(error: Exception, request: BaseRequest, request_id: str) -> web.Response:
    """Write what a route raised."""
    match error:
        case PlanRefused():
            return _answer(error.status, error.errors)
        case ConfigurationRefused():
            status = 409 if error.code in _CONFLICTS else 400
            errors = [
                {"message": each.message} | ({} if each.path is None else {"path": each.path})
                for each in error.problems
            ]
            return _answer(status, errors)
        case Refused():
            messages = [_MESSAGES.get(error.code, each.message) for each in error.problems]
            refused = [{"message": each} for each in messages]
            return _answer(STATUS[error.code], refused, error.headers)
    return error_answer(error, request, request_id)


def _answer(
    status: int, errors: Sequence[Mapping[str, Any]], headers: Mapping[str, str] | None = None
) -> web.Response:
    """Write errors; of several with the same message and place, one."""
    common = {"statusCode": status, "code": CODES[status]}
    written = [{**each, **common} for each in errors]
    once = [each for index, each in enumerate(written) if each not in written[:index]]
    return json_answer({"errors": once}, status, headers)


def _schema_error(problem: DocumentProblem) -> dict[str, Any]:
    place = "/".join(["#", *map(str, problem.path)])
    if not problem.match_key:
        where = ".".join(map(str, problem.path))
        return {
            "message": f"{where}: {problem.message}" if _is_placed(problem) else problem.message
        }
    return {
        "message": problem.message,
        "match_key": problem.match_key,
        "error_type": "invalid_value",
        "schema_pointer": place,
        "event_pointer": None,
        "keyword": problem.keyword,
        "value": problem.value,
    }


def _is_placed(problem: DocumentProblem) -> bool:
    """Tell whether a message needs its place; that of too many points says it itself."""
    return bool(problem.path) and not problem.message.startswith("Data plan ")
