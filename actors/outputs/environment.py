"""What an output is handed when it is opened, besides its settings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct

from actors.clock import Clock
from actors.outputs.egress import EgressRules


class WorkspaceNames(Struct, frozen=True):
    """The workspace of an output, and its account, by number and name."""

    number: int = 0
    name: str = ""
    account_number: int = 0
    account_name: str = ""


class ConnectionTerms(Struct, frozen=True):
    """What an output has to know of one of its connections, where modules have settings for them.

    `settings` are as written and may hold secrets.
    """

    input_name: str
    settings: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"ConnectionTerms(input_name={self.input_name!r})"


class OutputPlace(Struct, frozen=True, kw_only=True):
    """Where an output stands in its workspace.

    Attributes:
        number, kind: the output's.
        workspace: the output's.
        connections: number to connection, where the module has settings of its own for them.
    """

    number: int = 0
    kind: str = "event"
    workspace: WorkspaceNames = WorkspaceNames()
    connections: Mapping[int, ConnectionTerms] = {}


NOWHERE = OutputPlace()


class OutputState(Protocol):
    """What an output keeps beyond its process: small values by name, on disk when it returns.

    Both raise ShardUnavailable when they are not answered in time, and StoreFull.
    """

    async def output_state(self, output: str) -> dict[str, bytes]:
        """Return all that is kept of an output (its id)."""
        ...

    async def keep_output_state(self, output: str, changes: Mapping[str, bytes | None]) -> None:
        """Keep values, and forget those that are `None`."""
        ...


class KeepsNothing:
    """`OutputState` of outputs that are opened to be tried, not to deliver."""

    async def output_state(self, output: str) -> dict[str, bytes]:
        """Return nothing."""
        return {}

    async def keep_output_state(self, output: str, changes: Mapping[str, bytes | None]) -> None:
        """Let go of it."""


KEEPS_NOTHING = KeepsNothing()
# Counts what an output leaves out of its own accord: connection number, reason, how many events.
CountDrop = Callable[[int, str, int], None]
# Counts a load of a warehouse that succeeded: rows, how long it took in s, when it ended in ms.
CountLoad = Callable[[int, float, int], None]


@dataclass(frozen=True)
class OutputEnvironment:
    """What an output is handed besides its settings.

    Attributes:
        output: id of the output.
        egress: where requests may go.
        spool_dir: a folder of this output alone, for what does not fit in memory; may not exist.
        workspace, workspace_number: the output's workspace, as the document calls it.
        inputs: number of a connection to the id of its input.
        place: of the output in its workspace.
        state: what it keeps beyond its process.
        count_drop: told of what it leaves out.
        count_load: told of loads, of a warehouse.
        python_dir: where the operator's own classes are; `None`: there are none.
        memory: what all environments of the output have in common, by its type, for as long as
            the process lives.
    """

    output: str
    clock: Clock
    egress: EgressRules
    spool_dir: Path
    workspace: str = ""
    workspace_number: int = 0
    inputs: Mapping[int, str] = field(default_factory=dict)
    place: OutputPlace = NOWHERE
    state: OutputState = KEEPS_NOTHING
    count_drop: CountDrop = lambda connection, reason, count: None
    count_load: CountLoad = lambda rows, duration_s, ended_ms: None
    python_dir: Path | None = None
    memory: dict[type, Any] = field(default_factory=dict)
