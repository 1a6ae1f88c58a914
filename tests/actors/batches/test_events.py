"""One test per rule of spec/events-api.md, 12, and the worked cases on event fields."""

from typing import Any

import pytest

from actors.batches.events import EVENT_TYPES
from actors.errors import Problem
from tests.actors.batches.support import (
    OPENED,
    decoded,
    decoded_event,
    event,
    event_data,
    paths,
    problems,
)

NEEDED: dict[str, dict[str, Any]] = {
    "custom_event": {"event_name": "e"},
    "commerce_event": {"product_action": {"action": "click"}},
    "application_state_transition": {"application_transition_type": "application_exit"},
    "push_registration": {"register": True, "registration_token": "t"},
    "push_message": {"push_message_type": "sent"},
    "breadcrumb": {"label": "l"},
    "profile": {"profile_event_type": "login"},
    "user_attribute_change": {"user_attribute_name": "n"},
}


def test_a_missing_event_type_has_the_documented_message() -> None:
    """spec/events-api.md, worked case 11."""
    assert problems({"events": [{"data": {}}]}) == [
        Problem('Required event field "event_type" is missing or empty.', "events[0].event_type")
    ]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"events": [{"event_type": "purchase", "data": {}}]}, "events[0].event_type"),
        ({"events": [{"event_type": ["x"], "data": {}}]}, "events[0].event_type"),
        ({"events": [{"event_type": "custom_event"}]}, "events[0].data"),
        ({"events": [{"event_type": "custom_event", "data": []}]}, "events[0].data"),
        ({"events": [None]}, "events[0]"),
        ({"events": [OPENED, 5]}, "events[1]"),
        ({"events": {}}, "events"),
        ({"events": [{"event_type": "validation_result", "data": {}}]}, "events[0].event_type"),
        ({"events": [{"event_type": "unknown", "data": {}}]}, "events[0].event_type"),
    ],
)
def test_an_event_has_a_known_type_and_data(body: Any, path: str) -> None:
    """spec/events-api.md, worked cases 12 and 26."""
    assert paths(body) == [path]


def test_all_problems_are_listed_in_document_order_up_to_20() -> None:
    """spec/events-api.md, worked case 13 and 3.4."""
    nameless = {"event_type": "custom_event", "data": {"event_name": ""}}
    assert paths({"events": [nameless, OPENED, {}]}) == [
        "events[0].data.event_name",
        "events[2].event_type",
        "events[2].data",
    ]
    body = {"mpid": "abc", "events": [nameless] * 30, "environment": "test"}
    assert paths(body) == ["mpid"] + [f"events[{index}].data.event_name" for index in range(19)]


@pytest.mark.parametrize("event_type", sorted(EVENT_TYPES))
def test_every_type_needs_what_the_table_says_and_nothing_else(event_type: str) -> None:
    """spec/events-api.md, 12.1 and worked case 24."""
    needed = NEEDED.get(event_type, {})
    assert decoded_event(event_type, needed).event_type == event_type
    if event_type == "commerce_event":
        return  # its parts are tested apart
    for name in needed:
        for nothing in (None, ""):
            assert problems(event(event_type, needed | {name: nothing})) == [
                Problem(
                    f'Required event field "{name}" is missing or empty.',
                    f"events[0].data.{name}",
                )
            ]


def test_unknown_and_server_made_fields_are_dropped() -> None:
    """spec/events-api.md, worked case 20 and 12.2."""
    data = {"event_id": 5, "foo": 1, "event_system_notification_info": {}, "event_num": 3}
    assert event_data("session_start", data) == {"event_num": 3}


def test_common_fields_belong_to_every_type() -> None:
    """spec/events-api.md, 12.2."""
    sent = {
        "source_message_id": 5,
        "session_start_unixtime_ms": "7",
        "custom_flags": {"f": [1]},
        "device_current_state": {"device_orientation": 6, "gps_state": "on"},
        "is_goal_defined": "true",
        "lifetime_value_attribute_name": "n",
        "data_connection_type": "wifi",
        "view_controller": "v",
        "canonical_name": "c",
        "page_url": "https://shop.example",
        "active_time_on_site_ms": 12,
    }
    kept = event_data("uninstall", sent)
    changed = {
        "source_message_id": "5",
        "session_start_unixtime_ms": 7,
        "is_goal_defined": True,
    }
    assert kept == sent | changed


@pytest.mark.parametrize("name", ["custom_flags", "device_current_state"])
def test_objects_that_are_passed_on_must_be_objects(name: str) -> None:
    assert paths(event("session_start", {name: [1]})) == [f"events[0].data.{name}"]


@pytest.mark.parametrize(
    ("data", "kept"),
    [
        ({}, {}),
        ({"event_name": "Home"}, {"screen_name": "Home"}),
        (
            {"event_name": "x", "screen_name": "Home", "activity_type": 1},
            {"screen_name": "Home", "activity_type": "1"},
        ),
    ],
)
def test_a_screen_may_be_named_like_an_event(data: Any, kept: Any) -> None:
    """spec/events-api.md, worked case 23."""
    assert event_data("screen_view", data) == kept


@pytest.mark.parametrize(
    ("kind", "is_kept"), [("application_background", False), ("application_initialized", True)]
)
def test_only_a_start_can_be_an_install_or_an_upgrade(kind: str, is_kept: bool) -> None:
    """spec/events-api.md, worked case 24."""
    sent = {"application_transition_type": kind, "is_first_run": True, "is_upgrade": True}
    assert event_data("application_state_transition", sent) == {
        "application_transition_type": kind,
        "is_first_run": is_kept,
        "is_upgrade": is_kept,
        "successfully_closed": False,
    }


