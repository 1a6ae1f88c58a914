"""The sections `audiences` and `calculated_attributes` (spec/connections.md, 10)."""

import copy
from pathlib import Path
from typing import Any

import pytest

from actors.audiences.catalog import DocumentSubscription
from actors.audiences.objects import DateRange
from config.audience_catalog import audience_catalog
from config.load import load_workspace
from config.numbers import Numbers, assign_numbers
from tests.config.documents import Change, Data, load, problems, setting, shop

LTV: Data = {
    "id": "ltv",
    "name": "lifetime_value",
    "active": True,
    "definition": {
        "recipe_type": "event",
        "datapoint": {
            "type": "event",
            "event_type": "commerce_event",
            "custom_event_type": "purchase",
            "attribute_name": "Total Amount",
            "attribute_category": "event_attribute",
        },
        "conditions": [],
        "calculation_type": "sum",
        "time_period": {"type": "since", "date": "2024-01-01T00:00:00"},
    },
}
BIG_SPENDERS: Data = {
    "id": "big-spenders",
    "name": "Big spenders",
    "external_name": "big_spenders",
    "active": True,
    "inputs": ["web", "ios"],
    "tags": ["retention"],
    "definition": {
        "version": 1,
        "criteria": {
            "op": "and",
            "nodes": [
                {
                    "type": "calculated_attribute",
                    "attribute_name": "lifetime_value",
                    "value_type": "number",
                    "operator": "greater_than",
                    "value": 500,
                },
                {
                    "type": "event",
                    "event_type": "commerce_event",
                    "commerce_action": "purchase",
                    "recency": {"type": "within_last", "value": 30, "unit": "days"},
                    "frequency": {"operator": "greater_or_equal", "value": 2},
                },
            ],
        },
    },
    "subscriptions": [
        {"output": "seg-csv", "active": True, "shared_user_attributes": ["lifetime_value"]}
    ],
}
SEG_CSV: Data = {
    "id": "seg-csv",
    "kind": "audience",
    "module": "audience_csv",
    "name": "Segment files",
    "settings": {
        "url": "file:///var/lib/cdp/audiences",
        "mode": "delta",
        "interval_minutes": 60,
        "identities": ["email"],
    },
}
WIDE = {"type": "user_attribute", "attribute_name": "a", "operator": "equals", "value": "x"}


def document(*changes: Change) -> Data:
    """Return the sample of the specification, with changes made to it."""
    return shop(
        setting("outputs.2", SEG_CSV),
        setting("calculated_attributes", [copy.deepcopy(LTV)]),
        setting("audiences", [copy.deepcopy(BIG_SPENDERS)]),
        *changes,
    )


def test_the_sample_of_the_specification_is_valid(tmp_path: Path) -> None:
    loaded = load(document(), tmp_path)
    assert loaded.audiences[0].external_name == "big_spenders"
    assert loaded.calculated_attributes[0].name == "lifetime_value"


CRITERIA = "audiences.0.definition.criteria"


