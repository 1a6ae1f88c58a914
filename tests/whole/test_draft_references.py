"""Audiences that refer to what is not active yet (spec/audiences.md, 8.2)."""

from pathlib import Path
from typing import Any

from tests.whole import test_audiences, test_calculated
from tests.whole.test_audiences import ask
from tests.whole.test_calculated import buy, definition, make, settle
from tests.whole.world import DOCUMENT, changed, running

BOUGHT = {
    "type": "calculated_attribute",
    "attribute_name": "Buys",
    "value_type": "number",
    "operator": "greater_than",
    "value": 1,
}


async def test_an_audience_is_saved_before_what_it_refers_to_is_active(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        for _ in range(2):
            await buy(world, "ann")
        body: dict[str, Any] = {"name": "Bought", "definition": BOUGHT}
        refused = await ask(world, 422, "POST", "", body)
        assert refused["errors"][0]["code"] == "REFERENCE_NOT_FOUND"
        attribute = await make(world, "Buys", definition("count"))
        audience = (await ask(world, 201, "POST", "", body))["id"]
        shown = await test_calculated.ask(world, 200, "GET", f"/{attribute}")
        assert shown["audience_count"] == 1
        await test_calculated.ask(world, 422, "DELETE", f"/{attribute}")
        refused = await ask(world, 422, "POST", f"/{audience}/activation")
        assert refused["errors"] == [
            {
                "code": "INVALID_STATE",
                "message": "is not active.",
                "path": "/definition/criteria/attribute_name",
            }
        ]
        await test_calculated.ask(world, 204, "POST", f"/{attribute}/activation")
        settle(world)
        await ask(world, 204, "POST", f"/{audience}/activation")
        await world.settle_audiences()
        assert await test_audiences.members(world, audience) == [await world.mpid("ann")]


async def test_a_document_may_have_both_before_they_are_active(tmp_path: Path) -> None:
    attribute = {"id": "buys", "name": "Buys", "active": False, "definition": definition("count")}
    audience = {"id": "bought", "name": "Bought", "active": False, "definition": BOUGHT}
    document = changed(DOCUMENT, calculated_attributes=[attribute], audiences=[audience])
    async with running(tmp_path, document=document) as world:
        [shown] = await ask(world, 200, "GET", "")
        assert (shown["name"], shown["status"]) == ("Bought", "draft")
        assert shown["definition"]["criteria"] == BOUGHT
