"""Desks of the coordinator as other processes call them: methods by name, arguments by position."""

from collections.abc import Awaitable, Callable
from typing import Any

# Calls a method of a desk by its name, with its arguments.
DeskCall = Callable[..., Awaitable[Any]]


class DeskByName:
    """Has whatever method it is asked for; its maker says of which type it is."""

    def __init__(self, call: DeskCall) -> None:
        self._call = call

    def __getattr__(self, method: str) -> Any:
        async def call(*arguments: Any) -> Any:
            return await self._call(method, *arguments)

        return call
