"""`headwater audiences` against an edge."""

import asyncio
from pathlib import Path

from click.testing import CliRunner, Result

from server.cli import main
from tests.actors.audiences.desks import attribute
from tests.server.routes.audiences import AudienceWorld, audience_world

ACCESS = {"HEADWATER_CLIENT_ID": "ops", "HEADWATER_CLIENT_SECRET": "ops-secret"}


async def explained(world: AudienceWorld) -> Result:
    """Run the command with the administrator's credential in the environment."""
    url = str(world.client.make_url("/"))
    where = ["audiences", "--url", url, "--workspace", "3", "explain-cost"]
    return await asyncio.to_thread(CliRunner().invoke, main, where, env=ACCESS)


async def test_the_cost_is_told_per_profile_entry_and_source(tmp_path: Path) -> None:
    async with audience_world(tmp_path) as world:
        await world.activate("Any", {"not": attribute("none")})
        result = await explained(world)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "shard 0: 5 profiles, 1 audiences, 2 different criteria, 1 streams",
        "  rows and their index: 500 bytes, 100.0 per profile",
        "  memberships: 40 bytes, 8.0 per profile",
        "  columns of user criteria: 24 bytes, 4.8 per profile",
        "  entries of event criteria: 240 bytes, 48.0 per profile",
        "  together: 804 bytes, 160.8 per profile",
        "  stream entries: 10, 24 bytes each; with room to grow 240 bytes, 24.0 per entry",
        "    AttributeSource(name='status'): 24 bytes, 4.8 per profile, 3 distinct values",
    ]


async def test_several_shards_are_added_up(tmp_path: Path) -> None:
    async with audience_world(tmp_path, shards=2) as world:
        result = await explained(world)
    assert result.exit_code == 0, result.output
    titles = [line for line in result.stdout.splitlines() if not line.startswith(" ")]
    assert [title.split(":")[0] for title in titles] == ["shard 0", "shard 1", "total"]
    assert titles[2] == "total: 5 profiles, 0 audiences, 2 different criteria, 1 streams"
    assert "  memberships: 80 bytes, 16.0 per profile" in result.stdout
    assert "AttributeSource(name='status'): 48 bytes, 9.6 per profile" in result.stdout


async def test_a_caller_whom_nobody_knows_is_told_so(tmp_path: Path) -> None:
    async with audience_world(tmp_path) as world:
        url = str(world.client.make_url("/"))
        where = ["audiences", "--url", url, "--client-secret", "wrong", "explain-cost"]
        result = await asyncio.to_thread(CliRunner().invoke, main, where, env=ACCESS)
    assert result.exit_code == 1
    assert "401" in result.output
