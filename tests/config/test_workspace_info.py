"""What shards have to know of a workspace."""

import pickle
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.model.workspaces import Limits, WorkspaceInfo
from config.identity import DEFAULT_PRIORITY
from config.numbers import Numbers, assign_numbers
from config.workspace_info import workspace_info
from tests.config.documents import SETTINGS, Change, compiled, load, setting, shop


def info(folder: Path, *changes: Change) -> WorkspaceInfo:
    document, numbers = compiled(folder, *changes)
    return workspace_info(document, numbers, SETTINGS)


def test_it_can_be_sent_to_another_process(tmp_path: Path) -> None:
    document, numbers = compiled(tmp_path)
    workspace = workspace_info(document, numbers, SETTINGS)
    assert pickle.loads(pickle.dumps(workspace)) == workspace
    assert msgspec.convert(msgspec.to_builtins(workspace), WorkspaceInfo) == workspace


def test_defaults_are_those_of_the_specification(tmp_path: Path) -> None:
    """spec/identity.md, 3; spec/profiles.md, 6; spec/events-api.md, 14."""
    workspace = info(tmp_path)
    assert (workspace.id, workspace.name) == ("acme-shop", "Acme Shop")
    assert workspace.priority == DEFAULT_PRIORITY
    assert workspace.login_ids == workspace.unique_ids == workspace.immutable_ids == {"customerid"}
    assert (workspace.events_days, workspace.audience_event_days) == (730, 30)
    assert (workspace.profile_idle_days, workspace.dedup_days) == (30, 45)
    assert workspace.limits == Limits()
    assert (workspace.default_tier, workspace.tiers) == ("personalize", {})
    assert (workspace.gdpr_purposes, workspace.is_ccpa_enabled) == (None, False)


@pytest.mark.parametrize(
    ("path", "value", "attribute", "expected"),
    [
        ("workspace.retention", {"profile_idle_days": 200}, "profile_idle_days", 200),
        ("workspace.retention", {"audience_event_days": 60}, "profile_idle_days", 60),
        ("workspace.regulations.gdpr", {"enabled": True}, "gdpr_purposes", frozenset()),
        (
            "workspace.regulations.gdpr",
            {"enabled": True, "purposes": [" Ads "]},
            "gdpr_purposes",
            frozenset({"ads"}),
        ),
        ("workspace.regulations.gdpr", {"purposes": ["ads"]}, "gdpr_purposes", None),
        ("workspace.regulations.ccpa", {"enabled": True}, "is_ccpa_enabled", True),
        (
            "workspace.event_tiers",
            {"default": "preserve", "overrides": [{"event": "Ping", "tier": "connect"}]},
            "tiers",
            {"Ping": "connect"},
        ),
        ("workspace.partner_identities", ["acme_id"], "partner_identities", {"acme_id"}),
        ("workspace.att_default", "denied", "att_default", "denied"),
        ("workspace.limits", {"devices": 3}, "limits", Limits(devices=3)),
        ("identity", {"strategy": "profile_conversion"}, "immutable_ids", frozenset()),
    ],
)
def test_a_workspace_is_what_the_document_says(
    tmp_path: Path, path: str, value: Any, attribute: str, expected: Any
) -> None:
    assert getattr(info(tmp_path, setting(path, value)), attribute) == expected


def test_a_workspace_has_the_number_of_its_scope(tmp_path: Path) -> None:
    """spec/identity.md, 1: scopes are counted for themselves."""
    assert info(tmp_path, setting("workspace.number", 20)).scope == 1
    document = load(shop(setting("workspace.identity_scope", "users")), tmp_path)
    numbers = assign_numbers(document, Numbers(scopes={"acme-shop": 1}))
    assert workspace_info(document, numbers, SETTINGS).scope == numbers.scopes["users"] == 2


def test_inputs_are_by_number(tmp_path: Path) -> None:
    """spec/events-api.md, 10.1: a platform's batches get its platform where they have none."""
    document, numbers = compiled(
        tmp_path, setting("inputs.2.partner", True), setting("inputs.2.is_debug", True)
    )
    inputs = workspace_info(document, numbers, SETTINGS).inputs
    assert {each.id: number for number, each in inputs.items()} == numbers.inputs
    by_id = {each.id: each for each in inputs.values()}
    assert {name: each.platform for name, each in by_id.items()} == {
        "web": "web",
        "ios": "iOS",
        "crm": None,
    }
    assert [by_id["crm"].is_partner, by_id["web"].is_partner] == [True, False]
    assert [by_id["crm"].is_debug, by_id["web"].is_debug] == [True, False]
