"""Erases users from one shard (spec/privacy.md, 5.2).

Every call may be repeated, also after a crash. What raises StoreFull has changed nothing.
"""

import itertools
from collections.abc import Sequence

from actors.audience_changes import AudienceChanges
from actors.model.profiles import ProfileKey, Section
from actors.model.workspaces import Environment
from actors.privacy.erasing import Cursor, Left, Walk
from actors.privacy.requests import Identities, Subject
from actors.privacy.walking import Step, erase_step
from actors.profiles.retention import age_out
from actors.shard import Shard
from actors.store import erased, log, static_lists
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
            for audience in static_lists.audiences(txn):
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
        packed = profile_key(self._key(environment, mpid))
        with self._shard.transaction() as txn:
            profile = self._shard.profiles.open(txn, packed)
            section = None if profile is None else profile.workspaces.get(self._number)
            removed, has_more = _erase_some_events(txn, packed, section)
            if profile is not None and section is not None:
                self._shard.profiles.write(txn, packed, profile, self._number)
        return removed, has_more

    def erase_profile(
        self, environment: Environment, mpid: int, has_record: bool
    ) -> tuple[int, Left | None]:
        """Delete the rest of a user's data, or as much of it as can go by now.

        Of a profile that another workspace has data of, only this workspace's part. Who is the last
        is decided here, where each takes its part out in one transaction: two that erase a user at
        once see each other before. The last one leaves the identity record for the coordinator,
        which finds the lookups on other shards by it; until it is erased the profile stays, so that
        whoever comes again, after a crash too, finds it left.

        Args:
            has_record: as far as the caller knows; if not, the profile goes in any case.

        Returns:
            How many records were removed, and what is left to be erased first, `None` at the end.
        """
        key = self._key(environment, mpid)
        packed = profile_key(key)
        with self._shard.transaction() as txn:
            profile = self._shard.profiles.open(txn, packed)
            section = None if profile is None else profile.workspaces.get(self._number)
            # What has come since the stage of events, in the transaction after which nothing leads
            # to it any more.
            removed, has_more = _erase_some_events(txn, packed, section)
            if has_more:
                if profile is not None and section is not None:
                    self._shard.profiles.write(txn, packed, profile, self._number)
                return removed, "events"
            for each in [each for each, _ in txn.scan("scores", prefix=packed)]:
                txn.delete("scores", each)
            is_recorded = has_record and not erased.is_erased(txn, key)
            if profile is not None:
                profile.workspaces.pop(self._number, None)
                if profile.workspaces or is_recorded:
                    self._shard.profiles.write(txn, packed, profile)
                else:
                    self._shard.profiles.remove(txn, packed)
        if profile is not None and profile.workspaces:
            self._shard.audiences.engine.forget(key)
            return removed + 1, None
        self._shard.audiences.users.forget(key)
        if profile is None:
            return removed, None
        return (removed, "record") if is_recorded else (removed + 1, None)

    def _key(self, environment: Environment, mpid: int) -> ProfileKey:
        return ProfileKey(self._scope, environment, mpid)


def _erase_some_events(
    txn: Transaction, packed: bytes, section: Section | None
) -> tuple[int, bool]:
    """Delete some of a user's batches and copies; return how many, and whether there may be more.

    Args:
        section: changed in place, `None` if the workspace has none of the user.
    """
    found = itertools.islice(txn.scan("copies", prefix=packed), STEP_BATCHES)
    copied = [each for each, _ in found]
    for each in copied:
        txn.delete("copies", each)
    live = historical = 0
    if section is not None:
        section.newest_log_id, live = _unchained(txn, section.newest_log_id)
        section.newest_historical_id, historical = _unchained(txn, section.newest_historical_id)
    return len(copied) + live + historical, STEP_BATCHES in (len(copied), live, historical)


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
