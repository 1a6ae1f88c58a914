"""What all parts of the desk of audiences share."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from msgspec.structs import replace

from actors.audiences.calls import AudienceShard
from actors.audiences.catalog import FIRST_API_NUMBER, AudienceOutput, Catalog
from actors.audiences.criteria import Node
from actors.audiences.live import live_audiences, node_of
from actors.audiences.objects import Audience, Removal, Subscription
from actors.audiences.readings import Readings
from actors.audiences.receivers import Neighbours, output_of
from actors.audiences.rules import active_audiences, refused
from actors.audiences.state import AudienceKeeper, AudienceState
from actors.audiences.told import ShardProgress
from actors.clock import Clock, Randomness
from actors.errors import HeldByFile
from actors.store.environment import Store

MANAGED = "Managed by configuration file."


class Elsewhere(NamedTuple):
    """What another workspace of the deployment has; it is not to be changed."""

    catalog: Catalog
    state: AudienceState


class Core:
    """The state, what it is about, and the way to the shards.

    Attributes:
        catalog: of the workspace.
        readings: of definitions.
        shards: all of them, in order.
        clock, randomness: of dates and ids.
        woken: set when there is work for the background.
        told: set when the shards were told of something, such as another audience.
    """

    def __init__(
        self,
        store: Store,
        catalog: Catalog,
        shards: Sequence[AudienceShard],
        clock: Clock,
        randomness: Randomness,
        elsewhere: Callable[[], Mapping[int, Elsewhere]] = dict,
    ) -> None:
        """Args: `elsewhere`: returns the deployment's other workspaces, by number."""
        self.catalog = catalog
        self._elsewhere = elsewhere
        self.readings = Readings(catalog, clock, self.neighbours)
        self.shards = shards
        self.clock = clock
        self.randomness = randomness
        self.woken = asyncio.Event()
        self.told = asyncio.Event()
        self._keeper = AudienceKeeper(store)
        self._pushed: int | None = None  # the version that this process has told all shards

    def take_over(self, catalog: Catalog) -> None:
        """Go on with another catalog."""
        self.catalog = catalog
        self.readings = Readings(catalog, self.clock, self.neighbours)

    @property
    def state(self) -> AudienceState:
        """What is kept; not to be changed."""
        return self._keeper.state

    def neighbours(self) -> Neighbours:
        """Return the catalogs of the deployment's other workspaces, by number."""
        return {number: each.catalog for number, each in self._elsewhere().items()}

    def names(self, state: AudienceState, *, with_documents: bool = True) -> dict[str, int]:
        """Return the names of the account's audiences, case-folded, each with its number.

        Args:
            state: of this workspace, as it is while it is changed.
            with_documents: also of those that workspace documents manage.
        """
        return {
            audience.name.casefold(): audience.number
            for each in self.of_account(state)
            for audience in each.audiences.values()
            if with_documents or audience.document_id is None
        }

    def check_active_limit(self, state: AudienceState, added: int = 1) -> None:
        """Check that so many more real-time audiences of the account may be active.

        `state`: of this workspace, as it is while it is changed.

        Raises:
            AudienceRefused: they are too many (spec/audiences.md, 15).
        """
        most = self.catalog.max_active
        if sum(map(active_audiences, self.of_account(state))) + added > most:
            message = f"At most {most} audiences of an account can be active."
            raise refused("LIMIT_EXCEEDED", message)

    def take_number(self, state: AudienceState) -> int:
        """Return the number of a new audience, which none of the deployment has or had."""
        others = list(self._elsewhere().values())
        states = [state, *(each.state for each in others)]
        catalogs = [self.catalog, *(each.catalog for each in others)]
        used = {number for each in states for number in each.audiences}
        used |= {audience.number for each in catalogs for audience in each.audiences}
        number = max(FIRST_API_NUMBER, *(each.counters.next_audience for each in states))
        while number in used:
            number += 1
        state.counters = replace(state.counters, next_audience=number + 1)
        return number

    def check_unmanaged(self, audience: Audience) -> None:
        """Check that the API may change an audience.

        Raises:
            AudienceRefused: a configuration file has it (spec/connections.md, 10).
            HeldByFile: likewise, but the workspace lets the API change what files have, or the
                last file does not have it any more.
        """
        if audience.document_id is None:
            return
        if self.catalog.allow_api_edits or audience.document_id in self.catalog.left:
            raise HeldByFile("audiences", audience.document_id)
        raise refused("CONFLICT", MANAGED)

    @contextmanager
    def changing(self) -> Iterator[AudienceState]:
        """Hand out a copy of the state to be changed; it is on disk afterwards. Raises StoreFull.

        On an exception nothing is changed.
        """
        with self._keeper.changing() as changed:
            yield changed
        definitions = [each.definition for each in self.state.audiences.values()]
        for journey in self.state.journeys.values():
            definitions += [each.definition for each in journey.milestones]
        self.readings.forget_all_but(each for each in definitions if each is not None)

    def of_account(self, state: AudienceState) -> list[AudienceState]:
        """Return the state of this workspace, and those of the others of its account."""
        account = self.catalog.account
        others = [each for each in self._elsewhere().values() if each.catalog.account == account]
        return [state, *(each.state for each in others)]

    def node_of(self, audience: Audience) -> Node | None:
        """Return what an audience's definition means; `None` if it has none."""
        return node_of(audience, self.state, self.readings)

    def output_of(self, joined: Subscription | Removal) -> AudienceOutput | None:
        """Return the output of a subscription; `None` if it is not there any more."""
        return output_of(joined, self.catalog, self.neighbours())

    async def push(self) -> None:
        """Tell all shards what holds, unless they know.

        Raises:
            ShardUnavailable: a shard was not told; the background goes on trying.
            StoreFull: likewise, for want of room.
        """
        if self._pushed is None:
            if not self.state.counters.version:
                return  # there was never anything to be told
            # What shards know of this version or a greater one may be from a store of which this
            # one is an old copy.
            known = max(each.version for each in await self.progress())
            if known >= self.state.counters.version:
                self._go_beyond(known)
        while self._pushed != self.state.counters.version:
            live = live_audiences(self.state, self.catalog, self.readings, self.neighbours())
            self.woken.set()
            known = max(await asyncio.gather(*(shard.set_audiences(live) for shard in self.shards)))
            if known > live.version:
                self._go_beyond(known)
            else:
                self._pushed = live.version
                self.told.set()

    async def progress(self) -> list[ShardProgress]:
        """Ask all shards how far they are. Raises ShardUnavailable."""
        return list(await asyncio.gather(*(each.audience_progress() for each in self.shards)))

    def _go_beyond(self, version: int) -> None:
        with self.changing() as changed:
            changed.advance_beyond(version)
