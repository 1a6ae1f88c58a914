"""What a transaction of a shard does to users' memberships in audiences over several workspaces.

The transaction is one of any of the workspaces; it calls these through what `AudienceUsers` of its
own workspace does.
"""

from typing import TYPE_CHECKING

from actors.audience_users import AudienceUsers
from actors.audiences.calculations import Calculations
from actors.clock import Clock
from actors.joint_parts import JointParts
from actors.metric_groups import ShardMetrics
from actors.model.batches import StoredBatch
from actors.model.deliveries import Delivery
from actors.model.profiles import Profile, ProfileKey
from actors.profiles.retention import EMPTIED
from actors.store.environment import Transaction

if TYPE_CHECKING:
    from actors.joint_audiences import JointAudiences
    from actors.shard import Shard


class JointUsers(AudienceUsers):
    """Those whom the transaction under way touches, in whichever of the workspaces."""

    _audiences: "JointAudiences"

    def __init__(
        self,
        audiences: "JointAudiences",
        home: "Shard",
        parts: JointParts,
        clock: Clock,
        metrics: ShardMetrics,
    ) -> None:
        """Args: as of `JointAudiences`."""
        workspace = home.options.workspace
        super().__init__(audiences, workspace, Calculations(workspace, parts), clock, metrics)
        self._home = home
        self._parts = parts

    def catch_up(self, txn: Transaction, key: ProfileKey, profile: Profile) -> bool:
        section, epoch = self._columns.section(profile), self._audiences.in_force.epoch
        if section is None or section.is_aged_out or section.entries_epoch == epoch:
            return False
        sections, now_ms = self._parts.sections(profile), self._clock.now_ms()
        has_left = self._audiences.changes.leave_ended(key, profile, section, now_ms)
        if (
            has_left
            or profile.status_messages
            or any(each.newest_log_id or each.newest_historical_id for each in sections)
        ):
            since_ms = now_ms - self._engine.lookback_ms
            batches = self._parts.batches(txn, key, profile, since_ms)
            self._audiences.changes.caught_up(key, section.epoch)
            section.epoch = section.entries_epoch = epoch
            self._touched[key] = profile
            section.entries = b""
            self._columns.load(key, profile)
            section.entries = self._engine.rebuild_events(key, batches, epoch, now_ms)
            return True
        section.epoch = section.entries_epoch = epoch  # nothing is stored yet
        self._engine.note_ready(key, epoch)
        return False

    def calculate(self, txn: Transaction, key: ProfileKey, profile: Profile) -> None:
        self._fetch(key, profile)
        section = self._columns.section(profile)
        if section is not None:
            self._calculate(self._home.store.within(txn), key, profile, section)

    def apply(self, key: ProfileKey, profile: Profile, stored: StoredBatch) -> None:
        section = self._columns.own(profile)
        section.epoch = section.entries_epoch = self._audiences.in_force.epoch
        self._touched[key] = profile
        derived = self._columns.derived(profile, section)
        self._columns.append(section, self._engine.observe(key, profile, stored, derived))

    def cut(self, txn: Transaction, key: ProfileKey, profile: Profile) -> None:
        section, now_ms = self._columns.own(profile), self._clock.now_ms()
        since_ms = now_ms - self._engine.lookback_ms
        batches = self._parts.batches(txn, key, profile, since_ms)
        epoch = section.entries_epoch
        section.entries = self._engine.rebuild_events(key, batches, epoch, now_ms)
        self._touched[key] = profile

    def refresh(self, key: ProfileKey, profile: Profile) -> None:
        section = self._columns.section(profile)
        if section is not None:
            if section.is_aged_out:  # a user who returns is caught up with anew
                section.entries, section.epoch, section.entries_epoch = b"", EMPTIED, 0
            self._touch(key, profile, section)

    def take_less(self, txn: Transaction, key: ProfileKey, profile: Profile) -> None:
        """Take a profile that has lost a workspace's section: its events count no more."""
        self._fetch(key, profile)
        if self._columns.section(profile) is not None:
            self.catch_up(txn, key, profile)
            self.cut(txn, key, profile)
            self.refresh(key, profile)

    def finish_for(self, workspace: int, txn: Transaction) -> list[Delivery]:
        """Do what `finish` does, within the transaction of a workspace, by its number.

        Returns:
            What the workspace itself is to queue. If another one has the audiences, theirs is
            queued there, and nothing is left.
        """
        if not self._touched:
            return []
        own = self._home.store.within(txn)
        if self._audiences.reads_others:
            for key, profile in self._touched.items():
                self._touch(key, profile, self._columns.own(profile))
        deliveries = self._finish(own)
        if self._audiences.is_of(workspace):
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
