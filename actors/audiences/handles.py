"""The desk of audiences as other processes call it; see `actors.handles` for the conventions."""

from collections.abc import Awaitable, Callable
from typing import Any, cast

from actors.audiences.abtests import AbTests
from actors.audiences.downloads import Downloads
from actors.audiences.forwarding import Forwarding
from actors.audiences.journeys import Journeys
from actors.audiences.lifecycle import Lifecycle
from actors.audiences.lists import StaticLists
from actors.audiences.queries import Queries
from actors.audiences.registry import Registry
from actors.audiences.sharing import Sharing
from actors.audiences.subscriptions import Subscriptions
from actors.predictions.desk import Predictions

# Calls a method of the desk by its name, with its arguments (`AudienceDesk.call`).
DeskCall = Callable[..., Awaitable[Any]]


class AudienceDeskHandle(
    Registry,
    Lifecycle,
    AbTests,
    StaticLists,
    Subscriptions,
    Forwarding,
    Journeys,
    Sharing,
    Queries,
    Downloads,
    Predictions,
):
    """The type of a handle: it has the methods of all parts. Nothing is ever made of it."""


class _Desk:
    def __init__(self, call: DeskCall) -> None:
        self._call = call

    def __getattr__(self, method: str) -> Any:
        async def call(*arguments: Any) -> Any:
            return await self._call(method, *arguments)

        return call


def desk_handle(call: DeskCall) -> AudienceDeskHandle:
    """Return a handle that calls the desk, wherever it is. Arguments go by position."""
    return cast(AudienceDeskHandle, _Desk(call))