@pytest.mark.parametrize(
    ("sent", "mask"),
    [
        *(("received", 1), ("DirectOpen", 2), ("Read", 4), ("InfluencedOpen", 8)),
        *(("Displayed", 16), (11, 11), ("11", 11)),
    ],
)
def test_push_behaviour_is_a_mask(sent: Any, mask: int) -> None:
    """spec/events-api.md, worked case 25."""
    data = event_data(
        "push_message", {"push_message_type": "action", "push_message_behavior": sent}
    )
    assert data == {"push_message_type": "action", "push_message_behavior": mask}


def test_push_messages_have_their_fields() -> None:
    """spec/events-api.md, 12.4 and worked case 26."""
    sent = {
        "push_message_type": "Received",
        "network": "fcm",
        "application_state": "Foreground",
        "message": 1,
        "action_identifier": "a" * 101,
    }
    kept = sent | {
        "push_message_type": "received",
        "application_state": "foreground",
        "message": "1",
        "action_identifier": "a" * 100,
    }
    assert event_data("push_message", sent) == kept
    assert event_data("push_reaction", sent) == kept
    assert decoded(event("push_reaction", sent)).drops == ["action_identifier_length"]
    assert decoded(event("push_reaction", {"action_identifier": "a" * 100})).drops == []
    assert paths(event("push_reaction", {"push_message_behavior": "Thrown"})) == [
        "events[0].data.push_message_behavior"
    ]


def test_opting_out_is_false_unless_said() -> None:
    """spec/events-api.md, 12.4."""
    assert event_data("opt_out", {}) == {"is_opted_out": False}
    assert event_data("opt_out", {"is_opted_out": "True"}) == {"is_opted_out": True}


def test_crash_reports_take_both_forms_of_breadcrumbs() -> None:
    """spec/events-api.md, 12.6."""
    crumb = {"event_type": "breadcrumb", "data": {"label": "l"}}
    sent = {"breadcrumbs": [crumb, "text", 5], "exception_handled": "true", "message": "m"}
    assert event_data("crash_report", sent) == {
        "breadcrumbs": [crumb, "text", "5"],
        "exception_handled": True,
        "message": "m",
    }
    assert paths(event("crash_report", {"breadcrumbs": [[]]})) == ["events[0].data.breadcrumbs[0]"]


def test_a_crash_report_may_be_called_a_commerce_event() -> None:
    """The Python SDK does so; spec/events-api.md, worked case 28: what it sends is taken."""
    only = decoded_event("commerce_event", {"message": "boom", "severity": "fatal"})
    assert only.event_type == "crash_report"
    assert only.data["message"] == "boom"
    sale = {"message": "boom", "product_action": {"action": "click"}}
    assert decoded_event("commerce_event", sale).event_type == "commerce_event"


def test_a_response_code_is_an_integer() -> None:
    """spec/events-api.md, 12.7."""
    assert event_data("network_performance", {"response_code": "200", "data": "e30="}) == {
        "response_code": 200,
        "data": "e30=",
    }


def test_media_details_are_passed_on() -> None:
    data = event_data("custom_event", {"event_name": "Play", "media_info": {"quality": [1]}})
    assert data["media_info"] == {"quality": [1]}


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ({"new": 5, "old": None}, {"new": "5"}),
        ({"new": ["a", 1, None], "old": True}, {"new": ["a", "1"], "old": "true"}),
        ({"new": "", "is_new_attribute": True}, {"new": "", "is_new_attribute": True}),
        ({"new": {}, "deleted": True}, {"deleted": True}),
        ({"new": "x", "old": {}}, {"new": "x"}),
        ({}, {}),
    ],
)
def test_changed_attributes_have_the_form_of_user_attributes(sent: Any, kept: Any) -> None:
    """spec/events-api.md, 12.4."""
    data = event_data("user_attribute_change", {"user_attribute_name": "n"} | sent)
    assert data == {"user_attribute_name": "n"} | kept


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"user_attribute_name": "n", "new": {"a": 1}}, "attribute_type"),
        ({"user_attribute_name": "n", "new": "x" * 4097}, "attribute_value_length"),
        ({"user_attribute_name": "n" * 257, "new": "x"}, "attribute_name_length"),
    ],
)
def test_a_change_to_what_no_attribute_can_be_is_left_out(data: Any, reason: str) -> None:
    """spec/events-api.md, 9 and 14."""
    change = {"event_type": "user_attribute_change", "data": data}
    batch = decoded({"events": [change, OPENED]})
    assert [kept.event_type for kept in batch.events] == ["custom_event"]
    assert batch.drops == [reason]


def test_changed_identities_have_canonical_types() -> None:
    """spec/events-api.md, 12.4."""
    new = {"identity_type": "customerid", "identity": 5, "created_this_batch": "true", "x": 1}
    data = event_data("user_identity_change", {"new": new, "old": None})
    assert data == {
        "new": {"identity_type": "customer_id", "identity": "5", "created_this_batch": True}
    }


def test_profile_events_are_kept() -> None:
    sent = {"profile_event_type": "Login", "previous_mpid": "5", "profile_name": "x"}
    assert event_data("profile", sent) == {
        "profile_event_type": "login",
        "previous_mpid": 5,
        "profile_name": "x",
    }


def test_event_types_are_recognised_in_any_case() -> None:
    assert decoded_event("Session_Start", {}).event_type == "session_start"
