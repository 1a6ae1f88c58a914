"""What is asked of shards about calculated attributes; see `actors.handles` for the conventions.

All messages are plain structs and can be pickled. Attributes go by number.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from msgspec import Struct

from actors.calculated.definition import Attribute, Definition, LiveAttributes
from actors.calculated.state import Seed, Value
from actors.model.workspaces import Environment


class Planting(Struct, frozen=True):
    """Seeds and user attributes of one user (spec/calculated-attributes.md, 8).

    Attributes:
        environment, mpid: the profile; it belongs to the shard that is asked.
        is_by_identities: the profile was found by identities, and is made if it does not exist.
        seeds: number of the attribute to its seed.
        user_attributes: to be set, as sent; what a batch could not set is left out.
        received_ms: time of receipt.
    """

    environment: Environment
    mpid: int
    is_by_identities: bool
    seeds: dict[int, Seed]
    user_attributes: dict[str, Any]
    received_ms: int


class CalculatedShard(Protocol):
    """A shard. Calls that change something raise StoreFull and have then changed nothing."""

    async def set_calculated_attributes(self, live: LiveAttributes) -> int:
        """Take over what is active, unless a newer version is known; return the version known.

        What is kept of attributes that are in it no more is deleted. Attributes of a revision that
        the shard has not calculated are initialised: until that has come to a user, the user's
        old value stays, or there is none.
        """
        ...

    async def calculated_progress(self) -> tuple[int, int, int, bool]:
        """Tell how far it is with what it was told last.

        Returns:
            The version that it works by, profiles walked, of how many, and whether it is done.
        """
        ...

    async def preview_calculated(
        self,
        attribute: Attribute,
        environment: Environment | None,
        mpids: Sequence[int],
        as_of_ms: int,
    ) -> list[Value]:
        """Calculate an attribute for users of this shard, in their order; nothing is kept.

        Seeds are those that the user has of this number. Users who do not exist have no value.
        `environment` `None`: whichever has the user, production first.
        """
        ...

    async def newest_values(self, definition: Definition) -> list[str]:
        """Return values that a definition's attribute has had of late, the newest first.

        At most as many as are looked at, and as a few milliseconds allow.
        """
        ...

    async def plant_seeds(self, plantings: Sequence[Planting]) -> int:
        """Write seeds and user attributes, all or nothing.

        Returns:
            How many were dropped because there is no such profile.
        """
        ...