@pytest.mark.parametrize(
    "regulations",
    [
        pytest.param({"gdpr": {"enabled": True, "purposes": ["ads"]}}, id="on"),
        pytest.param({"gdpr": {"enabled": False, "purposes": ["ads"]}}, id="off"),
        pytest.param({}, id="not spoken of"),
    ],
)
def test_an_audience_may_ask_for_consent_of_any_purpose(regulations: Data, tmp_path: Path) -> None:
    """While its regulation is off there is none of it (spec/privacy.md, 1), and may be later."""
    consent = {"type": "consent", "regulation": "gdpr", "purpose": "ads", "operator": "consented"}
    changes = setting(CRITERIA, consent), setting("workspace.regulations", regulations)
    assert load(document(*changes), tmp_path).audiences[0].id == "big-spenders"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            setting(f"{CRITERIA}.nodes.1.frequencey", {}),
            "audiences[0].definition.criteria.nodes[1].frequencey",
        ),
        (
            setting(f"{CRITERIA}.nodes.0.operator", "contains"),
            "audiences[0].definition.criteria.nodes[0].operator",
        ),
        (
            setting(f"{CRITERIA}.nodes.0.attribute_name", "ltv"),
            "audiences[0].definition.criteria.nodes[0].attribute_name",
        ),
        (setting(f"{CRITERIA}.nodes", []), "audiences[0].definition.criteria.nodes"),
        (
            setting(f"{CRITERIA}.nodes.1.input_ids", ["crm"]),
            "audiences[0].definition.criteria.nodes[1].input_ids[0]",
        ),
        (
            setting(f"{CRITERIA}.nodes.1.input_ids", ["none"]),
            "audiences[0].definition.criteria.nodes[1].input_ids[0]",
        ),
        (
            setting("calculated_attributes.0.active", False),
            "audiences[0].definition.criteria.nodes[0]",
        ),
        (
            setting(
                "workspace.event_tiers",
                {"overrides": [{"event": "purchase", "tier": "preserve"}]},
            ),
            "audiences[0].definition.criteria.nodes[1]",
        ),
        (setting("audiences.0.inputs", ["wbe"]), "audiences[0].inputs[0]: no input with id 'wbe'"),
        (setting("audiences.0.tags", ["a", "b", "a"]), "audiences[0].tags[0]: listed twice"),
        (setting("audiences.0.tags", ["a" * 19]), "audiences[0].tags[0]"),
        (setting("audiences.0.name", "n" * 101), "audiences[0].name"),
        (setting("audiences.0.defintion", {}), "audiences[0].defintion: unknown key"),
        (setting("audiences.0.definition", None), "audiences[0].definition: required"),
        (setting("audiences.0.type", "static"), "audiences[0].definition: a static audience"),
        (
            setting("audiences.0.range", {"start": "2026-01-01", "end": "latest"}),
            "audiences[0].range: only a standard audience has a range",
        ),
        (
            setting("audiences.0.subscriptions.0.output", "none"),
            "audiences[0].subscriptions[0].output: no output with id 'none'",
        ),
        (
            setting("audiences.0.subscriptions.0.output", "hook"),
            "audiences[0].subscriptions[0].output: an output of kind event takes no audience",
        ),
        (
            setting("audiences.0.subscriptions.0.settings", {"listId": "12"}),
            "audiences[0].subscriptions[0].settings.listId",
        ),
        (
            setting("audiences.0.subscriptions.1", {"output": "seg-csv"}),
            "audiences[0].subscriptions[1].output: is connected already",
        ),
        (
            setting("audiences.1", {"id": "b", "name": "BIG SPENDERS", "definition": WIDE}),
            "audiences[0].name: already used by audience 'b'",
        ),
        (
            setting("calculated_attributes.0.definition.calculation_type", "none"),
            "calculated_attributes[0].definition: Invalid calculation type",
        ),
        (
            setting("calculated_attributes.1", LTV),
            "calculated_attributes[0].id: already used by another calculated attribute",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(change: Change, problem: str, tmp_path: Path) -> None:
    found = problems(document(change), tmp_path)
    assert any(each.startswith(problem) for each in found), found


def test_only_so_many_audiences_can_be_active(tmp_path: Path) -> None:
    second = {"id": "b", "name": "B", "definition": WIDE}
    limit = setting("workspace.limits", {"active_audiences": 1})
    several = problems(document(setting("audiences.1", second), limit), tmp_path)
    assert several == ["audiences[1].active: at most 1 audiences of an account can be active"]
    inactive = setting("audiences.1", second | {"active": False})
    assert problems(document(inactive, limit), tmp_path) == []
    attributes = setting("calculated_attributes.1", LTV | {"id": "b", "name": "B"})
    limit = setting("workspace.limits", {"active_calculated_attributes": 1})
    [found] = problems(document(attributes, limit), tmp_path)
    assert found.startswith("calculated_attributes[1].active: at most 1 calculated attributes of")


def test_audiences_refer_to_each_other_by_id_one_level_deep(tmp_path: Path) -> None:
    def of(target: Any) -> Data:
        return {"type": "audience_membership", "audience_id": target, "operator": "is_member"}

    inner = setting("audiences.1", {"id": "b", "name": "B", "definition": of("big-spenders")})
    assert problems(document(inner), tmp_path) == []
    outer = setting("audiences.2", {"id": "c", "name": "C", "definition": of("b")})
    [found] = problems(document(inner, outer), tmp_path)
    assert found.startswith("audiences[2].definition.audience_id: ")
    unknown = setting("audiences.1", {"id": "b", "name": "B", "definition": of("none")})
    [found] = problems(document(unknown), tmp_path)
    assert found.startswith("audiences[1].definition.audience_id: ")
    own = setting("audiences.0.definition", of("big-spenders"))
    [found] = problems(document(own), tmp_path)
    assert found.startswith("audiences[0].definition.audience_id: ")


def test_ids_are_numbered_and_definitions_speak_of_numbers(tmp_path: Path) -> None:
    changes = (
        setting(f"{CRITERIA}.nodes.1.input_ids", ["ios"]),
        setting(
            "audiences.1",
            {
                "id": "b",
                "name": "B",
                "number": 70,
                "active": False,
                "definition": {
                    "type": "audience_membership",
                    "audience_id": "big-spenders",
                    "operator": "is_member",
                },
            },
        ),
        setting(
            "audiences.2",
            {
                "id": "s",
                "name": "S",
                "type": "standard",
                "definition": WIDE,
                "range": {"start": "2025-01-01", "end": "latest"},
            },
        ),
    )
    loaded = load(document(*changes), tmp_path)
    numbers = assign_numbers(loaded, Numbers())
    assert numbers.audiences == {"big-spenders": 1, "b": 70, "s": 2}
    assert numbers.calculated_attributes == {"ltv": 1}
    catalog = audience_catalog(loaded, numbers)
    assert catalog.inputs == {1: "web", 2: "ios", 3: "crm"}
    assert catalog.calculated == {"lifetime_value": 1}
    [output] = catalog.outputs.values()
    assert (output.id, output.module, output.identities) == (
        "seg-csv",
        "audience_csv",
        frozenset({"email"}),
    )
    assert output.listed_in == frozenset()
    first, second, third = catalog.audiences
    assert (first.number, first.inputs, first.external_name) == (1, (1, 2), "big_spenders")
    assert first.definition["criteria"]["nodes"][1]["input_ids"] == [2]
    assert first.subscriptions == (
        DocumentSubscription(
            output=output.number,
            is_active=True,
            settings={},
            shared_user_attributes=("lifetime_value",),
        ),
    )
    assert second.definition["audience_id"] == 1
    assert (second.external_name, second.is_active) == ("B", False)
    assert third.range == DateRange("2025-01-01", None)


def test_dates_of_a_file_are_texts(tmp_path: Path) -> None:
    """YAML makes dates of `2026-03-01` without quotes."""
    file = tmp_path / "workspace.yaml"
    load(shop(), tmp_path)
    text = file.read_text()[:-1] + (
        ', "audiences": [{"id": "a", "name": "A", "type": "standard", "range": {"start": '
        '2026-01-01, "end": 2026-02-01}, "definition": {"type": "event", "event_type": '
        '"screen_view", "recency": {"type": "after", "date": 2026-03-01}}}]}'
    )
    file.write_text(text)
    [audience] = load_workspace(file, {}).audiences
    assert audience.definition is not None
    assert audience.definition["recency"]["date"] == "2026-03-01"
    assert audience.range is not None
    assert (audience.range.start, audience.range.end) == ("2026-01-01", "2026-02-01")


def test_an_output_takes_lists_in_the_environments_that_say_so(tmp_path: Path) -> None:
    mode = {"environments": {"development": {"settings": {"mode": "snapshot"}}}}
    loaded = load(document(setting("outputs.2", SEG_CSV | mode)), tmp_path)
    [output] = audience_catalog(loaded, assign_numbers(loaded, Numbers())).outputs.values()
    assert output.listed_in == frozenset({"development"})
