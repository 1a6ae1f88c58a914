"""Calculated attributes and memberships of one shard: what keeps them current.

A batch changes them in its own transaction. What else changes a profile, and the passing of time,
is seen to by `actors.audience_worker`, which calls the same methods.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from actors.audiences.announce import MemberChange
from actors.audiences.calculations import Calculations
from actors.audiences.criteria import Node
from actors.audiences.engine.engine import Change, Engine, Kept, Loaded
from actors.audiences.engine.sources import Derived
from actors.audiences.history import read_recent
from actors.audiences.in_force import InForce, read_in_force, with_feed, write_in_force
from actors.audiences.known import KnownAudiences
from actors.audiences.language.dependencies import dependencies_of
from actors.audiences.loading import Loading
from actors.audiences.member_changes import MemberChanges
from actors.audiences.member_counts import MemberCounts
from actors.audiences.telling import Telling
from actors.audiences.told import LiveAudience
from actors.calculated import applying
from actors.calculated.feed import AttributeFeed
from actors.calculated.live import KnownAttributes, ShownValues
from actors.clock import Clock
from actors.metric_groups import ShardMetrics
from actors.model import (
    Delivery,
    Profile,
    ProfileKey,
    Section,
    StoredBatch,
    WorkspaceInfo,
)
from actors.outputs.audience_messages import Action
from actors.profiles.retention import DAY_MS, is_member_anywhere
from actors.store import static_lists
from actors.store.environment import Store, Transaction
from actors.store.ids import time_of_id
from actors.store.keys import profile_key
from actors.store.profiles import Profiles

if TYPE_CHECKING:
    from actors.joint_audiences import JointAudiences

logger = logging.getLogger("headwater.actors")

TRIM_BYTES = 4096
# What the columns of a workspace depend on.
_COLUMNS = (
    "number",
    "scope",
    "tiers",
    "default_tier",
    "audience_event_days",
    "profile_idle_days",
)


class ShardAudiences:
    """The part that calculated attributes and audiences have in the shard's transactions.

    Attributes:
        in_force: what is worked by.
        attributes: the calculated attributes of it.
        known: the audiences of it.
        engine: evaluates the real-time audiences, and keeps the members of the others too.
        changes: of memberships, in the transaction under way; and who entered and left of late.
        telling: tells subscriptions of them.
        feed: tells outputs of values that have changed.
        joints: the audiences over several workspaces that users of this one may be in.
        followed: keys of profiles that have to be looked at though no batch of the workspace came;
            they are kept, since nothing else tells what subscriptions share has changed.
    """

    def __init__(
        self,
        store: Store,
        profiles: Profiles,
        workspace: WorkspaceInfo,
        groups: Mapping[int, str],
        clock: Clock,
        next_sequence: Callable[[], int],
        metrics: ShardMetrics,
        feed: AttributeFeed,
        load_until_s: float,
    ) -> None:
        """Load what is in force, and columns of profiles if there is anything.

        `load_until_s`: an instant of the monotonic clock; those that are not loaded by then are
        loaded by `load_some`, or when they are asked for.

        Raises:
            StoreFull: the feed has other active connections than before, and that cannot be kept.
        """
        self._store = store
        self._profiles = profiles
        self._workspace = workspace
        self._clock = clock
        self._metrics = metrics
        self._lookback_ms = workspace.audience_event_days * DAY_MS
        self._touched: dict[ProfileKey, Profile] = {}
        self._shown: set[int] = set()  # audiences in the metrics
        self._kept: set[int] = set()  # audiences whose members the engine keeps for us
        self.joints: Sequence[JointAudiences] = ()
        self.engine = self._new_engine(groups)
        self._calculations = self._new_calculations()
        self.followed: set[bytes] = set()
        with store.read() as txn:
            self.in_force = read_in_force(txn)
        in_force = self._connect(feed)
        self.telling = Telling(lambda: self.in_force, self.calculated, next_sequence)
        with store.read() as txn:
            counts = MemberCounts(txn)
        self.changes = MemberChanges(
            counts, lambda: self.in_force, self.telling, metrics, workspace.id
        )
        self.work_by(in_force)
        self._fetched: set[ProfileKey] = set()  # loaded in this transaction
        self._loading: Loading | None = None
        if not self.is_idle:
            self._loading = Loading(store, self._load_many, self.engine.knows, clock)
            self.load_some(load_until_s)
            if self.is_loading:
                logger.info(
                    "audiences are loaded while the shard serves",
                    extra={"event": "audiences_loading", "workspace": workspace.id},
                )

    # -- After a start ----------------------------------------------------------------------------

    @property
    def is_loading(self) -> bool:
        """Whether there are profiles without columns, so that members are not all known."""
        return self._loading is not None

    def load_some(self, deadline_s: float) -> None:
        """Load columns until an instant of the monotonic clock, or until none is missing."""
        if self._loading is not None:
            self._loading.go_on(deadline_s)
            if self._loading.is_done:
                self._loading = None

    def _load_many(self, users: Sequence[tuple[ProfileKey, Profile]]) -> None:
        loaded: list[Loaded] = []
        wakes: list[tuple[ProfileKey, int | None]] = []
        for key, profile in users:
            section = self._section(profile)
            if section is not None:
                derived = self._derived(profile, section)
                loaded.append(Loaded(key, profile, _kept(section), derived))
                wakes.append((key, applying.next_expiry(section)))
        self.engine.load_new(loaded, self._clock.now_ms())
        for key, at_ms in wakes:
            self.engine.wake(key, at_ms)

    def _fetch(self, key: ProfileKey, profile: Profile) -> None:
        """Load the columns of a profile that is asked for before its turn."""
        if self._loading is not None and not self.engine.knows(key):
            self.load(key, profile)
            self._fetched.add(key)

    def can_take_over(self, workspace: WorkspaceInfo) -> bool:
        """Tell whether the columns are good for another configuration of the workspace."""
        return all(getattr(workspace, each) == getattr(self._workspace, each) for each in _COLUMNS)

    def take_over(self, workspace: WorkspaceInfo, feed: AttributeFeed) -> None:
        """Go on with another configuration that `can_take_over` is good for.

        Raises:
            StoreFull: as the constructor; nothing was taken over.
        """
        self.in_force = self._connect(feed)
        self._workspace = workspace
        self._calculations = self._new_calculations()

    def _new_engine(self, groups: Mapping[int, str]) -> Engine:
        return Engine(self._workspace, self._lookback_ms, groups)

    def _new_calculations(self) -> Calculations:
        return Calculations(self._workspace)

    def _connect(self, feed: AttributeFeed) -> InForce:
        """Take over the feed; what is in force says which of its connections are to be loaded."""
        in_force = with_feed(self.in_force, feed.active)
        if in_force != self.in_force:  # kept before a change of a value can pass a connection by
            with self._store.write() as txn:
                write_in_force(txn, in_force)
        self.feed = feed
        return in_force

    @property
    def is_idle(self) -> bool:
        """Nothing is calculated or evaluated, and batches need not come here."""
        in_force = self.in_force
        is_own = in_force.attributes.attributes or in_force.audiences.audiences
        return not is_own and not self.joints

    @property
    def owned_attributes(self) -> frozenset[str]:
        """The names of the user attributes that predictions alone write."""
        return self.in_force.audiences.owned_attributes

    def work_by(self, in_force: InForce) -> None:
        """Evaluate and calculate by this from now on; the profiles are still to be walked."""
        self.in_force = in_force
        self.attributes = KnownAttributes(in_force.attributes, self._workspace)
        audiences = tuple(each for each in in_force.audiences.audiences if self._has(each))
        self.known = KnownAudiences(replace(in_force.audiences, audiences=audiences))
        nodes = [each.node for each in audiences if each.node is not None]
        self._targets = {target for each in nodes for target in dependencies_of(each).audiences}
        self.telling.work_by(self.known)
        evaluated = {each.number: each for each in audiences if each.type == "real_time"}
        for number in self.engine.audiences:
            if number not in evaluated:
                self.engine.deactivate(number)
        for number, audience in evaluated.items():
            epoch = in_force.audience_epochs[number]
            if audience.node is not None and self.engine.revision(number) != epoch:
                self._activate(audience, audience.node, epoch)
        kept = self.known.by_number.keys() - evaluated.keys()
        for number in self._kept - kept:
            self.engine.keep_no_more(number)
        for number in kept - self._kept:
            self.engine.keep(number)
        self._kept = set(kept)
        self.changes.keep_only(self.known.by_number)
        self.follow()

    def _has(self, audience: LiveAudience) -> bool:
        """Tell whether an audience that is in force is evaluated here."""
        return not audience.is_joint

    def _activate(self, audience: LiveAudience, node: Node, epoch: int) -> None:
        self.engine.activate(audience.number, audience.environment, node, epoch)

    def follow(self) -> None:
        """Be told of profiles that are changed otherwise than here, as long as it matters."""
        if self.is_idle:
            self._profiles.follow_no_more(self._workspace.number)
            self.followed = set()
        else:
            self.followed = self._profiles.follow(self._workspace.number)

    def part_of(self, audience: int) -> "ShardAudiences":
        """Return what evaluates an audience of this workspace: one over several has its own."""
        for joint in self.joints:
            if joint.is_of(self._workspace.number) and audience in joint.known.by_number:
                return joint
        return self

    @property
    def parts(self) -> Sequence["ShardAudiences"]:
        """All that evaluates audiences of this workspace: itself, and what is over several."""
        return [self, *(each for each in self.joints if each.is_of(self._workspace.number))]

    # -- In a transaction -------------------------------------------------------------------------

    def catch_up(self, txn: Transaction, key: ProfileKey, profile: Profile) -> None:
        """Make a profile ready for the present epoch, unless it is, before something is applied."""
        for joint in self.joints:
            joint.catch_up(txn, key, profile)
        self.feed.note(key, profile, self.attributes)
        section, epoch = self._section(profile), self.in_force.epoch
        if section is None or section.is_aged_out:
            return
        if section.epoch == section.entries_epoch == epoch:
            return
        is_new = not section.newest_log_id and not section.newest_historical_id
        if is_new and not profile.status_messages:  # nothing is stored or was copied yet
            section.epoch = section.entries_epoch = epoch
            self.engine.note_ready(key, epoch)
            return
        now_ms, outdated = self._clock.now_ms(), self._outdated(section)
        begun_ms = min(map(time_of_id, outdated), default=now_ms)
        history = read_recent(txn, key, section, min(now_ms, begun_ms) - self._lookback_ms)
        self.changes.caught_up(key, section.epoch)
        applying.forget(section, self.attributes)
        for begun_id, numbers in outdated.items():
            own, index = history.counted(section, begun_id), self.attributes.index_of(numbers)
            earliest_ms = time_of_id(begun_id) - self._lookback_ms
            applying.rebuild(section, own, index, now_ms, earliest_ms)
        section.epoch = section.entries_epoch = epoch
        self.load(key, profile)
        self._touched[key] = profile
        batches = [*history.own, *history.copied]
        section.entries = self.engine.rebuild_events(key, batches, epoch, now_ms)

    def calculate(self, txn: Transaction, key: ProfileKey, profile: Profile) -> None:
        """Let calculations that have not come to a user yet take the user as he is now.

        It comes before what changes the profile, or it would count (spec/audiences.md, 8.1). What
        subscriptions share of the user is noted as well.
        """
        for joint in self.joints:
            joint.calculate(txn, key, profile)
        self._fetch(key, profile)
        section = self._section(profile)
        if section is None:
            return
        if self.followed and profile_key(key) in self.followed:
            self.telling.updates.note_changed(key, section)
        else:
            self.telling.updates.note(key, section, self.calculated)
        self._calculate(txn, key, profile, section)

    def _calculate(
        self, txn: Transaction, key: ProfileKey, profile: Profile, section: Section
    ) -> None:
        if not self.known.standard or section.is_aged_out:
            return
        in_force, now_ms = self.in_force, self._clock.now_ms()
        due = [
            each
            for each in self.known.standard
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
            listed = {each for each in self.known.static if static_lists.has(txn, each, key)}
            calculated = section.audiences.keys() & {each.number for each in self.known.standard}
            members = frozenset(self.engine.satisfied_by(key, now_ms) | listed | calculated)
        derived = self._derived(profile, section, members)
        groups = self.engine.groups
        self._calculations.take(txn, due, key, profile, derived, groups, now_ms)

    def apply(self, key: ProfileKey, profile: Profile, stored: StoredBatch) -> None:
        """Apply a batch to a profile that is ready, after the batch has changed it."""
        section = profile.workspaces[self._workspace.number]
        section.epoch = section.entries_epoch = self.in_force.epoch  # of a new section
        if self.followed and profile_key(key) in self.followed:
            self.engine.refresh(key, profile, self._derived(profile, section))
        applying.apply(section, stored, self.attributes, self._clock.now_ms())
        derived = self._derived(profile, section)
        self._append(section, self.engine.observe(key, profile, stored, derived))
        self.engine.wake(key, applying.next_expiry(section))
        self._touched[key] = profile
        for joint in self.joints:
            joint.apply(key, profile, stored)

    def cut(self, txn: Transaction, key: ProfileKey, profile: Profile) -> None:
        """Let go of the oldest events of a user who has more than real-time evaluation sees.

        Attributes that only grow keep what they have (spec/calculated-attributes.md, 4).
        """
        section, now_ms = self._own(profile), self._clock.now_ms()
        earliest_ms = now_ms - self._lookback_ms
        history = read_recent(txn, key, section, earliest_ms)
        moving: dict[int, list[int]] = {}
        for number, (_, begun_id) in self.in_force.attribute_epochs.items():
            if number in self.attributes.moving:
                moving.setdefault(begun_id, []).append(number)
        for begun_id, numbers in moving.items():
            own, index = history.counted(section, begun_id), self.attributes.index_of(numbers)
            applying.rebuild(section, own, index, now_ms, earliest_ms)
        batches, epoch = [*history.own, *history.copied], section.entries_epoch
        section.entries = self.engine.rebuild_events(key, batches, epoch, now_ms)
        self._touch(key, profile, section)
        self._metrics.real_time_cuts.labels(self._workspace.id).inc()
        for joint in self.joints:
            joint.cut(txn, key, profile)

    def refresh(self, key: ProfileKey, profile: Profile) -> None:
        """Take a profile that is ready and was changed otherwise, or for which time has passed."""
        section = self._section(profile)
        if section is not None:
            applying.expire(section, self.attributes, self._clock.now_ms())
            self._touch(key, profile, section)
        for joint in self.joints:
            joint.refresh(key, profile)

    def forget(self, key: ProfileKey) -> None:
        """Let go of a profile that is gone."""
        self.engine.forget(key)
        for joint in self.joints:
            joint.forget(key)

    def finish(self, txn: Transaction) -> list[Delivery]:
        """Evaluate the audiences of all profiles that were touched, and change their memberships.

        Returns:
            What subscriptions and connections of the Calculated Attributes feed are to be told.
            The profiles are still to be written.
        """
        deliveries = self._finish(txn) if self._touched else []
        for joint in self.joints:
            deliveries += joint.finish_for(self._workspace.number, txn)
        for profile in self._touched.values():
            section = self._own(profile)
            if section.is_aged_out and section.devices and not is_member_anywhere(profile, section):
                section.devices = {}  # everybody who knew them was told
        return deliveries

    def _finish(self, txn: Transaction) -> list[Delivery]:
        now_ms, begun = self._clock.now_ms(), self._clock.monotonic()
        calculated, deliveries = self._calculations.answer(), list[Delivery]()
        for key, profile in self._touched.items():
            deliveries += self._settle_others(txn, key, profile, calculated, now_ms)
        changes = self.engine.evaluate(self.engine.rows_of(self._touched), now_ms, expiring=())
        deliveries += self.changed_values(now_ms)
        for change in changes:
            deliveries += self._enter(change, self._touched[change.key], now_ms)
        touched = [(key, each, self._own(each)) for key, each in self._touched.items()]
        deliveries += self.telling.tell_of_attributes(touched, now_ms)
        for key, profile, section in touched:
            if section.untold:
                deliveries += self.telling.tell_untold(key, profile, section, now_ms)
        self.changes.write(txn, now_ms)
        self._metrics.audience_evaluation_duration.observe(self._clock.monotonic() - begun)
        return deliveries

    def tell(self, change: MemberChange, profile: Profile, only: int) -> list[Delivery]:
        """Tell one subscription, by its number, of a member."""
        section = self._own(profile)
        return self.telling.tell(change, profile, section, self._clock.now_ms(), only)

    def note_changed(self, key: ProfileKey, profile: Profile) -> None:
        """Note that a profile was changed by something that did not come here."""
        section = self._section(profile)
        if section is not None:
            self.telling.updates.note_changed(key, section)

    def changed_values(self, now_ms: int) -> list[Delivery]:
        """Return what the Calculated Attributes feed is to tell of this transaction so far."""
        return self.feed.deliveries(self.attributes, self.in_force.loads, now_ms)

    @property
    def touched(self) -> Mapping[ProfileKey, Profile]:
        """The profiles that this transaction has come to."""
        if not self.joints:
            return self._touched
        return {
            **self._touched,
            **{key: each for one in self.joints for key, each in one.touched.items()},
        }

    @property
    def seen(self) -> frozenset[bytes]:
        """The keys of the profiles that this transaction looks at as they are."""
        return frozenset(map(profile_key, self._touched))

    def published(self) -> None:
        """The transaction is on disk."""
        if self.followed:
            self.followed.difference_update(map(profile_key, self._touched))
        if self._touched:
            self._metrics.audience_evaluations.labels(self._workspace.id).inc(len(self._touched))
        self._touched.clear()
        self._fetched.clear()
        self._calculations.clear()
        self.feed.abandon()
        self.telling.updates.clear()
        self.changes.published()
        for joint in self.joints:
            joint.published()

    def abandon(self) -> None:
        """The transaction failed: what it touched is as it is on disk."""
        touched = self._fetched.union(self._touched)
        self._touched.clear()
        self._fetched.clear()
        self._calculations.clear()
        self.feed.abandon()
        self.telling.updates.clear()
        self.changes.abandon()
        with self._store.read() as txn:
            for key in touched:
                profile = self._profiles.get(txn, key)
                if profile is None:
                    self.engine.forget(key)
                else:
                    self.load(key, profile)
        for joint in self.joints:
            joint.abandon()

    # -- Reading ----------------------------------------------------------------------------------

    def calculated(self, section: Section) -> dict[str, str | list[str]]:
        """Return the calculated attributes that a user has, by name."""
        return applying.values(section, self.attributes)

    def derived(self, section: Section, audiences: frozenset[int]) -> Derived:
        """Return what criteria read of a user's calculated attributes, and of these audiences."""
        values = ShownValues(section.calculated, self.attributes.by_number)
        return Derived(
            calculated=values,
            predictions=_outputs(section) if section.predictions else {},
            audiences=audiences,
            names=self.attributes.numbers,
        )

    def show(self) -> None:
        """Bring the metrics up to date; while columns are loaded sizes stay as they are."""
        self.changes.show()
        if self.is_loading:
            return
        sizes, workspace = self._metrics.audience_size, self._workspace.id
        for number in self._shown - self.known.by_number.keys():
            sizes.remove(workspace, str(number))
        self._shown = set(self.known.by_number)
        for number in self._shown:
            sizes.labels(workspace, str(number)).set(self.engine.size(number))
        for part in self.parts[1:]:
            part.show()

    def load(self, key: ProfileKey, profile: Profile) -> None:
        """Fill the columns of a profile from its record."""
        section = self._section(profile)
        if section is None:
            return
        self.engine.load(key, profile, _kept(section), self._derived(profile, section))
        self.engine.wake(key, applying.next_expiry(section))

    def standing(self, profile: Profile) -> Mapping[int, int]:
        """Return the audiences that a user is in, each with since when, in ms."""
        section = self._section(profile)
        return {} if section is None else section.audiences

    def untold(self, profile: Profile) -> Sequence[int]:
        """Return the subscriptions that a user who is a member could not be told of to."""
        section = self._section(profile)
        return () if section is None else section.untold

    def joint_memberships(self, profile: Profile) -> dict[int, str]:
        """Return the audiences over several workspaces, this one too, that a user is in.

        Returns:
            Number to name.
        """
        number = self._workspace.number
        return {
            audience: live.name
            for joint in self.joints
            for audience in joint.standing(profile)
            if (live := joint.known.by_number.get(audience)) and number in live.workspaces
        }

    def expirations(self, key: ProfileKey, now_ms: int) -> dict[int, int]:
        """Return when a user's memberships lapse without new data (`Engine.expirations_of`)."""
        if self.is_loading and not self.engine.knows(key):
            with self._store.read() as txn:
                profile = self._profiles.get(txn, key)
            if profile is not None:
                self.load(key, profile)
        found = self.engine.expirations_of(key, now_ms)
        for joint in self.joints:
            found |= joint.expirations(key, now_ms)
        return found

    # -- Inside -----------------------------------------------------------------------------------

    def _append(self, section: Section, entries: bytes) -> None:
        """Keep new entries; once for every so many bytes, let go of those past the lookback."""
        before = len(section.entries)
        section.entries += entries
        if before // TRIM_BYTES != len(section.entries) // TRIM_BYTES:
            section.entries = self.engine.trim(section.entries, self._clock.now_ms())

    def _section(self, profile: Profile) -> Section | None:
        return profile.workspaces.get(self._workspace.number)

    def _touch(self, key: ProfileKey, profile: Profile, section: Section) -> None:
        self.engine.refresh(key, profile, self._derived(profile, section))
        self.engine.wake(key, applying.next_expiry(section))
        self._touched[key] = profile

    def _derived(
        self, profile: Profile, section: Section, audiences: frozenset[int] | None = None
    ) -> Derived:
        """Return what criteria read; `audiences`: by default those that are not evaluated here."""
        if audiences is None:
            audiences = frozenset(self._kept.intersection(section.audiences))
        return self.derived(section, audiences)

    def _own(self, profile: Profile) -> Section:
        return profile.workspaces[self._workspace.number]

    def _outdated(self, section: Section) -> dict[int, list[int]]:
        """Return the attributes that began after a section was made ready, by what began them."""
        found: dict[int, list[int]] = {}
        for number, (epoch, begun_id) in self.in_force.attribute_epochs.items():
            if epoch > section.epoch:
                found.setdefault(begun_id, []).append(number)
        return found

    def _enter(self, change: Change, profile: Profile, now_ms: int) -> list[Delivery]:
        action: Action = "add" if change.entered else "delete"
        made = MemberChange(change.key, change.audience, action)
        return self.changes.make(made, profile, self._own(profile), now_ms)

    def _settle_others(
        self,
        txn: Transaction,
        key: ProfileKey,
        profile: Profile,
        calculated: Mapping[tuple[int, ProfileKey], bool],
        now_ms: int,
    ) -> list[Delivery]:
        """Change memberships that the engine does not find: of static and standard audiences, and
        of those that are gone. What the engine evaluates may ask for them, and comes after."""
        section = self._own(profile)
        if not self._kept and section.audiences.keys() <= self.known.by_number.keys():
            return []  # the engine finds all of them
        before = frozenset(section.audiences)
        leaving = self.in_force.audiences.leaving
        deliveries: list[Delivery] = []
        for number in [each for each in section.audiences if each not in self.known.by_number]:
            if number in leaving:
                deliveries += self.changes.make(
                    MemberChange(key, number, "delete"), profile, section, now_ms
                )
            else:
                del section.audiences[number]
        is_counted = not section.is_aged_out and not profile.is_opted_out
        wanted = {
            audience: is_counted and static_lists.has(txn, audience, key)
            for audience in self.known.static
        }
        for audience in (each.number for each in self.known.standard):
            is_member = calculated.get((audience, key), audience in before)
            wanted[audience] = is_member and is_counted
        for audience, is_wanted in wanted.items():
            if is_wanted != (audience in section.audiences):
                action: Action = "add" if is_wanted else "delete"
                deliveries += self.changes.make(
                    MemberChange(key, audience, action), profile, section, now_ms
                )
        if section.audiences.keys() != before:
            self.engine.refresh(key, profile, self._derived(profile, section))
        for audience in self._kept:
            self.engine.set_member(key, audience, is_member=audience in section.audiences)
        return deliveries


def _kept(section: Section) -> Kept:
    return Kept(section.entries, section.audiences, section.entries_epoch)


def _outputs(section: Section) -> dict[tuple[int, str], float]:
    """Return what predictions gave a user, by prediction and output."""
    found: dict[tuple[int, str], float] = {}
    for number, each in section.predictions.items():
        found[number, "score"] = each.score
        found[number, "percentile"] = each.percentile
    return found
