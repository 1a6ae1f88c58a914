"""What the contract suite has to know of one output module: a real receiver, and its faults."""

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from msgspec import Struct

from actors.model.deliveries import Delivery
from tests.actors.forwarding.support import delivery

Fault = Literal["retryable", "fatal", "slow", "gone"]
DEADLINE_S = 20.0


class Received(Struct, frozen=True):
    """One delivery as the receiver has it.

    `stable_id` is what the receiver can tell a repetition by: of the delivery or of its file.
    """

    stable_id: str
    mpid: int
    number: int


class Harness(ABC):
    """A module beside a real receiver on this machine. Subclasses say what is different.

    Attributes:
        module: its name in the registry.
        faults: what can be wrong with the receiver: it refuses for now, refuses for good, does not
            answer, is not there.
        reaches_network: it connects to addresses, so that the egress rules hold for it.
        keeps_nothing: what is accepted is gone.
        keeps_repeats: the receiver has a delivery twice that was sent twice, under one stable id.
        seconds: simulated time until what was added is sent.
        secrets: settings, over the working ones, in which every secret has the word `hidden`.
        wrong: settings, over the working ones, and the path of the problem that they are.
    """

    module: ClassVar[str]
    faults: ClassVar[frozenset[Fault]] = frozenset()
    reaches_network: ClassVar[bool] = True
    keeps_nothing: ClassVar[bool] = False
    keeps_repeats: ClassVar[bool] = True
    seconds: ClassVar[float] = 2.0
    secrets: ClassVar[Mapping[str, Any]] = {}
    wrong: ClassVar[Sequence[tuple[Mapping[str, Any], str]]] = ()

    def __init__(self, folder: Path) -> None:
        """`folder`: for what the receiver keeps; exists."""
        self.folder = folder

    async def start(self) -> None:  # noqa: B027  # not all need it
        """Start the receiver."""

    async def stop(self) -> None:  # noqa: B027  # not all need it
        """Stop the receiver, whatever its fault; may be called twice."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Return settings that work here; once the receiver has been started."""

    def impatient(self) -> dict[str, Any]:
        """Return settings, over the working ones, that do not wait long for a slow receiver."""
        return {}

    def delivery(self, number: int, mpid: int) -> Delivery:
        """Return what the module is sent."""
        return delivery(number, mpid=mpid)

    async def set_fault(self, fault: Fault | None) -> None:  # noqa: B027  # not all need it
        """Have the receiver fail in one way, or no longer."""

    def is_asked(self) -> bool:
        """Whether something is under way that a slow receiver does not answer."""
        return False

    @abstractmethod
    async def received(self) -> list[Received]:
        """Return all that the receiver has accepted, in its order."""


def members(stable_id: str, payload: bytes | str) -> Received:
    """Read a payload of `tests.actors.forwarding.support.delivery`."""
    batch = json.loads(payload)
    return Received(stable_id, batch["mpid"], batch["batch_id"])


async def eventually(condition: Callable[[], object]) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110  # of other processes too, that have no event
            await asyncio.sleep(0.005)
