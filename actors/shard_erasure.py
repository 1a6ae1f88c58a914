"""Erases users from one shard (spec/privacy.md, 5.2).

Every call may be repeated, also after a crash. What raises StoreFull has changed nothing.
"""

import itertools
from collections.abc import Sequence

from actors.audience_changes import AudienceChanges
from actors.model.profiles import ProfileKey
from actors.model.workspaces import Environment
from actors.privacy.erasing import Cursor, Walk
from actors.privacy.requests import Identities, Subject
from actors.privacy.walking import Step, erase_step
from actors.profiles.retention import age_out
from actors.shard import Shard
from actors.store import log, static_lists
from actors.store.environment import Transaction
from actors.store.keys import log_key, profile_key

STEP_BATCHES = 200  # that one call deletes at most: some milliseconds, for which ingestion waits


class ShardErasure:
    """The part of one shard in erasures."""

    def __init__(self, shard: Shard, changes: AudienceChanges) -> None:
        """Args: `changes` of the same shard: they tell those that follow audiences."""
        self._shard = shard
        self._changes = changes
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

        What else is known of the user in the workspace goes at once.
        """
        key = self._key(environment, mpid)
        packed = profile_key(key)
        with self._changes.changing() as txn:
            for audience in self._static_audiences():
                static_lists.remove(txn, audience, key)
            profile = self._shard.profiles.open(txn, packed)
            if profile is None or self._number not in profile.workspaces:
                return 0
            count = len(profile.workspaces[self._number].audiences)
            age_out(profile, self._number)
            self._shard.profiles.write(txn, packed, profile, self._number)
            self._changes.refresh(txn, [key])
        return count

    def erase_events(self, environment: Environment, mpid: int) -> tuple[int, bool]:
        """Delete some of a user's events; return how many batches, and whether there are more."""
        key = self._key(environment, mpid)
        packed = profile_key(key)
        with self._shard.transaction() as txn:
            found = itertools.islice(txn.scan("copies", prefix=packed), STEP_BATCHES)
            copied = [each for each, _ in found]
            for each in copied:
                txn.delete("copies", each)
            profile = self._shard.profiles.open(txn, packed)
            section = profile and profile.workspaces.get(self._number)
            if not profile or not section:
                return len(copied), len(copied) == STEP_BATCHES
            section.newest_log_id, live = _unchained(txn, section.newest_log_id)
            section.newest_historical_id, historical = _unchained(txn, section.newest_historical_id)
            self._shard.profiles.write(txn, packed, profile, self._number)
        has_more = STEP_BATCHES in (len(copied), live, historical)
        return len(copied) + live + historical, has_more

    def erase_profile(self, environment: Environment, mpid: int) -> bool:
        """Delete the rest of a user's data; tell whether there was a profile.

        Of a profile that another workspace has data of, only this workspace's part.
        """
        key = self._key(environment, mpid)
        packed = profile_key(key)
        with self._shard.transaction() as txn:
            for each in [each for each, _ in txn.scan("scores", prefix=packed)]:
                txn.delete("scores", each)
            profile = self._shard.profiles.open(txn, packed)
            if profile is not None:
                profile.workspaces.pop(self._number, None)
                if profile.workspaces:
                    self._shard.profiles.write(txn, packed, profile)
                else:
                    self._shard.profiles.remove(txn, packed)
        if profile is not None and profile.workspaces:
            self._shard.audiences.engine.forget(key)
        else:
            self._shard.audiences.users.forget(key)
        return profile is not None

    def _static_audiences(self) -> set[int]:
        parts = self._shard.audiences.parts
        return {number for part in parts for number in part.known.static}

    def _key(self, environment: Environment, mpid: int) -> ProfileKey:
        return ProfileKey(self._scope, environment, mpid)


def _unchained(txn: Transaction, newest_log_id: int) -> tuple[int, int]:
    """Delete the newest batches of a chain; return the next one's log id, and how many went."""
    count, log_id = 0, newest_log_id
    while log_id and count < STEP_BATCHES:
        stored = log.read(txn, log_id)
        if stored is None:  # past its retention, and so are all before it
            return 0, count
        txn.delete("log", log_key(log_id))
        log_id = stored.previous_log_id
        count += 1
    return log_id, count
