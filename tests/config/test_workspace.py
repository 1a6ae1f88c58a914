"""The shape of the document: what it holds, and what each value may be."""

import json
import pickle
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from actors.model.workspaces import Limits
from config.load import EXAMPLE, load_workspace
from tests.config.documents import load, problems, setting, shop


def test_a_pickled_document_is_the_same_document(tmp_path: Path) -> None:
    document = load(shop(), tmp_path)
    for _ in range(2):  # before and after a lookup
        copy = pickle.loads(pickle.dumps(document))
        assert copy == document
        assert copy.outputs_by_id["lake"].settings == document.outputs_by_id["lake"].settings


LONG = "x" * 65
TEXT = "must be 1 to 64 characters of a-z, 0-9, _ and -, the first a letter or digit"
KEY = "must be 8 to 128 characters of A-Z, a-z, 0-9, _ and -"


@pytest.mark.parametrize(
    ("place", "inside", "outside", "message"),
    [
        ("inputs.0.id", "0_a-b" + "c" * 59, LONG, TEXT),
        ("inputs.0.id", "a", "-a", TEXT),
        ("inputs.0.id", "a", "Web", TEXT),
        ("inputs.0.id", "a", "web\n", TEXT),
        ("inputs.0.keys.0.key", "k" * 8, "k" * 7, KEY),
        ("inputs.0.keys.0.key", "K-_9" * 32, "k" * 129, KEY),
        ("inputs.0.keys.0.key", "k" * 8, "key:key:", KEY),
        ("inputs.0.keys.0.secret", "s", "", "must not be empty"),
        ("inputs.0.name", "n", "", "must not be empty or begin or end with a space"),
        ("inputs.0.name", "n" * 256, "n" * 257, "must have a length of at most 256"),
        ("account.name", "n" * 100, "n" * 101, "must have a length of at most 100"),
        ("workspace.name", "n" * 64, "n" * 65, "must have a length of at most 64"),
        ("workspace.number", 1, 0, "must be between 1 and 2147483647"),
        ("workspace.retention.events_days", 30, 29, "must be at least 30"),
        ("workspace.retention.profile_idle_days", 1, 0, "must be at least 1"),
        ("workspace.limits.batches_per_second", 0, -1, "must be at least 0"),
        ("workspace.limits.acceleration", 100, 99, "must be 0 (off) or at least 100"),
        ("workspace.limits.acceleration", 0, 1, "must be 0 (off) or at least 100"),
        ("inputs.0.limits.acceleration", 100, 99, "must be 0 (off) or at least 100"),
        ("workspace.limits.unique_event_names", 1, 0, "must be at least 1"),
        ("workspace.att_default", "authorized", "yes", "must be 'authorized', 'denied', "),
        ("inputs.0.status", "inactive", "off", "must be 'active' or 'inactive'"),
        ("inputs.0.is_debug", False, 0, "must be true or false"),
        ("inputs.0.os", "roku", "BeOS", "must be 'iOS', 'tvOS', "),
        ("inputs.2.module", "custom", "cutsom", "must be 'custom'"),
        (
            "inputs.0.cors_origins.0",
            "https://shop.example.com",
            "shop.example.com",
            "must be * or an origin such as https://shop.example.com",
        ),
        ("outputs.0.max_in_flight", 1, 0, "must be between 1 and 1024"),
        ("outputs.0.max_in_flight", 1024, 1025, "must be between 1 and 1024"),
        ("outputs.0.queue.max_bytes", 1, 0, "must be at least 1"),
        ("outputs.0.retry.min_attempts", 1, 0, "must be at least 1"),
        ("outputs.0.rate_limit.requests_per_second", 0.5, 0, "must be greater than 0"),
        ("outputs.0.ordering", "strict", "fifo", "must be 'user', 'none' or 'strict'"),
        ("api_credentials.0.apis", ["profile"], [], "must not be empty"),
    ],
)
def test_a_value_is_accepted_inside_its_bounds_and_refused_outside(
    place: str, inside: object, outside: object, message: str, tmp_path: Path
) -> None:
    base = shop(setting("connections", []), setting("inputs.0.cors_origins", []))
    setting(place, inside)(base)
    assert problems(base, tmp_path) == []
    setting(place, outside)(base)
    (line,) = problems(base, tmp_path)
    path = "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in place.split("."))
    assert line.startswith(f"{path[1:]}: {message}")


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (1, []),
        (5, []),
        (0, ["inputs[0].keys: must not be empty"]),
        (6, ["inputs[0].keys: must have a length of at most 5"]),
    ],
)
def test_an_input_has_one_to_five_keys(count: int, expected: list[str], tmp_path: Path) -> None:
    """spec/connections.md, 1.1."""
    keys = [{"key": f"us1-key-{index}", "secret": "x"} for index in range(count)]
    assert problems(shop(setting("inputs.0.keys", keys)), tmp_path) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("500ms", timedelta(milliseconds=500)),
        ("10s", timedelta(seconds=10)),
        ("1.5m", timedelta(seconds=90)),
        ("24h", timedelta(days=1)),
        ("30d", timedelta(days=30)),
    ],
)
def test_a_duration_has_a_unit(text: str, expected: timedelta, tmp_path: Path) -> None:
    document = load(shop(setting("outputs.0.retry.max_age", text)), tmp_path)
    assert document.outputs[0].retry.max_age == expected


@pytest.mark.parametrize("value", [10, "10", "10 s", "-1s", "s", "1w", ""])
def test_what_is_no_duration_is_refused(value: object, tmp_path: Path) -> None:
    assert problems(shop(setting("outputs.0.retry", {"max_age": value})), tmp_path) == [
        "outputs[0].retry.max_age: must be a duration such as 500ms, 10s, 15m, 24h or 30d"
    ]


