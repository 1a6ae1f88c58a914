"""The envelope of version 1 of the Platform API (spec/platform-api.md, 1)."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.web_request import BaseRequest

from server.problems import ErrorWriter, json_answer

_TYPES = {
    "/v1/users": "user",
    "/v1/audiences": "audience",
    "/v1/workspace": "audience",
}


def enveloped(
    data: Sequence[Any],
    data_type: str,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """Answer with objects of a type."""
    return json_answer({"data": data, "dataType": data_type, "errors": None}, status, headers)


def in_envelope(path: str, errors: ErrorWriter) -> ErrorWriter:
    """Return what writes errors of a path that no route takes: in the envelope below `/v1`."""
    for prefix, data_type in _TYPES.items():
        if path == prefix or path.startswith(prefix + "/"):
            return enveloped_errors(data_type, errors)
    return errors


def enveloped_errors(data_type: str, errors: ErrorWriter) -> ErrorWriter:
    """Return what writes errors as `errors` does, in the envelope; a mismatch is a 409 there."""

    def write(error: Exception, request: BaseRequest, request_id: str) -> web.Response:
        answer = errors(error, request, request_id)
        body = answer.body
        assert isinstance(body, bytes), "errors are written at once"
        headers = {
            name: value
            for name, value in answer.headers.items()
            if name not in ("Content-Type", "Content-Length")
        }
        shown = {
            "data": [],
            "dataType": data_type,
            "errors": msgspec.json.decode(body)["errors"],
        }
        return json_answer(shown, 409 if answer.status == 412 else answer.status, headers)

    return write
