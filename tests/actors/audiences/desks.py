"""Desks of audiences over plain shards, and what definitions of tests are made of."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from msgspec.structs import replace

from actors.audiences.calls import AudienceShard
from actors.audiences.catalog import AudienceOutput, Catalog
from actors.audiences.desk import AudienceDesk
from actors.audiences.fields import AudienceFields
from actors.audiences.handles import AudienceDeskHandle, desk_handle
from actors.audiences.objects import Audience
from actors.clock import ManualClock, SystemRandomness
from actors.errors import AudienceRefused
from actors.outputs.subscription_settings import subscription_problems
from actors.store.environment import Store
from tests.actors.audiences.plain_shards import PlainShard
from tests.oracle.audiences.fixture import APP, NOW, SHOP
from tests.oracle.audiences.users import Users

MAP_SIZE_BYTES = 16 * 1024 * 1024
ACTOR = "ann"
HOOK, FILES = 1, 2
CATALOG = Catalog(
    workspace=3,
    workspace_name="W1",
    account=2,
    inputs={APP: "app", SHOP: "shop"},
    calculated={"ltv": 5},
    drafts={"visits": 6},
    outputs={
        HOOK: AudienceOutput(HOOK, "hook", "Hook", "webhook"),
        FILES: AudienceOutput(
            FILES, "files", "Files", "audience_csv", identities=frozenset({"email"})
        ),
    },
)


class Desk:
    """A desk, its shards, and what a test does with them."""

    def __init__(
        self, desk: AudienceDesk, shards: list[PlainShard], clock: ManualClock, store: Store
    ) -> None:
        self.desk = desk
        self.shards = shards
        self.clock = clock
        self.store = store
        self.calls: AudienceDeskHandle = desk_handle(desk.call)

    async def settle(self) -> None:
        """Have the shards do all that they were told, and the desk see it."""
        for _ in range(3):
            for shard in self.shards:
                shard.walk()
            await self.desk.work()

    def members(self, audience: int) -> set[int]:
        """Return the members of an audience on all shards."""
        return {mpid for each in self.shards for mpid in each.members.get(audience, {})}


@contextmanager
def open_desk(
    folder: Path,
    users: Users,
    *,
    shards: int = 1,
    clock: ManualClock | None = None,
    kept: Sequence[PlainShard] = (),
    **catalog: Any,
) -> Iterator[Desk]:
    """Open a desk on a folder; it can be opened again on the same one, with shards that it had."""
    clock = clock or ManualClock(NOW)
    plain = list(kept) or [PlainShard(users, clock, number, shards) for number in range(shards)]
    store = Store(folder / "coordinator", MAP_SIZE_BYTES)
    try:
        desk = AudienceDesk(
            store,
            replace(CATALOG, **catalog),
            subscription_problems,
            cast(Sequence[AudienceShard], plain),
            folder / "downloads",
            clock,
            SystemRandomness(),
        )
        desk.begin()
        yield Desk(desk, plain, clock, store)
    finally:
        store.close()


def attribute(value: str, operator: str = "equals", name: str = "status") -> dict[str, Any]:
    """Make a criterion on a text attribute."""
    return {
        "type": "user_attribute",
        "attribute_name": name,
        "value_type": "string",
        "operator": operator,
        "value": value,
    }


def age_from(least: float) -> dict[str, Any]:
    """Make the criterion that somebody is so old."""
    return {
        "type": "user_attribute",
        "attribute_name": "age",
        "value_type": "number",
        "operator": "greater_or_equal",
        "value": least,
    }


def member_of(audience: int, operator: str = "is_member") -> dict[str, Any]:
    """Make the criterion that somebody is a member of another audience."""
    return {"type": "audience_membership", "audience_id": audience, "operator": operator}


def clips(most: int) -> dict[str, Any]:
    """Make the criterion that a clip was played more than so many times."""
    return {
        "type": "event",
        "event_type": "custom_event",
        "event_name": "Clip Played",
        "frequency": {"operator": "greater_than", "value": most},
    }


async def made(desk: Desk, name: str, definition: Any = None, **fields: Any) -> Audience:
    """Make a draft."""
    if definition is not None:
        fields["definition"] = definition
    return await desk.calls.create_audience(AudienceFields(name=name, **fields), ACTOR)


async def active(desk: Desk, name: str, definition: Any, **fields: Any) -> Audience:
    """Make an audience, and have it evaluated."""
    audience = await made(desk, name, definition, **fields)
    assert await desk.calls.activate_audience(audience.number, ACTOR)
    await desk.settle()
    return await now(desk, audience)


async def now(desk: Desk, audience: Audience) -> Audience:
    found = await desk.calls.audience(audience.number)
    assert found is not None
    return found


async def code(call: Any) -> tuple[str, str | None]:
    """Return the code and the first path with which a call is refused."""
    with pytest.raises(AudienceRefused) as error:
        await call
    return error.value.code, error.value.problems[0].path
