"""Where calculated attributes are managed (spec/calculated-attributes.md, 5 and 6).

Part of the coordinator's process. Every change is on disk, and known to all shards, when it is
answered; a shard that could not be told is told before anything else is done.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence

from msgspec.structs import replace

from actors.calculated import rules
from actors.calculated.calls import CalculatedShard
from actors.calculated.document import apply_document
from actors.calculated.keeper import RegistryKeeper
from actors.calculated.objects import (
    AttributeFields,
    CalculatedAttribute,
    CalculatedCatalog,
    Json,
    Progress,
)
from actors.calculated.reading import canonical, read_definition
from actors.calculated.seeds import SeedTarget
from actors.calculated.told_shards import CalculatedShards
from actors.clock import Clock
from actors.errors import CalculatedRefused, StoreFull
from actors.once import answer_with
from actors.store.environment import Store

logger = logging.getLogger("headwater.calculated")

# Number of an attribute to how many audiences refer to it, draft or active.
CountUses = Callable[[], Mapping[int, int]]


class CalculatedDesk:
    """Keeps the attributes, and has the shards calculate the active ones.

    Attributes:
        active: name to number, of the active ones: what audiences may refer to. Always the same
            object, kept up to date.
    """

    def __init__(
        self,
        store: Store,
        catalog: CalculatedCatalog,
        shards: Sequence[CalculatedShard],
        count_uses: CountUses,
        clock: Clock,
        others: Callable[[], Sequence["CalculatedDesk"]] = tuple,
        predicted: Callable[[], frozenset[str]] = frozenset,
    ) -> None:
        """Set up, with the attributes of the workspace document; nothing runs before `run`.

        If there is no room for them, a later `take_over` brings them in.

        Args:
            store: of the coordinator.
            catalog: of the workspace.
            shards: all of them, in order.
            count_uses: tells which attributes audiences refer to.
            clock: of the attributes' times.
            others: returns the desks of the deployment's other workspaces.
            predicted: returns the names of the attributes that predictions have.
        """
        self._catalog = catalog
        self._count_uses = count_uses
        self._clock = clock
        self._others = others
        self._predicted = predicted
        self._keeper = RegistryKeeper(store)
        self._told = CalculatedShards(shards, self._keeper, clock)
        self._is_behind = False  # the document's attributes are still to be brought in
        try:
            apply_document(self._keeper, catalog, clock.now_ms())
        except StoreFull as error:
            self._is_behind = True
            logger.critical(
                "calculated attributes of the workspace document wait for room in the store",
                extra={"event": "calculated_waits_for_room", "reason": str(error)},
            )
        self.active: dict[str, int] = {}
        self._show_active()

    def take_over(self, catalog: CalculatedCatalog) -> None:
        """Go on with another workspace document; shards are told soon. Raises StoreFull."""
        if catalog == self._catalog and not self._is_behind:
            return
        apply_document(self._keeper, catalog, self._clock.now_ms())
        self._catalog = catalog
        self._is_behind = False
        self._show_active()
        self._told.wake()

    @property
    def next_number(self) -> int:
        """The least number that no attribute made here through the API has or had."""
        return self._keeper.registry.counters.next_number

    @property
    def numbers(self) -> set[int]:
        """The numbers of all attributes, those too that a document has and that are not here."""
        of_document = {each.number for each in self._catalog.attributes}
        return of_document | self._keeper.registry.attributes.keys()

    def named(self, name: str) -> int | None:
        """Return the number of the attribute of a name."""
        found = self._keeper.registry.attributes.values()
        return next((each.number for each in found if each.name == name), None)

    # -- Reading ----------------------------------------------------------------------------------

    def readers_of_events(self) -> Iterator[tuple[str, str]]:
        """Yield (name of an event's data point, who reads it) of all active attributes."""
        for each in self._keeper.registry.listed():
            name = None if each.active is None else rules.event_of(read_definition(each.active))
            if name is not None:
                yield name, f"calculated attribute {each.number}"

    async def calculated_attributes(self) -> list[tuple[CalculatedAttribute, int]]:
        """Return all attributes, by number, each with how many audiences refer to it."""
        uses = self._count_uses()
        return [(each, uses.get(each.number, 0)) for each in self._keeper.registry.listed()]

    async def calculated_attribute(self, number: int) -> tuple[CalculatedAttribute, int] | None:
        """Return one attribute, and how many audiences refer to it."""
        attribute = self._keeper.registry.attributes.get(number)
        if attribute is None:
            return None
        return attribute, self._count_uses().get(number, 0)

    async def seed_targets(self) -> dict[str, list[SeedTarget]]:
        """Return what seeds can be for, by name: active and draft definitions."""
        targets: dict[str, list[SeedTarget]] = {}
        for attribute in self._keeper.registry.listed():
            for definition in (attribute.active, attribute.draft):
                target = None if definition is None else _target(attribute, definition)
                if target is not None:
                    targets.setdefault(attribute.name, []).append(target)
        return targets

    async def calculation(self, number: int) -> tuple[CalculatedAttribute, Progress] | None:
        """Tell how far the initialization of an attribute is; once it is done, it stays so.

        Raises ShardUnavailable, StoreFull.
        """
        attribute = self._keeper.registry.attributes.get(number)
        if attribute is None:
            return None
        if attribute.active is None:
            return attribute, Progress(is_done=False, percent=0)
        return attribute, await self._told.progress(attribute)

    # -- Changing ---------------------------------------------------------------------------------

    async def create_calculated(self, fields: AttributeFields, actor: str) -> int:
        """Add a draft; return its number.

        Raises:
            CalculatedRefused: it is not valid.
            StoreFull: nothing was added.
        """
        now_ms = self._clock.now_ms()
        rules.check_fields(fields, None, self._names(None), self._catalog, now_ms)
        with self._keeper.changing() as changed:
            number = changed.take_number(
                least=max((each.next_number for each in self._others()), default=0),
                used={number for each in (self, *self._others()) for number in each.numbers},
            )
            changed.put(
                CalculatedAttribute(
                    number=number,
                    name=fields.name,
                    description=fields.description or "",
                    draft=canonical(fields.draft_definition),
                    active=None,
                    created_by=actor,
                    created_ms=now_ms,
                    last_modified_by=actor,
                    last_modified_ms=now_ms,
                )
            )
            answer_with(number)
        return number

    async def change_calculated(self, number: int, fields: AttributeFields, actor: str) -> bool:
        """Change what is given; the definition becomes the draft. Tell whether there is such a one.

        Raises:
            CalculatedRefused: the document manages it, or it would not be valid.
            StoreFull: nothing was changed.
        """
        former = self._keeper.registry.attributes.get(number)
        if former is None:
            return False
        rules.check_unmanaged(former, self._catalog)
        now_ms = self._clock.now_ms()
        rules.check_fields(fields, former, self._names(number), self._catalog, now_ms)
        changes: dict[str, object] = {"last_modified_by": actor, "last_modified_ms": now_ms}
        for name in ("name", "description"):
            if getattr(fields, name) is not None:
                changes[name] = getattr(fields, name)
        if fields.draft_definition is not None:
            changes["draft"] = canonical(fields.draft_definition)
        with self._keeper.changing() as changed:
            changed.put(replace(former, **changes))
            answer_with(True)
        return True

    async def activate_calculated(self, number: int, actor: str) -> bool:
        """Make the draft the active definition, to be initialised; tell whether there is one.

        Raises:
            CalculatedRefused: there is no draft, a prediction has taken the name, too many are
                active, or the event's tier.
            ShardUnavailable: a shard was not told; it will be, and the change holds.
            StoreFull: nothing was changed, or a shard was not told for want of room.
        """
        former = self._keeper.registry.attributes.get(number)
        if former is None:
            return False
        rules.check_unmanaged(former, self._catalog)
        if former.draft is None:
            raise CalculatedRefused("VALIDATION_ERROR", [rules.NO_DRAFT])
        if former.name in self._predicted():  # since it was drafted
            raise CalculatedRefused("VALIDATION_ERROR", [rules.NAME_TAKEN])
        if former.active is None and self._active_of_account() >= self._catalog.max_active:
            raise CalculatedRefused("VALIDATION_ERROR", [rules.LIMIT_REACHED])
        rules.check_tier(read_definition(former.draft), self._catalog)
        with self._keeper.changing() as changed:
            changed.put(
                replace(
                    former,
                    draft=None,
                    active=former.draft,
                    revision=former.revision + 1,
                    activated_by=actor,
                    activated_ms=self._clock.now_ms(),
                )
            )
            changed.tell_shards()
            answer_with(True)
        await self.push()
        return True

    async def deactivate_calculated(self, number: int, actor: str) -> bool:
        """Make an active definition a draft again, unless there is another draft.

        Tells whether there is such an active attribute. Raises as `activate_calculated` does.
        """
        former = self._keeper.registry.attributes.get(number)
        if former is None or former.active is None:
            return False
        rules.check_unmanaged(former, self._catalog)
        self._check_unused(number)
        with self._keeper.changing() as changed:
            changed.put(
                replace(
                    former,
                    draft=former.active if former.draft is None else former.draft,
                    active=None,
                    last_modified_by=actor,
                    last_modified_ms=self._clock.now_ms(),
                )
            )
            changed.tell_shards()
            answer_with(True)
        await self.push()
        return True

    async def delete_calculated_draft(self, number: int, actor: str) -> bool:
        """Discard the draft; tell whether there was one. Raises CalculatedRefused, StoreFull."""
        former = self._keeper.registry.attributes.get(number)
        if former is None or former.draft is None:
            return False
        rules.check_unmanaged(former, self._catalog)
        now_ms = self._clock.now_ms()
        with self._keeper.changing() as changed:
            changed.put(
                replace(former, draft=None, last_modified_by=actor, last_modified_ms=now_ms)
            )
            answer_with(True)
        return True

    async def delete_calculated(self, number: int) -> bool:
        """Delete an attribute with its values and seeds; tell whether there was one.

        Raises as `activate_calculated` does.
        """
        former = self._keeper.registry.attributes.get(number)
        if former is None:
            return False
        rules.check_unmanaged(former, self._catalog)
        self._check_unused(number)
        with self._keeper.changing() as changed:
            del changed.attributes[number]
            changed.tell_shards()
            answer_with(True)
        await self.push()
        return True

    # -- Shards -----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Tell shards what they could not be told, for ever."""
        await self._told.run()

    async def push(self) -> None:
        """Tell all shards what holds, unless they know. Raises ShardUnavailable, StoreFull."""
        self._show_active()
        await self._told.push()

    def _show_active(self) -> None:
        listed = self._keeper.registry.listed()
        self.active.clear()
        self.active.update({each.name: each.number for each in listed if each.active is not None})

    def _active_of_account(self) -> int:
        account = self._catalog.account
        others = (each for each in self._others() if each._catalog.account == account)
        return sum(len(each.active) for each in (self, *others))

    def _check_unused(self, number: int) -> None:
        if self._count_uses().get(number, 0):
            raise CalculatedRefused("IN_USE", [rules.IN_USE])

    def _names(self, but: int | None) -> frozenset[str]:
        listed = self._keeper.registry.listed()
        return self._predicted().union(each.name for each in listed if each.number != but)


def _target(attribute: CalculatedAttribute, definition: Json) -> SeedTarget | None:
    meant = read_definition(definition)
    if meant.cutoff_ms is None:
        return None
    return SeedTarget(attribute.number, attribute.name, meant.function, meant.cutoff_ms)
