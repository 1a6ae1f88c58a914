"""What the actors get of a document: by number, checked, ready to be sent."""

import pickle
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.calculated.feed import FEED_ID, FEED_NUMBER
from actors.forwarding.pace import BreakerLimits, RateLimit
from actors.model import Limits, WorkspaceInfo
from actors.outputs.retry import PROFILES
from config.compiled import connection_infos, output_plans, queue_limits, workspace_info
from config.identity import DEFAULT_PRIORITY
from config.numbers import Numbers, assign_numbers
from config.settings import Settings
from config.workspace import WorkspaceDocument
from tests.config.documents import Change, load, setting, shop

SETTINGS = Settings(data_dir=Path("unused"), dedup_window_days=45)


def compiled(folder: Path, *changes: Change) -> tuple[WorkspaceDocument, Numbers]:
    document = load(shop(*changes), folder)
    return document, assign_numbers(document, Numbers())


def info(folder: Path, *changes: Change) -> WorkspaceInfo:
    document, numbers = compiled(folder, *changes)
    return workspace_info(document, numbers, SETTINGS)


def test_everything_can_be_sent_to_another_process(tmp_path: Path) -> None:
    document, numbers = compiled(tmp_path)
    workspace = workspace_info(document, numbers, SETTINGS)
    assert pickle.loads(pickle.dumps(workspace)) == workspace
    assert msgspec.convert(msgspec.to_builtins(workspace), WorkspaceInfo) == workspace
    connections = connection_infos(document, numbers)
    assert pickle.loads(pickle.dumps(connections)) == connections
    plans = output_plans(document, numbers)
    assert [plan.info for plan in pickle.loads(pickle.dumps(plans))] == [
        plan.info for plan in plans
    ]


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


def test_connections_name_their_ends_by_number(tmp_path: Path) -> None:
    document, numbers = compiled(tmp_path, setting("connections.1.active", False))
    connections = connection_infos(document, numbers)
    assert [each.id for each in connections] == ["web-hook", "web-lake", "crm-lake"]
    for each, written in zip(connections, document.connections, strict=True):
        assert each.number == numbers.connections[each.id]
        assert each.input == numbers.inputs[written.input]
        assert (each.input_id, each.output) == (written.input, written.output)
    assert [each.is_active for each in connections] == [True, False, True]
    assert [each.module for each in connections] == ["webhook", "file", "file"]


def test_a_connections_settings_lie_over_its_outputs_defaults(tmp_path: Path) -> None:
    document, numbers = compiled(
        tmp_path,
        setting(
            "outputs.0.connection_defaults", {"send_as_batch": False, "include_location": True}
        ),
        setting("connections.0.settings", {"include_location": False}),
        setting("connections.3", {"id": "ios-hook", "input": "ios", "output": "hook"}),
    )
    connections = {each.id: each for each in connection_infos(document, numbers)}
    assert not connections["web-hook"].settings.include_location
    assert connections["ios-hook"].settings.include_location
    assert not connections["web-hook"].send_as_batch
    assert not connections["ios-hook"].send_as_batch


@pytest.mark.parametrize(
    ("number", "settings", "is_batched", "wait_ms"),
    [
        (0, {}, False, None),
        (0, {"send_as_batch": True}, True, 600_000),
        (0, {"wait_for_complete_batch": True}, True, 30 * 60_000),
        (1, {}, True, None),
        (1, {"batch": {"max_wait_s": 60}}, True, 60_000),
        (1, {"wait_for_complete_batch": True}, True, 30 * 60_000),
        (1, {"send_as_batch": False}, False, None),
    ],
)
def test_a_webhook_collects_whole_batches_and_a_file_only_if_told_to(
    tmp_path: Path, number: int, settings: dict[str, Any], is_batched: bool, wait_ms: int | None
) -> None:
    """spec/connections.md, 3.6."""
    document, numbers = compiled(tmp_path, setting(f"connections.{number}.settings", settings))
    info = connection_infos(document, numbers)[number]
    assert info.send_as_batch is is_batched
    assert (info.collecting and info.collecting.max_wait_ms) == wait_ms


