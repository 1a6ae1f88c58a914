from typing import Any

import pytest

from actors.audiences.criteria import EventCriterion, EventFilter
from actors.audiences.language.references import AudienceReference, CalculatedAttributeReference
from tests.actors.audiences.language.support import (
    DAY_MS,
    attribute,
    broken,
    criterion_of,
    custom,
    read,
)


def membership(audience: int) -> dict[str, Any]:
    return {"type": "audience_membership", "audience_id": audience, "operator": "is_not_member"}


@pytest.mark.parametrize(
    ("criterion", "name"),
    [
        (membership(99), "audience_id"),
        (
            {"type": "calculated_attribute", "name": "lt", "operator": "equals", "value": 1},
            "name",
        ),
        (
            {
                "type": "calculated_attribute",
                "calculated_attribute_id": 9,
                "operator": "equals",
                "value": 1,
            },
            "calculated_attribute_id",
        ),
        (custom(input_ids=[7, 9]), "input_ids/1"),
        (custom(workspace_ids=[2]), "workspace_ids/0"),
        ({"type": "segment_membership", "segment_id": 9, "operator": "is_member"}, "segment_id"),
        (
            {
                "type": "prediction",
                "prediction_id": 9,
                "output": "score",
                "operator": "equals",
                "value": 1,
            },
            "prediction_id",
        ),
        (
            attribute("equals", value_ref={"type": "calculated_attribute", "attribute_name": "lt"}),
            "value_ref/attribute_name",
        ),
    ],
)
def test_what_does_not_exist_is_named(criterion: dict[str, Any], name: str) -> None:
    """spec/audiences.md, worked case 30."""
    assert broken(criterion) == [("REFERENCE_NOT_FOUND", f"/definition/{name}")]


def test_an_input_outside_those_of_the_audience_is_refused() -> None:
    """spec/audiences.md, worked case 21."""
    expected = [("REFERENCE_NOT_FOUND", "/definition/input_ids/0")]
    assert broken(custom(input_ids=[7]), inputs=(8,)) == expected
    assert broken(custom(input_ids=[8]), inputs=(8,)) == []


def test_events_count_from_the_inputs_of_the_criterion_or_else_of_the_audience() -> None:
    """spec/audiences.md, 1 and 3."""
    assert inputs_of(custom()) is None
    assert inputs_of(custom(), inputs=(8,)) == (8,)
    assert inputs_of(custom(input_ids=[8]), inputs=(8, 7)) == (8,)


@pytest.mark.parametrize("event_type", ["crash_report", "install", "uninstall", "upgrade"])
def test_some_events_count_from_all_inputs_of_the_workspace(event_type: str) -> None:
    """spec/audiences.md, 1."""
    criterion = {"type": "event", "event_type": event_type}
    assert inputs_of(criterion, inputs=(8,)) is None
    assert inputs_of(criterion | {"input_ids": [8]}, inputs=(8,)) == (8,)


def inputs_of(document: dict[str, Any], **changes: Any) -> tuple[int, ...] | None:
    node = read(document, **changes).node
    assert hasattr(node, "criterion")
    assert isinstance(node.criterion, EventCriterion)
    return node.criterion.filter.inputs


def test_membership_does_not_nest() -> None:
    """spec/audiences.md, 3.2, 8.4 and worked case 35."""
    nested = [("NESTED_AUDIENCE", "/definition/audience_id")]
    assert broken(membership(11)) == []
    assert broken(membership(12)) == nested
    assert broken(membership(11), audience=11) == nested
    assert broken(membership(11), is_referenced=True) == nested
    assert broken(custom(), is_referenced=True) == []


def test_what_an_active_audience_refers_to_is_active() -> None:
    """spec/audiences.md, 8.2."""
    changes: dict[str, Any] = {
        "audiences": {11: AudienceReference(is_active=False)},
        "calculated_attributes": (CalculatedAttributeReference(3, "ltv", is_active=False),),
    }
    total = {"type": "calculated_attribute", "name": "ltv", "operator": "equals", "value": 1}
    document = {"or": [membership(11), total]}
    assert broken(document, **changes) == []
    assert broken(document, is_activation=True, **changes) == [
        ("INVALID_STATE", "/definition/or/0/audience_id"),
        ("INVALID_STATE", "/definition/or/1/name"),
    ]


