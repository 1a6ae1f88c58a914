"""What a document says of forwarding: what is refused, and what the shards get."""

import pickle
from pathlib import Path
from typing import Any

import pytest

from actors.model.workspaces import UserSplit
from actors.pipeline.points import DataPoint
from actors.pipeline.settings import (
    NO_FILTER,
    AppVersions,
    ConsentRule,
    CustomMapping,
    DataFilter,
    EventAttributeRule,
    Fixed,
    IdSyncRule,
    PipelineSettings,
    Sampling,
)
from config.compiled_connections import connection_infos
from config.numbers import Numbers, assign_numbers
from config.workspace_info import workspace_info
from tests.config.documents import SETTINGS, Change, compiled, load, problems, setting, shop

FIRST = "connections.0"
GDPR = setting("workspace.regulations", {"gdpr": {"enabled": True, "purposes": ["analytics"]}})
RULES = f"{FIRST}.forwarding_rules"
GROUP_A = {"name": "A", "percentage": 20}
SPLIT = {"id": "s1", "groups": [GROUP_A, {"name": "B", "percentage": 80}]}


def consent(regulation: str, purpose: str) -> dict[str, Any]:
    purposes = [{"regulation": regulation, "purpose": purpose, "has_consented": True}]
    return {"kind": "consent", "action": "include", "purposes": purposes}


def mapping(**source: str) -> dict[str, Any]:
    return {"source": source, "target": {"name": "x"}}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param(
            [setting(f"{FIRST}.sampling", {"percentage": 101})],
            "connections[0].sampling.percentage: must be between 0 and 100",
            id="spec example: sampling",
        ),
        pytest.param(
            [setting(f"{FIRST}.sampling", {"percentage": 12.345})],
            "connections[0].sampling.percentage: must have at most two decimals",
            id="three decimals",
        ),
        pytest.param(
            [setting(f"{FIRST}.min_app_version", 4.10)],
            "connections[0].min_app_version: must be a string",
            id="spec example: a number where a string is required",
        ),
        pytest.param(
            [setting(f"{FIRST}.min_app_version", "4.2-beta")],
            "connections[0].min_app_version: must be digits and dots, such as 4.2",
            id="worked case 10",
        ),
        pytest.param(
            [setting(RULES, [{"kind": "id_sync", "action": "exclude"}])],
            "connections[0].forwarding_rules[0].action: must be 'include'",
            id="id_sync can only include",
        ),
        pytest.param(
            [setting(RULES, [{"kind": "colour"}])],
            "connections[0].forwarding_rules[0]: kind must be one of 'event_attribute', "
            "'user_attribute', 'attribution', 'consent', 'id_sync'",
            id="unknown kind",
        ),
        pytest.param(
            [setting(RULES, [{"action": "include"}])],
            "connections[0].forwarding_rules[0]: kind is required",
            id="no kind",
        ),
        pytest.param(
            [setting(RULES, [consent("gdpr", "analytics")])],
            "connections[0].forwarding_rules[0].purposes[0].regulation: "
            "workspace.regulations.gdpr is not enabled",
            id="a regulation that is not enabled",
        ),
        pytest.param(
            [GDPR, setting(RULES, [consent("gdpr", "marketing")])],
            "connections[0].forwarding_rules[0].purposes[0].purpose: "
            "the workspace has no GDPR purpose 'marketing'",
            id="unknown purpose",
        ),
        pytest.param(
            [setting(RULES, [consent("ccpa", "sale")])],
            "connections[0].forwarding_rules[0].purposes[0]: the purpose of ccpa is "
            "data_sale_opt_out",
            id="the purpose of CCPA",
        ),
        pytest.param(
            [setting(f"{FIRST}.filters", {"events": {"disabled": [{"name": "A"}]}})],
            "connections[0].filters.events.disabled[0].event_type: required",
            id="an event without its type",
        ),
        pytest.param(
            [
                setting(
                    "outputs.0.filters",
                    {
                        "event_types": {"disabled": ["navigation"]},
                        "events": {"enabled": [{"event_type": "navigation", "name": "Open"}]},
                    },
                )
            ],
            "outputs[0].filters.events.enabled[0]: event type 'navigation' is off",
            id="worked case 11: a child on under a parent that is off",
        ),
        pytest.param(
            [setting(f"{FIRST}.filters.user_attributes", {"all": False, "enabled": ["$City"]})],
            "connections[0].filters.user_attributes.enabled[0]: all user attributes are off",
            id="one user attribute on where all are off",
        ),
        pytest.param(
            [setting(f"{FIRST}.filters.screens", {"disabled": ["Home"], "enabled": ["Home"]})],
            "connections[0].filters.screens.enabled[0]: cannot be on and off",
            id="on and off",
        ),
        pytest.param(
            [setting("outputs.0.filters", {"user_identities": {"disabled": ["fax"]}})],
            "outputs[0].filters.user_identities.disabled[0]: unknown identity type 'fax'",
            id="unknown identity",
        ),
        pytest.param(
            [
                setting(
                    f"{FIRST}.custom_mappings",
                    [mapping(event_type="navigation", event_name="Open")],
                ),
                setting("outputs.0.filters", {"event_types": {"disabled": ["navigation"]}}),
            ],
            "connections[0].custom_mappings[0]: the filter switches these events off",
            id="a mapping of what is off",
        ),
        pytest.param(
            [setting(f"{FIRST}.custom_mappings", [mapping(event_type="commerce_event")])],
            "connections[0].custom_mappings[0].source: commerce_event needs action alone",
            id="a commerce mapping by name",
        ),
        pytest.param(
            [
                setting(
                    "inputs.0.user_split",
                    {
                        "id": "s1",
                        "groups": [SPLIT["groups"][0], {"name": "B", "percentage": 79.99}],
                    },
                )
            ],
            "inputs[0].user_split: the percentages of its groups must add up to 100",
            id="rules.md, case 31: 20 + 79.99",
        ),
        pytest.param(
            [
                setting("inputs.0.user_split", SPLIT),
                setting(f"{FIRST}.settings", {"user_split_group": "C"}),
            ],
            "connections[0].settings.user_split_group: "
            "the user split of input 'web' has no group 'C'",
            id="unknown group",
        ),
    ],
)
def test_what_cannot_be_is_refused(changes: list[Change], expected: str, tmp_path: Path) -> None:
    assert problems(shop(*changes), tmp_path) == [expected]


