"""Calculated attributes and audiences of one shard: what is in force, and whom it is told to.

What they do to users is in `actors.audience_users`, what they read of them in
`actors.audience_columns`.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from actors.audience_columns import AudienceColumns
from actors.audience_users import AudienceUsers
from actors.audiences.calculations import Calculations
from actors.audiences.engine.engine import Engine
from actors.audiences.in_force import (
    InForce,
    read_in_force,
    with_event_days,
    with_feed,
    write_in_force,
)
from actors.audiences.known import KnownAudiences, memberships
from actors.audiences.member_changes import MemberChanges
from actors.audiences.member_counts import MemberCounts
from actors.audiences.telling import Telling
from actors.audiences.told import LiveAudience
from actors.calculated import applying
from actors.calculated.feed import AttributeFeed
from actors.calculated.live import KnownAttributes
from actors.clock import Clock
from actors.metric_groups import ShardMetrics
from actors.model.deliveries import Delivery
from actors.model.profiles import Profile, Section
from actors.model.workspaces import WorkspaceInfo
from actors.profiles.retention import DAY_MS
from actors.store.environment import Store
from actors.store.profiles import Profiles

if TYPE_CHECKING:
    from actors.joint_audiences import JointAudiences

logger = logging.getLogger("headwater.actors")

# What the columns of a workspace depend on.
_COLUMNS = (
    "number",
    "scope",
    "tiers",
    "default_tier",
    "audience_event_days",
    "profile_idle_days",
    "regulations",
)


class ShardAudiences:
    """What users of a workspace are evaluated by on a shard.

    Attributes:
        in_force: what is worked by.
        attributes: the calculated attributes of it.
        known: the audiences of it.
        columns: what is evaluated; `engine`: evaluates it.
        users: those whom the transaction under way touches.
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
        loaded by `columns.load_some`, or when they are asked for.

        Raises:
            StoreFull: the feed has other active connections than before, or audiences see events
                less or farther back, and that cannot be kept.
        """
        self._store = store
        self._profiles = profiles
        self._workspace = workspace
        self._clock = clock
        self._metrics = metrics
        self._shown: set[int] = set()  # audiences in the metrics
        self.joints: Sequence[JointAudiences] = ()
        self.columns = self._new_columns(workspace.audience_event_days * DAY_MS, groups)
        self.engine = self.columns.engine
        self.users = self._new_users()
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
        if not self.is_idle:
            self.columns.begin_loading(load_until_s)
            if self.columns.is_loading:
                logger.info(
                    "audiences are loaded while the shard serves",
                    extra={"event": "audiences_loading", "workspace": workspace.id},
                )

    def _new_columns(self, lookback_ms: int, groups: Mapping[int, str]) -> AudienceColumns:
        engine = Engine(self._workspace, lookback_ms, groups)
        return AudienceColumns(self._store, self._profiles, self._workspace, engine, self._clock)

    def _new_users(self) -> AudienceUsers:
        calculations = Calculations(self._workspace)
        return AudienceUsers(self, self._workspace, calculations, self._clock, self._metrics)

    # -- Configurations ---------------------------------------------------------------------------

    def can_take_over(self, workspace: WorkspaceInfo) -> bool:
        """Tell whether the columns are good for another configuration of the workspace."""
        return all(getattr(workspace, each) == getattr(self._workspace, each) for each in _COLUMNS)

    def take_over(self, workspace: WorkspaceInfo, feed: AttributeFeed) -> None:
        """Go on with another configuration that `can_take_over` is good for, between transactions.

        Raises:
            StoreFull: as the constructor; nothing was taken over.
        """
        self.in_force = self._connect(feed)
        self._workspace = workspace
        self.users = self._new_users()

    def _connect(self, feed: AttributeFeed) -> InForce:
        """Take over the feed, and how far back events are seen.

        What is in force says which connections of the feed are to be loaded, and whether profiles
        are to be walked for older events.
        """
        days = self._workspace.audience_event_days
        # Where the days are not known yet they come to the disk with what is kept next: a start
        # needs no room for them.
        former = replace(self.in_force, event_days=self.in_force.event_days or days)
        with self._store.read() as txn:
            total = txn.entries("profiles")
        in_force = with_event_days(with_feed(former, feed.active), days, total)
        if in_force != former:  # kept before a change of a value can pass a connection by
            with self._store.write() as txn:
                write_in_force(txn, in_force)
        self.feed = feed
        return in_force

    # -- What is in force -------------------------------------------------------------------------

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
        self.telling.work_by(self.known)
        self.columns.work_by(self.known, self.attributes, in_force.audience_epochs)
        self.changes.keep_only(self.known.by_number)
        self.follow()

    def _has(self, audience: LiveAudience) -> bool:
        """Tell whether an audience that is in force is evaluated here."""
        return not audience.is_joint

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

    # -- What comes of it -------------------------------------------------------------------------

    def calculated(self, section: Section) -> dict[str, str | list[str]]:
        """Return the calculated attributes that a user has, by name."""
        return applying.values(section, self.attributes)

    def joint_memberships(self, profile: Profile) -> dict[int, str]:
        """Return the audiences over several workspaces, this one too, that a user is in.

        Returns:
            Number to name.
        """
        number = self._workspace.number
        return {
            audience: live.name
            for joint in self.joints
            for audience in joint.columns.standing(profile)
            if (live := joint.known.by_number.get(audience)) and number in live.workspaces
        }

    def audience_ids(self, profile: Profile | None) -> list[int]:
        """Return the numbers of the audiences that a user is shown to be in, in their order."""
        section = profile and profile.workspaces.get(self._workspace.number)
        if not profile or not section:
            return []
        return sorted(memberships(section, self.known, self.joint_memberships(profile)))

    def changed_values(self, now_ms: int) -> list[Delivery]:
        """Return what the Calculated Attributes feed is to tell of a transaction so far."""
        loads = self.in_force.loads
        return self.feed.deliveries(self.attributes, loads, now_ms, self.audience_ids)

    def show(self) -> None:
        """Bring the metrics up to date; while columns are loaded sizes stay as they are."""
        self.changes.show()
        if self.columns.is_loading:
            return
        sizes, workspace = self._metrics.audience_size, self._workspace.id
        for number in self._shown - self.known.by_number.keys():
            sizes.remove(workspace, str(number))
        self._shown = set(self.known.by_number)
        for number in self._shown:
            sizes.labels(workspace, str(number)).set(self.engine.size(number))
        for part in self.parts[1:]:
            part.show()

    def show_last(self) -> None:
        """Bring the metrics up to date as this goes; what takes its place shows sizes of its own.

        Without it changes since the last `show` would count nowhere, and sizes stay for good.
        """
        self.changes.show()
        for number in self._shown:
            self._metrics.audience_size.remove(self._workspace.id, str(number))
        self._shown.clear()
