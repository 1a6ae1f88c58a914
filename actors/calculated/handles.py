"""The desk of calculated attributes as other processes call it; see `actors.handles`."""

from collections.abc import Awaitable, Callable
from typing import Any, cast

from actors.calculated.desk import CalculatedDesk

# Calls a method of the desk by its name, with its arguments.
DeskCall = Callable[..., Awaitable[Any]]


class _Desk:
    def __init__(self, call: DeskCall) -> None:
        self._call = call

    def __getattr__(self, method: str) -> Any:
        async def call(*arguments: Any) -> Any:
            return await self._call(method, *arguments)

        return call


def calculated_handle(call: DeskCall) -> CalculatedDesk:
    """Return a handle that calls the desk, wherever it is. Arguments go by position."""
    return cast(CalculatedDesk, _Desk(call))
