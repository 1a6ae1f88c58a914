"""Desks of calculated attributes over shards that only know what they were told."""

from typing import Any, cast

from actors.calculated.attributes import CalculatedAttributes
from actors.calculated.calls import CalculatedShard
from actors.calculated.definition import LiveAttributes
from actors.calculated.desk import CalculatedDesk
from actors.calculated.objects import AttributeFields, CalculatedCatalog
from actors.clock import ManualClock
from actors.errors import ShardUnavailable
from actors.store.environment import Store
from tests.actors.calculated.builders import AS_OF_MS, definition_json

DAYS_9 = {"type": "within", "within": 9, "within_unit": "days"}


class FakeShard:
    """Knows what it was told last; may not answer."""

    def __init__(self, version: int = 0) -> None:
        self.known = LiveAttributes(version)
        self.is_down = False
        self.walked, self.total = 0, 0

    async def set_calculated_attributes(self, live: LiveAttributes) -> int:
        if self.is_down:
            raise ShardUnavailable(0, 0)
        if live.version > self.known.version:
            self.known = live
        return self.known.version

    async def calculated_progress(self) -> tuple[int, int, int, bool]:
        return self.known.version, self.walked, self.total, self.walked == self.total


def attributes_over(store: Store, *shards: FakeShard, **catalog: Any) -> CalculatedAttributes:
    """Return what there is of a workspace without others."""
    return CalculatedAttributes(
        store,
        CalculatedCatalog(**catalog),
        cast(list[CalculatedShard], shards),
        ManualClock(AS_OF_MS),
    )


def desk_of(attributes: CalculatedAttributes) -> CalculatedDesk:
    """Return a desk; no audience refers to anything."""
    return CalculatedDesk(attributes, dict, ManualClock(AS_OF_MS))


def fields(name: str = "ltv", calculation: str = "count", **members: Any) -> AttributeFields:
    """Return what a request says of an attribute."""
    members.setdefault("period", DAYS_9)
    return AttributeFields(name=name, draft_definition=definition_json(calculation, **members))
