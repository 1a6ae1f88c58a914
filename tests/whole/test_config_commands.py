"""`headwater config plan`, `apply` and `export` against an edge (spec/connections.md, 10)."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from server.cli import main
from tests.whole.world import DOCUMENT, World, running

ACCESS = {"HEADWATER_CLIENT_ID": "ops", "HEADWATER_CLIENT_SECRET": "ops-secret"}

Command = Callable[..., Awaitable[Result]]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with running(tmp_path / "data") as only:
        yield only


@pytest.fixture
def command(world: World) -> Command:
    """Run a command against the edge, with the administrator's credential in the environment."""
    url = str(world.client.make_url("/"))

    async def run(name: str, *arguments: str, **env: str) -> Result:
        line = ["config", name, "--url", url, *arguments]
        result = await asyncio.to_thread(CliRunner().invoke, main, line, env=ACCESS | env)
        await world.follow()
        return result

    return run


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file of what is served."""
    return write(tmp_path / "shop.yaml", DOCUMENT)


def write(file: Path, document: Any) -> Path:
    file.write_text(json.dumps(document))  # JSON is YAML
    return file


async def test_a_plan_says_by_its_exit_code_whether_there_is_anything_to_do(
    command: Command, file: Path
) -> None:
    """Worked case 40."""
    result = await command("plan", str(file))
    assert (result.exit_code, result.stdout) == (0, "")
    document = deepcopy(DOCUMENT)
    document["connections"].pop()
    write(file, document)
    result = await command("plan", str(file))
    assert (result.exit_code, result.stdout) == (0, "")
    result = await command("plan", str(file), "--prune")
    assert (result.exit_code, result.stdout) == (2, "- connection web-hook\n")


async def test_an_unknown_output_is_an_error_and_nothing_is_changed(
    world: World, command: Command, file: Path
) -> None:
    """Worked case 39: not even the valid parts."""
    document = deepcopy(DOCUMENT)
    document["workspace"]["name"] = "Renamed"
    document["connections"][2]["output"] = "bsu"
    write(file, document)
    for name in ("plan", "apply"):
        result = await command(name, str(file))
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr == "connections[2].output: no output with id 'bsu'\n"
    assert (await world.configuration.sheet(1)).document.workspace.name == "W1"


async def test_a_variable_that_is_not_set_is_an_error(
    world: World, command: Command, file: Path
) -> None:
    """Worked case 41. One that is set is put in here, not by the server."""
    document = deepcopy(DOCUMENT)
    document["outputs"][0]["settings"]["headers"] = {"X-Token": "${env:HOOK_TOKEN}"}
    document["workspace"]["name"] = "costs $${env:NOTHING}"
    write(file, document)
    result = await command("apply", str(file))
    assert result.exit_code == 1
    assert result.stderr == (
        "outputs[0].settings.headers.X-Token: environment variable HOOK_TOKEN is not set\n"
    )
    result = await command("apply", str(file), HOOK_TOKEN="t-1")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "~ workspace: name\n~ output hook: settings\nrevision 2\n"
    sheet = await world.configuration.sheet(1)
    assert sheet.data["outputs"][0]["settings"]["headers"] == {"X-Token": "t-1"}
    assert sheet.document.workspace.name == "costs ${env:NOTHING}"


async def test_what_is_dangerous_has_to_be_allowed(command: Command, file: Path) -> None:
    document = deepcopy(DOCUMENT)
    document["inputs"][0]["keys"] = [{"key": "another-key", "secret": "s"}]
    write(file, document)
    result = await command("plan", str(file))
    assert result.exit_code == 2
    assert result.stdout == "! ~ input backend: keys (takes away key k1-backend)\n"
    assert (await command("apply", str(file))).exit_code == 1
    assert (await command("apply", str(file), "--allow-dangerous")).exit_code == 0
    assert (await command("plan", str(file))).exit_code == 0


async def test_an_export_can_be_applied_where_its_secrets_are(
    command: Command, tmp_path: Path
) -> None:
    for name in ("w1", "1"):
        result = await command("export", name)
        assert result.exit_code == 0
    copy = tmp_path / "copy.yaml"
    copy.write_text(result.stdout)
    secrets = {
        "DSR": "x",
        "API_CREDENTIAL_OPS_CLIENT_SECRET": "ops-secret",
        "API_CREDENTIAL_VIEWER_CLIENT_SECRET": "viewer-secret",
        "INPUT_BACKEND_KEYS_K1_BACKEND_SECRET": "s1",
        "INPUT_IOS_KEYS_K2_IOS_APP_SECRET": "s2",
        "INPUT_ACME_KEYS_K3_PARTNER_SECRET": "s3",
        "INPUT_WEB_KEYS_KW_WEB_SITE_SECRET": "sw",
    }
    result = await command("plan", str(copy), "--prune", **secrets)
    assert (result.exit_code, result.output) == (0, "")


async def test_ids_are_printed(command: Command) -> None:
    result = await command("ids", "w1")
    lines = result.stdout.splitlines()
    assert lines[:3] == ["account acme: 1", "workspace w1: 1", "input backend: 1"]
    assert "connection web-hook: 4" in lines


async def test_a_server_that_does_not_answer_is_an_error(file: Path) -> None:
    line = ["config", "plan", "--url", "http://127.0.0.1:9", str(file)]
    result = await asyncio.to_thread(CliRunner().invoke, main, line, env=ACCESS)
    assert result.exit_code == 1
    assert "does not answer" in result.stderr
