"""The desk of data subject requests as other processes call it; see `actors.handles`."""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, cast

from actors.privacy.callbacks import Post
from actors.privacy.desk import PrivacyDesk

# Calls a method of the desk by its name, with its arguments.
DeskCall = Callable[..., Awaitable[Any]]


class Surroundings(NamedTuple):
    """What the desk reaches beyond its process.

    Attributes:
        domain: that the deployment is reached by.
        post: sends callbacks.
        wake: called with the id of an output for which there is something.
        reread: has the forwarder of an output (its id) let go of what it holds in memory.
    """

    domain: str
    post: Post
    wake: Callable[[str], None]
    reread: Callable[[str], Awaitable[None]]


class _Desk:
    def __init__(self, call: DeskCall) -> None:
        self._call = call

    def __getattr__(self, method: str) -> Any:
        async def call(*arguments: Any) -> Any:
            return await self._call(method, *arguments)

        return call


def privacy_handle(call: DeskCall) -> PrivacyDesk:
    """Return a handle that calls the desk, wherever it is. Arguments go by position."""
    return cast(PrivacyDesk, _Desk(call))