@pytest.mark.parametrize(
    ("document", "data_point", "name"),
    [
        (custom(), "Ping", "event_name"),
        (
            {"type": "event", "event_type": "screen_view", "event_name": ["Home", "Ping"]},
            "Home",
            "event_name",
        ),
        (
            {
                "type": "event",
                "event_type": "commerce_event",
                "action": ["purchase", "remove_from_wish_list"],
            },
            "remove_from_wishlist",
            "action",
        ),
        ({"type": "event", "event_type": "session_start"}, "session_start", "event_type"),
        ({"type": "event", "event_type": "install"}, "application_initialized", "event_type"),
        (
            {"type": "cart_abandonment", "wait": {"value": 1, "unit": "hours"}},
            "purchase",
            "type",
        ),
    ],
)
def test_an_event_of_another_tier_cannot_be_selected(
    document: dict[str, Any], data_point: str, name: str
) -> None:
    """spec/rules.md, 8 and spec/audiences.md, worked case 37."""
    refused = [("TIER_NOT_PERSONALIZE", f"/definition/{name}")]
    assert broken(document, tiers={data_point: "preserve"}) == refused
    assert broken(document, tiers={"other": "preserve"}) == []
    both = frozenset({"personalize", "preserve"})
    assert broken(document, tiers={data_point: "preserve"}, visible_tiers=both) == []


def test_a_custom_event_is_what_it_is_called() -> None:
    document = custom(event_name="install")
    assert broken(document, tiers={"application_initialized": "preserve"}) == []
    assert broken(document, tiers={"install": "preserve"}) != []


def test_any_event_is_not_of_one_tier() -> None:
    document = {"type": "event", "event_type": "any"}
    assert broken(document, default_tier="preserve") == []
    assert broken(custom(), default_tier="preserve") != []


@pytest.mark.parametrize(
    ("recency", "is_warned"),
    [
        ({"type": "all"}, False),
        ({"type": "within_last", "value": 30, "unit": "days"}, False),
        ({"type": "within_last", "value": 31, "unit": "days"}, True),
        ({"type": "older_than", "value": 29, "unit": "days"}, False),
        ({"type": "older_than", "value": 30, "unit": "days"}, True),
        ({"type": "before", "date": "2026-02-08"}, True),
        ({"type": "before", "date": "2026-03-08"}, False),
        ({"type": "after", "date": "2026-02-08"}, True),
        ({"type": "after", "date": "2026-02-09"}, False),
        ({"type": "calendar", "unit": "year"}, True),
    ],
)
def test_a_window_beyond_the_lookback_is_warned_of(
    recency: dict[str, Any], is_warned: bool
) -> None:
    """spec/audiences.md, 5, rule 13."""
    definition = read(custom(recency=recency), lookback_ms=30 * DAY_MS)
    paths = [warning.path for warning in definition.warnings]
    assert paths == ["/definition/recency"] * is_warned
    assert definition.problems == []
    assert read(custom(recency=recency), lookback_ms=None).warnings == []


def test_the_earliest_period_that_can_be_named_is_read() -> None:
    recency = {"type": "calendar", "unit": "day", "offset": -100_000}
    assert broken(custom(recency=recency)) == []


def test_a_broken_reference_still_leaves_something_to_evaluate() -> None:
    """An input can go away under an audience that uses it (spec/audiences.md, 7)."""
    definition = read(custom(input_ids=[9]))
    assert definition.problems != []
    expected = EventCriterion(EventFilter("custom_event", ("Ping",), inputs=(9,)))
    assert definition.node == criterion_node(expected)


def criterion_node(criterion: EventCriterion) -> Any:
    known = read(custom())
    node: Any = known.node
    return type(node)(criterion)


def test_names_once_are_enough() -> None:
    found = criterion_of(custom(event_name=["Ping", "Ping"]))
    assert found == EventCriterion(EventFilter("custom_event", ("Ping",)))
