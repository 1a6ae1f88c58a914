"""From events of batches to events of messages. Source: spec/connections.md, 4.3."""

from typing import Any

import msgspec
import pytest

from actors.outputs.firehose.events import CONVERSIONS
from actors.outputs.firehose.fields import Reading
from actors.outputs.firehose.registration import Permissions
from tests.actors.outputs.firehose.support import ALL_PERMISSIONS, NOW_MS, event

BASE = {"id": "0f8fad5b-d9cb-569f-a165-70867728950e", "timestamp_ms": NOW_MS}
READING = Reading(
    Permissions.model_validate(ALL_PERMISSIONS), {"service_provider": "Adjuster"}, "acme-push"
)


def converted(given: dict[str, Any], reading: Reading = READING) -> dict[str, Any] | None:
    found = CONVERSIONS[given["event_type"]](given["data"], reading)
    if found is None:
        return None
    decoded: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(found))
    assert {name: decoded.pop(name) for name in BASE} == BASE
    return decoded


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(
            event(
                custom_event_type="search",
                custom_attributes={"q": "shoes", "page": None},
                custom_flags={"Acme.Kind": "x", "Acme.Count": 3},
                session_id=5,
                source_message_id="m-1",
                location={"latitude": 1.5, "longitude": 2.5, "accuracy": 10},
            ),
            {
                "type": "custom_event",
                "name": "Viewed",
                "custom_event_type": "search",
                "attributes": {"q": "shoes", "page": None},
                "custom_flags": {"Acme.Kind": "x", "Acme.Count": "3"},
                "session_id": 5,
                "source_id": "m-1",
                "location": {"latitude": 1.5, "longitude": 2.5, "accuracy": 10},
            },
            id="custom event with all members",
        ),
        pytest.param(
            event(custom_event_type="add_to_cart"),
            {"type": "custom_event", "name": "Viewed", "custom_event_type": "other"},
            id="a custom event type that the protocol lacks is other",
        ),
        pytest.param(
            event(
                custom_event_type="attribution",
                custom_attributes={"publisher": "News", "campaign": "May"},
            ),
            {
                "type": "attribution",
                "name": "Viewed",
                "partner_name": "Adjuster",
                "publisher_name": "News",
                "campaign_name": "May",
                "attributes": {"publisher": "News", "campaign": "May"},
            },
            id="attribution",
        ),
        pytest.param(
            event("screen_view", screen_name="Home"),
            {"type": "screen_view", "screen_name": "Home"},
            id="screen view",
        ),
        pytest.param(event("session_start"), {"type": "session_start"}, id="session start"),
        pytest.param(
            event("session_end", session_duration_ms=900),
            {"type": "session_end", "session_length_ms": 900},
            id="session end",
        ),
        pytest.param(
            event(
                "crash_report",
                message="boom",
                exception_handled=False,
                stack_trace="at x",
                breadcrumbs=["one", {"event_type": "breadcrumb", "data": {"label": "two"}}],
            ),
            {
                "type": "error",
                "message": "boom",
                "is_crash": True,
                "stack_trace": "at x",
                "breadcrumbs": ["one", "two"],
            },
            id="crash",
        ),
        pytest.param(
            event("crash_report", exception_handled=True),
            {"type": "error", "is_crash": False},
            id="handled exception",
        ),
        pytest.param(
            event("opt_out", is_opted_out=True),
            {
                "type": "privacy_setting_change",
                "setting": "app_data_collection",
                "is_enabled": False,
            },
            id="case 28: opt-out",
        ),
        pytest.param(
            event("opt_out", is_opted_out=False),
            {
                "type": "privacy_setting_change",
                "setting": "app_data_collection",
                "is_enabled": True,
            },
            id="opt-in",
        ),
        pytest.param(
            event("push_registration", register=True, registration_token="t"),
            {"type": "push_subscription", "action": "subscribe", "token": "t"},
            id="push subscription",
        ),
        pytest.param(
            event("push_registration", register=False, registration_token="t"),
            {"type": "push_subscription", "action": "unsubscribe", "token": "t"},
            id="push unsubscription",
        ),
        pytest.param(
            event(
                "push_message",
                push_message_type="received",
                push_notification_payload='{"acme-push":1}',
            ),
            {"type": "push_message_receipt", "payload": '{"acme-push":1}'},
            id="push receipt",
        ),
        pytest.param(
            event(
                "push_message", push_message_type="received", push_notification_payload='{"b":1}'
            ),
            None,
            id="push receipt of another provider",
        ),
        pytest.param(
            event("push_message", push_message_type="action", push_notification_payload="{}"),
            {"type": "push_message_open", "payload": "{}"},
            id="push open",
        ),
        pytest.param(
            event("push_message", push_message_type="unknown"), None, id="push of unknown type"
        ),
        *(
            pytest.param(
                event("application_state_transition", application_transition_type=kind, **flags),
                {"type": "application_state_transition", "application_state": state},
                id=state,
            )
            for kind, flags, state in (
                ("application_initialized", {"is_first_run": True}, "install"),
                ("application_initialized", {"is_upgrade": True}, "upgrade"),
                ("application_initialized", {}, "initialize"),
                ("application_exit", {}, "exit"),
                ("application_background", {}, "background"),
                ("application_foreground", {}, "foreground"),
            )
        ),
        pytest.param(
            event("user_attribute_change", user_attribute_name="plan", new="gold", old="silver"),
            {
                "type": "user_attribute_change",
                "added": {"plan": "gold"},
                "removed": {"plan": "silver"},
            },
            id="user attribute changed",
        ),
        pytest.param(
            event("user_attribute_change", user_attribute_name="plan", deleted=True, old=["a"]),
            {"type": "user_attribute_change", "removed": {"plan": '["a"]'}},
            id="user attribute deleted",
        ),
        pytest.param(
            event(
                "user_identity_change",
                new={"identity_type": "email", "identity": "a@b.example"},
                old={"identity_type": "facebook", "identity": "f"},
            ),
            {
                "type": "user_identity_change",
                "added": [{"type": "email", "encoding": "raw", "value": "a@b.example"}],
            },
            id="user identity changed, of a permitted type",
        ),
        pytest.param(
            event("user_identity_change", new={"identity_type": "facebook", "identity": "f"}),
            None,
            id="user identity changed, of another type",
        ),
        pytest.param(
            event(
                "commerce_event",
                currency_code="EUR",
                product_action={
                    "action": "purchase",
                    "transaction_id": "t-1",
                    "total_amount": 20.5,
                    "products": [
                        {
                            "id": "p",
                            "price": 10.0,
                            "quantity": 2,
                            "total_product_amount": 20,
                            "custom_attributes": {"size": "L"},
                        }
                    ],
                },
            ),
            {
                "type": "product_action",
                "action": "purchase",
                "transaction_id": "t-1",
                "total_amount": 20.5,
                "currency_code": "EUR",
                "products": [
                    {
                        "id": "p",
                        "price": 10.0,
                        "quantity": 2,
                        "total_amount": 20,
                        "attributes": {"size": "L"},
                    }
                ],
            },
            id="product action",
        ),
        pytest.param(
            event("commerce_event", product_action={"action": "unknown"}),
            None,
            id="product action that the protocol lacks",
        ),
        pytest.param(
            event(
                "commerce_event",
                promotion_action={"action": "click", "promotions": [{"id": "s", "name": "Sale"}]},
            ),
            {
                "type": "promotion_action",
                "action": "click",
                "promotions": [{"id": "s", "name": "Sale"}],
            },
            id="promotion action",
        ),
        pytest.param(
            event(
                "commerce_event",
                product_impressions=[
                    {"product_impression_list": "Suggested", "products": [{"id": "p"}]}
                ],
            ),
            {
                "type": "impression",
                "impressions": [{"impression_list_name": "Suggested", "products": [{"id": "p"}]}],
            },
            id="impression",
        ),
    ],
)
def test_an_event_becomes_its_message(
    given: dict[str, Any], expected: dict[str, Any] | None
) -> None:
    """spec/connections.md, 4.3: row by row; worked case 28."""
    assert converted(given) == expected


def test_without_permission_neither_place_nor_attribute_change_is_told() -> None:
    nothing = Reading(Permissions())
    placed = event(location={"latitude": 1, "longitude": 2})
    assert "location" not in (converted(placed, nothing) or {})
    changed = event("user_attribute_change", user_attribute_name="plan", new="gold")
    assert converted(changed, nothing) is None


@pytest.mark.parametrize(
    "event_type",
    ["breadcrumb", "network_performance", "profile", "uninstall", "first_run", "pre_attribution"],
)
def test_some_events_have_no_form_of_a_message(event_type: str) -> None:
    assert event_type not in CONVERSIONS
