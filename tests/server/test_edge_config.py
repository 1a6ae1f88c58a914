"""What an edge makes of a workspace document and the settings."""

import pickle
from typing import Any

import pytest

from config.identity import IdentitySettings
from config.numbers import Numbers, assign_numbers
from config.settings import Settings
from config.workspace import WorkspaceDocument
from server.edge_config import EdgeConfig, digest, edge_config
from server.identity_config import IdentityCalls
from server.limits import Limit

DOCUMENT: dict[str, Any] = {
    "version": 1,
    "account": {"id": "acme", "name": "Acme", "number": 2},
    "workspace": {
        "id": "shop",
        "name": "Shop",
        "number": 3,
        "client_audience_api": True,
        "dsr_credentials": {"key": "workspace-key", "secret": "workspace-secret"},
        "limits": {
            "batches_per_second": 100,
            "workspace": {"batches_per_second": 500, "acceleration": 200},
            "account": {"batches_per_second": 800},
            "org": {"batches_per_second": 900},
            "system": {"acceleration": 300},
            "profile_requests_per_second": 20,
            "identity_requests_per_second": 30,
        },
    },
    "api_credentials": [
        {
            "client_id": "ops",
            "client_secret": "ops-secret",
            "role": "admin",
            "apis": ["platform", "profile", "data_planning"],
        },
        {
            "client_id": "viewer",
            "client_secret": "viewer-secret",
            "apis": ["platform", "data_planning"],
            "status": "inactive",
        },
    ],
    "inputs": [
        {
            "id": "backend",
            "kind": "feed",
            "name": "Backend",
            "keys": [
                {"key": "backend-1", "secret": "secret-1"},
                {"key": "backend-2", "secret": "secret-2", "status": "revoked"},
            ],
        },
        {
            "id": "web",
            "kind": "platform",
            "os": "MobileWeb",
            "name": "Web",
            "keys": [{"key": "web-key-1", "secret": "secret-3"}],
            "limits": {"batches_per_second": 0, "acceleration": 150},
        },
        {
            "id": "old",
            "kind": "feed",
            "name": "Old",
            "partner": True,
            "status": "inactive",
            "keys": [{"key": "old-key-1", "secret": "secret-4"}],
        },
    ],
}

# Of the active inputs.
INPUTS = [
    number
    for number, each in enumerate(DOCUMENT["inputs"], 1)
    if each.get("status", "active") == "active"
]


@pytest.fixture
def config() -> EdgeConfig:
    document = WorkspaceDocument.model_validate(DOCUMENT)
    settings = Settings(
        auth_audiences=("https://cdp.example",), max_body_bytes=2048, auth_max_skew_s=60
    )
    return edge_config(document, assign_numbers(document, Numbers()), settings, "k" * 32, 9)


def test_it_names_where_it_serves(config: EdgeConfig) -> None:
    assert (config.organization, config.account, config.workspace) == (1, 2, 3)
    assert (config.workspace_slug, config.revision) == ("shop", 9)
    assert config.token_audiences == ("https://api.mparticle.com", "https://cdp.example")
    assert (config.max_body_bytes, config.max_batches) == (2048, 100)
    assert config.has_client_audience_api
    assert config.immutable_ids == {"customerid"}


@pytest.mark.parametrize(
    ("key", "number", "is_active", "is_partner"),
    [
        ("backend-1", 1, True, False),
        ("backend-2", 1, False, False),
        ("web-key-1", 2, True, False),
        ("old-key-1", 3, False, True),
    ],
)
def test_keys_are_active_with_their_input(
    config: EdgeConfig, key: str, number: int, is_active: bool, is_partner: bool
) -> None:
    info = config.keys[key]
    assert (info.input, info.is_active, info.is_partner) == (number, is_active, is_partner)


def test_a_workspaces_own_key_is_no_input_key(config: EdgeConfig) -> None:
    """spec/events-api.md, worked case 9."""
    assert "workspace-key" not in config.keys


def test_limits_apply_from_the_input_up(config: EdgeConfig) -> None:
    """All workspaces of a machine count in one table, and only some levels are shared."""
    above = (
        Limit("workspace", "workspace:3", 500, 500, 200),
        Limit("account", "account:2", 800, 800),
        Limit("org", "org", 900, 900),
        Limit("system", "system", 0, 0, 300),
    )
    assert config.keys["backend-1"].limits == (Limit("feed", "input:3:1", 100, 100), *above)
    assert config.keys["web-key-1"].limits == (Limit("app", "input:3:2", 0, 0, 150), *above)
    assert config.seeding_limits == above
    assert config.profile_limits == (Limit("account", "profile:2", 20, 40),)


