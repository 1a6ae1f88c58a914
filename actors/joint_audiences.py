"""Audiences over several workspaces (spec/audiences.md, 2 and 5, rule 12), on one shard.

They are managed in one of their workspaces, and what they come to is kept and told there. A batch
of any of them evaluates them in its own transaction.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from actors.audiences.calculations import Calculations
from actors.audiences.criteria import Node
from actors.audiences.engine.engine import Engine
from actors.audiences.engine.joint import JointEngine
from actors.audiences.engine.sources import Derived
from actors.audiences.in_force import InForce
from actors.audiences.told import LiveAudience
from actors.calculated.feed import AttributeFeed
from actors.clock import Clock
from actors.joint_parts import JointParts
from actors.metric_groups import ShardMetrics
from actors.model import Delivery, Profile, ProfileKey, Section, StoredBatch
from actors.shard_audiences import ShardAudiences
from actors.store.environment import Transaction

if TYPE_CHECKING:
    from actors.shard import Shard


class JointAudiences(ShardAudiences):
    """Those that one workspace has; what a user is to them lies in `Profile.joint`.

    Attributes:
        over: numbers of all workspaces that they are about, and of the one that has them.
    """

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

    def follow(self) -> None:
        """Each workspace follows changes by itself, and says so here."""
        self.followed = set()

    # -- In a transaction -------------------------------------------------------------------------

    def catch_up(self, txn: Transaction, key: ProfileKey, profile: Profile) -> None:
        section, epoch = self._section(profile), self.in_force.epoch
        if section is None or section.is_aged_out or section.entries_epoch == epoch:
            return
        sections = self._parts.sections(profile)
        if profile.status_messages or any(
            each.newest_log_id or each.newest_historical_id for each in sections
        ):
            now_ms = self._clock.now_ms()
            since_ms = now_ms - self._lookback_ms
            batches = self._parts.batches(txn, key, profile, since_ms)
            self.changes.caught_up(key, section.epoch)
            section.epoch = section.entries_epoch = epoch
            self.load(key, profile)
            self._touched[key] = profile
            section.entries = self.engine.rebuild_events(key, batches, epoch, now_ms)
        else:  # nothing is stored yet
            section.epoch = section.entries_epoch = epoch
            self.engine.note_ready(key, epoch)

    def calculate(self, txn: Transaction, key: ProfileKey, profile: Profile) -> None:
        self._fetch(key, profile)
        section = self._section(profile)
        if section is not None:
            self._calculate(self._store.within(txn), key, profile, section)

    def apply(self, key: ProfileKey, profile: Profile, stored: StoredBatch) -> None:
        section = self._own(profile)
        section.epoch = section.entries_epoch = self.in_force.epoch
        derived = self._derived(profile, section)
        self._append(section, self.engine.observe(key, profile, stored, derived))
        self._touched[key] = profile

    def cut(self, txn: Transaction, key: ProfileKey, profile: Profile) -> None:
        section, now_ms = self._own(profile), self._clock.now_ms()
        batches = self._parts.batches(txn, key, profile, now_ms - self._lookback_ms)
        epoch = section.entries_epoch
        section.entries = self.engine.rebuild_events(key, batches, epoch, now_ms)
        self._touched[key] = profile

    def refresh(self, key: ProfileKey, profile: Profile) -> None:
        section = self._section(profile)
        if section is not None:
            if section.is_aged_out:  # a user who returns is caught up with anew
                section.entries, section.epoch, section.entries_epoch = b"", 0, 0
            self._touch(key, profile, section)

    def finish_for(self, workspace: int, txn: Transaction) -> list[Delivery]:
        """Do what `finish` does, within the transaction of a workspace, by its number.

        Returns:
            What the workspace itself is to queue. If another one has the audiences, theirs is
            queued there, and nothing is left.
        """
        if not self._touched:
            return []
        own = self._store.within(txn)
        if self._reads_others:
            for key, profile in self._touched.items():
                self._touch(key, profile, self._own(profile))
        deliveries = self._finish(own)
        if self.is_of(workspace):
            return deliveries
        self._home.outbox.take(deliveries, self._clock.now_ms())
        self._home.outbox.write(own, self._clock.now_ms())
        return []

    def published(self) -> None:
        super().published()
        self._home.outbox.published()

    def abandon(self) -> None:
        super().abandon()
        self._home.outbox.abandon()

    # -- Inside -----------------------------------------------------------------------------------

    def _new_engine(self, groups: Mapping[int, str]) -> Engine:
        return JointEngine(self._parts.workspaces, self._lookback_ms)

    def _new_calculations(self) -> Calculations:
        return Calculations(self._workspace, self._parts)

    def _has(self, audience: LiveAudience) -> bool:
        return audience.is_joint

    def _activate(self, audience: LiveAudience, node: Node, epoch: int) -> None:
        assert isinstance(self.engine, JointEngine)
        over = [each for each in audience.workspaces if each in self.over]
        self.engine.activate_over(audience.number, audience.environment, node, over, epoch)

    @property
    def _reads_others(self) -> bool:
        """Whether any asks for an audience of the workspace that has them."""
        return bool(self._targets - self.known.by_number.keys())

    def _section(self, profile: Profile) -> Section | None:
        """Return what is kept of a user; it is begun when the user is first seen anywhere."""
        number = self._workspace.number
        sections = self._parts.sections(profile)
        if not sections and number not in profile.joint:
            return None
        section = profile.joint.setdefault(number, Section(0, 0))
        section.is_aged_out = all(each.is_aged_out for each in sections)
        return section

    def _own(self, profile: Profile) -> Section:
        section = self._section(profile)
        assert section is not None, "a batch has made a section"
        return section

    def _derived(
        self, profile: Profile, section: Section, audiences: frozenset[int] | None = None
    ) -> Derived:
        if audiences is None:
            audiences = frozenset(self._kept.intersection(section.audiences))
        home = profile.workspaces.get(self._workspace.number)
        if home is not None:
            audiences |= home.audiences.keys()
        return self._parts.derived(profile, audiences)
