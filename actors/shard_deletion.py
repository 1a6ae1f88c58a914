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

    def seen_here(self, environment: Environment, mpids: Sequence[int]) -> list[int]:
        """Return those of some users whom the workspace has a section of."""
        return [
            mpid
            for mpid, workspaces in self._workspaces(environment, mpids)
            if self._number in workspaces
        ]

    def seen_elsewhere(self, environment: Environment, mpids: Sequence[int]) -> list[int]:
        """Return those of some users whom another workspace has a section of."""
        return [
            mpid
            for mpid, workspaces in self._workspaces(environment, mpids)
            if any(each != self._number for each in workspaces)
        ]

    def delete_sections(
        self, environment: Environment, mpids: Sequence[int], recordless: Collection[int]
    ) -> list[int]:
        """Delete sections of users with their events, as much of them as one call may.

        Users are out of all audiences, and their profiles not shown any more, when the first call
        returns.

        Args:
            mpids: of the users, some tens: they share transactions.
            recordless: those whose identity record is erased.

        Returns:
            Those who are to be given to another call. Of a user whom no workspace has a section of
            the identity record is to be erased before.
        """
        keys = [ProfileKey(self._scope, environment, mpid) for mpid in mpids]
        with self._changes.changing() as txn:
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
        return [mpid for mpid in mpids if mpid not in gone]

    def _workspaces(
        self, environment: Environment, mpids: Sequence[int]
    ) -> list[tuple[int, Collection[int]]]:
        """Return users, and the numbers of the workspaces that have a section of each."""
        found: list[tuple[int, Collection[int]]] = []
        with self._shard.store.read() as txn:
            for mpid in mpids:
                key = ProfileKey(self._scope, environment, mpid)
                profile = self._shard.profiles.get(txn, key)
                found.append((mpid, () if profile is None else profile.workspaces.keys()))
        return found

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
