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
    where = ["audiences", "explain-cost", "--url", url, "--workspace", "3"]
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
        "  values of user criteria: 300 bytes, 60.0 per profile",
        "  entries of event criteria: 240 bytes, 48.0 per profile",
        "  together: 1104 bytes, 220.8 per profile",
        "  stream entries: 10, 24 bytes each without a value; "
        "with room to grow 240 bytes, 24.0 per entry",
        "    AttributeSource(name='status'): 24 bytes, 4.8 per profile, "
        "3 distinct values of 300 bytes",
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
        where = ["audiences", "explain-cost", "--url", url, "--client-secret", "wrong"]
        result = await asyncio.to_thread(CliRunner().invoke, main, where, env=ACCESS)
    assert result.exit_code == 1
    assert "401" in result.output


DOCUMENT = """
version: 1
account: {id: acme, name: Acme}
workspace: {id: shop, name: Shop}
inputs:
  - {id: web, kind: platform, os: MobileWeb, name: Web, keys: [{key: us1-web-key, secret: s}]}
audiences:
  - id: gold
    name: Gold
    definition:
      and:
        - {type: user_attribute, id: tier, attribute_name: tier, operator: equals, value: gold}
        - {type: event, id: twice, event_type: custom_event, event_name: Ping,
           count: {operator: greater_or_equal, value: 2}}
  - id: pinged
    name: Pinged
    definition: {type: event, event_type: custom_event, event_name: Ping}
  - id: draft
    name: Draft
    active: false
    definition: {type: user_attribute, attribute_name: other, operator: equals, value: x}
"""


def explained_file(tmp_path: Path, text: str, *options: str) -> Result:
    """Account for a document; there is neither a deployment nor a credential."""
    path = tmp_path / "shop.yaml"
    path.write_text(text)
    where = ["audiences", "explain-cost", "--file", str(path), *options]
    return CliRunner().invoke(main, where, env=dict.fromkeys(ACCESS))


def test_the_cost_of_a_document_is_told_without_a_deployment(tmp_path: Path) -> None:
    result = explained_file(tmp_path, DOCUMENT, "--profiles", "1000", "--entries", "10")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "2 active audiences, 3 different criteria, 1 streams"
    assert lines[3:6] == [
        "  memberships: 8.0 bytes",
        "  columns of user criteria: 4.0 bytes",
        lines[5],
    ]
    assert lines[6] == "each event that counts: 16 bytes in each stream that takes it"
    assert lines[7:12] == [
        "audience gold:",
        "  criterion tier: 4.0 bytes per profile (AttributeSource(name='tier'))",
        "  criterion twice: 16 bytes per event that counts; shared with 1 others",
        "audience pinged:",
        "  criterion 1: 16 bytes per event that counts; shared with 1 others",
    ]
    assert lines[12].startswith("1000 profiles with 10 entries each: ")


def test_the_cost_of_a_wrong_document_is_what_is_wrong_with_it(tmp_path: Path) -> None:
    result = explained_file(tmp_path, DOCUMENT.replace("operator: equals", "operator: is"))
    assert result.exit_code == 1
    assert "audiences[0].definition" in result.stderr


def test_without_a_document_a_credential_is_needed() -> None:
    result = CliRunner().invoke(main, ["audiences", "explain-cost"], env=dict.fromkeys(ACCESS))
    assert result.exit_code == 2
    assert "--client-id is needed" in result.stderr


def test_audiences_over_several_workspaces_are_counted_by_themselves(tmp_path: Path) -> None:
    """Their documents are given together; each is accounted for by itself."""
    joint = DOCUMENT.replace("id: shop, name", "id: shop, identity_scope: all, name").replace(
        "name: Pinged\n", "name: Pinged\n    workspaces: [shop, app]\n"
    )
    other = (
        DOCUMENT.split("audiences:")[0]
        .replace("id: shop, name", "id: app, identity_scope: all, name")
        .replace("us1-web-key", "us1-app-key")
    )
    alone = explained_file(tmp_path, joint)
    assert alone.exit_code == 1
    assert "no workspace with id 'app' in the documents" in alone.stderr
    path = tmp_path / "app.yaml"
    path.write_text(other)
    result = explained_file(tmp_path, joint, "--file", str(path))
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[:2] == ["workspace shop:", "1 active audiences, 2 different criteria, 1 streams"]
    besides = lines.index("over several workspaces, besides:")
    # Its criterion, and whether a user is live in each of the two.
    assert lines[besides + 1] == "1 active audiences, 3 different criteria, 1 streams"
    assert lines.index("audience gold:") < besides < lines.index("audience pinged:")
    assert besides < lines.index("workspace app:")
