"""Where audiences are managed (spec/audiences.md): a part of the coordinator's process.

The desk is made of parts, one for each kind of thing that can be done; what they keep is on disk,
and known to all shards, when it is answered. A shard that could not be told is told later.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from actors.audiences.abtests import AbTests
from actors.audiences.calls import AudienceShard
from actors.audiences.catalog import Catalog
from actors.audiences.core import Core, Elsewhere
from actors.audiences.document import apply_document
from actors.audiences.downloads import Downloads
from actors.audiences.forwarding import Forwarding
from actors.audiences.journeys import Journeys
from actors.audiences.language.dependencies import dependencies_of
from actors.audiences.language.event_filters import data_points_of
from actors.audiences.lifecycle import Lifecycle
from actors.audiences.lists import StaticLists
from actors.audiences.objects import Audience
from actors.audiences.queries import Queries
from actors.audiences.registry import Registry
from actors.audiences.rules import RUNNING, definitions_by
from actors.audiences.sharing import Sharing
from actors.audiences.subscriptions import SettingsCheck, Subscriptions
from actors.clock import Clock, Randomness
from actors.errors import ShardUnavailable, StoreFull
from actors.predictions.applying import Applying
from actors.predictions.desk import Predictions
from actors.store.environment import Store

logger = logging.getLogger("headwater.audiences")

LOOK_S = 1.0  # how often it is seen how far shards are, while something waits for them
IDLE_LOOK_S = 60.0  # for what time alone brings about


class AudienceDesk:
    """The parts, and the work that goes on behind them."""

    def __init__(
        self,
        store: Store,
        catalog: Catalog,
        check_settings: SettingsCheck,
        shards: Sequence[AudienceShard],
        folder: Path,
        clock: Clock,
        randomness: Randomness,
        elsewhere: Callable[[], Mapping[int, Elsewhere]] = dict,
    ) -> None:
        """Set up; nothing runs before `work`, and nothing is asked before `begin`.

        Args:
            store: of the coordinator.
            catalog: what audiences may refer to.
            check_settings: of subscriptions.
            shards: all of them, in order.
            folder: where downloads are kept.
            clock, randomness: of dates and ids.
            elsewhere: see `Core`.
        """
        self._core = Core(store, catalog, shards, clock, randomness, elsewhere)
        self._lifecycle = Lifecycle(self._core)
        self._lists = StaticLists(self._core)
        self._downloads = Downloads(self._core, folder)
        self._applying = Applying(self._core)
        self._parts = (
            Registry(self._core),
            self._lifecycle,
            AbTests(self._core),
            self._lists,
            Subscriptions(self._core, check_settings),
            Forwarding(self._core),
            Journeys(self._core),
            Sharing(self._core),
            Queries(self._core),
            self._downloads,
            Predictions(self._core, self._applying),
            self._applying,
        )
        self._working = asyncio.Lock()
        self._is_behind = True  # what documents say is still to be brought in
        self._tells_anew = False  # see `apply_document`

    def begin(self) -> None:
        """Bring the audiences of the workspace document in, now that all desks are set up: some
        are about other workspaces too. If there is no room, a later `catch_up` does it."""
        try:
            self.catch_up()
        except StoreFull as error:
            logger.critical(
                "audiences of the workspace document wait for room in the store",
                extra={
                    "event": "audiences_wait_for_room",
                    "workspace": self._core.catalog.workspace,
                    "reason": str(error),
                },
            )

    @property
    def contents(self) -> Elsewhere:
        """What the desks of other workspaces have to know."""
        return Elsewhere(self._core.catalog, self._core.state)

    @property
    def predicted(self) -> frozenset[str]:
        """The names of the attributes that predictions have."""
        found = self._core.state.predictions.values()
        return frozenset(name for each in found for name in each.attributes)

    def receiving(self) -> frozenset[str]:
        """Return the outputs (ids) that audiences are connected to, also of other accounts."""
        core = self._core
        found = (core.output_of(each) for each in core.state.subscriptions.values())
        return frozenset(each.id for each in found if each is not None)

    def expire_downloads(self, workspace: int) -> int:
        """See `actors.audiences.downloads.Downloads.expire_downloads`."""
        return self._downloads.expire_downloads(workspace)

    def take_over(self, catalog: Catalog, *, is_other: bool) -> None:
        """Go by another workspace document; its audiences come in with `catch_up`.

        `is_other`: what it refers to is, though it may be the same itself.
        """
        if is_other or catalog != self._core.catalog:
            self._core.take_over(catalog)
            self._is_behind = self._tells_anew = True

    def follow(self) -> None:
        """Let `catch_up` go by what has changed in another workspace, if anything here is about
        others too."""
        core = self._core
        is_about = any(len(each.workspaces) > 1 for each in core.catalog.audiences)
        is_told = any(each.receiver is not None for each in core.state.subscriptions.values())
        if is_about or is_told:
            self._is_behind = self._tells_anew = True

    def catch_up(self) -> bool:
        """Bring in what documents say; shards are told soon.

        Returns:
            Whether that was not done yet: desks of other workspaces then have to `follow`.

        Raises:
            StoreFull: nothing was changed; to be called again.
        """
        if not self._is_behind:
            return False
        apply_document(self._core, tells_anew=self._tells_anew)
        self._is_behind = self._tells_anew = False
        self._core.woken.set()
        return True

    async def push(self) -> None:
        """Tell all shards what holds, unless they know. Raises ShardUnavailable, StoreFull."""
        await self._core.push()

    async def call(self, method: str, *arguments: Any) -> Any:
        """Call a method of one of the parts."""
        part = next(each for each in self._parts if hasattr(each, method))
        return await getattr(part, method)(*arguments)

    def calculated_uses(self) -> Iterator[tuple[Audience, int]]:
        """Yield (audience, number of a calculated attribute that it refers to)."""
        for audience in self._core.state.audiences.values():
            node = self._core.node_of(audience)
            if node is not None:
                for number in dependencies_of(node).calculated_attributes:
                    yield audience, number

    def calculated_names(self, workspace: int) -> Iterator[tuple[Audience, str]]:
        """Yield (audience, name of a calculated attribute of another workspace that it refers to)
        of the audiences that lie here, and are about that workspace too."""
        state = self._core.state
        for audience in state.audiences.values():
            if workspace in audience.workspaces:
                definitions = definitions_by(state, audience)
                for name in {name for each in definitions for name in each.calculated}:
                    yield audience, name

    def made_names(self) -> Mapping[str, int]:
        """Return the names of the account's audiences that no document manages, case-folded, each
        with its number."""
        return self._core.names(self._core.state, with_documents=False)

    def readers_of_events(self, workspace: int) -> Iterator[tuple[str, str]]:
        """Yield (name of an event's data point, who reads it) of all active real-time audiences
        that are about a workspace (spec/audiences.md, 8, rule 3)."""
        for audience in self._core.state.audiences.values():
            is_read = audience.type == "real_time" and audience.status in RUNNING
            node = self._core.node_of(audience) if is_read else None
            if node is not None and workspace in audience.workspaces:
                for wanted in dependencies_of(node).events:
                    for name in data_points_of(wanted):
                        yield name, f"audience {audience.number}"

    async def work(self) -> bool:
        """Do all that is due now; tell whether something still waits for the shards.

        Raises:
            ShardUnavailable: a shard did not answer; the next call goes on.
            StoreFull: likewise, for want of room.
        """
        async with self._working:
            await self._core.push()
            await self._lists.hand_on()
            is_waiting = await self._lifecycle.settle_progress()
            await self._downloads.make_downloads()
            return is_waiting

    async def run_predictions(self) -> None:
        """Give users what their scores come to, for ever."""
        await self._applying.run_predictions()

    async def run(self) -> None:
        """Do what is due, for ever."""
        while True:
            self._core.woken.clear()
            pause_s = LOOK_S
            try:
                if not await self.work():
                    pause_s = IDLE_LOOK_S
            except (ShardUnavailable, StoreFull) as error:
                logger.warning(
                    "audiences wait for a shard",
                    extra={"event": "audiences_wait", "kind": type(error).__name__},
                )
            try:
                async with asyncio.timeout(pause_s):
                    await self._core.woken.wait()
            except TimeoutError:
                continue
