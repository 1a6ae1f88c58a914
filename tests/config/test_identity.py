"""What an identity configuration may be (spec/identity.md, 3)."""

from pathlib import Path
from typing import Any

import pytest

from actors.batches.identities import BATCH_NAMES, DEVICE_IDENTITIES, DEVICE_STAMP
from config.errors import ConfigError
from config.identity import DEFAULT_PRIORITY, IdentitySettings
from tests.config.documents import load, problems, setting, shop


def lines(identity: dict[str, Any], folder: Path) -> list[str]:
    return problems(shop(setting("identity", identity)), folder)


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        pytest.param(
            {"strategy": "best_match", "login_ids": ["email"], "unique_ids": ["email"]},
            [
                "identity.login_ids: must be empty with strategy best_match",
                "identity.unique_ids: must be empty with strategy best_match",
            ],
            id="best match with login IDs",
        ),
        pytest.param(
            {
                "strategy": "profile_link",
                "login_ids": ["customerid"],
                "immutable_ids": ["email"],
                "priority": ["email", "customerid"],
            },
            ["identity.immutable_ids: not in login_ids: email"],
            id="immutable not in login",
        ),
        pytest.param(
            {"strategy": "profile_conversion", "login_ids": ["customerid", "email"]},
            ["identity.login_ids: not in unique_ids: email"],
            id="login not in unique",
        ),
        pytest.param(
            {
                "strategy": "profile_conversion",
                "priority": ["email", "customerid"],
                "immutable_ids": ["customerid"],
            },
            ["identity.priority: immutable IDs must stand first: customerid"],
            id="immutable after email in priority",
        ),
        pytest.param(
            {"strategy": "profile_conversion", "priority": ["customerid", "passport"]},
            ["identity.priority[1]: unknown identity type 'passport'"],
            id="unknown type",
        ),
    ],
)
def test_worked_case_27(identity: dict[str, Any], expected: list[str], tmp_path: Path) -> None:
    """spec/identity.md, worked case 27: refused, with the rule named."""
    assert lines(identity, tmp_path) == expected


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        pytest.param(
            {"priority": ["customerid", "alias"]},
            ["identity.priority[1]: 'alias' cannot be used for matching"],
            id="alias",
        ),
        pytest.param(
            {"priority": ["customerid", "email", "email"]},
            ["identity.priority[2]: 'email' is listed twice"],
            id="a type twice",
        ),
        pytest.param({"priority": []}, ["identity.priority: must not be empty"], id="no priority"),
        pytest.param(
            {
                "strategy": "profile_conversion",
                "login_ids": ["ios_idfa"],
                "unique_ids": ["ios_idfa"],
            },
            [
                "identity.login_ids[0]: 'ios_idfa' is a device identity; "
                "only user identities can be login IDs"
            ],
            id="a device identity as login ID",
        ),
        pytest.param(
            {"strategy": "profile_link", "priority": ["customerid"]},
            ["identity.unique_ids: not in priority: email"],
            id="unique not in priority",
        ),
        pytest.param(
            {"strategy": "profile_isolation", "login_ids": []},
            ["identity.login_ids: strategy profile_isolation needs at least one"],
            id="isolation without a login ID",
        ),
        pytest.param(
            {"strategy": "default", "unique_ids": ["customerid", "email"]},
            ["identity.unique_ids: strategy default fixes it to [customerid]"],
            id="default with other unique IDs",
        ),
        pytest.param(
            {"strategy": "best_match", "aliasing_enabled": True},
            ["identity.aliasing_enabled: must be false with strategy best_match"],
            id="aliasing with best match",
        ),
        pytest.param(
            {"strategy": "profile_isolation", "aliasing_enabled": True},
            ["identity.aliasing_enabled: must be false with strategy profile_isolation"],
            id="aliasing with isolation",
        ),
        pytest.param(
            {"strategy": "profile_merge"},
            [
                "identity.strategy: must be one of "
                "best_match, default, profile_conversion, profile_isolation, profile_link"
            ],
            id="no such strategy",
        ),
        pytest.param(
            {"strategy": 5, "login_ids": "email", "alias_delay_hours": -1},
            [
                "identity.strategy: must be a string",
                "identity.login_ids: must be a list",
                "identity.alias_delay_hours: must be at least 0",
            ],
            id="wrong kinds of value",
        ),
    ],
)
def test_every_rule_has_its_refusal(
    identity: dict[str, Any], expected: list[str], tmp_path: Path
) -> None:
    assert [line for line in lines(identity, tmp_path) if line.startswith("identity")] == expected


@pytest.mark.parametrize(
    ("strategy", "unique", "login", "immutable", "aliasing"),
    [
        ("default", ("customerid",), ("customerid",), ("customerid",), True),
        ("profile_conversion", ("customerid",), ("customerid",), (), True),
        ("profile_link", ("customerid", "email"), ("customerid", "email"), (), True),
        ("profile_isolation", ("customerid", "email"), ("customerid", "email"), (), False),
        ("best_match", (), (), (), False),
    ],
)
def test_a_strategy_fills_in_what_is_left_out(
    strategy: str,
    unique: tuple[str, ...],
    login: tuple[str, ...],
    immutable: tuple[str, ...],
    aliasing: bool,
    tmp_path: Path,
) -> None:
    identity = load(shop(setting("identity", {"strategy": strategy})), tmp_path).identity
    assert identity.unique_ids == unique
    assert identity.login_ids == login
    assert identity.immutable_ids == immutable
    assert identity.aliasing_enabled is aliasing
    assert identity.priority == DEFAULT_PRIORITY


def test_what_is_written_is_not_filled_in(tmp_path: Path) -> None:
    written = {
        "strategy": "profile_link",
        "priority": ["customerid", "email", "device_application_stamp"],
        "login_ids": ["customerid"],
        "unique_ids": ["customerid"],
        "immutable_ids": ["customerid"],
        "aliasing_enabled": False,
    }
    identity = load(shop(setting("identity", written)), tmp_path).identity
    assert identity.login_ids == identity.unique_ids == identity.immutable_ids == ("customerid",)
    assert identity.priority == ("customerid", "email", "device_application_stamp")
    assert identity.aliasing_enabled is False


def test_a_document_without_the_section_gets_the_default_strategy(tmp_path: Path) -> None:
    assert load(shop(), tmp_path).identity == IdentitySettings(strategy="default")
    assert load(shop(), tmp_path).identity.login_ids == ("customerid",)


def test_a_strategy_that_this_installation_has_not_is_refused(tmp_path: Path) -> None:
    data = shop(setting("identity", {"strategy": "best_match"}))
    with pytest.raises(ConfigError) as refused:
        load(data, tmp_path, strategies={"default", "profile_conversion"})
    assert refused.value.lines() == [
        "identity.strategy: must be one of default, profile_conversion"
    ]


def test_the_default_priority_has_every_type_that_can_find_a_profile() -> None:
    types = [*BATCH_NAMES, *DEVICE_IDENTITIES.values(), DEVICE_STAMP]
    assert sorted(DEFAULT_PRIORITY) == sorted(name for name in types if name != "alias")
