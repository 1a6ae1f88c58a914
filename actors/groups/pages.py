"""A page of members, which a shard answers and an edge puts together (spec/identity.md, 13)."""

from msgspec import Struct

from actors.store.groups import Values


class GroupPage(Struct, array_like=True):
    """Members of a group that lie on one shard, ascending, and the group's attributes by name."""

    mpids: list[int]
    attributes: Values
