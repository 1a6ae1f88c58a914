"""Keeps a process of one mind with the coordinator about the configuration of the workspaces."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from actors.errors import ActorFailed, ShardUnavailable, StoreFull
from config.served import ServedDocument

logger = logging.getLogger("headwater.configuration")

LOOK_S = 1.0  # a change takes effect within 5 s (spec/connections.md, 1.3)


class FollowedConfiguration(Protocol):
    """What is asked; see `config.desk.ConfigDesk`."""

    async def editions(self) -> dict[int, tuple[int, int]]:
        """Return number of a workspace to its edition."""
        ...

    async def served(self, workspace: int) -> ServedDocument:
        """Return a workspace as it holds now."""
        ...


class ConfigFollower:
    """Asks again and again, and hands on what is newer."""

    def __init__(
        self,
        configuration: FollowedConfiguration,
        known: Mapping[int, tuple[int, int]],
        take_over: Callable[[ServedDocument], Awaitable[None]],
    ) -> None:
        """Args: `known`: number of each workspace to the edition in use."""
        self._configuration = configuration
        self._known = dict(known)
        self._take_over = take_over

    async def step(self) -> None:
        """Ask once. Raises ShardUnavailable."""
        for workspace, edition in (await self._configuration.editions()).items():
            # Another one, not a greater one: a restored coordinator may be at an earlier one.
            if workspace in self._known and self._known[workspace] != edition:
                served = await self._configuration.served(workspace)
                await self._take_over(served)
                self._known[workspace] = served.edition

    async def run(self) -> None:
        """Ask for ever; what goes wrong is logged and tried again."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self.step()
            except (ActorFailed, ShardUnavailable, StoreFull) as error:
                logger.warning(
                    "the configuration is not known now; it is asked for again",
                    extra={"event": "configuration_unknown", "kind": type(error).__name__},
                )
            except Exception:
                logger.exception(
                    "a configuration could not be followed; it is asked for again",
                    extra={"event": "follow_failed"},
                )
