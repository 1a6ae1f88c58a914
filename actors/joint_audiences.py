"""Audiences over several workspaces (spec/audiences.md, 2 and 5, rule 12), on one shard.

They are managed in one of their workspaces, and what they come to is kept and told there. A batch
of any of them evaluates them in its own transaction.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from actors.audience_columns import AudienceColumns
from actors.audiences.criteria import Node
from actors.audiences.engine.joint import JointEngine
from actors.audiences.engine.sources import Derived
from actors.audiences.in_force import InForce
from actors.audiences.language.dependencies import dependencies_of
from actors.audiences.told import LiveAudience
from actors.calculated.feed import AttributeFeed
from actors.clock import Clock
from actors.joint_parts import JointParts
from actors.joint_users import JointUsers
from actors.metric_groups import ShardMetrics
from actors.model.profiles import Profile, Section
from actors.shard_audiences import ShardAudiences

if TYPE_CHECKING:
    from actors.shard import Shard


class JointAudiences(ShardAudiences):
    """Those that one workspace has; what a user is to them lies in `Profile.joint`.

    Attributes:
        over: numbers of all workspaces that they are about, and of the one that has them.
    """

    users: JointUsers

    def __init__(
        self,
        home: "Shard",
        shards: Mapping[int, "Shard"],
        clock: Clock,
        next_sequence: Callable[[], int],
        metrics: ShardMetrics,
    ) -> None:
        """Load columns of profiles.

        Args:
            home: the part of the workspace that has them.
            shards: the parts of all workspaces that they are about, by number; `home` first.
            clock, next_sequence, metrics: see `ShardAudiences`.
        """
        self._home = home
        self._parts = JointParts(shards)
        self.over = frozenset(shards)
        workspace = home.options.workspace
        feed = AttributeFeed((), workspace, next_sequence)
        super().__init__(
            *(home.store, home.profiles, workspace, {}, clock, next_sequence, metrics, feed),
            load_until_s=home.state.load_until_s,
        )

    def _new_columns(self, lookback_ms: int, groups: Mapping[int, str]) -> "JointColumns":
        return JointColumns(self._home, self._parts, self.over, lookback_ms, self._clock)

    def _new_users(self) -> JointUsers:
        return JointUsers(self, self._home, self._parts, self._clock, self._metrics)

    def is_of(self, workspace: int) -> bool:
        """Tell whether a workspace, by its number, has these audiences."""
        return workspace == self._workspace.number

    @property
    def in_force(self) -> InForce:
        """What is worked by in the workspace that has them."""
        return self._home.audiences.in_force

    @in_force.setter
    def in_force(self, _: InForce) -> None:
        """It is not kept twice."""

    @property
    def is_idle(self) -> bool:
        """They are there as long as there is one."""
        return False

    def _connect(self, feed: AttributeFeed) -> InForce:
        """They calculate no attributes: which connections are fed is the home's own to keep."""
        self.feed = feed
        return self.in_force

    def work_by(self, in_force: InForce) -> None:
        super().work_by(in_force)
        nodes = [each.node for each in self.known.live.audiences if each.node is not None]
        self._targets = {target for each in nodes for target in dependencies_of(each).audiences}

    @property
    def reads_others(self) -> bool:
        """Whether any asks for an audience of the workspace that has them."""
        return bool(self._targets - self.known.by_number.keys())

    def follow(self) -> None:
        """Each workspace follows changes by itself, and says so here."""
        self.followed = set()

    def _has(self, audience: LiveAudience) -> bool:
        return audience.is_joint


class JointColumns(AudienceColumns):
    """Columns of users who may be in several workspaces."""

    def __init__(
        self,
        home: "Shard",
        parts: JointParts,
        over: frozenset[int],
        lookback_ms: int,
        clock: Clock,
    ) -> None:
        """Args: as of `JointAudiences`; `lookback_ms`: of the events that are seen."""
        self._parts = parts
        self._over = over
        self._joint_engine = JointEngine(parts.workspaces, lookback_ms)
        workspace = home.options.workspace
        super().__init__(home.store, home.profiles, workspace, self._joint_engine, clock)

    def _activate(self, audience: LiveAudience, node: Node, epoch: int) -> None:
        over = [each for each in audience.workspaces if each in self._over]
        engine = self._joint_engine
        engine.activate_over(audience.number, audience.environment, node, over, epoch)

    def section(self, profile: Profile) -> Section | None:
        """Return what is kept of a user; it is begun when the user is first seen anywhere."""
        sections = self._parts.sections(profile)
        if not sections and self._workspace not in profile.joint:
            return None
        section = profile.joint.setdefault(self._workspace, Section(0, 0))
        section.is_aged_out = all(each.is_aged_out for each in sections)
        return section

    def own(self, profile: Profile) -> Section:
        section = self.section(profile)
        assert section is not None, "a batch has made a section"
        return section

    def derived(
        self, profile: Profile, section: Section, audiences: frozenset[int] | None = None
    ) -> Derived:
        if audiences is None:
            audiences = frozenset(self.kept.intersection(section.audiences))
        home = profile.workspaces.get(self._workspace)
        if home is not None:
            audiences |= home.audiences.keys()
        return self._parts.derived(profile, audiences)
