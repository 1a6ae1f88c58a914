"""Errors of the audience APIs (spec/audiences.md, 14; spec/platform-api.md, 1)."""

from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.web_request import BaseRequest

from actors.errors import AudienceRefused
from server.envelopes import enveloped_errors
from server.problems import MAX_PROBLEMS, error_answer, json_answer

# A document that is wrong is 400; a rule about other state that is broken is 422.
STATUS: Mapping[str, int] = {
    "VALIDATION_ERROR": 400,
    "UNKNOWN_FIELD": 400,
    "MISSING_FIELD": 400,
    "FORBIDDEN": 403,
    "NOT_FOUND": 404,
    "CONFLICT": 409,
    "MISMATCH": 412,
    "NESTED_AUDIENCE": 422,
    "LIMIT_EXCEEDED": 422,
    "REFERENCE_NOT_FOUND": 422,
    "TIER_NOT_PERSONALIZE": 422,
    "NAME_NOT_UNIQUE": 422,
    "INVALID_STATE": 422,
}


def shown_problems(error: AudienceRefused) -> list[dict[str, str]]:
    """Return the entries of an errors body."""
    code = "CONFLICT" if error.code == "MISMATCH" else error.code
    return [
        {"code": code, "message": each.message} | ({} if each.path is None else {"path": each.path})
        for each in error.problems[:MAX_PROBLEMS]
    ]


def v2_errors(error: Exception, request: BaseRequest, request_id: str) -> web.Response:
    """Write what a route of version 2 raised; bodies carry their status."""
    status, errors, headers = _taken_apart(error, request, request_id)
    return json_answer({"statusCode": status, "errors": errors}, status, headers)


# What a route of version 1 raised.
v1_errors = enveloped_errors("audience", v2_errors)


def _taken_apart(
    error: Exception, request: BaseRequest, request_id: str
) -> tuple[int, list[Any], dict[str, str]]:
    if isinstance(error, AudienceRefused):
        return STATUS[error.code], shown_problems(error), {}
    answer = error_answer(error, request, request_id)
    body = answer.body
    assert isinstance(body, bytes), "errors are written at once"
    headers = {
        name: value
        for name, value in answer.headers.items()
        if name not in ("Content-Type", "Content-Length")
    }
    return answer.status, msgspec.json.decode(body)["errors"], headers
