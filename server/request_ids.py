"""What a request is called: by its sender, or by us (spec/observability.md, 8)."""

import itertools
import re

from aiohttp import web

from actors.clock import Randomness

REQUEST_ID = "X-Request-Id"

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_FORM = re.compile(r"[A-Za-z0-9._-]{1,128}")


class RequestIds:
    """The ids of one process's requests."""

    def __init__(self, randomness: Randomness) -> None:
        self._prefix = f"{randomness.bits(64):016x}-"
        self._numbers = itertools.count(1)

    def of(self, request: web.Request) -> str:
        """Return the id that a request brings, or a new one if it has none of the right form."""
        given = request.headers.get(REQUEST_ID)
        if given is not None and _FORM.fullmatch(given):
            return given
        return f"{self._prefix}{next(self._numbers):x}"


def shown_method(request: web.Request) -> str:
    """Return a request's method for metrics and logs: any that is not known is `other`."""
    return request.method if request.method in _METHODS else "other"