def pipelines(folder: Path, *changes: Change) -> list[PipelineSettings]:
    document, numbers = compiled(folder, *changes)
    infos = connection_infos(document, numbers)
    assert pickle.loads(pickle.dumps(infos)) == infos
    return [each.pipeline for each in infos]


def test_a_connection_that_says_nothing_lets_everything_through(tmp_path: Path) -> None:
    assert pipelines(tmp_path) == [PipelineSettings()] * 3


def test_all_of_it_comes_to_the_shards(tmp_path: Path) -> None:
    rules = [
        consent("gdpr", " Analytics "),
        {"kind": "event_attribute", "action": "exclude", "name": "n", "value": 7.0},
        {"kind": "id_sync"},
    ]
    first, second, feed = pipelines(
        tmp_path,
        GDPR,
        setting(RULES, rules),
        setting(f"{FIRST}.sampling", {"percentage": 25.5}),
        setting(f"{FIRST}.min_app_version", "4.2"),
        setting("connections.1.sampling", {"percentage": 100, "salt": "hook"}),
        setting("connections.2.min_app_version", "1"),
    )
    assert first.sampling == Sampling("hook", 2550)
    assert first.app_versions == AppVersions((4, 2), takes_unknown=False)
    assert first.rules == (
        ConsentRule(True, (("gdpr", "analytics", True),)),
        EventAttributeRule(False, "n", "7"),
        IdSyncRule(frozenset({"customerid"})),
    )
    assert second.sampling == Sampling("hook", 10_000)
    assert feed.app_versions == AppVersions((1,), takes_unknown=True)


