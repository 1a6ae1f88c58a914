"""What `headwater serve` prints: right as it stands, and without anybody's secrets."""

import shlex
from pathlib import Path
from typing import Any

import orjson
import pytest

from config.load import EXAMPLE, load_workspace
from config.settings import Settings
from config.workspace import WorkspaceDocument
from server.banner import banner
from tests.config.documents import load, setting, shop


@pytest.fixture
def example() -> WorkspaceDocument:
    return load_workspace(EXAMPLE, {"HEADWATER_DATA_DIR": "/srv/data"})


def shown(*documents: WorkspaceDocument, **settings: Any) -> str:
    process = Settings(data_dir=Path("/srv/data"), **settings)
    return banner(process, documents, 8080, 9090, not process.workspace)


def curl(text: str) -> list[str]:
    """Return the arguments of the command that the banner shows."""
    [line] = [line for line in text.splitlines() if line.strip().startswith("curl ")]
    return shlex.split(line)


def test_the_example_says_where_everything_is(example: WorkspaceDocument) -> None:
    text = shown(example)
    assert "Headwater serves workspace 'demo'." in text
    assert "http://127.0.0.1:8080" in text
    assert "http://127.0.0.1:9090/metrics" in text
    assert "/srv/data\n" in text
    assert "output 'files'" in text


def test_the_examples_command_can_be_run_as_it_is(example: WorkspaceDocument) -> None:
    """Its key and secret are public."""
    command = curl(shown(example))
    assert command[command.index("-u") + 1] == "us1-demo-backend-key:demo-secret"
    assert "http://127.0.0.1:8080/v2/events" in command
    batch = orjson.loads(command[command.index("-d") + 1])
    assert batch["events"][0]["event_type"] == "custom_event"


def test_the_examples_snippet_is_a_program(example: WorkspaceDocument) -> None:
    _, _, snippet = shown(example).partition("Or with the Python SDK")
    lines = [line.strip() for line in snippet.splitlines()[2:]]
    compile("\n".join(lines), "snippet", "exec")
    assert 'configuration.host = "http://127.0.0.1:8080/v2"' in lines


def test_secrets_of_a_workspace_of_ones_own_are_not_shown(tmp_path: Path) -> None:
    """The command is then to be completed."""
    url = "https://hook.example.com:8443/in?token=s-query"
    document = load(shop(setting("outputs.0.settings.url", url)), tmp_path)
    text = shown(document, workspace=(tmp_path / "workspace.yaml",))
    for secret in ("s-crm", "s-web", "s-ops", "s-dsr", "s-query"):
        assert secret not in text
    assert curl(text)[curl(text).index("-u") + 1] == "us1-crm-key:SECRET"
    assert "output 'hook'      https://hook.example.com:8443/in" in text


def test_all_workspaces_and_their_outputs_are_named(
    example: WorkspaceDocument, tmp_path: Path
) -> None:
    """How to send is shown for the first one."""
    text = shown(load(shop(), tmp_path), example, workspace=(tmp_path, tmp_path))
    assert "Headwater serves workspaces 'acme-shop', 'demo'." in text
    assert "output 'files'" in text
    assert "output 'hook'" in text
    assert curl(text)[curl(text).index("-u") + 1] == "us1-crm-key:SECRET"


def test_an_output_may_have_a_long_name(tmp_path: Path) -> None:
    data = shop(setting("outputs.0.id", "hook-of-the-analytics-team"))
    data["connections"] = []
    url = "https://analytics.example.com/in"
    assert f"output 'hook-of-the-analytics-team' {url}\n" in shown(load(data, tmp_path))


def test_a_server_input_is_shown_first_and_a_site_where_there_is_no_other(tmp_path: Path) -> None:
    data = shop()
    assert "us1-crm-key" in shown(load(data, tmp_path))
    data["connections"] = []
    data["inputs"] = data["inputs"][:1]
    assert "us1-web-key" in shown(load(data, tmp_path))
    data["inputs"] = []
    assert "curl" not in shown(load(data, tmp_path))


@pytest.mark.parametrize(
    ("host", "reached"),
    [
        ("0.0.0.0", "http://127.0.0.1:8080"),
        ("::", "http://127.0.0.1:8080"),
        ("::1", "http://[::1]:8080"),
        ("10.0.0.7", "http://10.0.0.7:8080"),
    ],
)
def test_it_names_an_address_that_can_be_reached(
    example: WorkspaceDocument, host: str, reached: str
) -> None:
    assert f"  {reached}\n" in shown(example, host=host)


def test_the_demo_shop_is_shown_where_it_is_served(example: WorkspaceDocument) -> None:
    assert "http://127.0.0.1:8080/demo\n" in shown(example, development=True)
    assert "/demo" not in shown(example)
