"""Who else may use audiences (spec/audiences.md, 12.1).

A deployment serves one account. What is set for others is refused, since there are none; what holds
for new audiences is kept.
"""

from collections.abc import Mapping

from msgspec.structs import replace

from actors.audiences.core import Core
from actors.audiences.objects import Audience, Level
from actors.audiences.registry import check_unmanaged
from actors.audiences.rules import refused


class Sharing:
    """The levels of audiences, and the account's default."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def share_audience(
        self, number: int, default: Level | None, levels: Mapping[int, Level]
    ) -> Audience | None:
        """Set the levels of an audience; `None` if there is no such audience.

        Args:
            number: of the audience.
            default: for accounts without a level of their own; `None` leaves it.
            levels: account to level.

        Raises:
            AudienceRefused: there is no such account, or it is the owner.
        """
        core = self._core
        with core.changing() as changed:
            audience = changed.audiences.get(number)
            if audience is None:
                return None
            check_unmanaged(audience)
            for account in levels:
                if account == audience.account:
                    raise refused("INVALID_STATE", "The owner's level cannot be set.", "/accounts")
                message = f"There is no account {account}."
                raise refused("REFERENCE_NOT_FOUND", message, "/accounts")
            level = audience.default_level if default is None else default
            return changed.put(replace(audience, default_level=level, levels=dict(levels)))

    async def sharing_default(self) -> tuple[Level, dict[int, tuple[str, ...]]]:
        """Return the level of new audiences, and the identity types that accounts do not get."""
        counters = self._core.state.counters
        return counters.default_level, counters.withheld_identities

    async def set_sharing_default(self, level: Level) -> None:
        """Set the level that audiences have which are made from now on."""
        with self._core.changing() as changed:
            changed.counters = replace(changed.counters, default_level=level)