def test_a_point_is_off_that_is_off_on_the_output_or_on_the_connection(tmp_path: Path) -> None:
    document, numbers = compiled(
        tmp_path,
        setting("outputs.1.filters", {"user_attributes": {"disabled": ["a"], "all": False}}),
        setting(
            "connections.1.filters",
            {
                "user_attributes": {"disabled": ["b"]},
                "commerce": {"disabled": ["product_remove_from_wishlist"]},
                "user_identities": {"disabled": ["other2"]},
            },
        ),
    )
    hook, web, crm = connection_infos(document, numbers)
    assert hook.pipeline.filter == NO_FILTER
    assert web.pipeline.filter == DataFilter(
        user_attributes=frozenset({"a", "b"}),
        has_user_attributes=False,
        commerce=frozenset({"product_remove_from_wish_list"}),
        user_identities=frozenset({"other_id_2"}),
    )
    assert crm.pipeline.filter == DataFilter(
        user_attributes=frozenset({"a"}), has_user_attributes=False
    )


def test_an_output_can_keep_new_points_back(tmp_path: Path) -> None:
    written = {"commerce": {"enabled": ["product_purchase"]}, "screens": {"enabled": ["Home"]}}
    hook, lake, _ = pipelines(
        tmp_path,
        setting("outputs.0.send_new_data_points_by_default", False),
        setting(f"{FIRST}.filters", written),
        setting("connections.1.filters", written),
    )
    assert hook.filter == DataFilter(
        sends_new=False,
        enabled=frozenset(
            {DataPoint("Commerce", "product_purchase"), DataPoint("ScreenView", "", "Home")}
        ),
    )
    assert lake.filter == NO_FILTER


def test_events_that_are_off_do_not_keep_connections_from_sharing_payloads(
    tmp_path: Path,
) -> None:
    off = {"screens": {"disabled": ["Home"]}, "event_types": {"disabled": ["other"]}}
    document, numbers = compiled(tmp_path, setting("connections.1.filters", off))
    _, web, crm = connection_infos(document, numbers)
    assert web.settings == crm.settings
    assert web.pipeline != crm.pipeline


def test_mappings_are_compiled(tmp_path: Path) -> None:
    properties = {"v": "amount", "n": 1, "t": {"literal": "text"}}
    written = [
        mapping(event_type="commerce_event", action="purchase"),
        mapping(event_type="commerce_event", action="promotion_view"),
        mapping(event_type="commerce_event", action="impression"),
        mapping(event_type="screen_view", event_name="Home"),
        {
            "source": {"event_type": "other", "event_name": "A"},
            "target": {"name": "a", "properties": properties},
        },
    ]
    document, numbers = compiled(tmp_path, setting(f"{FIRST}.custom_mappings", written))
    made = connection_infos(document, numbers)[0].settings.mappings
    assert [each.source for each in made[:4]] == [
        ("product_purchase", ""),
        ("promotion_view", ""),
        ("product_impression", ""),
        ("screen_view", "Home"),
    ]
    assert made[4] == CustomMapping(
        ("other", "A"), "a", (("v", "amount"), ("n", Fixed("1")), ("t", Fixed("text")))
    )


def test_a_split_is_compiled(tmp_path: Path) -> None:
    document = load(
        shop(
            setting("inputs.0.user_split", SPLIT),
            setting(f"{FIRST}.settings", {"user_split_group": "B"}),
        ),
        tmp_path,
    )
    numbers = assign_numbers(document, Numbers())
    workspace = workspace_info(document, numbers, SETTINGS)
    assert workspace.inputs[1].split == UserSplit("s1", (("A", 2000), ("B", 10_000)))
    assert connection_infos(document, numbers)[0].pipeline.split_group == "B"


def test_the_calculated_attributes_feed_has_no_groups(tmp_path: Path) -> None:
    first, *_ = pipelines(
        tmp_path,
        setting(f"{FIRST}.input", "calculated_attributes"),
        setting(f"{FIRST}.settings", {"user_split_group": "B"}),
    )
    assert first.split_group is None
