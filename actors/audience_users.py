"""What a transaction of a shard does to users' calculated attributes and memberships, to its end.

A batch has it done in its own transaction (`actors.shard_batches`). What else changes a profile,
and the passing of time, is seen to by `actors.audience_worker`, through the same methods.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from actors.audiences.announce import MemberChange
from actors.audiences.calculations import Calculations
from actors.audiences.language.dependencies import dependencies_of
from actors.audiences.unevaluated import unevaluated_changes
from actors.calculated import applying
from actors.calculated.remaking import remake_moving, remake_outdated
from actors.clock import Clock
from actors.metric_groups import ShardMetrics
from actors.model.batches import StoredBatch
from actors.model.deliveries import Delivery
from actors.model.profiles import Profile, ProfileKey, Section
from actors.model.workspaces import WorkspaceInfo
from actors.profiles.retention import is_member_anywhere
from actors.store import static_lists
from actors.store.environment import Transaction
from actors.store.keys import profile_key

if TYPE_CHECKING:
    from actors.shard_audiences import ShardAudiences


class AudienceUsers:
    """Those whom the transaction under way touches: first one by one, then all together."""

    def __init__(
        self,
        audiences: "ShardAudiences",
        workspace: WorkspaceInfo,
        calculations: Calculations,
        clock: Clock,
        metrics: ShardMetrics,
    ) -> None:
        """Args: `audiences`: what they are evaluated by; `calculations`: of standard ones."""
        self._audiences = audiences
        self._columns = audiences.columns
        self._engine = audiences.engine
        self._workspace = workspace
        self._calculations = calculations
        self._clock = clock
        self._metrics = metrics
        self._touched: dict[ProfileKey, Profile] = {}
        self._fetched: set[ProfileKey] = set()  # loaded before their turn

    # -- One by one -------------------------------------------------------------------------------

    def catch_up(self, txn: Transaction, key: ProfileKey, profile: Profile) -> bool:
        """Make a profile ready for the present epoch, unless it is, before something is applied.

        Returns whether its columns were filled: they are up to what it has now.
        """
        audiences = self._audiences
        for joint in audiences.joints:
            joint.users.catch_up(txn, key, profile)
        audiences.feed.note(key, profile, audiences.attributes, audiences.in_force.ended_attributes)
        section, epoch = self._columns.section(profile), audiences.in_force.epoch
        if section is None or section.is_aged_out:
            return False
        if section.epoch == section.entries_epoch == epoch:
            return False
        is_blank, now_ms = _is_blank(profile, section), self._clock.now_ms()
        if section.epoch or not is_blank:  # else it may be by what came that there is a section
            audiences.changes.caught_up(key, section.epoch)
        if not audiences.changes.leave_ended(key, profile, section, now_ms) and is_blank:
            section.epoch = section.entries_epoch = epoch
            self._engine.note_ready(key, epoch)
            return False
        lookback_ms = self._engine.lookback_ms
        attributes, epochs = audiences.attributes, audiences.in_force.attribute_epochs
        history = remake_outdated(txn, key, section, attributes, epochs, lookback_ms, now_ms)
        section.epoch = section.entries_epoch = epoch
        self._touched[key] = profile
        section.entries = b""  # made anew: what there was is not to be read
        self._columns.load(key, profile)
        batches = [*history.own, *history.copied]
        section.entries = self._engine.rebuild_events(key, batches, epoch, now_ms)
        return True

    def bring_up_to_date(self, txn: Transaction, key: ProfileKey, profile: Profile) -> None:
        """Make a profile ready, and take it as it is now: `catch_up` and `refresh` in one."""
        is_filled = self.catch_up(txn, key, profile)
        self._refresh(key, profile, is_filled=is_filled)

    def calculate(self, txn: Transaction, key: ProfileKey, profile: Profile) -> None:
        """Let calculations that have not come to a user yet take the user as he is now.

        It comes before what changes the profile, or it would count (spec/audiences.md, 8.1). What
        subscriptions share of the user is noted as well.
        """
        audiences = self._audiences
        for joint in audiences.joints:
            joint.users.calculate(txn, key, profile)
        self._fetch(key, profile)
        section = self._columns.section(profile)
        if section is None:
            return
        if audiences.followed and profile_key(key) in audiences.followed:
            audiences.telling.updates.note_changed(key, section)
        else:
            audiences.telling.updates.note(key, section, audiences.calculated)
        self._calculate(txn, key, profile, section)

    def _fetch(self, key: ProfileKey, profile: Profile) -> None:
        """Load the columns of a profile that is asked for before its turn."""
        if self._columns.is_loading and not self._engine.knows(key):
            self._columns.load(key, profile)
            self._fetched.add(key)

    def _calculate(
        self, txn: Transaction, key: ProfileKey, profile: Profile, section: Section
    ) -> None:
        known = self._audiences.known
        if not known.standard or section.is_aged_out:
            return
        in_force, now_ms = self._audiences.in_force, self._clock.now_ms()
        due = [
            each
            for each in known.standard
            if section.epoch < in_force.audience_epochs[each.number]
            and in_force.calculated.get(each.number) != each.revision
            and each.environment == key.environment
        ]
        if not due:
            return
        self.catch_up(txn, key, profile)
        self.refresh(key, profile)
        members: frozenset[int] = frozenset()
        if any(each.node and dependencies_of(each.node).audiences for each in due):
            listed = {each for each in known.static if static_lists.has(txn, each, key)}
            calculated = section.audiences.keys() & {each.number for each in known.standard}
            members = frozenset(self._engine.satisfied_by(key, now_ms) | listed | calculated)
        derived = self._columns.derived(profile, section, members)
        groups = self._engine.groups
        self._calculations.take(txn, due, key, profile, derived, groups, now_ms)

    def apply(self, key: ProfileKey, profile: Profile, stored: StoredBatch) -> None:
        """Apply a batch to a profile that is ready, after the batch has changed it."""
        audiences, columns, engine = self._audiences, self._columns, self._engine
        section = profile.workspaces[self._workspace.number]
        section.epoch = section.entries_epoch = audiences.in_force.epoch  # of a new section
        self._touched[key] = profile  # before its columns change: `abandon` is to know
        if audiences.followed and profile_key(key) in audiences.followed:
            engine.refresh(key, profile, columns.derived(profile, section))
        applying.apply(section, stored, audiences.attributes, self._clock.now_ms())
        derived = columns.derived(profile, section)
        columns.append(section, engine.observe(key, profile, stored, derived))
        engine.wake(key, applying.next_expiry(section))
        for joint in audiences.joints:
            joint.users.apply(key, profile, stored)

    def cut(self, txn: Transaction, key: ProfileKey, profile: Profile) -> None:
        """Let go of the oldest events of a user who has more than real-time evaluation sees."""
        audiences = self._audiences
        section = self._columns.own(profile)
        now_ms, lookback_ms = self._clock.now_ms(), self._engine.lookback_ms
        attributes, epochs = audiences.attributes, audiences.in_force.attribute_epochs
        history = remake_moving(txn, key, section, attributes, epochs, lookback_ms, now_ms)
        batches, epoch = [*history.own, *history.copied], section.entries_epoch
        section.entries = self._engine.rebuild_events(key, batches, epoch, now_ms)
        self._touch(key, profile, section)
        self._metrics.real_time_cuts.labels(self._workspace.id).inc()
        for joint in audiences.joints:
            joint.users.cut(txn, key, profile)

    def refresh(self, key: ProfileKey, profile: Profile) -> None:
        """Take a profile that is ready and was changed otherwise, or for which time has passed."""
        self._refresh(key, profile)

    def _refresh(self, key: ProfileKey, profile: Profile, *, is_filled: bool = False) -> None:
        section = self._columns.section(profile)
        if section is not None:
            attributes, now_ms = self._audiences.attributes, self._clock.now_ms()
            if applying.expire(section, attributes, now_ms) or not is_filled:
                self._touch(key, profile, section)
        for joint in self._audiences.joints:
            joint.users.refresh(key, profile)

    def note_changed(self, key: ProfileKey, profile: Profile) -> None:
        """Note that a profile was changed by something that did not come here."""
        section = self._columns.section(profile)
        if section is not None:
            self._audiences.telling.updates.note_changed(key, section)

    def forget(self, key: ProfileKey) -> None:
        """Let go of a profile that is gone."""
        self._engine.forget(key)
        for joint in self._audiences.joints:
            joint.users.forget(key)

    def _touch(self, key: ProfileKey, profile: Profile, section: Section) -> None:
        self._touched[key] = profile
        self._columns.refresh(key, profile, section)

    # -- Together ---------------------------------------------------------------------------------

    def finish(self, txn: Transaction) -> list[Delivery]:
        """Evaluate the audiences of all profiles that were touched, and change their memberships.

        Returns:
            What subscriptions and connections of the Calculated Attributes feed are to be told.
            The profiles are still to be written.
        """
        deliveries = self._finish(txn) if self._touched else []
        for joint in self._audiences.joints:
            deliveries += joint.users.finish_for(self._workspace.number, txn)
        if self._touched:  # memberships, which what is told of values has with it, are settled
            deliveries += self._audiences.changed_values(self._clock.now_ms())
        for profile in self._touched.values():
            section = self._columns.own(profile)
            if section.is_aged_out and section.devices and not is_member_anywhere(profile, section):
                section.devices = {}  # everybody who knew them was told
        return deliveries

    def _finish(self, txn: Transaction) -> list[Delivery]:
        audiences, own = self._audiences, self._columns.own
        now_ms, begun = self._clock.now_ms(), self._clock.monotonic()
        calculated, deliveries = self._calculations.answer(), list(audiences.changes.told)
        for key, profile in self._touched.items():
            deliveries += self._settle_unevaluated(txn, key, profile, calculated, now_ms)
        changes = self._engine.evaluate(self._engine.rows_of(self._touched), now_ms, expiring=())
        for change in changes:
            made = MemberChange(change.key, change.audience, "add" if change.entered else "delete")
            profile = self._touched[change.key]
            deliveries += audiences.changes.make(made, profile, own(profile), now_ms)
        touched = [(key, each, own(each)) for key, each in self._touched.items()]
        deliveries += audiences.telling.tell_of_attributes(touched, now_ms)
        for key, profile, section in touched:
            if section.untold:
                deliveries += audiences.telling.tell_untold(key, profile, section, now_ms)
        audiences.changes.write(txn, now_ms)
        self._metrics.audience_evaluation_duration.observe(self._clock.monotonic() - begun)
        return deliveries

    def _settle_unevaluated(
        self,
        txn: Transaction,
        key: ProfileKey,
        profile: Profile,
        calculated: Mapping[tuple[int, ProfileKey], bool],
        now_ms: int,
    ) -> list[Delivery]:
        """Change memberships that the engine does not find; what it evaluates may ask for them."""
        audiences, known, kept = self._audiences, self._audiences.known, self._columns.kept
        section = self._columns.own(profile)
        if not kept and section.audiences.keys() <= known.by_number.keys():
            return []  # the engine finds all of them
        before = frozenset(section.audiences)
        leaving = audiences.in_force.audiences.leaving
        deliveries: list[Delivery] = []
        for each in unevaluated_changes(txn, key, profile, section, known, leaving, calculated):
            deliveries += audiences.changes.make(each, profile, section, now_ms)
        if section.audiences.keys() != before:
            self._engine.refresh(key, profile, self._columns.derived(profile, section))
        for audience in kept:
            self._engine.set_member(key, audience, is_member=audience in section.audiences)
        return deliveries

    # -- Its end ----------------------------------------------------------------------------------

    @property
    def touched(self) -> Mapping[ProfileKey, Profile]:
        """The profiles that this transaction has come to."""
        joints = self._audiences.joints
        if not joints:
            return self._touched
        more = {key: each for one in joints for key, each in one.users.touched.items()}
        return {**self._touched, **more}

    @property
    def seen(self) -> frozenset[bytes]:
        """The keys of the profiles that this transaction looks at as they are."""
        return frozenset(map(profile_key, self._touched))

    def published(self) -> None:
        """The transaction is on disk."""
        audiences, touched = self._audiences, self._touched
        if audiences.followed:
            audiences.followed.difference_update(map(profile_key, touched))
        if touched:
            self._metrics.audience_evaluations.labels(self._workspace.id).inc(len(touched))
        self._clear()
        audiences.changes.published()
        for joint in audiences.joints:
            joint.users.published()

    def abandon(self) -> None:
        """The transaction failed: what it touched is as it is on disk."""
        touched = self._fetched.union(self._touched)
        self._clear()
        self._audiences.changes.abandon()
        self._columns.reload(touched)
        for joint in self._audiences.joints:
            joint.users.abandon()

    def _clear(self) -> None:
        self._touched.clear()
        self._fetched.clear()
        self._calculations.clear()
        self._audiences.feed.abandon()
        self._audiences.telling.updates.clear()


def _is_blank(profile: Profile, section: Section) -> bool:
    """Tell whether nothing that a profile could be made ready from is stored or was copied yet."""
    is_logged = bool(section.newest_log_id or section.newest_historical_id)
    return not (is_logged or profile.status_messages or section.calculated)
