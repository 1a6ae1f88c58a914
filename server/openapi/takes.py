"""What a handler's body is, said where the handler is."""

from collections.abc import Callable
from typing import TypeVar

from aiohttp.typedefs import Handler

JSON = "application/json"
_ATTRIBUTE = "__takes__"
_LIMIT = "__takes_bytes__"

SomeHandler = TypeVar("SomeHandler", bound=Handler)


def takes(
    schema: str, media: str = JSON, max_bytes: int = 0
) -> Callable[[SomeHandler], SomeHandler]:
    """Return a decorator that says what a handler reads.

    Args:
        schema: its name in `server.openapi.schemas`.
        media: content type of the body.
        max_bytes: of the body, where what it may hold is more than any body may be.
    """

    def decorate(handler: SomeHandler) -> SomeHandler:
        setattr(handler, _ATTRIBUTE, (schema, media))
        setattr(handler, _LIMIT, max_bytes)
        return handler

    return decorate


def body_of(handler: Handler) -> tuple[str, str] | None:
    """Return the schema and the content type of what a handler reads, if it says them."""
    found: tuple[str, str] | None = getattr(handler, _ATTRIBUTE, None)
    return found


def limit_of(handler: Handler, usual_bytes: int) -> int:
    """Return how long the body of a handler may be: as any (`usual_bytes`), or longer."""
    return max(usual_bytes, getattr(handler, _LIMIT, 0))
