"""Erases users from one shard (spec/privacy.md, 5.2).

Every call may be repeated, also after a crash. What raises StoreFull has changed nothing.
"""

from collections.abc import Sequence

from actors.audience_changes import AudienceChanges
from actors.model.profiles import ProfileKey
from actors.model.workspaces import Environment
from actors.privacy.erasing import Cursor, Left, Walk
from actors.privacy.requests import Identities, Subject
from actors.privacy.walking import Step, erase_step
from actors.section_removal import SectionRemoval
from actors.shard import Shard


class ShardErasure:
    """The part of one shard in erasures."""

    def __init__(self, shard: Shard, changes: AudienceChanges) -> None:
        """Args: `changes` of the same shard: they tell those that follow audiences."""
        self._shard = shard
        self._changes = changes
        self._removal = SectionRemoval(shard, changes)
        self._number = shard.options.workspace.number
        self._scope = shard.options.workspace.scope

    def is_shared(self, environment: Environment, mpid: int) -> bool:
        """Tell whether another workspace has data of a user."""
        with self._shard.store.read() as txn:
            profile = self._shard.profiles.get(txn, self._key(environment, mpid))
            return profile is not None and any(each != self._number for each in profile.workspaces)

    def erase_walking(
        self,
        walk: Walk,
        users: Sequence[Subject],
        strangers: Sequence[Identities],
        cursor: Cursor,
    ) -> tuple[dict[int, int], Cursor | None]:
        """Delete some of the entries about users in tables that have to be walked.

        Args:
            strangers: of deliveries that are nobody's those go that have one of the identities.

        Returns:
            Place of a user, or behind them of identities, to how many, and where to go on, `None`
            at the end.
        """
        step = Step(users, strangers)
        with self._shard.store.write() as txn:
            following = erase_step(txn, step, walk, cursor)
        queues = self._shard.outbox.queues
        for connection, count in step.left.items():
            queues.left(connection, count, step.freed[connection])
        queues.forgotten(step.forgotten)
        return dict(step.removed), following

    def leave_audiences(self, environment: Environment, mpid: int) -> int:
        """End a user's memberships, as those who follow them are told; return how many there were.

        What else is known of the user in the workspace goes at once, and no output is told of it.
        """
        key = self._key(environment, mpid)
        with self._changes.changing() as txn:
            return self._removal.leave_audiences(txn, key, is_erased=True)

    def erase_events(self, environment: Environment, mpid: int) -> tuple[int, bool]:
        """Delete some of a user's events; return how many batches, and whether there are more."""
        with self._shard.transaction() as txn:
            return self._removal.remove_events(txn, self._key(environment, mpid))

    def erase_profile(
        self, environment: Environment, mpid: int, has_record: bool
    ) -> tuple[int, Left | None]:
        """Delete the rest of a user's data, or as much as can go by now: `SectionRemoval.remove`.

        Returns:
            How many records were removed, and what is left to be erased first, `None` at the end.
        """
        key = self._key(environment, mpid)
        with self._changes.changing() as txn:
            removal = self._removal.remove(txn, key, has_record=has_record)
        self._removal.forget(key, removal)
        return removal.records, removal.left

    def _key(self, environment: Environment, mpid: int) -> ProfileKey:
        return ProfileKey(self._scope, environment, mpid)
