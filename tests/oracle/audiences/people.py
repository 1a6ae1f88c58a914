"""Whoever is evaluated, and what surrounds them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from actors.audiences.criteria import Node
from actors.model.batches import StoredBatch
from actors.model.profiles import Profile, Section
from actors.model.workspaces import WorkspaceInfo
from tests.oracle.events import SeenEvent, timeline
from tests.oracle.texts import MISSING, Stored


@dataclass(frozen=True)
class Surroundings:
    """What holds for all users of a workspace.

    Attributes:
        workspace: its number, inputs, tiers, lookback and profile lifetime count.
        audiences: by number the definitions that `audience_membership` may name; such an audience
            is evaluated at the same instant.
        groups: number to id of the group definitions.
    """

    workspace: WorkspaceInfo
    audiences: Mapping[int, Node] = field(default_factory=dict)
    groups: Mapping[int, str] = field(default_factory=dict)

    @property
    def lookback_ms(self) -> int:
        """The real-time lookback."""
        return self.workspace.audience_event_days * 24 * 60 * 60 * 1000

    @property
    def lifetime_ms(self) -> int:
        """How long a profile lives without data."""
        return self.workspace.profile_idle_days * 24 * 60 * 60 * 1000


@dataclass(frozen=True)
class Person:
    """One user: a profile and its stored batches in any order.

    Attributes:
        calculated: values of calculated attributes by number; absent or null: missing.
        memberships: of audiences that have no definition (static and standard ones).
        segments: the analytics segments that the user is in.
        predictions: (prediction, output) to value.
    """

    mpid: int
    profile: Profile
    batches: tuple[StoredBatch, ...]
    workspace: WorkspaceInfo
    calculated: Mapping[int, str | list[str] | None] = field(default_factory=dict)
    memberships: frozenset[int] = frozenset()
    segments: frozenset[int] = frozenset()
    predictions: Mapping[tuple[int, str], float] = field(default_factory=dict)

    @property
    def section(self) -> Section | None:
        """The workspace's part of the profile."""
        return self.profile.workspaces.get(self.workspace.number)

    @cached_property
    def timeline(self) -> list[SeenEvent]:
        """All events that a real-time audience may ever see."""
        return timeline(self.batches, self.workspace)

    def calculated_value(self, number: int) -> Stored:
        """Return the present value of a calculated attribute."""
        value = self.calculated.get(number)
        return MISSING if value is None else value
