"""Audiences over several workspaces that a workspace document has (spec/audiences.md, 2)."""

import copy
from pathlib import Path
from typing import Any

import pytest

from actors.clock import ManualClock
from actors.errors import ConfigurationRefused
from actors.store.audit_log import Author
from config.roles import STANDARD
from tests.whole.sent import custom
from tests.whole.test_audiences import ask, changes, members, send, status_is
from tests.whole.test_calculated import definition
from tests.whole.test_joint_audiences import count, documents, mpids
from tests.whole.world import World, changed, serving

PREMIUM: dict[str, Any] = {
    "id": "premium",
    "name": "Premium",
    "number": 70,
    "workspaces": ["w1", "w2"],
    "definition": status_is("premium"),
    "subscriptions": [{"output": "list"}],
}


def deployed(*audiences: dict[str, Any], **other: Any) -> list[dict[str, Any]]:
    """Return the workspaces; the first one's document has the audiences, the second comes later."""
    first, second, third = documents()
    return [changed(first, audiences=list(audiences)), changed(second, **other), third]


async def apply(worlds: list[World], given: list[dict[str, Any]]) -> None:
    """Apply all documents together, as their files are."""
    configuration = worlds[0].configuration
    await configuration.apply_files(copy.deepcopy(given))
    for world in worlds:
        await world.follow()
        await world.settle_audiences()


async def test_it_is_there_from_the_start_and_after_another(
    tmp_path: Path, clock: ManualClock
) -> None:
    given = deployed(PREMIUM)
    async with serving(tmp_path, given, clock=clock) as [one, other, _]:
        await one.settle_audiences()
        await send(one, "a", status="premium")
        await send(other, "b", status="premium")
        shown = await ask(other, 200, "GET", "/70")
        assert (shown["workspaces"], shown["status"]) == ([1, 2], "active")
        both = sorted([*await mpids(one, "a"), *await mpids(other, "b")])
        assert await members(one, 70) == await members(other, 70) == both
        assert sorted(changes(one, 1)) == [("add", each) for each in both]
        await ask(other, 409, "PUT", "/70", {"name": "Mine"})
    async with serving(tmp_path, given, clock=clock) as [one, other, _]:
        assert (await ask(other, 200, "GET", "/70"))["revision"] == 1
        await send(other, "b", status="gold")
        assert await members(one, 70) == await mpids(one, "a")


async def test_documents_that_are_applied_together_are_understood_together(
    tmp_path: Path, clock: ManualClock
) -> None:
    """The new input of the second is known when the audience of the first is read."""
    async with serving(tmp_path, deployed(PREMIUM), clock=clock) as [one, other, third]:
        await one.settle_audiences()
        for world in (one, other):
            await send(world, "a", custom("Bought"))
        narrowed = {
            "id": "shop",
            "name": "Shop",
            "number": 71,
            "workspaces": ["w1", "w2"],
            "definition": count("Bought", 1, input_ids=["w2/kiosk"]),
        }
        kiosk = {
            "id": "kiosk",
            "kind": "feed",
            "name": "Kiosk",
            "keys": [{"key": "k9-kiosk", "secret": "s9"}],
        }
        inputs = [*documents()[1]["inputs"], kiosk]
        await apply([one, other, third], deployed(PREMIUM, narrowed, inputs=inputs))
        assert await members(one, 71) == []
        other.secrets["k9"] = "k9-kiosk:s9"
        batch = {"user_identities": {"customer_id": "a"}, "events": [custom("Bought")]}
        await other.accept(batch, key="k9")
        assert await members(one, 71) == await mpids(one, "a")
        with pytest.raises(ConfigurationRefused) as refused:  # the audience still needs it
            await other.configuration.apply_file(
                2,
                documents()[1],
                Author("ops"),
                STANDARD["admin"],
                prune=True,
                allow_dangerous=True,
            )
        [problem] = refused.value.problems
        assert "definition.input_ids[0]" in str(problem.path)


async def test_a_calculated_attribute_comes_with_the_audience_that_reads_it(
    tmp_path: Path, clock: ManualClock
) -> None:
    buyers = {
        "id": "buyers",
        "name": "Buyers",
        "number": 72,
        "workspaces": ["w1", "w2"],
        "definition": {
            "type": "calculated_attribute",
            "attribute_name": "Buys",
            "operator": "greater_than",
            "value": 0,
        },
    }
    counted = definition("count")
    counted["datapoint"] |= {"event_name": "Bought"}
    attributes = [{"id": "buys", "name": "Buys", "definition": counted}]
    async with serving(tmp_path, deployed(PREMIUM), clock=clock) as [one, other, third]:
        given = deployed(PREMIUM, buyers, calculated_attributes=attributes)
        await apply([one, other, third], given)
        shown = await ask(one, 200, "GET", "/72")
        assert (shown["status"], shown["definition"]["criteria"]["attribute_name"]) == (
            "active",
            "Buys",
        )


async def test_what_it_is_about_changes_but_not_between_one_and_several_while_active(
    tmp_path: Path, clock: ManualClock
) -> None:
    given = deployed(PREMIUM)
    async with serving(tmp_path, given, clock=clock) as worlds:
        one, other, _ = worlds
        await one.settle_audiences()
        await send(one, "a", status="premium")
        await send(other, "b", status="premium")
        for fields, path in (({"workspaces": ["w1"]}, "workspaces"), ({"type": "static"}, "type")):
            wrong = {**PREMIUM, **fields}
            if path == "type":
                del wrong["definition"]
            with pytest.raises(ConfigurationRefused) as refused:
                await apply(worlds, deployed(wrong))
            [problem] = refused.value.problems
            assert problem.path == f"audiences[0].{path}"
        await apply(worlds, deployed(PREMIUM | {"active": False}))
        assert await members(one, 70) == []
        await apply(worlds, deployed(PREMIUM | {"workspaces": ["w1"]}))
        assert await members(one, 70) == await mpids(one, "a")
        await ask(other, 404, "GET", "/70")
