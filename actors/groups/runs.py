"""A run of the group job as coordinator and shards speak of it (spec/identity.md, 13).

    collect   every shard notes the group value of each of its users and aggregates its own members
    merge     the coordinator merges the shards' aggregates; groups of one fall away
    apply     every shard writes the groups' values on its members
    leave     and takes them from those who were members and are not any more
    clear     and deletes what only this run or earlier ones needed

A definition that was deleted is run as `dropped`: all leave, and everything of it is cleared.
"""

from typing import Final, Literal, get_args

from msgspec import Struct

from actors.groups.definitions import GroupDefinition

Phase = Literal["collect", "merge", "apply", "leave", "clear"]
PHASES: Final[tuple[Phase, ...]] = get_args(Phase)


class RunDefinition(Struct, frozen=True, array_like=True):
    """A definition as it was when the run began."""

    number: int
    definition: GroupDefinition


class GroupRun(Struct, frozen=True, array_like=True):
    """One run. `number` is greater than that of every run before; definitions by number."""

    number: int
    started_ms: int
    definitions: tuple[RunDefinition, ...] = ()
    dropped: tuple[int, ...] = ()

    @property
    def first_phase(self) -> Phase:
        """The phase that a run begins with."""
        return "collect" if self.definitions else "leave"

    def former(self) -> list[tuple[int, int]]:
        """Return (definition, first run that is not past) of all whose former state may go."""
        kept = [(each.number, self.number) for each in self.definitions]
        return sorted(kept + [(number, self.number + 1) for number in self.dropped])


class Progress(Struct, array_like=True):
    """How far a shard is in a phase; committed with what it did."""

    run: int = 0
    phase: Phase = "collect"
    cursor: bytes = b""
    is_done: bool = True

    def order(self) -> tuple[int, int]:
        """Return what is less for what comes earlier."""
        return self.run, PHASES.index(self.phase)
