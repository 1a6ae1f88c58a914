"""The workspaces that an audience over several is about, as one shard has them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from actors.audience_columns import derived_of
from actors.audiences.engine.sources import Derived
from actors.audiences.history import ReadHistory, read_recent
from actors.model.batches import StoredBatch
from actors.model.profiles import Profile, ProfileKey, Section
from actors.model.workspaces import WorkspaceInfo
from actors.store.environment import Transaction

if TYPE_CHECKING:
    from actors.shard import Shard

_NOTHING: frozenset[int] = frozenset()


class JointParts:
    """Reads a user in all of them.

    Args:
        shards: each workspace's part of the shard, by its number; the first one's audience it is.
    """

    def __init__(self, shards: Mapping[int, "Shard"]) -> None:
        self._shards = shards

    @property
    def workspaces(self) -> Sequence[WorkspaceInfo]:
        """The workspaces, that of the audience first."""
        return [each.options.workspace for each in self._shards.values()]

    def sections(self, profile: Profile) -> list[Section]:
        """Return the sections that a user has in them, also those that aged out."""
        return [each for number, each in profile.workspaces.items() if number in self._shards]

    def derived(self, profile: Profile, audiences: frozenset[int]) -> Derived:
        """Return what criteria read of a user; `audiences`: that the user is in."""
        return Derived(
            audiences=audiences,
            workspaces={
                number: replace(
                    derived_of(
                        profile.workspaces[number],
                        each.audiences.attributes,
                        _NOTHING,
                        each.options.workspace.regulations,
                    ),
                    groups=each.groups.ids,
                )
                for number, each in self._shards.items()
                if number in profile.workspaces
            },
        )

    def batches(
        self,
        txn: Transaction,
        key: ProfileKey,
        profile: Profile,
        since_ms: int,
        read: ReadHistory = read_recent,
    ) -> list[StoredBatch]:
        """Return what is stored of a user in them and may have events at or after `since_ms`.

        `read`: of one workspace; by default what real-time evaluation sees.
        """
        found: list[StoredBatch] = []
        for number, each in self._shards.items():
            section = profile.workspaces.get(number)
            if section is not None:
                history = read(each.store.within(txn), key, section, since_ms)
                found += [*history.own, *history.copied]
        return found
