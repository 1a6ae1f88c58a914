from typing import Any

import pytest

from actors.audiences.criteria import Group, Named, UserAttribute
from actors.audiences.criteria import Test as ValueTest
from actors.audiences.language.dependencies import (
    criteria_of,
    dependencies_of,
    reads_membership,
    uses_logic,
)
from tests.actors.audiences.language.examples import ALL
from tests.actors.audiences.language.support import ANYBODY, attribute, custom, read, whole

# The definition of spec/audiences.md, 17.
PARIS: dict[str, Any] = {
    "version": 1,
    "criteria": {
        "op": "exclude",
        "nodes": [
            {
                "op": "and",
                "nodes": [
                    {
                        "type": "event",
                        "id": "watch",
                        "event_type": "custom_event",
                        "event_name": "Clip Played",
                        "where": {
                            "op": "and",
                            "nodes": [
                                {
                                    "attribute_name": "kind",
                                    "type": "string",
                                    "operator": "equals",
                                    "value": "intro",
                                },
                                {
                                    "attribute_name": "city",
                                    "type": "string",
                                    "operator": "contains",
                                    "value": "paris",
                                },
                            ],
                        },
                        "recency": {"type": "within_last", "value": 3, "unit": "days"},
                        "frequency": {"operator": "greater_or_equal", "value": 2},
                    },
                    {
                        "type": "user_attribute",
                        "attribute_name": "status",
                        "value_type": "string",
                        "operator": "equals",
                        "value": "Premium",
                    },
                    {
                        "type": "consent",
                        "regulation": "ccpa",
                        "purpose": "data_sale_opt_out",
                        "operator": "not_true",
                    },
                ],
            },
            {
                "type": "event",
                "event_type": "commerce_event",
                "commerce_action": "purchase",
                "recency": {"type": "within_last", "value": 7, "unit": "days"},
            },
        ],
    },
}


def test_the_example_of_the_specification_is_canonical() -> None:
    """spec/audiences.md, 17."""
    definition = read(PARIS)
    assert definition.canonical == PARIS
    assert definition.problems == []
    assert [named.id for named in criteria_of(definition.node)] == ["watch", None, None, None]


def test_shorthands_are_read_back_in_full() -> None:
    """spec/audiences.md, worked case 52."""
    sent = {
        "and": [
            {
                "type": "calculated_attribute",
                "name": "ltv",
                "operator": "greater_than",
                "value": 500,
            },
            {
                "type": "event",
                "event_type": "commerce_event",
                "action": "purchase",
                "count": {"operator": "greater_or_equal", "value": 2},
                "within": {"value": 30, "unit": "days"},
            },
        ]
    }
    definition = read(sent)
    assert definition.problems == []
    assert definition.canonical == whole(
        {
            "op": "and",
            "nodes": [
                {
                    "type": "calculated_attribute",
                    "attribute_name": "ltv",
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
        }
    )


@pytest.mark.parametrize(
    ("sent", "canonical"),
    [
        ({"or": [ANYBODY]}, {"op": "or", "nodes": [ANYBODY]}),
        ({"not": ANYBODY}, {"op": "not", "nodes": [ANYBODY]}),
        ({"exclude": [ANYBODY, ANYBODY]}, {"op": "exclude", "nodes": [ANYBODY, ANYBODY]}),
        (
            {"type": "consent", "regulation": "gdpr", "purpose": "ads", "consented": False},
            {
                "type": "consent",
                "regulation": "gdpr",
                "purpose": "ads",
                "operator": "not_consented",
            },
        ),
        (attribute("equals", None, value=True), attribute("equals", "boolean", value=True)),
        (attribute("equals", None, value="a"), attribute("equals", "string", value="a")),
        (attribute("in_list", None, values=[1]), attribute("in_list", "number", values=[1])),
        (
            attribute("between", None, min_value=1, max_value=2),
            attribute("between", "number", min_value=1, max_value=2),
        ),
        (
            attribute("greater_than_or_equal", "number", value="18"),
            attribute("greater_or_equal", "number", value=18),
        ),
        (
            attribute("less_or_equal", "number", value=" 1.5"),
            attribute("less_than_or_equal", "number", value=1.5),
        ),
        (attribute("equals", "boolean", value="TRUE"), attribute("equals", "boolean", value=True)),
        (attribute("equals", "string", value=5), attribute("equals", "string", value="5")),
        (
            {"type": "device", "field": "platform", "operator": "exists"},
            {"type": "device", "field": "platform", "value_type": "string", "operator": "exists"},
        ),
        (
            custom(frequency={"operator": "greater_than_or_equal", "value": 2}),
            custom(frequency={"operator": "greater_or_equal", "value": 2}),
        ),
        (
            custom(where={"not": {"attribute_name": "a", "type": "string", "operator": "exists"}}),
            custom(
                where={
                    "op": "not",
                    "nodes": [{"attribute_name": "a", "type": "string", "operator": "exists"}],
                }
            ),
        ),
        ({"type": "opt_out", "value": "false"}, ANYBODY),
        (
            {"type": "location", "operator": "equals", "field": "dma", "value": 501},
            {"type": "location", "operator": "equals", "field": "dma", "value": "501"},
        ),
    ],
)
def test_there_is_one_form_for_one_thing(sent: Any, canonical: Any) -> None:
    """spec/audiences.md, 3.2, shorthands, and 4, aliases."""
    definition = read(sent)
    assert definition.canonical == whole(canonical)
    assert read(definition.canonical) == definition


def test_groups_and_ids_are_those_of_the_document() -> None:
    premium = attribute("equals", value="Premium")
    definition = read({"not": premium | {"id": "p"}})
    criterion = UserAttribute("status", ValueTest("string", "equals", "Premium"))
    assert definition.node == Group("not", (Named(criterion, "p"),))


def test_dependencies_are_all_that_is_read() -> None:
    """spec/audiences.md, 6."""
    found = dependencies_of(read({"or": [document for document, _ in ALL]}).node)
    assert found.user_attributes == {"status", "renews", "age", "tags"}
    assert found.calculated_attributes == {3}
    assert found.audiences == {11}
    assert found.segments == {21}
    assert found.predictions == {31}
    assert found.consent == {("gdpr", "ads"), ("ccpa", "data_sale_opt_out")}
    assert found.device_fields == {"os_version"}
    assert found.identity_types == {"partner:acme"}
    assert found.reads_location
    assert found.reads_attribution
    assert found.reads_flags
    assert found.reads_seen
    actions = {event.commerce_actions for event in found.events}
    assert {("purchase",), ("add_to_cart",)} <= actions
    assert {event.event_type for event in found.events} == {
        *("any", "custom_event", "commerce_event", "screen_view")
    }


def test_membership_is_found_at_any_depth() -> None:
    member = {"type": "audience_membership", "audience_id": 11, "operator": "is_member"}
    assert reads_membership(read({"or": [ANYBODY, {"not": member}]}).node)
    assert not reads_membership(read({"or": [ANYBODY]}).node)


@pytest.mark.parametrize(
    ("criteria", "is_combined"),
    [
        (ANYBODY, False),
        ({"or": [ANYBODY]}, False),
        ({"or": [{"and": [ANYBODY, ANYBODY]}]}, True),
        ({"and": [{"not": ANYBODY}]}, True),
        ({"exclude": [ANYBODY, ANYBODY]}, True),
    ],
)
def test_logic_is_what_combines(criteria: Any, is_combined: bool) -> None:
    """spec/audiences.md, 14, `is_calculated`."""
    assert uses_logic(read(criteria).node) is is_combined
