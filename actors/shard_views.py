"""What can be asked of a shard: reads that change nothing. Source: spec/profiles.md, 7 and 8."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from actors.clock import Clock
from actors.identity.keys import IdentityName
from actors.model.deliveries import DeadLetter
from actors.model.profiles import Profile, ProfileKey, Section
from actors.model.workspaces import ENVIRONMENTS, Environment
from actors.profiles.history import read_page
from actors.profiles.retention import DAY_MS, age_out, is_overdue, last_active_ms
from actors.profiles.timeline import TimelineQuery
from actors.profiles.view import MEMBERSHIPS, profile_view, user_row, user_view
from actors.shard import Shard
from actors.store import outbox, trail
from actors.store.environment import Transaction
from actors.store.identities import Holder, read_holders
from actors.store.keys import identity_key, profile_key
from actors.store.trail import TrailEntry


class ShardViews:
    """Answers questions about what one shard keeps."""

    def __init__(self, shard: Shard, clock: Clock) -> None:
        self._shard = shard
        self._store = shard.store
        self._profiles = shard.profiles
        self._workspace = shard.options.workspace
        self._clock = clock

    # -- Identities -------------------------------------------------------------------------------

    def holders(
        self, environment: Environment, names: Sequence[IdentityName]
    ) -> list[list[Holder]]:
        """Return the holders of each identity, oldest link first. Slots of this shard only."""
        scope = self._workspace.scope
        with self._store.read() as txn:
            return [
                read_holders(
                    txn,
                    identity_key(scope, environment, name.type, name.value),
                    name.type,
                    name.value,
                )
                for name in names
            ]

    def trail(self, environment: Environment, mpid: int) -> list[TrailEntry]:
        """Return what decisions did to one identity record, oldest first."""
        key = profile_key(ProfileKey(self._workspace.scope, environment, mpid))
        with self._store.read() as txn:
            return trail.read(txn, key, self._clock.now_ms())

    # -- Profiles ---------------------------------------------------------------------------------

    def profile(
        self, mpid: int, environment: Environment | None, fields: Sequence[str]
    ) -> dict[str, Any] | None:
        """Show one profile as the Profile API does; `None` if there is none, or none any more."""
        with self._store.read() as txn:
            for each in _environments(environment):
                profile = self._get(txn, each, mpid)
                if profile is not None and not self._is_gone(profile):
                    ends_ms = self._expirations(each, mpid) if MEMBERSHIPS in fields else {}
                    body = profile_view(
                        mpid,
                        profile,
                        self._workspace,
                        fields,
                        self._shard.groups.ids,
                        self._shard.audiences.known,
                        ends_ms,
                        attributes=self._shard.audiences.attributes,
                        joint=self._shard.audiences.joint_memberships(profile),
                    )
                    if body is not None:
                        return body
        return None

    def user(self, mpid: int, environment: Environment | None) -> dict[str, Any] | None:
        """Show one user as the user activity API does."""
        with self._store.read() as txn:
            for each in _environments(environment):
                profile = self._get_active(txn, each, mpid)
                if profile is not None:
                    body = user_view(
                        mpid,
                        profile,
                        self._workspace,
                        self._shard.groups.ids,
                        self._shard.audiences.known,
                        self._expirations(each, mpid),
                        attributes=self._shard.audiences.attributes,
                        joint=self._shard.audiences.joint_memberships(profile),
                    )
                    if body is not None:
                        return body
        return None

    def section(self, mpid: int, environment: Environment | None) -> Section | None:
        """Return the workspace's section of a user's profile, not to be changed."""
        with self._store.read() as txn:
            for each in _environments(environment):
                profile = self._get(txn, each, mpid)
                if profile is not None and not self._is_gone(profile):
                    section = profile.workspaces.get(self._workspace.number)
                    if section is not None:
                        return section
        return None

    def user_rows(self, users: Sequence[tuple[Environment, int]]) -> list[dict[str, Any] | None]:
        """Return one line of a user search for each (environment, MPID)."""
        rows: list[dict[str, Any] | None] = []
        with self._store.read() as txn:
            for environment, mpid in users:
                profile = self._get_active(txn, environment, mpid)
                rows.append(None if profile is None else user_row(mpid, profile, self._workspace))
        return rows

    def timeline(
        self, mpid: int, environment: Environment | None, query: TimelineQuery
    ) -> dict[str, Any] | None:
        """Return a page of a user's events; `None` if the user is unknown. Raises CursorInvalid."""
        with self._store.read() as txn:
            for each in _environments(environment):
                profile = self._get_active(txn, each, mpid)
                section = profile and profile.workspaces.get(self._workspace.number)
                if section:
                    key = ProfileKey(self._workspace.scope, each, mpid)
                    return read_page(txn, key, section, self._workspace, query)
        return None

    # -- Dead letters -----------------------------------------------------------------------------

    def dead_letters(self, connection: int, after_sequence: int, limit: int) -> list[DeadLetter]:
        """Return dead letters of a connection, in the order of their sequence."""
        with self._store.read() as txn:
            return outbox.dead_letters(txn, connection, after_sequence, limit)

    def dead_letter(self, connection: int, delivery_id: str) -> DeadLetter | None:
        """Return a dead letter by its id: the oldest, where several users have one of this id."""
        with self._store.read() as txn:
            return outbox.dead_letter(txn, connection, delivery_id)

    def _expirations(self, environment: Environment, mpid: int) -> dict[int, int]:
        key = ProfileKey(self._workspace.scope, environment, mpid)
        now_ms, audiences = self._clock.now_ms(), self._shard.audiences
        found = audiences.columns.expirations(key, now_ms)
        for joint in audiences.joints:
            found |= joint.columns.expirations(key, now_ms)
        return found

    def _get(self, txn: Transaction, environment: Environment, mpid: int) -> Profile | None:
        return self._profiles.get(txn, ProfileKey(self._workspace.scope, environment, mpid))

    def _get_active(self, txn: Transaction, environment: Environment, mpid: int) -> Profile | None:
        """Return the profile of a user seen within the retention of events, aged out if due."""
        profile = self._get(txn, environment, mpid)
        if profile is None:
            return None
        now_ms = self._clock.now_ms()
        if now_ms - last_active_ms(profile) > self._workspace.events_days * DAY_MS:
            return None
        if is_overdue(profile, self._workspace, now_ms):
            profile = deepcopy(profile)
            age_out(profile, self._workspace.number)
        return profile

    def _is_gone(self, profile: Profile) -> bool:
        """Tell whether a profile has aged out, on disk or in fact."""
        section = profile.workspaces.get(self._workspace.number)
        is_aged_out = section is not None and section.is_aged_out
        return is_aged_out or is_overdue(profile, self._workspace, self._clock.now_ms())


def _environments(environment: Environment | None) -> Sequence[Environment]:
    return ENVIRONMENTS if environment is None else (environment,)
