"""Whatever a command is given, it ends with one line that says what is wrong, and where."""

import asyncio
import gzip
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import zstandard
from aiohttp import web
from aiohttp.test_utils import TestServer
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.clock import SystemClock
from actors.store.environment import Store
from actors.store.folder import DataFolder
from config.load import EXAMPLE
from server.cli import main
from tests.actors.plans.plans import document

ACCESS = {"HEADWATER_CLIENT_ID": "ops", "HEADWATER_CLIENT_SECRET": "ops-secret"}
REPLAY = ("planning:quarantine:replay", "--input-key", "key", "--input-secret", "secret")
ASKING = [
    ("config", "export", "shop"),
    ("config", "ids", "shop"),
    ("cluster", "status"),
    ("dead-letters", "list", "crm"),
    ("audiences", "explain-cost"),
]


def run(*arguments: object) -> Result:
    """Run a command with a credential in the environment."""
    return CliRunner().invoke(main, list(map(str, arguments)), env=ACCESS)


def the_line(result: Result) -> str:
    """Return the one line that a command ended with; an error that nobody caught is shown."""
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert (result.exit_code, result.stdout) == (1, ""), result.output
    [line] = result.stderr.splitlines()
    return line


NO_URLS = [
    "http://127.0.0.1:80x80",
    "http://127.0.0.1:99999",
    "http://127.0.0.1:0",
    "http://[::1",
    "http://a b",
    f"http://{'a' * 70}.example",
    "http://example.com/ä",
    "http://ops:secret@example.com",
    "http://",
    "file:///etc/passwd",
    "",
]


@pytest.mark.parametrize("url", NO_URLS)
@pytest.mark.parametrize("command", ASKING, ids=" ".join)
def test_what_is_no_url_is_refused_by_the_name_of_its_option(
    command: tuple[str, ...], url: str
) -> None:
    assert the_line(run(*command, "--url", url)).startswith("Error: --url must be ")


@pytest.mark.parametrize("url", NO_URLS)
def test_the_admin_ports_url_is_told_from_that_of_the_edges(url: str) -> None:
    assert the_line(run("cluster", "status", "--admin-url", url)).startswith("Error: --admin-url ")


@pytest.mark.parametrize("url", NO_URLS)
def test_batches_are_not_sent_to_what_is_no_url(url: str, tmp_path: Path) -> None:
    file = tmp_path / "q.ndjson"
    file.write_text("{}")
    assert the_line(run(*REPLAY, "--file", file, "--url", url)).startswith("Error: --url must be ")


@settings(deadline=None)
@given(st.text())
def test_no_text_after_the_scheme_ends_a_command_otherwise(rest: str) -> None:
    """What is a URL by chance is not asked: port 1 has nobody, and others have no such host."""
    the_line(run("config", "export", "shop", "--url", f"http://\0{rest}"))
    the_line(run("config", "export", "shop", "--url", f"http://127.0.0.1:1/{rest}"))


