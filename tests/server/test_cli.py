"""The command line: what it prints, where, and how it ends."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from actors.clock import SystemClock
from actors.store.environment import Store
from actors.store.folder import DataFolder
from actors.store.identities import Holder, IndexEntry, write_holders
from actors.store.keys import identity_key
from config.load import EXAMPLE
from config.settings import load_settings
from server.cli import main
from server.version import program_version


def test_a_document_that_can_be_served_is_valid() -> None:
    result = CliRunner().invoke(main, ["config", "validate", str(EXAMPLE)])
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"{EXAMPLE} is valid.\n"


def test_documents_are_checked_as_one_deployment(tmp_path: Path) -> None:
    """Each is valid by itself; their keys have to be told apart."""
    same, other = tmp_path / "same.yaml", tmp_path / "other.yaml"
    same.write_text(EXAMPLE.read_text())
    text = EXAMPLE.read_text().replace("us1-demo", "us1-other").replace("demo-client", "other")
    text = text.replace("files", "others")  # ids of the output and of what leads to it
    other.write_text(text.replace("id: demo", "id: other"))
    result = CliRunner().invoke(main, ["config", "validate", str(EXAMPLE), str(other)])
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"{EXAMPLE} and {other} are valid.\n"
    result = CliRunner().invoke(main, ["config", "validate", str(EXAMPLE), str(same)])
    assert (result.exit_code, result.stdout) == (1, "")
    assert (
        f"{same}:inputs[0].keys[0].key: already used by input 'backend' of {EXAMPLE}"
        in result.stderr.splitlines()
    )


def test_everything_that_is_wrong_is_listed_on_standard_error(tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    document = EXAMPLE.read_text().replace("kind: feed", "kind: food").replace("version: 1", "")
    file.write_text(document + "\nunknown: 1\n")
    result = CliRunner().invoke(main, ["config", "validate", str(file)])
    assert (result.exit_code, result.stdout) == (1, "")
    problems = {line.partition(": ")[0] for line in result.stderr.splitlines()}
    assert {"inputs[0].kind", "version", "unknown"} <= problems


@pytest.mark.parametrize(
    ("module", "more"),
    [
        pytest.param("webhook", "", id="webhook"),
        pytest.param("segment_relay", "write_key: key", id="segment_relay"),
    ],
)
def test_it_is_warned_of_targets_that_are_not_opened(
    tmp_path: Path, module: str, more: str
) -> None:
    """spec/connections.md, 3.8; the document is valid, and another process may have opened them."""
    text = EXAMPLE.read_text()
    start, end = text.index("  - id: files"), text.index("# Which input goes")
    output = f"""
  - id: files
    kind: event
    module: {module}
    name: Out
    settings: {{url: "http://10.0.0.1:81/in", {more}}}
    environments:
      production: {{settings: {{url: "http://1.1.1.1/in"}}}}
      development: {{settings: {{allow_insecure: true}}}}

"""
    file = tmp_path / "shop.yaml"
    file.write_text(text[:start] + output + text[end:])
    command = ["config", "validate", str(file)]
    refused = CliRunner().invoke(main, command)
    assert (refused.exit_code, refused.stdout) == (0, f"{file} is valid.\n")
    assert refused.stderr.splitlines() == [
        "warning: outputs[0].environments.production.settings.url: http is only allowed to targets"
        " in egress.allow or with allow_insecure",
        "warning: outputs[0].settings.url: 10.0.0.1 is not a public address and is not in"
        " egress.allow",
    ]
    opened = {"HEADWATER_EGRESS_ALLOW": "10.0.0.0/8,1.1.1.1"}
    assert CliRunner().invoke(main, command, env=opened).stderr == ""


@pytest.mark.parametrize("port", ["99999", "abc", "0"])
def test_a_port_that_there_cannot_be_is_a_problem_of_its_setting(tmp_path: Path, port: str) -> None:
    text = EXAMPLE.read_text()
    start, end = text.index("  - id: files"), text.index("# Which input goes")
    output = f"""
  - id: files
    kind: event
    module: webhook
    name: Out
    settings: {{url: "https://example.com:{port}/in"}}

"""
    file = tmp_path / "shop.yaml"
    file.write_text(text[:start] + output + text[end:])
    refused = CliRunner().invoke(main, ["config", "validate", str(file)])
    assert refused.exit_code == 1
    assert "outputs[0].settings.url: must have a port from 1 to 65535" in refused.stderr


def test_it_is_warned_of_each_url_of_a_module(tmp_path: Path) -> None:
    text = EXAMPLE.read_text()
    start, end = text.index("  - id: files"), text.index("# Which input goes")
    output = """
  - id: files
    kind: event
    module: firehose
    name: Out
    settings:
      registration_url: http://127.0.0.1:7070
      event_url: https://8.8.8.8/events
      dsr_url: https://[fe80::1]/dsr

