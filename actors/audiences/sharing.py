"""Who else may use audiences (spec/audiences.md, 12.1).

The other accounts are those of the deployment's other workspaces.
"""

import logging
from collections.abc import Mapping

from msgspec.structs import replace

from actors.audiences.core import Core
from actors.audiences.objects import AccessRequest, Audience, Level
from actors.audiences.receivers import MAY_CONNECT, level_of
from actors.audiences.rules import refused
from actors.audiences.state import AudienceState
from actors.once import answer_with

logger = logging.getLogger("headwater.audiences")

LEVELS: tuple[Level, ...] = ("private", "view_only", "usable")  # each allows more


class Sharing:
    """The levels of audiences, and the account's defaults."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def audiences_shared_with(self, account: int) -> list[Audience]:
        """Return the audiences that another account may see, by number."""
        found = self._core.state.audiences.values()
        return sorted(
            (each for each in found if level_of(each, account) in ("view_only", "usable")),
            key=lambda each: each.number,
        )

    async def share_audience(
        self, number: int, default: Level | None, levels: Mapping[int, Level] | None
    ) -> Audience | None:
        """Set the levels of an audience; `None` if there is no such audience.

        An account that may not use it any more has its connections deactivated. The levels are not
        part of the workspace document, so those of its audiences can be set, too.

        Args:
            number: of the audience.
            default: for accounts without a level of their own; `None` leaves it.
            levels: account to level, in place of all that there are; `None` leaves them.

        Raises:
            AudienceRefused: there is no such account, or it is the owner.
        """
        core = self._core
        accounts = {each.account for each in core.neighbours().values()}
        with core.changing() as changed:
            audience = changed.audiences.get(number)
            if audience is None:
                return None
            for account in levels or ():
                if account == audience.account:
                    raise refused("INVALID_STATE", "The owner's level cannot be set.", "/accounts")
                if account not in accounts:
                    message = f"There is no account {account}."
                    raise refused("REFERENCE_NOT_FOUND", message, "/accounts")
            shared = replace(
                audience,
                default_level=audience.default_level if default is None else default,
                levels=audience.levels if levels is None else dict(levels),
                access_requests={
                    account: each
                    for account, each in audience.access_requests.items()
                    if account not in (levels or ())
                },
            )
            changed.put(shared)
            self._deactivate(changed, shared)
            answer_with(shared)
        await core.push()
        return shared

    async def request_access(
        self, number: int, account: int, request: AccessRequest
    ) -> Audience | None:
        """Keep that an account asks for a level, and tell the audience's creator.

        Returns `None` if there is no such audience that the account may see.

        Raises:
            AudienceRefused: it is the owner, or has the level already.
        """
        with self._core.changing() as changed:
            audience = changed.audiences.get(number)
            if audience is None:
                return None
            level = level_of(audience, account)
            if level == "owner":
                raise refused("INVALID_STATE", "The audience is the account's own.")
            if level == "private":
                return None
            if LEVELS.index(request.level) <= LEVELS.index(level):
                raise refused("INVALID_STATE", f"The account's level is {level}.", "/level")
            requests = {**audience.access_requests, account: request}
            changed.put(replace(audience, access_requests=requests))
            answer_with(audience)
        logger.warning(
            "another account asks for access to an audience",
            extra={
                "event": "audience_access_requested",
                "audience": number,
                "creator": audience.created_by,
                "account": account,
                "level": request.level,
            },
        )
        return audience

    async def sharing_default(self) -> tuple[Level, dict[int, tuple[str, ...]]]:
        """Return the level of new audiences, and the identity types that accounts do not get."""
        counters = self._core.state.counters
        return counters.default_level, counters.withheld_identities

    async def set_sharing_default(
        self, level: Level | None, withheld: Mapping[int, tuple[str, ...]] | None
    ) -> None:
        """Set what holds for the account; `None` leaves it.

        Args:
            level: of audiences that are made from now on.
            withheld: account to the identity types that it does not get of users whom it has never
                seen.

        Raises:
            AudienceRefused: there is no such account.
        """
        core = self._core
        accounts = {each.account for each in core.neighbours().values()} - {core.catalog.account}
        with core.changing() as changed:
            for account in withheld or ():
                if account not in accounts:
                    message = f"There is no other account {account}."
                    raise refused("REFERENCE_NOT_FOUND", message, "/withheld_identities")
            counters = changed.counters
            changed.counters = replace(
                counters,
                default_level=counters.default_level if level is None else level,
                withheld_identities=counters.withheld_identities
                if withheld is None
                else dict(withheld),
            )
            if withheld is not None:
                changed.tell_shards()
            answer_with(None)
        await core.push()

    def _deactivate(self, state: AudienceState, audience: Audience) -> None:
        """Stop what is sent to accounts that may not use an audience."""
        neighbours = self._core.neighbours()
        for each in state.subscriptions_of(audience.number):
            receiver = None if each.receiver is None else neighbours.get(each.receiver)
            if (
                each.is_active
                and receiver is not None
                and level_of(audience, receiver.account) not in MAY_CONNECT
            ):
                state.put_subscription(replace(each, is_active=False))
                state.tell_shards()
