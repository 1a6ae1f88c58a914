"""Configurations that change while a deployment runs (spec/connections.md, 1.3 and 10)."""

from collections.abc import AsyncIterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from actors.errors import ConfigurationRefused
from actors.store.audit_log import Author
from config.merging import Data
from config.roles import STANDARD
from tests.whole.world import DOCUMENT, World, changed, running

BATCH = {
    "user_identities": {"customer_id": "ann"},
    "events": [{"event_type": "custom_event", "data": {"event_name": "Opened"}}],
}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with running(tmp_path) as only:
        yield only


async def document(world: World) -> Data:
    """Return a copy of what holds now."""
    return deepcopy((await world.configuration.sheet(world.number)).data)


async def apply(world: World, data: Data, *, prune: bool = True, force: bool = True) -> None:
    await world.configuration.apply_file(
        world.number, data, Author("ops"), STANDARD["admin"], prune, force
    )
    await world.follow()


async def sent(world: World, pair: str) -> int:
    """Send a batch with a `key:secret`; return the status."""
    world.secrets["sent"] = pair
    return (await world.send(BATCH, "sent")).status


async def test_a_new_key_works_and_a_revoked_one_is_refused(world: World) -> None:
    """spec/connections.md, 1.1: 403 of events-api.md, 2.1."""
    data = await document(world)
    data["inputs"][0]["keys"].append({"key": "k9-rotated", "secret": "s9"})
    await apply(world, data)
    assert await sent(world, "k9-rotated:s9") == 202
    assert await sent(world, "k1-backend:s1") == 202
    data["inputs"][0]["keys"][0]["status"] = "revoked"
    await apply(world, data)
    assert await sent(world, "k1-backend:s1") == 403
    assert await sent(world, "k9-rotated:s9") == 202


async def test_an_inactive_input_stores_nothing(world: World) -> None:
    data = await document(world)
    data["inputs"][0]["status"] = "inactive"
    await apply(world, data)
    assert await sent(world, "k1-backend:s1") == 403
    assert world.log() == []


async def test_connections_come_stop_and_go(world: World) -> None:
    """From the next batch on; spec/connections.md, 1.3."""
    data = await document(world)
    data["connections"] = data["connections"][1:]
    await apply(world, data)
    await world.accept(BATCH)
    assert world.outgoing() == []
    data["connections"].append({"id": "again", "input": "backend", "output": "hook"})
    await apply(world, data)
    number = world.edge.config_of(world.number).connections["again"]
    await world.accept(BATCH)
    assert await depth(world, number) == 1
    data["connections"][-1]["active"] = False
    await apply(world, data)
    await world.accept(BATCH)
    assert await depth(world, number) == 1


async def depth(world: World, number: int) -> int:
    return sum(shard.outbox.queue(number)["depth"] for shard in world.shards)


async def test_a_connection_with_a_queue_goes_only_if_that_is_allowed(world: World) -> None:
    """spec/connections.md, 3.7 and 10: with all that waits, of which nobody gets anything."""
    await world.accept(BATCH)
    assert await depth(world, 1) == 1
    data = await document(world)
    data["connections"] = data["connections"][1:]
    planned = await world.configuration.plan_file(world.number, data, STANDARD["admin"], True)
    assert [each.line() for each in planned.differences] == [
        "! - connection backend-hook (deletes 1 deliveries that wait and 0 dead letters)"
    ]
    with pytest.raises(ConfigurationRefused) as refused:
        await apply(world, data, force=False)
    assert refused.value.code == "DANGEROUS"
    assert await depth(world, 1) == 1
    await apply(world, data)
    world.sweep()
    assert await depth(world, 1) == 0


async def test_a_shard_that_was_away_is_told_when_it_is_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is not waited for."""
    shard = world.shards[1]
    take_over = shard.take_over

    def fail(_: Any) -> None:
        raise TimeoutError

    monkeypatch.setattr(shard, "take_over", fail)
    data = await document(world)
    data["inputs"].append(
        {
            "id": "new",
            "kind": "feed",
            "name": "New",
            "keys": [{"key": "kn-feed-key", "secret": "s"}],
        }
    )
    await apply(world, data)
    assert [each.options.revision for each in world.shards] == [2, 1]
    statuses = [await sent_by(world, f"u{number}") for number in range(20)]
    assert set(statuses) == {202, 503}  # and not one is lost or taken wrongly
    monkeypatch.setattr(shard, "take_over", take_over)
    await world.follow()
    assert [each.options.revision for each in world.shards] == [2, 2]
    assert {await sent_by(world, f"u{number}") for number in range(20)} == {202}


async def sent_by(world: World, user: str) -> int:
    world.secrets["sent"] = "kn-feed-key:s"
    return (await world.send({**BATCH, "user_identities": {"customer_id": user}}, "sent")).status


async def test_what_waits_is_the_same_after_a_restart(tmp_path: Path) -> None:
    """A start with the file applies it; what the file does not have stays."""
    async with running(tmp_path) as world:
        data = await document(world)
        data["connections"][0]["active"] = False
        data["inputs"].append(
            {
                "id": "new",
                "kind": "feed",
                "name": "New",
                "keys": [{"key": "kn-feed-key", "secret": "s"}],
            }
        )
        await apply(world, data)
    async with running(tmp_path) as world:
        sheet = await world.configuration.sheet(world.number)
        assert sheet.document.connections[0].active
        assert [each.id for each in sheet.document.inputs][-1] == "new"
        assert await sent(world, "kn-feed-key:s") == 202


AUDIENCE = {
    "id": "openers",
    "name": "Openers",
    "active": True,
    "definition": {
        "version": 1,
        "criteria": {
            "type": "event",
            "event_type": "custom_event",
            "event_name": "Opened",
            "frequency": {"operator": "greater_or_equal", "value": 1},
        },
    },
}


async def test_audiences_of_a_file_come_change_and_go(tmp_path: Path) -> None:
    async with running(tmp_path, document=changed(DOCUMENT, audiences=[])) as world:
        await world.accept(BATCH)
        data = await document(world)
        data["audiences"] = [AUDIENCE]
        await apply(world, data)
        await world.settle_audiences()
        assert [shard.audiences.engine.size(1) for shard in world.shards].count(1) == 1
        await apply(world, {**data, "audiences": []})
        await world.settle_audiences()
        assert await world.audiences.call("audiences") == []
