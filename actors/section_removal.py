"""Takes a workspace's section out of profiles, in transactions of whoever calls.

Source: spec/privacy.md, 5.2, and spec/profiles.md, 10.
"""

import itertools
from typing import NamedTuple

from actors.audience_changes import AudienceChanges
from actors.model.profiles import Profile, ProfileKey, Section
from actors.privacy.erasing import Left
from actors.profiles.retention import age_out
from actors.shard import Shard
from actors.store import erased, log, static_lists
from actors.store.environment import Transaction
from actors.store.keys import log_key, profile_key

STEP_BATCHES = 200  # that one call deletes at most: some milliseconds, for which ingestion waits


class Removal(NamedTuple):
    """What was removed.

    Attributes:
        records: how many there were.
        left: what has to be removed before the rest can go, `None` if all is gone.
        is_shared: whether another workspace has data of the user.
    """

    records: int
    left: Left | None
    is_shared: bool = False


class SectionRemoval:
    """The sections of one workspace on one shard."""

    def __init__(self, shard: Shard, changes: AudienceChanges) -> None:
        """Args: `changes` of the same shard: they tell those that follow audiences."""
        self._shard = shard
        self._changes = changes
        self._number = shard.options.workspace.number

    def leave_audiences(self, txn: Transaction, key: ProfileKey, *, is_erased: bool) -> int:
        """End a user's memberships in a transaction of `changes`; return how many there were.

        Those who follow them are told at its end. What else is known of the user in the workspace
        goes at once. The Calculated Attributes feed tells of values that go, unless the user is
        being erased (`is_erased`): of that user outputs hear only which memberships end.
        """
        packed = profile_key(key)
        for audience in static_lists.audiences(txn):
            static_lists.remove(txn, audience, key)
        profile = self._shard.profiles.open(txn, packed)
        if profile is None or self._number not in profile.workspaces:
            return 0
        count = len(profile.workspaces[self._number].audiences)
        age_out(profile, self._number)
        if is_erased:
            profile.workspaces[self._number].lost_attributes = []
        self._shard.profiles.write(txn, packed, profile, self._number)
        self._changes.refresh(txn, [key])
        return count

    def remove_events(self, txn: Transaction, key: ProfileKey) -> tuple[int, bool]:
        """Delete some of a user's events; return how many batches, and whether there are more."""
        packed = profile_key(key)
        profile, section = self._open(txn, packed)
        removed, has_more = _remove_some_events(txn, packed, section)
        if profile is not None and section is not None:
            self._shard.profiles.write(txn, packed, profile, self._number)
        return removed, has_more

    def remove(self, txn: Transaction, key: ProfileKey, *, has_record: bool) -> Removal:
        """Delete the rest of a user's data, or as much of it as can go by now.

        In a transaction of `changes`: audiences over several workspaces follow at its end.

        Of a profile that another workspace has data of, only this workspace's part. Who is the last
        is decided here, where each takes its part out in one transaction: two that remove a user at
        once see each other before. The last one leaves the identity record for the coordinator,
        which finds the lookups on other shards by it; until it is erased the profile stays, so that
        whoever comes again, after a crash too, finds it left.

        Args:
            has_record: as far as the caller knows; if not, the profile goes in any case.
        """
        packed = profile_key(key)
        profile, section = self._open(txn, packed)
        # What has come since events were removed, in the transaction after which nothing leads to
        # it any more.
        removed, has_more = _remove_some_events(txn, packed, section)
        if has_more:
            if profile is not None and section is not None:
                self._shard.profiles.write(txn, packed, profile, self._number)
            return Removal(removed, "events")
        for each in [each for each, _ in txn.scan("scores", prefix=packed)]:
            txn.delete("scores", each)
        if profile is None:
            return Removal(removed, None)
        profile.workspaces.pop(self._number, None)
        if profile.workspaces:
            for joint in self._shard.audiences.joints:
                joint.users.take_less(txn, key, profile)
        is_recorded = has_record and not erased.is_erased(txn, key)
        if profile.workspaces or is_recorded:
            self._shard.profiles.write(txn, packed, profile)
        else:
            self._shard.profiles.remove(txn, packed)
        if profile.workspaces:
            return Removal(removed + 1, None, is_shared=True)
        return Removal(removed, "record") if is_recorded else Removal(removed + 1, None)

    def forget(self, key: ProfileKey, removal: Removal) -> None:
        """Let go of what is in memory of a user, once the transaction of `remove` is on disk."""
        if removal.left == "events":
            return
        audiences = self._shard.audiences
        if removal.is_shared:
            audiences.engine.forget(key)
        else:
            audiences.users.forget(key)

    def _open(self, txn: Transaction, packed: bytes) -> tuple[Profile | None, Section | None]:
        profile = self._shard.profiles.open(txn, packed)
        return profile, None if profile is None else profile.workspaces.get(self._number)


def _remove_some_events(
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
