"""What of a document is secret, whichever layer of settings it is written in."""

from typing import Any

import pytest

from config.load import parse_workspace
from config.merging import Data
from config.secret_values import MASK, hidden, secret_places, value_at, with_kept_secrets
from tests.config.documents import Change, setting, shop

URL = {"url": "https://one.example.com/in"}
PER_ENVIRONMENT = {"production": {"settings": URL}, "development": {"settings": URL}}
OFF = {"production": {"enabled": False}, "development": {"enabled": False}}
FIREHOSE = {
    "id": "fire",
    "kind": "event",
    "module": "firehose",
    "name": "Fire",
    "settings": {"registration_url": "https://fire.example.com/in"},
}


def output(module: str, settings: Data, environments: Data) -> Change:
    """Have the shop's first output be of a module."""
    made = {"module": module, "settings": settings, "environments": environments}
    return lambda data: data["outputs"][0].update(made)


def secrets(data: Data) -> set[Any]:
    return {value_at(data, each) for each in secret_places(parse_workspace(data), data)}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(
            output("webhook", {"headers": {"X-Any": "hush-0000"}}, PER_ENVIRONMENT),
            id="headers where each environment has its URL",
        ),
        pytest.param(
            output(
                "webhook",
                {"headers": {"X-Any": "hush-0000"}},
                {"production": {"settings": URL}, "development": {"enabled": False}},
            ),
            id="headers where one environment has a URL, and the other is off",
        ),
        pytest.param(
            output("segment_relay", {"write_key": "hush-0000"}, PER_ENVIRONMENT),
            id="a key whose name says nothing",
        ),
        pytest.param(
            output("webhook", {"headers": {"X-Any": "hush-0000"}}, OFF),
            id="settings that lack something, of an output that is off",
        ),
        pytest.param(
            output(
                "webhook",
                URL,
                {"development": {"enabled": False, "settings": {"colour": ["hush-0000"]}}},
            ),
            id="settings that no module knows, of an environment that is off",
        ),
    ],
)
def test_secrets_of_outputs_are_hidden_in_every_layer(change: Change) -> None:
    data = shop(change)
    document = parse_workspace(data)
    shown = hidden(document, data)
    assert "hush-0000" in secrets(data)
    assert "hush" not in str(shown)
    assert with_kept_secrets(shown, data, document) == data


def test_secrets_that_another_layer_overrides_are_hidden() -> None:
    """A list of the common settings may be longer than that of each environment."""
    key = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
    other = key.replace("MDEy", "MTEy")
    own = {"production": {"settings": {"signing_secret": key}}}
    own["development"] = own["production"]
    data = shop(output("webhook", URL | {"signing_secret": [key, other]}, own))
    shown = hidden(parse_workspace(data), data)
    assert other not in str(shown)
    assert key not in str(shown)


def test_settings_that_are_no_secrets_are_shown() -> None:
    settings = {"headers": {"X-Any": "hush-0000"}, "compression": "gzip"}
    off = {"development": {"enabled": False, "settings": {"url": "no URL"}}}
    data = shop(output("webhook", settings, off | {"production": {"settings": URL}}))
    shown = hidden(parse_workspace(data), data)["outputs"][0]
    assert shown["settings"] == {"headers": {"X-Any": MASK + "0000"}, "compression": "gzip"}
    assert shown["environments"]["production"] == {"settings": URL}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(setting("connections.0.settings", {"plain": "hush-0000"}), id="connection"),
        pytest.param(
            setting("outputs.0.connection_defaults", {"plain": "hush-0000"}), id="defaults"
        ),
        pytest.param(
            setting(
                "audiences",
                [
                    {
                        "id": "vip",
                        "name": "VIP",
                        "type": "static",
                        "subscriptions": [{"output": "fire", "settings": {"plain": "hush-0000"}}],
                    }
                ],
            ),
            id="audience",
        ),
    ],
)
def test_settings_of_connections_are_hidden_that_their_module_calls_secret(change: Change) -> None:
    """Only what a receiver has registered says which text is one (spec/connections.md, 4)."""
    audiences = FIREHOSE | {"kind": "audience"}
    data = shop(
        setting("outputs.0", FIREHOSE | {"id": "hook"}),
        setting("outputs.2", audiences | {"name": "F"}),
        change,
    )
    document = parse_workspace(data)
    shown = hidden(document, data)
    assert "hush-0000" in secrets(data)
    assert "hush" not in str(shown)
    assert with_kept_secrets(shown, data, document) == data
