"""Audiences of the workspace document in the registry (spec/connections.md, 10)."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from actors.audiences.catalog import DocumentAudience, DocumentSubscription
from actors.audiences.fields import AudienceFields
from tests.actors.audiences.desks import (
    ACTOR,
    CATALOG,
    HOOK,
    attribute,
    code,
    made,
    open_desk,
)
from tests.full_disk import file_size_limit
from tests.oracle.audiences.fixture import make_users

DAY_MS = 86_400_000


def of_document(**changes: Any) -> DocumentAudience:
    fields: dict[str, Any] = {
        "number": 4,
        "id": "gold",
        "name": "Gold",
        "external_name": "gold",
        "type": "real_time",
        "environment": "production",
        "workspaces": (3,),
        "inputs": (),
        "tags": (),
        "definition": attribute("gold"),
        "range": None,
        "is_active": True,
        "subscriptions": (
            DocumentSubscription(
                output=HOOK, is_active=True, settings={}, shared_user_attributes=()
            ),
        ),
    }
    return DocumentAudience(**(fields | changes))


async def test_audiences_of_the_document_are_active_after_a_start(tmp_path: Path) -> None:
    users = make_users()
    with open_desk(tmp_path, users, audiences=(of_document(),)) as desk:
        await desk.settle()
        assert desk.members(4) == {1005}
        found = await desk.calls.audience(4)
        assert found is not None
        assert (found.status, found.document_id, found.revision) == ("active", "gold", 1)
        assert len(desk.shards[0].live.subscriptions) == 1
        calls = [
            desk.calls.delete_audience(4),
            desk.calls.replace_audience(4, AudienceFields(name="X"), ACTOR),
            desk.calls.deactivate_audience(4, False, ACTOR),
        ]
        for call in calls:
            assert (await code(call))[0] == "CONFLICT"
        assert (await made(desk, "Mine")).number > 1_000_000
        shards = desk.shards
    changed = of_document(definition=attribute("premium"), subscriptions=())
    with open_desk(tmp_path, users, kept=shards, audiences=(changed,)) as again:
        await again.settle()
        assert again.members(4) == {1001, 1002}
        assert (await again.calls.audience(4)).revision == 2  # type: ignore[union-attr]
        assert shards[0].live.subscriptions == ()
    with open_desk(tmp_path, users, kept=shards) as without:
        await without.settle()
        assert without.members(4) == {1001, 1002}
        assert await without.calls.delete_audience(4)


async def test_an_unchanged_document_changes_nothing_at_a_restart(tmp_path: Path) -> None:
    users = make_users()
    with open_desk(tmp_path, users, audiences=(of_document(),)) as desk:
        await desk.settle()
        before = (await desk.calls.audiences(), await desk.calls.all_subscriptions())
        shards, clock = desk.shards, desk.clock
    clock.advance(1000)
    with open_desk(tmp_path, users, kept=shards, clock=clock, audiences=(of_document(),)) as again:
        assert (await again.calls.audiences(), await again.calls.all_subscriptions()) == before


async def test_a_start_with_an_unchanged_document_needs_no_room(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """And what shards are told of it, they are told anew once there is some."""
    users = make_users()
    with open_desk(tmp_path, users, audiences=(of_document(),)) as desk:
        await desk.settle()
        shards, version = desk.shards, desk.shards[0].live.version
    with file_size_limit(0), open_desk(tmp_path, users, kept=shards, audiences=(of_document(),)):
        assert caplog.records == []
    with open_desk(tmp_path, users, kept=shards, audiences=(of_document(),)) as again:
        assert not again.desk.catch_up()
        await again.settle()
        assert shards[0].live.version > version
        assert again.members(4) == {1005}


async def test_shards_are_told_by_another_document_though_its_audiences_are_the_same(
    tmp_path: Path,
) -> None:
    with open_desk(tmp_path, make_users(), audiences=(of_document(),)) as desk:
        for outputs, told in ((CATALOG.outputs, 1), ({}, 0)):
            catalog = replace(CATALOG, audiences=(of_document(),), outputs=outputs)
            desk.desk.take_over(catalog, is_other=False)
            desk.desk.catch_up()
            await desk.settle()
            assert len(desk.shards[0].live.subscriptions) == told


async def test_lists_are_filled_and_standard_audiences_calculated_whoever_manages_them(
    tmp_path: Path,
) -> None:
    """A document says neither who is in a list nor when an audience is calculated."""
    listed = of_document(number=5, id="vip", name="VIP", type="static", definition=None)
    standard = of_document(number=6, id="all", name="All", type="standard", subscriptions=())
    with open_desk(tmp_path, make_users(), audiences=(listed, standard)) as desk:
        await desk.settle()
        assert await desk.calls.change_members(5, (1001, 1004), ())
        assert await desk.calls.calculate_audiences((6,), ACTOR) == 2
        await desk.settle()
        assert desk.members(5) == {1001, 1004}
        assert desk.members(6) == {1005}
        found = await desk.calls.audience(6)
        assert found is not None
        assert found.status == "ready"
        shards, clock = desk.shards, desk.clock
    again = {"kept": shards, "clock": clock, "audiences": (listed, standard)}
    with open_desk(tmp_path, make_users(), **again) as desk:  # type: ignore[arg-type]
        await desk.settle()
        found = await desk.calls.audience(6)
        assert found is not None
        assert found.status == "ready"
        assert (desk.members(5), desk.members(6)) == ({1001, 1004}, {1005})
