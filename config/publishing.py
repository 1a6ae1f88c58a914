"""Has a configuration that was applied take effect everywhere (spec/connections.md, 1.3).

Shards are told at once, and asked now and then which revision they have, so that one that was away
is told too, as are parts of the coordinator whose store had no room; edges, forwarders and `serve`
ask which is the last. Shards come first: they have to know an input before an edge takes anything
for it.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

from actors.desk_options import DeskOptions
from actors.errors import ActorFailed, ShardUnavailable, StoreFull
from config.book import Book
from config.compiled_workspaces import desk_options, shard_options
from config.served import ServedDocument
from config.settings import Settings
from config.shards import ConfiguredShard

logger = logging.getLogger("headwater.configuration")

PATIENCE_S = 2.0  # with a shard that is told


class Publisher:
    """Tells the parts of the coordinator and the shards what holds in the book."""

    def __init__(self, book: Book, settings: Settings) -> None:
        self._book = book
        self._settings = settings
        self._shards: Mapping[int, Sequence[ConfiguredShard]] = {}
        self._take_over: Callable[[DeskOptions], None] = lambda _: None
        self._is_behind = True  # a part of the coordinator may have had no room for what holds
        self.published: dict[int, int] = {}
        self.editions: dict[int, tuple[int, int]] = {}
        self.announce()

    def bind(
        self,
        shards: Mapping[int, Sequence[ConfiguredShard]],
        take_over: Callable[[DeskOptions], None],
    ) -> None:
        """Say whom to tell: the shards of each workspace, and its part of the coordinator."""
        self._shards = shards
        self._take_over = take_over

    def desk_options(self) -> list[DeskOptions]:
        """Return how the workspaces' parts of the coordinator are set up, in order."""
        return [desk_options(each, self._settings) for each in self._book.served]

    async def queues(self, workspace: int, connection: int) -> list[dict[str, int]]:
        """Return how much waits for a connection on each shard. Raises ShardUnavailable."""
        shards = self._shards[workspace]
        return await asyncio.gather(*(shard.queue(connection) for shard in shards))

    async def publish(self) -> None:
        """Have everybody go on with what holds; who is away is told by `tell_all`."""
        self._is_behind = True
        await self.tell_all()
        self.announce()

    def announce(self) -> None:
        """Let those who ask know what holds, once those have it who are told."""
        self.published = {each.info.number: each.revision for each in self._book.served}
        self.editions = {each.info.number: each.edition for each in self._book.served}

    async def tell_all(self) -> None:
        """Tell those who do not have what holds: parts of the coordinator that had no room for it,
        and shards with an older revision, as far as they answer."""
        if self._is_behind:
            self._tell_desks()
        await asyncio.gather(
            *(
                self._tell(shard, each)
                for each in self._book.served
                for shard in self._shards[each.info.number]
            )
        )

    def _tell_desks(self) -> None:
        self._is_behind = False
        for options in self.desk_options():
            try:
                self._take_over(options)
            except StoreFull as error:
                self._is_behind = True
                logger.error(
                    "the coordinator has no room to take a configuration over; it is told again",
                    extra={
                        "event": "configuration_not_taken_over",
                        "workspace": options.workspace.id,
                        "reason": str(error),
                    },
                )

    async def _tell(self, shard: ConfiguredShard, served: ServedDocument) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                if await shard.revision() != served.revision:
                    await shard.take_over(shard_options(served, self._settings.shards))
        except (ActorFailed, ShardUnavailable, StoreFull, TimeoutError, RuntimeError) as error:
            logger.warning(
                "a shard does not take a configuration over; it is told again",
                extra={
                    "event": "configuration_waits",
                    "workspace": served.info.id,
                    "kind": type(error).__name__,
                },
            )