IDENTITY_SHARES = {
    number: Limit("workspace", f"identity:3:{number}", 30 // len(INPUTS), 30 // len(INPUTS))
    for number in INPUTS
}


def made_of(**sections: Any) -> EdgeConfig:
    """Make a configuration of the document with some sections replaced."""
    document = WorkspaceDocument.model_validate(DOCUMENT | sections)
    numbers = assign_numbers(document, Numbers())
    return edge_config(document, numbers, Settings(), "k" * 32)


def test_identity_calls_are_configured_by_the_scope_and_the_settings(config: EdgeConfig) -> None:
    """spec/identity.md, 3 and 4.3."""
    assert config.identity == IdentityCalls(
        is_enabled=True,
        has_aliasing=True,
        alias_window_ms=90 * 86_400_000,
        max_skew_ms=60_000,
        limits=(Limit("workspace", "identity:3", 30, 30),),
        shares=IDENTITY_SHARES,
        settings=IdentitySettings(),
    )
    strategy = {"strategy": "best_match", "idsync_enabled": False, "alias_max_window_days": 1}
    assert made_of(identity=strategy).identity == IdentityCalls(
        is_enabled=False,
        has_aliasing=False,
        alias_window_ms=86_400_000,
        max_skew_ms=86_400_000,
        limits=(Limit("workspace", "identity:3", 30, 30),),
        shares=IDENTITY_SHARES,
        settings=IdentitySettings.model_validate(strategy),
    )


@pytest.mark.parametrize(("rate", "count"), [(None, 1000), (1, 1), (0, 0)])
def test_the_limit_of_identity_calls_can_be_turned_off(rate: int | None, count: int) -> None:
    limits = {} if rate is None else {"identity_requests_per_second": rate}
    made = made_of(workspace={"id": "shop", "name": "Shop", "number": 3, "limits": limits})
    expected = (Limit("workspace", "identity:3", count, count),) if count else ()
    assert made.identity.limits == expected


def test_each_input_has_a_share_of_the_identity_calls_where_there_is_one_for_each() -> None:
    def shares(rate: int) -> dict[int, Limit]:
        limits = {"identity_requests_per_second": rate}
        made = made_of(workspace={"id": "shop", "name": "Shop", "number": 3, "limits": limits})
        return dict(made.identity.shares)

    count = len(INPUTS)
    assert shares(2 * count + 1) == {
        number: Limit("workspace", f"identity:3:{number}", 2, 2) for number in INPUTS
    }
    assert shares(count - 1) == shares(0) == {}


@pytest.mark.parametrize(
    ("os", "setting", "is_allowed"),
    [
        ("MobileWeb", None, True),
        ("MobileWeb", False, False),
        ("iOS", None, False),
        ("iOS", True, True),
    ],
)
def test_the_key_alone_is_enough_on_websites_or_as_set(
    os: str, setting: bool | None, is_allowed: bool
) -> None:
    """spec/identity.md, 3."""
    source = {
        "id": "app",
        "kind": "platform",
        "os": os,
        "name": "App",
        "keys": [{"key": "app-key-1", "secret": "s"}],
        "key_only_auth": setting,
    }
    assert made_of(inputs=[source]).keys["app-key-1"].allows_key_only is is_allowed


def test_the_identity_settings_are_those_that_the_strategy_fills_in() -> None:
    """spec/identity.md, 3."""
    made = made_of(identity={"strategy": "profile_link"})
    assert made.identity.settings.login_ids == ("customerid", "email")
    assert made.identity.settings.immutable_ids == ()


def test_the_scope_is_numbered_for_itself() -> None:
    """spec/identity.md, 1."""
    made = made_of(workspace={"id": "shop", "name": "Shop", "number": 3})
    assert (made.workspace, made.scope) == (3, 1)


def test_permissions_follow_the_role(config: EdgeConfig) -> None:
    """spec/platform-api.md, 3."""
    assert config.credentials["ops"].permissions == {
        "platform": "admin",
        "profile": "read_only",
        "data_planning": "admin",
    }
    viewer = config.credentials["viewer"]
    assert viewer.permissions == {"platform": "read_only", "data_planning": "read_only"}
    assert not viewer.is_active


def test_secrets_are_compared_as_digests_and_kept_to_verify_signatures(config: EdgeConfig) -> None:
    assert config.keys["backend-1"].secret_digest == digest("secret-1")
    assert config.keys["backend-1"].secret.get_secret_value() == "secret-1"


def test_what_it_shows_lets_nobody_in(config: EdgeConfig) -> None:
    """It may be logged as a part of whatever holds it."""
    shown = f"{config!r} {config} {config.keys['backend-1']} {config.credentials['ops']!r}"
    for secret in ("secret-1", "ops-secret", "k" * 32, "workspace-secret"):
        assert secret not in shown
        assert repr(digest(secret)) not in shown
    for known in ("EdgeConfig(", "KeyInfo(key='backend-1'", "Credential(client_id='ops'"):
        assert known in shown
    assert "token_key" not in shown
    assert "secret_digest" not in shown


def test_it_can_be_sent_to_other_processes(config: EdgeConfig) -> None:
    assert pickle.loads(pickle.dumps(config)) == config