def test_an_environment_that_is_off_gets_nothing(tmp_path: Path) -> None:
    off = setting("outputs.0.environments", {"development": {"enabled": False}})
    document, numbers = compiled(tmp_path, off)
    hook, lake, _ = connection_infos(document, numbers)
    assert hook.environments == {"production"}
    assert lake.environments == {"production", "development"}
    plans = {plan.info.id: plan for plan in output_plans(document, numbers)}
    assert set(plans["hook"].settings) == {"production"}


@pytest.mark.parametrize("shards", [1, 3])
def test_a_queues_room_is_shared_by_the_shards(tmp_path: Path, shards: int) -> None:
    document, numbers = compiled(tmp_path, setting("outputs.1.queue", {"max_bytes": 900}))
    limits = queue_limits(document, numbers, shards)
    assert set(limits) == set(numbers.connections.values())
    assert limits[numbers.connections["web-lake"]] == 900 // shards
    assert limits[numbers.connections["web-hook"]] == 4 * 1024**3 // shards


def test_an_output_has_its_connections_and_its_retries(tmp_path: Path) -> None:
    document, numbers = compiled(
        tmp_path,
        setting("outputs.0.retry", {"profile": "audience", "max_age": "2h", "min_attempts": 9}),
        setting("outputs.0.ordering", "none"),
    )
    hook, lake = output_plans(document, numbers)
    assert (hook.info.id, hook.module, lake.module) == ("hook", "webhook", "file")
    assert [[each.id for each in plan.connections] for plan in (hook, lake)] == [
        ["web-hook"],
        ["web-lake", "crm-lake"],
    ]
    retry, base = hook.info.schedule, PROFILES["audience"]
    assert (retry.max_age_s, retry.min_attempts) == (7200, 9)
    assert (retry.base_s, retry.cap_s, retry.jitter) == (base.base_s, base.cap_s, base.jitter)
    assert hook.info.ordering == "none"
    assert lake.info.schedule == PROFILES["file"]


def test_numbers_stay_when_the_document_changes(tmp_path: Path) -> None:
    document, numbers = compiled(tmp_path)
    fewer = shop()
    fewer["connections"] = fewer["connections"][1:]
    changed = load(fewer, tmp_path)
    again = connection_infos(changed, assign_numbers(changed, numbers))
    before = {each.id: each.number for each in connection_infos(document, numbers)}
    assert {each.id: each.number for each in again} == {
        name: number for name, number in before.items() if name != "web-hook"
    }


def test_the_calculated_attributes_feed_is_an_input_that_no_document_has(tmp_path: Path) -> None:
    """Its batches have no events, so that a default against such batches is not meant for it."""
    document, numbers = compiled(
        tmp_path,
        setting("connections.2.input", FEED_ID),
        setting("outputs.1.connection_defaults", {"send_batches_without_events": False}),
    )
    *others, feed = connection_infos(document, numbers)
    assert (feed.input, feed.input_id) == (FEED_NUMBER, FEED_ID)
    assert FEED_NUMBER not in numbers.inputs.values()
    assert feed.settings.send_batches_without_events
    assert [each.settings.send_batches_without_events for each in others] == [True, False]


def test_limits_of_an_output_reach_its_forwarder(tmp_path: Path) -> None:
    """spec/connections.md, 3.5."""
    document, numbers = compiled(
        tmp_path,
        setting("outputs.0.rate_limit", {"requests_per_second": 50, "burst": 100}),
        setting("outputs.0.breaker", {"failures": 3, "open_for": "500ms"}),
    )
    plans = {plan.info.id: plan.info for plan in output_plans(document, numbers)}
    assert plans["hook"].rate_limit == RateLimit(50, 100, None, adaptive=True)
    assert plans["hook"].breaker == BreakerLimits(failures=3, open_ms=500)
    assert plans["lake"].rate_limit == RateLimit()
    assert plans["lake"].breaker == BreakerLimits(failures=5, open_ms=5000)
