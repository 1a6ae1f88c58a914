"""`headwater dead-letters` against an edge (spec/platform-api.md, 15)."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result

from server.cli import main
from tests.server.conftest import World

ACCESS = {"HEADWATER_CLIENT_ID": "ops", "HEADWATER_CLIENT_SECRET": "ops-secret"}

Command = Callable[..., Awaitable[Result]]


def letter(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "delivery_id": f"dl_{number}",
        "created_on": "2026-01-01T00:00:00.000Z",
        "mpid": 4411,
        "reason": "queue_full",
        "http_status": None,
    } | changes


@pytest.fixture
def command(world: World) -> Command:
    """Run a command against the edge, with the administrator's credential in the environment."""
    url = str(world.client.make_url("/"))

    async def run(*arguments: str, env: dict[str, str] = ACCESS, url: str = url) -> Result:
        command = ["dead-letters", *arguments, "--url", url]
        return await asyncio.to_thread(CliRunner().invoke, main, command, env=env)

    return run


async def test_all_pages_are_listed_a_line_for_each(world: World, command: Command) -> None:
    letters = [letter(number) for number in range(1200)]
    world.deployment.letters[5] = letters
    result = await command("list", "backend-hook")
    assert result.exit_code == 0, result.output
    assert [json.loads(line) for line in result.stdout.splitlines()] == letters


async def test_those_of_one_reason_are_listed(world: World, command: Command) -> None:
    world.deployment.letters[5] = [letter(1), letter(2, reason="build_error"), letter(3)]
    result = await command("list", "5", "--reason", "build_error")
    assert [json.loads(line)["delivery_id"] for line in result.stdout.splitlines()] == ["dl_2"]


async def test_one_is_shown_whole(world: World, command: Command) -> None:
    world.deployment.letters[5] = [letter(1), letter(2)]
    result = await command("show", "backend-hook", "dl_2")
    assert json.loads(result.stdout) == letter(2)


@pytest.mark.parametrize(
    ("which", "said", "left"),
    [
        pytest.param(["dl_1", "dl_3", "dl_9"], "2 replayed\n", ["dl_2"], id="by their ids"),
        pytest.param(["--all"], "3 replayed\n", [], id="all"),
    ],
)
async def test_letters_are_replayed(
    world: World, command: Command, which: list[str], said: str, left: list[str]
) -> None:
    world.deployment.letters[5] = [letter(number) for number in (1, 2, 3)]
    result = await command("replay", "backend-hook", *which)
    assert (result.exit_code, result.stdout) == (0, said)
    assert [each["delivery_id"] for each in world.deployment.letters[5]] == left


@pytest.mark.parametrize("which", [[], ["dl_1", "--all"]])
async def test_a_replay_needs_to_know_which(
    world: World, command: Command, which: list[str]
) -> None:
    """Nothing is asked of the edge otherwise."""
    world.deployment.letters[5] = [letter(1)]
    result = await command("replay", "backend-hook", *which)
    assert result.exit_code == 2
    assert "give delivery ids, or --all" in result.stderr
    assert len(world.deployment.letters[5]) == 1


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        pytest.param(["list", "none"], "Error: 404: There is no such connection.", id="unknown"),
        pytest.param(["show", "5", "a/b?c"], "Error: 404: There is no such dead letter.", id="odd"),
    ],
)
async def test_what_the_edge_refuses_is_said(
    command: Command, arguments: list[str], problem: str
) -> None:
    result = await command(*arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.strip() == problem


async def test_a_wrong_secret_is_said_and_not_shown(command: Command) -> None:
    env = ACCESS | {"HEADWATER_CLIENT_SECRET": "hush"}
    result = await command("list", "5", env=env)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: 401: ")
    assert "hush" not in result.output


async def test_who_may_not_replay_is_told(command: Command) -> None:
    env = {"HEADWATER_CLIENT_ID": "viewer", "HEADWATER_CLIENT_SECRET": "viewer-secret"}
    result = await command("replay", "5", "--all", env=env)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: 403: ")


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        pytest.param("http://127.0.0.1:1", "http://127.0.0.1:1 does not answer", id="nobody"),
        pytest.param("file:///etc/passwd", "--url must be an http or https URL", id="a file"),
    ],
)
async def test_an_edge_that_is_not_there_is_named(command: Command, url: str, problem: str) -> None:
    result = await command("list", "5", url=url)
    assert result.exit_code == 1
    assert problem in result.stderr


async def test_credentials_are_asked_for() -> None:
    result = CliRunner().invoke(main, ["dead-letters", "list", "5"], env=dict.fromkeys(ACCESS))
    assert result.exit_code == 2
    assert "--client-id" in result.stderr


async def test_letters_are_exported_with_their_payloads(world: World, command: Command) -> None:
    world.deployment.letters[5] = [letter(1), letter(2, reason="build_error"), letter(3)]
    result = await command("export", "5", "--reason", "queue_full")
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert lines == [letter(n) | {"payload": {"events": []}} for n in (1, 3)]


@pytest.mark.parametrize(
    ("which", "said", "kept"),
    [
        pytest.param(["dl_1", "dl_3"], "2 purged\n", ["dl_2"], id="by their ids"),
        pytest.param(["--reason", "build_error"], "1 purged\n", ["dl_1", "dl_3"], id="a reason"),
        pytest.param(["--all"], "3 purged\n", [], id="all"),
    ],
)
async def test_letters_are_purged(
    world: World, command: Command, which: list[str], said: str, kept: list[str]
) -> None:
    world.deployment.letters[5] = [letter(1), letter(2, reason="build_error"), letter(3)]
    result = await command("purge", "backend-hook", *which)
    assert (result.exit_code, result.stdout) == (0, said), result.output
    assert [each["delivery_id"] for each in world.deployment.letters[5]] == kept


async def test_a_purge_needs_to_know_which(command: Command) -> None:
    assert (await command("purge", "5")).exit_code == 2
    assert (await command("purge", "5", "dl_1", "--all")).exit_code == 2


@pytest.mark.parametrize("workspace", ["w1", "3"])
async def test_a_workspace_is_named_after_the_command(
    world: World, command: Command, workspace: str
) -> None:
    """Without it, as everywhere else here, it is the one that the credential is of."""
    world.deployment.letters[5] = [letter(1)]
    result = await command("list", "backend-hook", "--workspace", workspace)
    assert json.loads(result.stdout) == letter(1)


async def test_another_workspace_than_the_credentials_is_refused(command: Command) -> None:
    result = await command("list", "backend-hook", "--workspace", "1")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: 404: ")


@pytest.mark.parametrize("name", ["list", "show", "replay", "export", "purge"])
def test_help_needs_no_credential(name: str) -> None:
    result = CliRunner().invoke(main, ["dead-letters", name, "--help"], env=dict.fromkeys(ACCESS))
    assert result.exit_code == 0
    assert "--workspace" in result.stdout
