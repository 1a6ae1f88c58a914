"""Tests of audiences in the workspace document, run by `headwater config validate`."""

import json
from pathlib import Path
from typing import Any

import pytest

from config.load import validate_files
from tests.config.documents import Data, setting
from tests.config.test_audiences import document

CLIPS: Data = {
    "op": "and",
    "nodes": [
        {
            "type": "event",
            "id": "clips",
            "event_type": "custom_event",
            "event_name": "Clip Played",
            "recency": {"type": "within_last", "value": 3, "unit": "days"},
            "frequency": {"operator": "greater_or_equal", "value": 2},
        },
        {
            "type": "user_attribute",
            "attribute_name": "status",
            "operator": "equals",
            "value": "premium",
        },
    ],
}


def played(at: str, **more: Any) -> Data:
    data = {"event_name": "Clip Played", "custom_event_type": "other"}
    return {"event_type": "custom_event", "at": at, "data": data, **more}


FAN: Data = {
    "name": "a fan",
    "now": "2026-03-10T13:00:00Z",
    "attributes": {"status": "Premium"},
    "events": [played("2026-03-08T10:00:00Z"), played("2026-03-09T10:00:00Z")],
    "expect": "member",
}


def lines(
    tmp_path: Path, *tests: Data, definition: Data = CLIPS, more: tuple[Data, ...] = ()
) -> list[str]:
    """Return what validation says of a document whose audience has some tests."""
    data = document(
        setting("audiences.0.definition", definition),
        setting("audiences.0.tests", list(tests)),
        *(setting(f"audiences.{place}", each) for place, each in enumerate(more, 1)),
    )
    file = tmp_path / "workspace.yaml"
    file.write_text(json.dumps(data), "utf-8")
    return validate_files([file], {})


def test_a_test_that_comes_out_as_it_says_is_no_problem(tmp_path: Path) -> None:
    late = FAN | {"now": "2026-03-12T13:00:00Z", "expect": "not_member"}
    last = {key: value for key, value in FAN.items() if key != "now"}
    assert lines(tmp_path, FAN, late, last) == []


def test_a_test_that_fails_says_which_criterion_is_not_met(tmp_path: Path) -> None:
    found = lines(tmp_path, FAN, FAN | {"name": "poor", "attributes": {"status": "gold"}})
    assert found == [
        "audiences[0].tests[1]: 'poor': the user is no member; criteria in their order: clips is "
        "true, 2 is false"
    ]
    found = lines(tmp_path, FAN | {"expect": "not_member"})
    assert found == [
        "audiences[0].tests[0]: 'a fan': the user is a member; criteria in their order: clips is "
        "true, 2 is true"
    ]


def test_events_come_through_the_inputs_that_are_named(tmp_path: Path) -> None:
    """The audience of the sample sees `web` and `ios`."""
    through = [
        played("2026-03-08T10:00:00Z", input="ios"),
        played("2026-03-09T10:00:00Z", input="crm"),
    ]
    assert lines(tmp_path, FAN | {"events": through, "expect": "not_member"}) == []
    unknown = FAN | {"events": [played("2026-03-08T10:00:00Z", input="tv")]}
    assert lines(tmp_path, unknown) == [
        "audiences[0].tests[0].events[0].input: no input with id 'tv'"
    ]


def test_calculated_attributes_and_other_audiences_are_known(tmp_path: Path) -> None:
    definition = {
        "and": [
            {
                "type": "calculated_attribute",
                "name": "lifetime_value",
                "operator": "greater_than",
                "value": 500,
            },
            {"type": "audience_membership", "audience_id": "fans", "operator": "is_member"},
        ]
    }
    fans = {"id": "fans", "name": "Fans", "definition": CLIPS}
    buying = {
        "event_type": "commerce_event",
        "at": "2026-03-09T11:00:00Z",
        "data": {
            "custom_attributes": {"Total Amount": "501"},
            "product_action": {
                "action": "purchase",
                "products": [{"id": "a", "name": "A", "price": 501, "quantity": 1}],
            },
        },
    }
    both = FAN | {"events": [*FAN["events"], buying]}
    found = lines(
        tmp_path,
        both,
        FAN | {"name": "no buyer", "expect": "not_member"},
        definition=definition,
        more=(fans,),
    )
    assert found == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"expect": "maybe"}, "audiences[0].tests[0].expect: must be"),
        ({"now": "noon"}, "audiences[0].tests[0].now: must be a time"),
        ({"evnts": []}, "audiences[0].tests[0].evnts: unknown key"),
        (
            {"events": [{"event_type": "custom_event", "data": {}}]},
            "audiences[0].tests[0]: the Events API would refuse events[0].data",
        ),
    ],
)
def test_a_test_that_cannot_be_run_is_a_problem(tmp_path: Path, change: Data, problem: str) -> None:
    [found] = lines(tmp_path, FAN | change)
    assert found.startswith(problem)
