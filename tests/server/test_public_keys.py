"""The example's secrets are in its file for everybody to read: no network is served by them."""

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from config.errors import ConfigError
from config.load import EXAMPLE
from tests.server.test_first_credentials import BARE, GIVEN, SECRET, Started
from tests.whole.world import DOCUMENT

NETWORK = "0.0.0.0"
DEMO = "workspace: the example's keys are public, and 'demo' has them"


def copied() -> dict[str, Any]:
    copy: dict[str, Any] = YAML(typ="safe").load(EXAMPLE.read_text())
    return copy


@pytest.mark.parametrize("host", [NETWORK, "::", "10.0.0.1", "cdp.example.com", ""])
def test_the_example_is_not_served_to_a_network(tmp_path: Path, host: str) -> None:
    with pytest.raises(ConfigError, match=DEMO):
        Started(tmp_path, host=host)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_the_example_is_served_to_this_machine(tmp_path: Path, host: str) -> None:
    assert Started(tmp_path, host=host).served[0].document.workspace.id == "demo"


def test_a_refused_start_keeps_nothing(tmp_path: Path) -> None:
    """The next one is still the first, which makes the first credential."""
    with pytest.raises(ConfigError):
        Started(tmp_path, host=NETWORK)
    assert Started(tmp_path, BARE, host=NETWORK, **GIVEN).credentials() == {"first": SECRET}


def test_an_example_that_was_served_before_is_refused_too(tmp_path: Path) -> None:
    Started(tmp_path)
    with pytest.raises(ConfigError, match=DEMO):
        Started(tmp_path, host=NETWORK)


def test_a_credential_of_ones_own_leaves_the_keys_of_the_examples_inputs(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=DEMO):
        Started(tmp_path, host=NETWORK, **GIVEN)


def test_a_copy_of_the_example_is_served_once_its_secrets_are_others(tmp_path: Path) -> None:
    copy = copied()
    for each in copy["inputs"]:
        each["keys"][0]["secret"] = "another"
    with pytest.raises(ConfigError, match=DEMO):
        Started(tmp_path, copy, host=NETWORK)
    copy["api_credentials"][0]["client_secret"] = "another"
    assert Started(tmp_path, copy, host=NETWORK).credentials() == {"demo-client": "another"}


def test_a_copy_of_the_example_takes_the_place_of_the_example(tmp_path: Path) -> None:
    """Nothing of it is left, which has no owner and keys that are public."""
    Started(tmp_path)
    copy = copied()
    copy["api_credentials"] = [{**copy["api_credentials"][0], "client_id": "ops"}]
    copy["inputs"] = [{**copy["inputs"][0], "id": "shop"}]
    copy["inputs"][0]["keys"] = [{"key": "us1-shop-backend-key", "secret": "another"}]
    copy["connections"] = [{"id": "shop-files", "input": "shop", "output": "files"}]
    started = Started(tmp_path, copy, host=NETWORK)
    assert sorted(started.credentials()) == ["ops"]
    document = started.served[0].document
    assert [each.id for each in document.inputs] == ["shop"]
    assert [each.id for each in document.connections] == ["shop-files"]


def test_who_still_has_public_keys_is_named_with_the_ways_out(tmp_path: Path) -> None:
    """What came with a document of one's own stays when the next one does not have it."""
    copy = copied()
    Started(tmp_path, copy)
    copy["inputs"][1]["keys"][0]["secret"] = "another"
    copy["api_credentials"][0]["client_id"] = "ops"
    with pytest.raises(ConfigError) as refused:
        Started(tmp_path, copy, host=NETWORK)
    [line] = refused.value.lines()
    assert line.startswith(f"{DEMO}: inputs 'backend', api_credentials 'demo-client'. ")
    assert all(way in line for way in ("(status)", "(data_dir)", "(host)"))


def test_what_is_switched_off_does_no_harm(tmp_path: Path) -> None:
    copy = copied()
    for each in copy["inputs"]:
        each["keys"][0]["status"] = "revoked"
    copy["api_credentials"][0]["status"] = "inactive"
    assert Started(tmp_path, copy, host=NETWORK).served


def test_every_workspace_that_is_served_is_looked_at(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=DEMO):
        Started(tmp_path, DOCUMENT, copied(), host=NETWORK)