def test_a_duration_has_an_end(tmp_path: Path) -> None:
    data = shop(setting("outputs.0.retry", {"max_age": "9" * 20 + "d"}))
    assert problems(data, tmp_path) == ["outputs[0].retry.max_age: must be a shorter duration"]


def test_platform_names_are_read_in_any_case_and_kept_in_one(tmp_path: Path) -> None:
    """spec/platform-api.md, 6."""
    document = load(shop(setting("inputs.0.os", "mobileweb")), tmp_path)
    assert document.inputs[0].os == "MobileWeb"


def test_a_feed_without_os_is_unbound(tmp_path: Path) -> None:
    """spec/connections.md, 1.1."""
    web, _, crm = load(shop(), tmp_path).inputs
    assert (web.is_unbound, crm.is_unbound) == (False, True)
    acting = load(shop(setting("inputs.2.os", "iOS")), tmp_path).inputs[2]
    assert not acting.is_unbound


def test_settings_of_an_environment_are_laid_over_the_shared_ones(tmp_path: Path) -> None:
    """spec/connections.md, 1: separate values for development and production."""
    document = load(
        shop(
            setting("outputs.1.settings.roll", {"max_rows": 10, "max_wait_s": 5}),
            setting(
                "outputs.1.environments.development.settings",
                {"url": "file:///srv/dev", "roll": {"max_wait_s": 1}},
            ),
        ),
        tmp_path,
    )
    lake = document.outputs_by_id["lake"]
    assert lake.settings_in("production") == {
        "url": "file:///srv/lake",
        "format": "ndjson",
        "roll": {"max_rows": 10, "max_wait_s": 5},
    }
    assert lake.settings_in("development") == {
        "url": "file:///srv/dev",
        "format": "ndjson",
        "roll": {"max_rows": 10, "max_wait_s": 1},
    }
    assert lake.is_enabled_in("development")


def test_connection_settings_are_laid_over_the_outputs_defaults(tmp_path: Path) -> None:
    document = load(
        shop(
            setting("outputs.1.connection_defaults", {"raw_data_feed": True, "unique_id": "mpid"}),
            setting("connections.1.settings", {"raw_data_feed": False}),
        ),
        tmp_path,
    )
    lake = document.outputs_by_id["lake"]
    assert document.connections[1].settings_with_defaults(lake) == {
        "raw_data_feed": False,
        "unique_id": "mpid",
    }
    assert document.connections[2].settings_with_defaults(lake) == {
        "raw_data_feed": True,
        "unique_id": "mpid",
    }


def test_limits_default_to_those_of_the_event_model(tmp_path: Path) -> None:
    """spec/events-api.md, 4 and 14."""
    limits = load(shop(setting("workspace.limits.event_attributes", 5)), tmp_path).workspace.limits
    assert limits.sizes() == Limits(event_attributes=5)
    assert limits.batches_per_second == 270
    assert limits.workspace.batches_per_second == 0


def test_a_profile_lives_as_long_as_the_lookback_unless_told(tmp_path: Path) -> None:
    """spec/profiles.md, 6."""
    data = shop(setting("workspace.retention.audience_event_days", 90))
    assert load(data, tmp_path).workspace.retention.profile_lifetime_days == 90
    setting("workspace.retention.profile_idle_days", 7)(data)
    assert load(data, tmp_path).workspace.retention.profile_lifetime_days == 7


def test_purposes_are_kept_in_their_canonical_form(tmp_path: Path) -> None:
    """spec/privacy.md, 1."""
    data = shop(setting("workspace.regulations.gdpr.purposes", [" Marketing ", "ANALYTICS"]))
    gdpr = load(data, tmp_path).workspace.regulations.gdpr
    assert gdpr.purposes == ("marketing", "analytics")
    for empty in ("  ", "p" * 257):
        setting("workspace.regulations.gdpr.purposes", [empty])(data)
        assert problems(data, tmp_path) == [
            "workspace.regulations.gdpr.purposes[0]: must have 1 to 256 characters"
        ]


# -- The example ----------------------------------------------------------------------------------


def test_the_example_is_served_as_it_is(tmp_path: Path) -> None:
    document = load_workspace(EXAMPLE, {"HEADWATER_DATA_DIR": str(tmp_path)})
    assert [each.id for each in document.inputs] == ["backend", "web"]
    assert document.outputs[0].settings["url"] == f"file://{tmp_path}/events"
    assert all(connection.active for connection in document.connections)
    assert document.workspace.regulations.gdpr.purposes == ("marketing", "analytics")


def test_every_secret_of_the_example_says_that_it_is_one_for_trying() -> None:
    document = load_workspace(EXAMPLE, {})
    secrets = [key.secret for each in document.inputs for key in each.keys]
    secrets += [credential.client_secret for credential in document.api_credentials]
    assert {secret.get_secret_value() for secret in secrets} == {"demo-secret"}


def test_a_document_needs_its_version_account_and_workspace(tmp_path: Path) -> None:
    assert problems({}, tmp_path) == [
        "version: required",
        "account: required",
        "workspace: required",
    ]


def strings(data: Any) -> Iterator[str]:
    if isinstance(data, dict | list):
        for inner in data.values() if isinstance(data, dict) else data:
            yield from strings(inner)
    elif isinstance(data, str):
        yield data


def test_every_string_of_a_document_is_refused_as_a_number(tmp_path: Path) -> None:
    """spec/connections.md, 10: a number where a string is required is an error, no conversion."""
    text = json.dumps(shop())
    for value in set(strings(shop())):
        data = json.loads(text.replace(json.dumps(value), "4.1"))
        assert problems(data, tmp_path), value
