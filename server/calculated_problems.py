"""Errors of the calculated attributes API (spec/calculated-attributes.md, 6)."""

from collections.abc import Mapping

from aiohttp import web
from aiohttp.web_request import BaseRequest

from actors.errors import CalculatedRefused
from server.audience_problems import v2_errors
from server.problems import json_answer

STATUS: Mapping[str, int] = {
    "VALIDATION_ERROR": 400,
    "CONFLICT": 409,
    "IN_USE": 422,
    "TIER_NOT_PERSONALIZE": 422,
}


def calculated_errors(error: Exception, request: BaseRequest, request_id: str) -> web.Response:
    """Write what a route raised; bodies carry their status."""
    if not isinstance(error, CalculatedRefused):
        return v2_errors(error, request, request_id)
    status = STATUS[error.code]
    code = "VALIDATION_ERROR" if error.code == "IN_USE" else error.code
    errors = [{"code": code, "message": message} for message in error.messages]
    return json_answer({"statusCode": status, "errors": errors}, status)
