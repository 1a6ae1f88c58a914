"""Batch fields, their defaults, and what a client's batch is forgiven."""

from typing import Any

import pytest

from actors.batches.decode import LARGE_BATCH
from actors.errors import Problem
from tests.actors.batches.support import (
    DEBUG_FEED,
    OPENED,
    T,
    client_context,
    context,
    custom,
    decoded,
    event,
    paths,
    problems,
)

SERVER_FIELDS = (
    *("schema_version", "source_info", "api_key", "api_keys", "job_id", "origin_mpid", "modified"),
    *("system_notifications", "unique_id", "foo", "timestamp_unixtime_ms"),
)


@pytest.mark.parametrize("body", [[], 5, "x", None])
def test_a_batch_is_an_object(body: Any) -> None:
    """spec/events-api.md, worked case 6."""
    assert problems(body) == [Problem("Request body must be a JSON object.")]


def test_an_empty_batch_is_a_batch() -> None:
    """spec/events-api.md, 5.5."""
    batch = decoded({})
    assert batch.events == []
    assert batch.mpid is None
    assert batch.timestamp_ms == T
    assert batch.drops == []


@pytest.mark.parametrize("value", [None, {}, [], "x", 5])
def test_ignored_fields_may_have_any_value(value: Any) -> None:
    """spec/events-api.md, worked case 20 and 7."""
    body = dict.fromkeys(SERVER_FIELDS, value) | {"events": [OPENED]}
    assert decoded(body) == decoded({"events": [OPENED]})


@pytest.mark.parametrize(
    ("sent", "environment"),
    [
        (None, "production"),
        ("unknown", "production"),
        ("Development", "development"),
        ("production", "production"),
    ],
)
def test_the_environment_is_production_unless_said(sent: Any, environment: str) -> None:
    """spec/events-api.md, worked case 15."""
    assert decoded({"environment": sent}).environment == environment


def test_other_environments_are_refused() -> None:
    """spec/events-api.md, worked case 15."""
    assert paths({"environment": "test"}) == ["environment"]


def test_the_last_of_two_environments_wins() -> None:
    """spec/events-api.md, worked case 10."""
    raw = b'{"environment":"development","environment":"production"}'
    assert decoded(raw).environment == "production"


def test_a_debug_feed_is_always_development() -> None:
    """spec/events-api.md, 2.1."""
    assert decoded({"environment": "production"}, context(DEBUG_FEED)).environment == "development"


@pytest.mark.parametrize(
    ("sent", "mpid"),
    [
        (b"-7346244611012968789", -7346244611012968789),
        (b'"-7346244611012968789"', -7346244611012968789),
        (b"0", None),
        (b'"0"', None),
        (b"null", None),
        (b'""', None),
    ],
)
def test_an_mpid_keeps_all_its_digits(sent: bytes, mpid: int | None) -> None:
    """spec/events-api.md, worked case 17."""
    assert decoded(b'{"mpid":%b}' % sent).mpid == mpid


@pytest.mark.parametrize("sent", [b"9223372036854775808", b'"abc"', b"1.5"])
def test_other_mpids_are_refused(sent: bytes) -> None:
    """spec/events-api.md, worked case 17."""
    assert paths(b'{"mpid":%b}' % sent) == ["mpid"]


@pytest.mark.parametrize(
    ("sent", "ip"),
    [
        ("2001:db8::1", "2001:db8::1"),
        ("203.0.113.9", "203.0.113.9"),
        ("999.1.1.1", None),
        ("1.1.1.1\0", None),
        (5, None),
        (None, None),
    ],
)
def test_an_ip_is_kept_where_it_is_one(sent: Any, ip: str | None) -> None:
    """spec/events-api.md, worked case 18."""
    batch = decoded({"ip": sent})
    assert batch.ip == ip
    assert batch.drops == ([] if ip or sent is None else ["ip_invalid"])


