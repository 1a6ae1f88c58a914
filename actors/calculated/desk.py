"""Where calculated attributes are managed (spec/calculated-attributes.md, 5 and 6).

Part of the coordinator's process. Every change is on disk, and known to all shards, when it is
answered; a shard that could not be told is told before anything else is done.
"""

from collections.abc import Callable, Mapping

from msgspec.structs import replace

from actors.calculated import rules
from actors.calculated.attributes import CalculatedAttributes
from actors.calculated.objects import AttributeFields, CalculatedAttribute, Json, Progress
from actors.calculated.reading import canonical, read_definition
from actors.calculated.seeds import SeedTarget
from actors.clock import Clock
from actors.errors import CalculatedRefused
from actors.once import answer_with

# Number of an attribute to how many audiences refer to it, draft or active.
CountUses = Callable[[], Mapping[int, int]]


class CalculatedDesk:
    """What the API can ask of the attributes of a workspace, and do to them."""

    def __init__(
        self, attributes: CalculatedAttributes, count_uses: CountUses, clock: Clock
    ) -> None:
        """Set up.

        Args:
            attributes: of the workspace.
            count_uses: tells which of them audiences refer to.
            clock: of the attributes' times.
        """
        self._attributes = attributes
        self._keeper = attributes.keeper
        self._count_uses = count_uses
        self._clock = clock

    # -- Reading ----------------------------------------------------------------------------------

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
        return attribute, await self._attributes.told.progress(attribute)

    # -- Changing ---------------------------------------------------------------------------------

    async def create_calculated(self, fields: AttributeFields, actor: str) -> int:
        """Add a draft; return its number.

        Raises:
            CalculatedRefused: it is not valid.
            StoreFull: nothing was added.
        """
        now_ms = self._clock.now_ms()
        rules.check_fields(
            fields, None, self._attributes.names(None), self._attributes.catalog, now_ms
        )
        with self._attributes.changing() as changed:
            number = self._attributes.take_number(changed)
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
        rules.check_unmanaged(former, self._attributes.catalog)
        now_ms = self._clock.now_ms()
        rules.check_fields(
            fields, former, self._attributes.names(number), self._attributes.catalog, now_ms
        )
        changes: dict[str, object] = {"last_modified_by": actor, "last_modified_ms": now_ms}
        for name in ("name", "description"):
            if getattr(fields, name) is not None:
                changes[name] = getattr(fields, name)
        if fields.draft_definition is not None:
            changes["draft"] = canonical(fields.draft_definition)
        with self._attributes.changing() as changed:
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
        rules.check_unmanaged(former, self._attributes.catalog)
        if former.draft is None:
            raise CalculatedRefused("VALIDATION_ERROR", [rules.NO_DRAFT])
        if former.name in self._attributes.predicted():  # since it was drafted
            raise CalculatedRefused("VALIDATION_ERROR", [rules.NAME_TAKEN])
        if former.active is None and self._attributes.is_at_limit:
            raise CalculatedRefused("VALIDATION_ERROR", [rules.LIMIT_REACHED])
        rules.check_tier(read_definition(former.draft), self._attributes.catalog)
        with self._attributes.changing() as changed:
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
        await self._attributes.push()
        return True

    async def deactivate_calculated(self, number: int, actor: str) -> bool:
        """Make an active definition a draft again, unless there is another draft.

        Tells whether there is such an active attribute. Raises as `activate_calculated` does.
        """
        former = self._keeper.registry.attributes.get(number)
        if former is None or former.active is None:
            return False
        rules.check_unmanaged(former, self._attributes.catalog)
        self._check_unused(number)
        with self._attributes.changing() as changed:
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
        await self._attributes.push()
        return True

    async def delete_calculated_draft(self, number: int, actor: str) -> bool:
        """Discard the draft; tell whether there was one. Raises CalculatedRefused, StoreFull."""
        former = self._keeper.registry.attributes.get(number)
        if former is None or former.draft is None:
            return False
        rules.check_unmanaged(former, self._attributes.catalog)
        now_ms = self._clock.now_ms()
        with self._attributes.changing() as changed:
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
        rules.check_unmanaged(former, self._attributes.catalog)
        self._check_unused(number)
        with self._attributes.changing() as changed:
            del changed.attributes[number]
            changed.tell_shards()
            answer_with(True)
        await self._attributes.push()
        return True

    def _check_unused(self, number: int) -> None:
        if self._count_uses().get(number, 0):
            raise CalculatedRefused("IN_USE", [rules.IN_USE])


def _target(attribute: CalculatedAttribute, definition: Json) -> SeedTarget | None:
    meant = read_definition(definition)
    if meant.cutoff_ms is None:
        return None
    return SeedTarget(attribute.number, attribute.name, meant.function, meant.cutoff_ms)
