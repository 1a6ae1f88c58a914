"""A configuration that meets a full store of the coordinator (spec/connections.md, 1.3)."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from actors.audiences.state import AudienceKeeper
from actors.calculated.keeper import RegistryKeeper
from actors.clock import ManualClock
from actors.errors import StoreFull
from actors.store.environment import Store
from tests.whole.test_audiences import status_is
from tests.whole.test_calculated import definition
from tests.whole.test_configuration_api import ask, raw
from tests.whole.test_joint_audiences import count, documents
from tests.whole.test_joint_documents import PREMIUM, deployed
from tests.whole.world import DOCUMENT, World, changed, running, serving

BUYERS = changed(
    DOCUMENT,
    calculated_attributes=[
        {"id": "buys", "name": "Buys", "active": True, "definition": definition("count")}
    ],
    audiences=[
        {
            "id": "buyers",
            "name": "Buyers",
            "definition": {
                "type": "calculated_attribute",
                "attribute_name": "Buys",
                "operator": "greater_than",
                "value": 0,
            },
        }
    ],
)
GOLD = {"id": "gold", "name": "Gold", "definition": status_is("gold")}
Keeper = type[AudienceKeeper] | type[RegistryKeeper]
KEEPERS = pytest.mark.parametrize("keeper", [AudienceKeeper, RegistryKeeper])


@contextmanager
def full(keeper: Keeper, store: Store | None = None, spared: int = 0) -> Iterator[None]:
    """Let there be no room for changes of audiences, or of calculated attributes.

    Args:
        keeper: of which of them.
        store: of one workspace; `None` for all.
        spared: so many changes there is room for.
    """
    changing, left = keeper.changing, iter(range(spared))

    @contextmanager
    def failing(self: Any) -> Iterator[Any]:
        with changing(self) as state:
            yield state
            if store in (None, self._store) and next(left, None) is None:
                raise StoreFull("no room")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keeper, "changing", failing)
        yield


async def names(world: World) -> list[str]:
    """Return what the audiences of a workspace are called."""
    return [each["name"] for each in (await ask(world, "GET", "/audiences"))[1]]


async def put(world: World, **sections: Any) -> int:
    """Apply the configuration with some sections in the place of what they were."""
    data = YAML(typ="safe").load(await (await raw(world, "GET", "/config")).text())
    return (await ask(world, "PUT", "/config", json.dumps(data | sections)))[0]


@KEEPERS
async def test_what_was_applied_is_taken_over_once_there_is_room(
    tmp_path: Path, clock: ManualClock, keeper: Keeper
) -> None:
    async with running(tmp_path, clock=clock) as world:
        sections = {each: BUYERS[each] for each in ("calculated_attributes", "audiences")}
        with full(keeper):
            assert await put(world, **sections) == 200
            await world.follow()
            assert await names(world) == []
        await world.follow()
        assert await names(world) == ["Buyers"]
        await world.settle_audiences()
        [buyers] = (await ask(world, "GET", "/audiences"))[1]
        assert buyers["status"] == "active"


@KEEPERS
async def test_a_start_without_room_for_its_document_serves_what_there_is_until_there_is(
    tmp_path: Path, clock: ManualClock, keeper: Keeper
) -> None:
    before = changed(DOCUMENT, audiences=[GOLD])
    async with running(tmp_path, clock=clock, document=before) as world:
        await world.settle_audiences()
    after = changed(BUYERS, audiences=[GOLD, *BUYERS["audiences"]])
    with ExitStack() as disk:
        disk.enter_context(full(keeper))
        async with running(tmp_path, clock=clock, document=after) as world:
            await world.follow()
            assert await names(world) == ["Gold"]
            disk.close()
            await world.follow()
            assert await names(world) == ["Gold", "Buyers"]


async def test_another_workspace_follows_once_there_is_room(
    tmp_path: Path, clock: ManualClock
) -> None:
    """An audience of the first reads an input that the document of the second brings."""
    shop = {
        "id": "shop",
        "name": "Shop",
        "number": 71,
        "workspaces": ["w1", "w2"],
        "definition": count("Bought", 1, input_ids=["w2/kiosk"]),
    }
    keys = [{"key": "k9-kiosk", "secret": "s9"}]
    kiosk = {"id": "kiosk", "kind": "feed", "name": "Kiosk", "keys": keys}
    inputs = [*documents()[1]["inputs"], kiosk]
    async with serving(tmp_path, deployed(PREMIUM), clock=clock) as worlds:
        one = worlds[0]
        await one.settle_audiences()
        own = one.audiences._core._keeper._store
        with full(AudienceKeeper, own, spared=1):  # which is what its own document takes
            await one.configuration.apply_files(deployed(PREMIUM, shop, inputs=inputs))
            assert await names(one) == ["Premium"]
        await one.follow()
        assert await names(one) == ["Premium", "Shop"]