@pytest.mark.parametrize(
    ("sent", "request_id"), [("r1", "r1"), (5, "5"), (True, "true"), ("", None), (None, None)]
)
def test_a_request_id_is_any_text(sent: Any, request_id: str | None) -> None:
    """spec/events-api.md, 5.4."""
    assert decoded({"source_request_id": sent}).source_request_id == request_id


@pytest.mark.parametrize(
    ("sent", "batch_id", "is_sent"),
    [(-7, -7, True), ("7", 7, True), (0, 0, False), (None, 0, False)],
)
def test_a_batch_id_may_be_sent(sent: Any, batch_id: int, is_sent: bool) -> None:
    """spec/events-api.md, 5.4."""
    batch = decoded({"batch_id": sent})
    assert (batch.batch_id, batch.is_batch_id_sent) == (batch_id, is_sent)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ({"data_plan": {}}, {}),
        ({"data_plan": {"plan_version": 2}}, {}),
        ({"data_plan": {"plan_id": "p"}}, {"data_plan": {"plan_id": "p"}}),
        (
            {"data_plan": {"plan_id": "p", "plan_version": "2", "x": 1}, "x": 1},
            {"data_plan": {"plan_id": "p", "plan_version": 2}},
        ),
        (
            {"data_plan": {"plan_id": "p", "plan_version": "latest"}},
            {"data_plan": {"plan_id": "p"}},
        ),
    ],
)
@pytest.mark.parametrize("name", ["context", "batch_context"])
def test_the_context_names_a_data_plan(name: str, sent: Any, kept: Any) -> None:
    """spec/events-api.md, worked case 27."""
    assert decoded({name: sent}).context == kept


@pytest.mark.parametrize(
    ("context", "plan"), [({}, "b"), (None, "b"), ({"data_plan": {"plan_id": "c"}}, "c")]
)
def test_the_contexts_own_name_wins_over_its_alias_where_both_say_something(
    context: Any, plan: str
) -> None:
    body = {"batch_context": {"data_plan": {"plan_id": "b"}}, "context": context}
    assert decoded(body).context == {"data_plan": {"plan_id": plan}}


@pytest.mark.parametrize(
    "body",
    [
        {"context": []},
        {"user_attributes": []},
        {"integration_attributes": []},
        {"attribution_info": "x"},
        {"events": {}},
        {"deleted_user_attributes": {}},
    ],
)
def test_a_field_of_the_wrong_kind_is_refused(body: dict[str, Any]) -> None:
    """spec/events-api.md, worked case 27 and 7."""
    assert paths(body) == list(body)


def test_integration_attributes_keep_null_as_a_deletion() -> None:
    """spec/events-api.md, 11.3."""
    sent = {"128": {"client_id": 5, "gone": None}, "7": None}
    kept = {"128": {"client_id": "5", "gone": None}}
    assert decoded({"integration_attributes": sent}).integration_attributes == kept
    assert paths({"integration_attributes": {"128": 5, "7": {"a": []}}}) == [
        "integration_attributes.128",
        "integration_attributes.7.a",
    ]


def test_missing_members_of_the_attribution_are_null() -> None:
    """spec/events-api.md, 7."""
    kept = {"service_provider": None, "publisher": "p", "campaign": None}
    assert decoded({"attribution_info": {"publisher": "p"}}).attribution_info == kept
    assert decoded({"attribution_info": {}}).attribution_info == {}


def test_texts_are_passed_on() -> None:
    batch = decoded({"sdk_version": 2, "partner_identity": "p"})
    assert (batch.sdk_version, batch.partner_identity) == ("2", "p")


def test_a_large_batch_is_counted() -> None:
    """spec/events-api.md, 3.2."""
    assert decoded(b"{}" + b" " * (LARGE_BATCH - 2)).drops == []
    assert decoded(b"{}" + b" " * (LARGE_BATCH - 1)).drops == ["oversize_batch"]


