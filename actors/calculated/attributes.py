"""The calculated attributes of a workspace, as the rest of the coordinator has to do with them.

They come from the workspace document and from the desk, share numbers with the deployment's other
workspaces and a limit with those of the account, and are told to all shards.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from actors.calculated.calls import CalculatedShard
from actors.calculated.document import apply_document
from actors.calculated.keeper import Registry, RegistryKeeper
from actors.calculated.objects import CalculatedCatalog
from actors.calculated.reading import read_definition
from actors.calculated.rules import event_of
from actors.calculated.told_shards import CalculatedShards
from actors.clock import Clock
from actors.errors import StoreFull
from actors.store.environment import Store

logger = logging.getLogger("headwater.calculated")


class CalculatedAttributes:
    """All of a workspace; the shards calculate the active ones.

    Attributes:
        catalog: of the workspace.
        keeper: of all there are.
        told: the shards, and how far they are.
        predicted: returns the names of the attributes that predictions have.
        active: name to number, of the active ones. drafts: of all others; audiences may refer to
            them as long as they are drafts themselves. Always the same objects, kept up to date.
    """

    def __init__(
        self,
        store: Store,
        catalog: CalculatedCatalog,
        shards: Sequence[CalculatedShard],
        clock: Clock,
        others: Callable[[], Sequence["CalculatedAttributes"]] = tuple,
        predicted: Callable[[], frozenset[str]] = frozenset,
    ) -> None:
        """Set up, with the attributes of the workspace document; nothing runs before `run`.

        If there is no room for them, a later `take_over` brings them in.

        Args:
            store: of the coordinator.
            catalog: of the workspace.
            shards: all of them, in order.
            clock: of the attributes' times.
            others: returns those of the deployment's other workspaces.
            predicted: returns the names of the attributes that predictions have.
        """
        self.catalog = catalog
        self._clock = clock
        self._others = others
        self.predicted = predicted
        self.keeper = RegistryKeeper(store)
        self.told = CalculatedShards(shards, self.keeper, clock)
        self._is_behind = False  # the document's attributes are still to be brought in
        try:
            apply_document(self.keeper, catalog, clock.now_ms())
        except StoreFull as error:
            self._is_behind = True
            logger.critical(
                "calculated attributes of the workspace document wait for room in the store",
                extra={"event": "calculated_waits_for_room", "reason": str(error)},
            )
        self.active: dict[str, int] = {}
        self.drafts: dict[str, int] = {}
        self._show()

    def take_over(self, catalog: CalculatedCatalog) -> None:
        """Go on with another workspace document; shards are told soon. Raises StoreFull."""
        if catalog == self.catalog and not self._is_behind:
            return
        apply_document(self.keeper, catalog, self._clock.now_ms())
        self.catalog = catalog
        self._is_behind = False
        self._show()
        self.told.wake()

    @contextmanager
    def changing(self) -> Iterator[Registry]:
        """See `actors.calculated.keeper.RegistryKeeper.changing`."""
        with self.keeper.changing() as changed:
            yield changed
        self._show()

    def named(self, name: str) -> int | None:
        """Return the number of the attribute of a name."""
        found = self.keeper.registry.attributes.values()
        return next((each.number for each in found if each.name == name), None)

    def names(self, but: int | None) -> frozenset[str]:
        """Return the names that are taken, also by predictions; `but`: not by that attribute."""
        listed = self.keeper.registry.listed()
        return self.predicted().union(each.name for each in listed if each.number != but)

    def readers_of_events(self) -> Iterator[tuple[str, str]]:
        """Yield (name of an event's data point, who reads it) of all active attributes."""
        for each in self.keeper.registry.listed():
            name = None if each.active is None else event_of(read_definition(each.active))
            if name is not None:
                yield name, f"calculated attribute {each.number}"

    # -- Other workspaces -------------------------------------------------------------------------

    @property
    def next_number(self) -> int:
        """The least number that no attribute made here through the API has or had."""
        return self.keeper.registry.counters.next_number

    @property
    def numbers(self) -> set[int]:
        """The numbers of all attributes, those too that a document has and that are not here."""
        of_document = {each.number for each in self.catalog.attributes}
        return of_document | self.keeper.registry.attributes.keys()

    def take_number(self, changed: Registry) -> int:
        """Return the number of a new attribute, which none of the deployment has.

        Args: `changed`: the registry while it is changed.
        """
        return changed.take_number(
            least=max((each.next_number for each in self._others()), default=0),
            used={number for each in (self, *self._others()) for number in each.numbers},
        )

    @property
    def is_at_limit(self) -> bool:
        """Whether no further one may be active: all workspaces of the account together count."""
        account = self.catalog.account
        others = (each for each in self._others() if each.catalog.account == account)
        return sum(len(each.active) for each in (self, *others)) >= self.catalog.max_active

    # -- Shards -----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Tell shards what they could not be told, for ever."""
        await self.told.run()

    async def push(self) -> None:
        """Tell all shards what holds, unless they know. Raises ShardUnavailable, StoreFull."""
        await self.told.push()

    def _show(self) -> None:
        self.active.clear()
        self.drafts.clear()
        for each in self.keeper.registry.listed():
            shown = self.drafts if each.active is None else self.active
            shown[each.name] = each.number
