"""Answers of the data subject request API: JSON that is signed (spec/privacy.md, 4.2)."""

from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

from actors.privacy.requests import Version
from server.context import edge_of

_VERSIONS: Mapping[str, Version] = {"v1": "1.0", "v2": "2.0", "v3": "3.0"}

_encode = msgspec.json.Encoder().encode


def version_of(request: web.Request) -> Version:
    """Return the version of the API that a path is of."""
    return _VERSIONS[request.path.split("/", 2)[1]]


def answer(
    request: web.Request,
    data: Any,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """Answer with signed JSON."""
    body = _encode(data)
    signer = edge_of(request).deployment.privacy.signer
    return web.Response(
        status=status,
        body=body,
        headers={**(headers or {}), **signer.headers(version_of(request), body)},
        content_type="application/json",
    )