@pytest.mark.parametrize(
    "body",
    [
        b"<html>Welcome</html>",
        b"",
        b"[]",
        b'"x"',
        b"{}",
        b'{"access_token": 5}',
        b"\xff",
        b"[" * 9999,
    ],
)
@pytest.mark.parametrize("command", ASKING, ids=" ".join)
async def test_a_server_that_is_another_is_named(command: tuple[str, ...], body: bytes) -> None:
    """A proxy's page, with status 200."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(application) as server:
        url = str(server.make_url("")).rstrip("/")
        result = await asyncio.to_thread(run, *command, "--url", url)
    assert the_line(result) == f"Error: {url} answers, but not as the Platform API does"


@pytest.mark.parametrize("answered", [b"SSH-2.0-server\r\n", b"HTTP/1.1 x OK\r\n\r\n", b""])
async def test_a_server_that_speaks_no_http_is_named(answered: bytes, tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(answered)
        writer.close()

    plan = {"block_metadata": {"dto_version": 1, "blocked_event_ids": ["1"]}}
    event = {"event_type": "custom_event", "data": {"event_id": "1"}}
    file = tmp_path / "q.ndjson"
    file.write_text(json.dumps({"context": {"data_plan": plan}, "events": [event]}))
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        asked = await asyncio.to_thread(run, "config", "export", "shop", "--url", url)
        sent = await asyncio.to_thread(run, *REPLAY, "--file", file, "--url", url)
    assert the_line(asked).startswith(f"Error: {url} does not answer")
    assert the_line(sent).startswith(f"Error: {url}/v2/events does not answer")


VERSION = {"version": 1, "version_document": document()}


@pytest.mark.parametrize(
    ("plan", "problem"),
    [
        pytest.param({"data_plan_versions": [{}]}, "the plan has no version 1", id="no number"),
        pytest.param({"data_plan_versions": None}, "data_plan_versions must be", id="null"),
        pytest.param({"data_plan_versions": 5}, "data_plan_versions must be", id="a number"),
        pytest.param({}, "data_plan_versions must be", id="none"),
        pytest.param([], "data_plan_versions must be", id="no object"),
    ],
)
def test_a_plan_without_the_version_is_told(plan: Any, problem: str, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(plan))
    lint = ("planning:document:lint", "--dataPlanFile", file, "--versionNumber", 1)
    assert problem in the_line(run(*lint))


def test_a_plan_is_not_checked_without_the_number_of_a_version() -> None:
    plan = json.dumps({"data_plan_versions": [{"version_document": document()}]})
    assert "--versionNumber" in the_line(run("planning:document:lint", "--dataPlan", plan))


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ({"planningConfig": "x"}, "planningConfig must be an object"),
        ({"planningConfig": [1]}, "planningConfig must be an object"),
        ({"planningConfig": {"dataPlanFile": 5}}, "planningConfig.dataPlanFile must be a path"),
        (
            {"planningConfig": {"dataPlanVersionFile": "a\0b"}},
            "planningConfig.dataPlanVersionFile must be a path",
        ),
        (5, "must hold an object"),
    ],
)
def test_a_configuration_file_that_is_none_is_named(
    written: Any, problem: str, tmp_path: Path
) -> None:
    file = tmp_path / "mp.config.json"
    file.write_text(json.dumps(written))
    line = the_line(run("planning:document:lint", "--config", file))
    assert str(file) in line
    assert problem in line


def test_an_answer_that_cannot_be_written_is_told() -> None:
    validate = ("planning:batches:validate", "--dataPlanVersion", json.dumps(VERSION))
    line = the_line(run(*validate, "--batch", '{"events": []}', "--outFile", "/nowhere/x"))
    assert line == "Error: /nowhere/x cannot be written: No such file or directory"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("q.gz", b"{}"),
        ("q.gz", gzip.compress(b"{}\n" * 99, mtime=0)[:-9]),
        ("q.gz", gzip.compress(b"{}\n" * 99, mtime=0)[:10] + b"\xff" * 9),
        ("q.zst", b"{}"),
        ("q.zst", zstandard.compress(b"{}\n" * 99)[:-4]),
    ],
)
def test_a_compressed_file_that_is_none_or_cut_off_is_named(
    name: str, content: bytes, tmp_path: Path
) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    line = the_line(run(*REPLAY, "--dry-run", "--file", file))
    assert line == f"Error: {file} is no {file.suffix} file, or damaged"


@pytest.mark.parametrize(
    "members",
    [
        {"events": 5},
        {"events": [5]},
        {"events": [{}]},
        {"events": [{"data": {"event_id": ["1"]}}]},
        {"user_identities": 5},
        {"device_info": [1]},
        {"user_attributes": {"a": json.loads("[" * 300 + "]" * 300)}},
    ],
)
def test_a_line_that_is_no_batch_is_counted_and_the_others_go_on(
    members: dict[str, Any], tmp_path: Path
) -> None:
    blocked = {
        "dto_version": 1,
        "blocked_event_ids": ["1"],
        "blocked_user_attributes": ["a"],
        "blocked_user_identities": ["email"],
        "blocked_device_identities": ["ios_idfv"],
    }
    file = tmp_path / "q.ndjson"
    wrong = {"context": {"data_plan": {"block_metadata": blocked}}} | members
    right = wrong | {"events": [], "user_attributes": {"a": "x"}}
    right |= {"user_identities": {}, "device_info": {}}
    file.write_text(f"{json.dumps(wrong)}\n{json.dumps(right)}\n")
    result = run(*REPLAY, "--dry-run", "--user-attributes", "--file", file)
    assert result.stderr == f"{file}:1: its members are not those of a batch\n"
    assert result.stdout == f"{file}: 1 would be sent, 0 skipped, 1 failed\n"


NOBODY = 65_534


@contextmanager
def closed(path: Path) -> Iterator[None]:
    """Let nobody enter a folder or read a file, though this process may be root's."""
    path.chmod(0)
    user = os.geteuid()
    try:
        if user == 0:
            os.seteuid(NOBODY)
        yield
    finally:
        if user == 0:
            os.seteuid(0)
        path.chmod(0o700)


@pytest.mark.parametrize("name", ["shop.yaml", "."])
@pytest.mark.parametrize("command", ["validate", "plan", "apply"])
def test_a_document_in_a_folder_that_one_may_not_enter_is_named(
    command: str, name: str, tmp_path: Path
) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    with closed(tmp_path):
        line = the_line(run("config", command, folder / name))
    assert line == f"{(folder / name).name}: cannot be read: Permission denied"


def test_a_document_whose_name_no_file_can_have_is_told(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    line = the_line(run("config", "validate", loop))
    assert line == "loop: cannot be read: Too many levels of symbolic links"
    assert the_line(run("config", "validate", "a" * 300)).endswith(
        "cannot be read: File name too long"
    )
    file = tmp_path / "shop.yaml"
    file.write_text(EXAMPLE.read_text().replace("demo-client", '"${file:a\\0b}"'))
    assert "no file has such a name" in the_line(run("config", "validate", file))


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """Return a data folder that has been served."""
    size = 2**24
    folder = DataFolder(tmp_path / "data", 1, size, SystemClock())
    for path in (folder.coordinator, *folder.shards):
        Store(path, size).close()
    folder.close()
    return tmp_path / "data"


@pytest.mark.parametrize(
    "command", [("check",), ("backup", "/nowhere/copy"), ("repair",)], ids=" ".join
)
def test_a_data_folder_of_another_user_is_named(command: tuple[str, ...], served: Path) -> None:
    with closed(served):
        line = the_line(run("data", *command, "--data-dir", served))
    assert "Permission denied" in line
    assert str(served) in line


@pytest.mark.parametrize("arguments", [[], ["--prune"], ["--never", "shop.yaml"], ["a", "b"]])
def test_a_plan_that_was_not_made_is_told_from_one_with_changes(arguments: list[str]) -> None:
    """2 would be changes (spec/connections.md, 10)."""
    assert run("config", "plan", *arguments).exit_code == 1


def test_a_plan_without_credentials_is_told_from_one_with_changes() -> None:
    command = ["config", "plan", str(EXAMPLE)]
    result = CliRunner().invoke(main, command, env=dict.fromkeys(ACCESS))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "--client-id" in result.stderr