"""
    file = tmp_path / "shop.yaml"
    file.write_text(text[:start] + output + text[end:])
    lines = CliRunner().invoke(main, ["config", "validate", str(file)]).stderr.splitlines()
    assert [line.split(": ")[1] for line in lines] == [
        "outputs[0].settings.registration_url",
        "outputs[0].settings.dsr_url",
    ]


def test_placeholders_are_looked_up_in_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(EXAMPLE.read_text().replace("demo-client", '"${env:CLIENT}"'))
    command = ["config", "validate", str(file)]
    missing = CliRunner().invoke(main, command, env={"CLIENT": None})
    assert missing.exit_code == 1
    assert "CLIENT" in missing.stderr
    assert CliRunner().invoke(main, command, env={"CLIENT": "ops"}).exit_code == 0


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["config", "validate", str(tmp_path / "none.yaml")])
    assert result.exit_code == 1
    assert "none.yaml" in result.stderr
    assert result.exception is None or isinstance(result.exception, SystemExit)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        pytest.param(["--workspace", "none.yaml"], "none.yaml", id="workspace"),
        pytest.param(
            ["--workspace", str(EXAMPLE), "--workspace", "none.yaml"],
            "none.yaml",
            id="second workspace",
        ),
        pytest.param(["--settings", "none.yaml"], "none.yaml", id="settings"),
        pytest.param(["--shards", "0"], "shards", id="a setting"),
        pytest.param(["--port", "9091", "--admin-port", "9091"], "admin_port: ", id="equal ports"),
    ],
)
def test_serving_ends_with_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], named: str
) -> None:
    """Before anything is started."""
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["serve", "--data-dir", str(tmp_path / "data"), *arguments])
    assert result.exit_code == 1
    assert named in result.stderr
    assert "Traceback" not in result.stderr


def test_serving_warns_of_a_variable_that_is_no_setting(tmp_path: Path) -> None:
    """Before anything is started; it stops nothing, as the missing document does."""
    command = ["serve", "--data-dir", str(tmp_path / "data"), "--workspace", "none.yaml"]
    environ = {"HEADWATER_SHARD": "4", "HEADWATER_CLIENT_ID": "ops"}
    result = CliRunner().invoke(main, command, env=environ)
    [line] = [json.loads(each) for each in result.stdout.splitlines()]
    assert (line["level"], line["event"]) == ("warning", "variable_unknown")
    assert line["ctx"] == {"variable": "HEADWATER_SHARD"}
    assert "none.yaml" in result.stderr


def test_a_web_sdk_that_cannot_be_read_is_told_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by a page that has none."""
    monkeypatch.chdir(tmp_path)
    environ = {"HEADWATER_WEB_SDK_FILE": "mparticle.js"}
    result = CliRunner().invoke(main, ["serve", "--data-dir", "data"], env=environ)
    assert (result.exit_code, result.stderr.splitlines()[-1:]) == (
        1,
        ["web_sdk_file: cannot be read: No such file or directory"],
    )
    assert load_settings({}, environ).web_sdk_file == tmp_path / "mparticle.js"


def test_a_type_that_users_share_cannot_be_made_unique(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """spec/identity.md, 3; before anything is started."""
    monkeypatch.chdir(tmp_path)
    size = 2**26
    folder = DataFolder(tmp_path / "data", 1, size, SystemClock())
    for path in (folder.coordinator, *folder.shards):
        Store(path, size).close()
    store = Store(folder.shard(0), size)
    with store.write() as txn:
        entry = IndexEntry("email", "a@b.example", [Holder(1, 1), Holder(2, 2)])
        write_holders(txn, identity_key(1, "production", entry.type, entry.value), entry)
    store.close()
    folder.close()
    document = tmp_path / "link.yaml"
    document.write_text(EXAMPLE.read_text().replace("strategy: default", "strategy: profile_link"))
    command = ["serve", "--data-dir", str(tmp_path / "data"), "--shards", "1"]
    result = CliRunner().invoke(main, [*command, "--workspace", str(document)])
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == (
        "identity.unique_ids: email cannot be unique: 1 of its values are held by several users"
    )


def test_the_version_is_told() -> None:
    result = CliRunner().invoke(main, ["--version"])
    assert result.stdout == f"headwater, version {program_version()}\n"


@pytest.mark.parametrize("command", [[], ["serve"], ["config"], ["config", "validate"]])
def test_every_command_has_help(command: list[str]) -> None:
    result = CliRunner().invoke(main, [*command, "-h"])
    assert result.exit_code == 0
    assert result.stdout.startswith("Usage: ")
