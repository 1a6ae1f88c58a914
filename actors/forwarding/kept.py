"""What the forwarder of one output remembers over restarts, on whatever node it runs."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

import msgspec

from actors.errors import ShardUnavailable, StoreFull
from actors.outputs.environment import OutputState

RETRY_S = 1.0

Value = TypeVar("Value")

logger = logging.getLogger("headwater.forwarder")


class Memory(Protocol[Value]):
    """Where something is kept by the number of its connection."""

    def read(self) -> dict[int, Value]:
        """Return what was written last."""
        ...

    def write(self, values: Mapping[int, Value]) -> None:
        """Keep these in the place of those from before."""
        ...


class Kept(Memory[Value]):
    """What is kept by the coordinator, under one name of those of an output.

    `load` comes before all else. What is written is known here at once, and to the coordinator as
    soon as it answers `run`, or `flush` at the end.
    """

    def __init__(
        self,
        output: str,
        state: OutputState,
        name: str,
        decode: Callable[[bytes], dict[int, Value]],
    ) -> None:
        self._output = output
        self._state = state
        self._name = name
        self._decode = decode
        self._values: dict[int, Value] = {}
        self._changed = asyncio.Event()

    async def load(self) -> None:
        """Read what was kept last; nothing if it is damaged. Raises ShardUnavailable."""
        kept = (await self._state.output_state(self._output)).get(self._name)
        if kept is None:
            return
        try:
            self._values = self._decode(kept)
        except msgspec.MsgspecError:
            # Better than an output that stands: it sends, or holds, as if nothing had been before.
            logger.exception(
                "What an output has kept is damaged",
                extra={"event": f"{self._name}_damaged", "output": self._output},
            )

    def read(self) -> dict[int, Value]:
        """Return what was written last."""
        return dict(self._values)

    def write(self, values: Mapping[int, Value]) -> None:
        """Keep these in the place of those from before."""
        self._values = dict(values)
        self._changed.set()

    async def run(self) -> None:
        """Keep what is written, for ever."""
        while True:
            await self._changed.wait()
            if not await self._keep():
                await asyncio.sleep(RETRY_S)

    async def flush(self) -> None:
        """Keep what `run` has not come to, if the coordinator answers."""
        if self._changed.is_set():
            await self._keep()

    async def _keep(self) -> bool:
        self._changed.clear()
        kept = msgspec.json.encode(self._values) if self._values else None
        try:
            await self._state.keep_output_state(self._output, {self._name: kept})
        except (ShardUnavailable, StoreFull) as error:
            self._changed.set()
            logger.warning(
                "What an output remembers could not be kept yet; a restart would forget it",
                extra={
                    "event": f"{self._name}_not_kept",
                    "output": self._output,
                    "error": {"type": type(error).__name__},
                },
            )
            return False
        return True


class NothingKept(Memory[Value]):
    """Remembers nothing: for what does not outlive its process."""

    def read(self) -> dict[int, Value]:
        """Return nothing."""
        return {}

    def write(self, values: Mapping[int, Value]) -> None:
        """Keep nothing."""
