"""mParticle's server SDKs, unmodified (spec/clients.md, 3 and 7)."""

from typing import Any

import mparticle
import pytest
from mparticle.models.user_attribute_change_event import UserAttributeChangeEvent
from mparticle.rest import ApiException

from tests.clients.gate import LOST, gate_before
from tests.clients.programs import Program
from tests.serving import KEY, SECRET, Served, eventually

pytestmark = [
    pytest.mark.ray,
    # Of the Python SDK's own making: it was written for older versions of Python and urllib3.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::SyntaxWarning"),
]

MPID_SENT = 7346244611012968789
MPID_OF_JAVASCRIPT = 7346244611012968000
ACCEPTED = {"status": 202, "failed": False}
EVENT_TYPES = [
    *("session_start", "custom_event", "screen_view", "commerce_event", "commerce_event"),
    *("commerce_event", "application_state_transition", "breadcrumb", "crash_report"),
    *("first_run", "network_performance", "opt_out", "profile", "push_message"),
    *("push_registration", "session_end"),
]


def python_api(host: str, secret: str = SECRET) -> Any:
    configuration = mparticle.Configuration()
    configuration.api_key, configuration.api_secret = KEY, secret
    configuration.host = f"{host}/v2"
    return mparticle.EventsApi(configuration)


def batch_of(user: str, *events: Any, request_id: str | None = None) -> Any:
    batch = mparticle.Batch()
    batch.source_request_id = request_id
    batch.user_identities = mparticle.UserIdentities(customerid=user)
    batch.events = list(events)
    return batch


def names(served: Served, user: str) -> list[str]:
    return [event["data"]["event_name"] for event in served.events(user)]


def test_every_call_of_the_node_sdk_arrives(served: Served, node_caller: Program) -> None:
    """Section 7, (a) and (b)."""
    told = node_caller.run("calls", KEY=KEY, SECRET=SECRET, HOST=served.process.url, USER_ID="node")
    assert told == [ACCEPTED, ACCEPTED]

    events = served.events("node")
    assert [event["event_type"] for event in events] == EVENT_TYPES
    data = [event["data"] for event in events]
    opened = data[1]
    assert (opened["event_name"], opened["custom_event_type"]) == ("Opened", "navigation")
    assert {"n": "3", "f": "1.5", "b": "true", "s": "x"}.items() <= opened[
        "custom_attributes"
    ].items()
    assert opened["custom_flags"] == {"flag": 42, "list": ["a", "b"]}
    assert opened["location"] == {"latitude": 40.7, "longitude": -73.9, "accuracy": 5.0}
    assert opened["device_current_state"] == {"battery_level": 0.5}
    assert [each["custom_event_type"] for each in data[3:6]] == [
        "purchase",
        "promotion_view",
        "impression",
    ]
    action = data[3]["product_action"]
    assert (action["transaction_id"], action["total_amount"]) == ("t1", 21)
    [product] = action["products"]
    assert (product["id"], product["quantity"], product["total_product_amount"]) == ("p1", 2, 21)
    assert product["custom_attributes"] == {"size": "42"}
    assert data[4]["promotion_action"]["promotions"][0]["position"] == "2"
    assert data[5]["product_impressions"][0]["product_impression_list"] == "list"
    assert data[6]["application_transition_type"] == "application_initialized"
    assert data[7]["label"] == "tapped"
    assert (data[8]["class_name"], data[8]["severity"]) == ("Error", "fatal")
    assert (data[10]["url"], data[10]["response_code"]) == ("https://x.example", 200)
    assert data[11]["is_opted_out"] is False
    assert data[12]["profile_event_type"] == "login"
    assert data[13]["push_message_token"] == "token"
    assert data[14]["registration_token"] == "token"
    assert data[15]["session_duration_ms"] == 1000

    profile = served.profile("node")
    assert profile["user_attributes"] == {"tier": "gold", "visits": "7", "tags": ["a", "b"]}
    assert {each["type"]: each["value"] for each in profile["user_identities"]} == {
        "customer_id": "node",
        "email": "node@example.test",
        "other_id_2": "crm-node",
    }
    assert profile["consent_state"]["gdpr"]["newsletter"]["consented"] is True
    assert profile["consent_state"]["ccpa"]["data_sale_opt_out"]["consented"] is True
    for number in (1, 2, 3):
        assert names(served, f"node-{number}") == [f"E{number}"]

    [outgoing] = eventually(
        lambda: [each for each in served.delivered() if each["mpid"] == profile["mpid"]], bool
    )
    assert [event["event_type"] for event in outgoing["events"]] == EVENT_TYPES
    assert outgoing["user_attributes"] == profile["user_attributes"]
    assert outgoing["application_info"]["application_version"] == "1.2.3"


