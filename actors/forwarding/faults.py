"""Why connections do not send, remembered over restarts (spec/connections.md, 1.3).

Of audiences the coordinator knows; this is for connections of inputs.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Protocol

import msgspec
from msgspec import Struct, field

from actors.errors import ShardUnavailable, StoreFull
from actors.outputs.environment import OutputState

RETRY_S = 1.0
_NAME = "faults"  # among what is kept of an output

logger = logging.getLogger("headwater.forwarder")


class Fault(Struct, frozen=True):
    """Why a connection stopped sending. `message`: the answer's body, up to 10 KiB."""

    faulted_on: str
    reason_code: str
    message: str
    first_delivery_id: str = field(name="first_job_id")


_decode = msgspec.json.Decoder(dict[int, Fault]).decode


class FaultMemory(Protocol):
    """Where faults are kept by the number of their connection."""

    def read(self) -> dict[int, Fault]:
        """Return those that were written last."""
        ...

    def write(self, faults: Mapping[int, Fault]) -> None:
        """Keep these in the place of those from before."""
        ...


class KeptFaults:
    """The faults of one output, kept by the coordinator: they hold on whatever node it runs.

    `load` comes before all else. What is written is known here at once, and to the coordinator as
    soon as it answers `run`, or `flush` at the end.
    """

    def __init__(self, output: str, state: OutputState) -> None:
        self._output = output
        self._state = state
        self._faults: dict[int, Fault] = {}
        self._changed = asyncio.Event()

    async def load(self) -> None:
        """Read what was kept last; nothing if it is damaged. Raises ShardUnavailable."""
        kept = (await self._state.output_state(self._output)).get(_NAME)
        if kept is None:
            return
        try:
            self._faults = _decode(kept)
        except msgspec.MsgspecError:
            # What waits is then sent, and refused, once more: better than an output that stands.
            logger.exception("Kept faults are damaged", extra={"event": "faults_damaged"})

    def read(self) -> dict[int, Fault]:
        """Return those that were written last."""
        return dict(self._faults)

    def write(self, faults: Mapping[int, Fault]) -> None:
        """Keep these in the place of those from before."""
        self._faults = dict(faults)
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
        kept = msgspec.json.encode(self._faults) if self._faults else None
        try:
            await self._state.keep_output_state(self._output, {_NAME: kept})
        except (ShardUnavailable, StoreFull) as error:
            self._changed.set()
            logger.warning(
                "The faults of an output could not be kept yet; after a restart it sends again",
                extra={
                    "event": "faults_not_kept",
                    "output": self._output,
                    "error": {"type": type(error).__name__},
                },
            )
            return False
        return True


class NoFaults:
    """Remembers nothing: for what does not outlive its process."""

    def read(self) -> dict[int, Fault]:
        """Return nothing."""
        return {}

    def write(self, faults: Mapping[int, Fault]) -> None:
        """Keep nothing."""
