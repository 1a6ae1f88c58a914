"""What can be asked of a shard about groups: reads that change nothing (spec/identity.md, 13)."""

from collections.abc import Mapping
from typing import Any

from actors.groups.definitions import attribute_name
from actors.groups.membership import group_id
from actors.groups.pages import GroupPage
from actors.model.workspaces import Environment
from actors.shard import Shard
from actors.shard_views import ShardViews
from actors.store import groups
from actors.store.groups import Values


class GroupViews:
    """Answers for one shard."""

    def __init__(self, shard: Shard, views: ShardViews) -> None:
        self._shard = shard
        self._views = views

    def group_members(
        self,
        definition_id: str,
        environment: Environment,
        value: str,
        after: int | None,
        limit: int,
    ) -> GroupPage | None:
        """Return members as of the last run; `None` if there is no such group here.

        Args:
            definition_id, value: the two parts of the group id.
            after: MPIDs that are greater only; `None` for all.
            limit: the most to return.
        """
        definition = self._shard.groups.by_id.get(definition_id)
        if definition is None or not definition.run:
            return None
        group = groups.group_key(definition.number, definition.run, environment, value)
        if groups.value_of(group) != value:  # longer than any value
            return None
        with self._shard.store.read() as txn:
            encoded = txn.get("group_values", group)
            if encoded is None:
                return None
            start = group if after is None else groups.member_key(group, after)
            mpids: list[int] = []
            for key, _ in txn.scan("group_members", start=start, prefix=group):
                mpid = groups.member_of(key).mpid
                if len(mpids) == limit:
                    break
                if mpid != after:
                    mpids.append(mpid)
        return GroupPage(mpids, _named(definition_id, groups.decode_values(encoded)))

    def user_groups(
        self, mpid: int, environment: Environment | None
    ) -> list[dict[str, Any]] | None:
        """Return the groups of a user, by definition; `None` if there is no such user."""
        section = self._views.section(mpid, environment)
        if section is None:
            return None
        ids = self._shard.groups.ids
        shown = [
            {
                "definition_id": ids[number],
                "group_id": group_id(ids[number], membership.value),
                "attributes": _named(ids[number], membership.attributes),
            }
            for number, membership in section.groups.items()
            if number in ids
        ]
        return sorted(shown, key=lambda each: str(each["definition_id"]))


def _named(definition_id: str, values: Mapping[str, Any]) -> Values:
    return {attribute_name(definition_id, each): value for each, value in values.items()}
