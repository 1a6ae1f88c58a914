"""Deletes the sections of many users from one shard (spec/profiles.md, 10).

Every call may be repeated, also after a crash. What raises StoreFull has changed nothing of the
transaction that it was raised in.
"""

import itertools
from collections.abc import Collection, Sequence

from actors.audience_changes import AudienceChanges
from actors.model.profiles import ProfileKey
from actors.model.workspaces import Environment
from actors.section_removal import STEP_BATCHES, Removal, SectionRemoval
from actors.shard import Shard
from actors.store import groups
from actors.store.environment import Transaction
from actors.store.keys import profile_key


class ShardDeletion:
    """The part of one shard in bulk profile deletions."""

    def __init__(self, shard: Shard, changes: AudienceChanges) -> None:
        """Args: `changes` of the same shard: they tell those that follow audiences."""
        self._shard = shard
        self._changes = changes
        self._removal = SectionRemoval(shard, changes)
        self._number = shard.options.workspace.number
        self._scope = shard.options.workspace.scope

    def mark_sections(self, environment: Environment, mpids: Sequence[int]) -> list[int]:
        """Mark the sections that the workspace has of some users as those to be deleted.

        A section that is made once such a one is gone has no mark: what comes to a user after the
        deletion stays, however often that is asked for again.

        Args:
            mpids: of the users, some tens: they share a transaction.

        Returns:
            Those whom the workspace has a section of.
        """
        marked: list[int] = []
        with self._shard.transaction() as txn:
            for mpid in mpids:
                packed = profile_key(self._key(environment, mpid))
                profile = self._shard.profiles.open(txn, packed)
                if profile is not None and self._number in profile.workspaces:
                    profile.workspaces[self._number].is_leaving = True
                    self._shard.profiles.write(txn, packed, profile, self._number)
                    marked.append(mpid)
        return marked

    def release_records(self, environment: Environment, mpids: Sequence[int]) -> list[int]:
        """Decide whose identity record goes with the marked sections; return those users.

        It stays with whom another workspace has a section of, or this one a section that was made
        since. To those who are returned nothing comes any more, as of `ShardExpiry.expire_records`:
        their records have to be erased.
        """
        released: list[int] = []
        with self._shard.transaction() as txn:
            for mpid in mpids:
                packed = profile_key(self._key(environment, mpid))
                profile = self._shard.profiles.open(txn, packed)
                if profile is not None:
                    if any(
                        number != self._number or not section.is_leaving
                        for number, section in profile.workspaces.items()
                    ):
                        continue
                    if not profile.is_expired:
                        profile.is_expired = True
                        self._shard.profiles.write(txn, packed, profile, self._number)
                released.append(mpid)
        return released

    def delete_sections(
        self, environment: Environment, mpids: Sequence[int], recordless: Collection[int]
    ) -> list[int]:
        """Delete marked sections of users with their events, as much of them as one call may.

        Users are out of all audiences, and their profiles not shown any more, when the first call
        returns.

        Args:
            mpids: of the users, some tens: they share transactions.
            recordless: those whose identity record is erased.

        Returns:
            Those who are to be given to another call. Of a user whom no workspace has a section of
            the identity record is to be erased before.
        """
        with self._changes.changing() as txn:
            keys = [
                key
                for key in (self._key(environment, mpid) for mpid in mpids)
                if key.mpid in recordless or self._is_marked(txn, key)
            ]
            for key in keys:
                self._leave_groups(txn, key)
                self._removal.leave_audiences(txn, key, is_erased=False)
        removals: list[tuple[ProfileKey, Removal]] = []
        records = 0
        with self._changes.changing() as txn:
            for key in keys:
                if records >= STEP_BATCHES:
                    break
                removal = self._removal.remove(txn, key, has_record=key.mpid not in recordless)
                removals.append((key, removal))
                records += removal.records
        for key, removal in removals:
            self._removal.forget(key, removal)
        gone = {key.mpid for key, removal in removals if removal.left is None}
        return [key.mpid for key in keys if key.mpid not in gone]

    def _key(self, environment: Environment, mpid: int) -> ProfileKey:
        return ProfileKey(self._scope, environment, mpid)

    def _is_marked(self, txn: Transaction, key: ProfileKey) -> bool:
        profile = self._shard.profiles.get(txn, key)
        section = None if profile is None else profile.workspaces.get(self._number)
        return section is not None and section.is_leaving

    def _leave_groups(self, txn: Transaction, key: ProfileKey) -> None:
        """Take a user from the members of groups, and from those whom a run will make members.

        By keys, for a walk over all members would take long. Where a run that is under way has put
        the user into another group, the former one names the user until the run ends.
        """
        profile = self._shard.profiles.get(txn, key)
        section = profile and profile.workspaces.get(self._number)
        running = groups.read_progress(txn).run
        for definition in self._shard.groups.by_id.values():
            membership = section and section.groups.get(definition.number)
            values = {membership.value} if membership else set()
            candidate = groups.run_prefix(definition.number, running) + profile_key(key)
            if (value := txn.pop("group_candidates", candidate)) is not None:
                values.add(value.decode())
            for run, each in itertools.product({definition.run, running}, values):
                group = groups.group_key(definition.number, run, key.environment, each)
                txn.delete("group_members", groups.member_key(group, key.mpid))