def test_every_call_of_the_java_sdk_arrives(java_caller: Program, served: Served) -> None:
    """Section 7, (a) and (b). There is no such test of the SDK for Go.

    No version of github.com/mParticle/mparticle-go-sdk that can be seen is a module of that name.
    """
    told = java_caller.run(KEY=KEY, SECRET=SECRET, HOST=served.process.url, USER_ID="java")
    assert told == [202, 202]
    events = served.events("java")
    assert [event["event_type"] for event in events] == [
        "custom_event",
        "screen_view",
        "commerce_event",
    ]
    assert events[2]["data"]["product_action"]["total_amount"] == 123.12
    profile = served.profile("java")
    assert profile["user_attributes"] == {"tier": "gold", "tags": ["a", "b"]}
    assert {each["type"]: each["value"] for each in profile["user_identities"]} == {
        "customer_id": "java",
        "email": "java@example.test",
    }
    assert [event["event_type"] for event in served.events("java-bulk")] == ["screen_view"]


def test_javascript_loses_the_last_digits_of_a_long_mpid(
    served: Served, node_caller: Program
) -> None:
    """Worked case 7, and the hazard of section 3."""
    told = node_caller.run("mpid", KEY=KEY, SECRET=SECRET, HOST=served.process.url)
    assert told == [ACCEPTED]
    users = "/platform/v2/workspaces/1/users"
    status, page = served.get(f"{users}/{MPID_OF_JAVASCRIPT}/events")
    assert status == 200
    assert [each["data"]["event_name"] for each in page["items"][0]["events"]] == ["E1"]
    assert served.get(f"{users}/{MPID_SENT}/events")[0] == 404


def test_the_node_sdk_tells_a_wrong_secret(served: Served, node_caller: Program) -> None:
    """Section 7, (d)."""
    told = node_caller.run(
        "calls", KEY=KEY, SECRET="wrong", HOST=served.process.url, USER_ID="nobody"
    )
    assert told == [{"status": 403, "failed": True}] * 2
    assert served.find("nobody") == []


def test_the_python_sdk_tells_a_wrong_secret(served: Served) -> None:
    """Section 7, (d)."""
    api = python_api(served.process.url, "wrong")
    for call, body in [
        (api.upload_events, batch_of("nobody")),
        (api.bulk_upload_events, [batch_of("nobody")]),
    ]:
        with pytest.raises(ApiException) as raised:
            call(body)
        assert raised.value.status == 403
    assert served.find("nobody") == []


def test_calls_of_the_python_sdk_that_run_on_a_thread_arrive(served: Served) -> None:
    """Both calls, with a callback that is told what the call would have returned."""
    api = python_api(served.process.url)
    one = batch_of("threads", mparticle.AppEvent("A", "other"))
    many = [batch_of("threads", mparticle.AppEvent("B", "other"))]
    for call, body in [(api.upload_events, one), (api.bulk_upload_events, many)]:
        answers: list[Any] = []
        call(body, callback=answers.append).join()
        [(_, status, _)] = answers
        assert status == 202
    assert names(served, "threads") == ["A", "B"]


def test_an_attribute_change_of_the_python_sdk_arrives(served: Served) -> None:
    api = python_api(served.process.url)
    change = UserAttributeChangeEvent(
        user_attribute_name="tier", new="gold", old="silver", deleted=False, is_new_attribute=False
    )
    api.upload_events(batch_of("changed", change))
    [event] = served.events("changed")
    assert event["event_type"] == "user_attribute_change"
    assert (event["data"]["new"], event["data"]["old"]) == ("gold", "silver")


def test_the_python_sdk_waits_as_long_as_a_429_says(served: Served) -> None:
    """Section 2.1: every client of the process then raises without sending."""
    with gate_before(lambda: served.process.url, 503, 429) as gate:
        api = python_api(gate.url)
        batch = batch_of("waits", mparticle.AppEvent("Waited", "other"), request_id="waits-1")
        for status in (503, 429):
            with pytest.raises(ApiException) as raised:
                api.upload_events(batch)
            assert raised.value.status == status

        def refusal() -> int | None:
            try:
                api.upload_events(batch)
            except ApiException as refused:
                status: int = refused.status
                return status
            return None

        assert refusal() == 429
        eventually(refusal, lambda status: status is None)
        assert gate.handed_on == 1
    assert names(served, "waits") == ["Waited"]


def test_what_an_application_sends_again_counts_once(served: Served, node_caller: Program) -> None:
    """Section 7, (c): by its `source_request_id`; neither SDK sends anything again by itself."""
    with gate_before(lambda: served.process.url, 503, LOST) as gate:
        told = node_caller.run(
            "patient", KEY=KEY, SECRET=SECRET, HOST=gate.url, USER_ID="again", COUNT="3"
        )
        assert told == [503, None]
        assert gate.handed_on == 4
    assert names(served, "again") == ["E0", "E1", "E2"]

    with gate_before(lambda: served.process.url, 503, LOST) as gate:
        api = python_api(gate.url)
        batch = batch_of("again-py", mparticle.AppEvent("Once", "other"), request_id="again-py-1")
        with pytest.raises(ApiException, match="503"):
            api.upload_events(batch)
        with pytest.raises(Exception, match="Connection aborted"):
            api.upload_events(batch)
        api.upload_events(batch)
        assert gate.handed_on == 2
    assert names(served, "again-py") == ["Once"]
