"""What a handler's body is, said where the handler is."""

from collections.abc import Callable
from typing import TypeVar

from aiohttp.typedefs import Handler

JSON = "application/json"
_ATTRIBUTE = "__takes__"

SomeHandler = TypeVar("SomeHandler", bound=Handler)


def takes(schema: str, media: str = JSON) -> Callable[[SomeHandler], SomeHandler]:
    """Return a decorator that says what a handler reads.

    Args:
        schema: its name in `server.openapi.schemas`.
        media: content type of the body.
    """

    def decorate(handler: SomeHandler) -> SomeHandler:
        setattr(handler, _ATTRIBUTE, (schema, media))
        return handler

    return decorate


def body_of(handler: Handler) -> tuple[str, str] | None:
    """Return the schema and the content type of what a handler reads, if it says them."""
    found: tuple[str, str] | None = getattr(handler, _ATTRIBUTE, None)
    return found