def test_what_server_sdks_produce_is_taken() -> None:
    """spec/events-api.md, worked case 28."""
    raw = (
        b'{"environment":"development","user_identities":{"customerid":"c1"},'
        b'"mpid":600868121729048600,"events":[{"data":{"event_name":"Hi","custom_event_type":'
        b'"navigation","custom_flags":{"n":42,"l":["a"]}},"event_type":"custom_event"},'
        b'{"data":{"session_id":1},"event_type":"session_start"},{"data":{"product_action":'
        b'{"action":"purchase","products":[{"id":"p","name":"P","price":1.5}]}},"event_type":'
        b'"commerce_event"},{"data":{"profile_name":"x","profile_event_type":"login"},'
        b'"event_type":"profile"},{"data":{},"event_type":"session_end"}]}'
    )
    batch = decoded(raw)
    assert batch.mpid == 600868121729048600
    assert batch.user_identities == {"customer_id": "c1"}
    assert [event.event_type for event in batch.events] == [
        *("custom_event", "session_start", "commerce_event", "profile", "session_end")
    ]


def test_a_client_keeps_its_good_events() -> None:
    """spec/events-api.md, worked case 70."""
    body = {
        "mpid": "123",
        "events": [OPENED, {"data": {}}, {"event_type": "breadcrumb", "data": {}}],
    }
    batch = decoded(body, client_context())
    assert batch.mpid == 123
    assert [event.data["event_name"] for event in batch.events] == ["Opened"]
    assert batch.drops == ["invalid_event", "invalid_event"]


def test_an_invalid_event_is_counted_once() -> None:
    """spec/events-api.md, 16."""
    body = custom(custom_attributes={"o": {}}, location=5)
    assert decoded(body, client_context()).drops == ["invalid_event"]


def test_a_clients_invalid_fields_count_as_absent() -> None:
    """spec/events-api.md, 16."""
    body = {
        "mpid": "abc",
        "environment": "test",
        "user_identities": {"passport": "x", "email": "a@b"},
        "device_info": {"platform": "toaster", "brand": "b"},
        "deleted_user_attributes": [1, "gone"],
        "user_attributes": [],
        "events": {},
        "context": {"data_plan": 5},
    }
    batch = decoded(body, client_context())
    assert batch.mpid is None
    assert batch.environment == "production"
    assert batch.user_identities == {"email": "a@b"}
    assert batch.device_info == {"brand": "b", "platform": "web"}
    assert batch.deleted_user_attributes == ["gone"]
    assert batch.user_attributes == {}
    assert batch.events == []
    assert batch.context == {}
    assert batch.drops == ["invalid_field"] * 8


def test_a_clients_snapshot_of_attributes_is_kept() -> None:
    """spec/events-api.md, worked case 45: whether it is written is decided elsewhere."""
    body = event("user_attribute_change", {"user_attribute_name": "a", "new": 1})
    batch = decoded(body | {"user_attributes": {"a": 1}}, client_context())
    assert batch.user_attributes == {"a": "1"}
    assert batch.events[0].data["new"] == "1"


def test_only_an_object_is_a_clients_batch() -> None:
    """spec/events-api.md, worked case 70."""
    assert problems(b"x", client_context())[0].path is None
    assert problems([], client_context()) == [Problem("Request body must be a JSON object.")]


def test_a_clients_address_and_browser_are_those_of_its_request() -> None:
    """spec/events-api.md, 16."""
    seen = client_context(ip="203.0.113.9", user_agent="Browser/1")
    batch = decoded({}, seen)
    assert batch.ip == "203.0.113.9"
    assert batch.device_info == {"platform": "web", "http_header_user_agent": "Browser/1"}
    body = {"ip": "2001:db8::1", "device_info": {"http_header_user_agent": "Mine/2"}}
    batch = decoded(body, seen)
    assert batch.ip == "2001:db8::1"
    assert batch.device_info["http_header_user_agent"] == "Mine/2"
