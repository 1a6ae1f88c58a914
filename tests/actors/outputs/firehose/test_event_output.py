"""Events at a module. Source: spec/connections.md, 4.1 to 4.3; cases by their number there."""

import logging
from typing import Any

import pytest

from actors.clock import ManualClock
from actors.outputs.contract import Delivered, Fatal, Refused
from actors.outputs.firehose.identities import encoded
from actors.outputs.firehose.latency import Latency
from actors.outputs.firehose.output import PROBE_AFTER_MS, FirehoseOutput
from actors.outputs.firehose.registration import Permissions
from tests.actors.forwarding.support import MemoryOutbox, Simulation
from tests.actors.outputs.firehose.support import (
    ALL_PERMISSIONS,
    NOW_MS,
    Module,
    Place,
    batch,
    event,
    registration,
    sent,
)

HOUR_MS = 3_600_000
EVENTS = "event_processing_request"


async def opened(place: Place, module: Module, **settings: Any) -> FirehoseOutput:
    output = place.open(module.url, **settings)
    await output.start()
    return output


async def send(module: Module, content: dict[str, Any], **settings: Any) -> dict[str, Any] | None:
    """Send one batch; return the message that came of it."""
    output = await opened(Place(), module, **settings)
    [outcome] = await output.send([sent(1, content)])
    await output.stop()
    assert isinstance(outcome, Delivered)
    return module.messages[-1] if module.messages else None


def test_case_23_a_hash_is_that_of_the_lower_case() -> None:
    assert (
        encoded("Jane.Doe@Example.com", "sha256")
        == "86e0b9e56c17cc4d12387e1949b85053fbe73bc3ce5a1188713a9d300cc6133d"
    )
    assert encoded("Jane.Doe@Example.com", "raw") == "Jane.Doe@Example.com"
    assert len(encoded("a", "md5")) == 32
    assert len(encoded("a", "sha1")) == 40


async def test_a_batch_becomes_one_request(module: Module) -> None:
    consent = {"consented": True, "timestamp_unixtime_ms": 5, "document": "d"}
    content = batch(
        event(),
        ip="203.0.113.9",
        mp_deviceid="stamp-1",
        sdk_version="5.1",
        partner_identities={"Acme_Id": "a-1", "Other_Id": "o-1"},
        integration_attributes={"Acme": {"k": "v"}, "Other": {"k": "no"}},
        application_info={"application_name": "Shop", "application_version": "4.2"},
        context={"data_plan": {"plan_id": "shop", "plan_version": 3}},
        consent_state={"gdpr": {"marketing": consent}},
        system_notifications=[
            {
                "type": "gdpr_change",
                "data": {"purpose": "marketing", "old": None, "current": consent},
            }
        ],
    )
    content["device_info"] |= {"brand": "Pixel", "device_model": "9", "has_nfc": True}
    output = await opened(Place(settings={}), module, token="sesame")
    await output.send([sent(1, content)])
    await output.stop()
    [message] = module.messages
    headers = module.requests[-1][0]
    assert headers["authorization"] == "Token sesame"
    assert headers["content-type"] == "application/json"
    assert headers["x-cdp-attempt"] == "1"
    assert headers["x-cdp-delivery-id"].startswith("dl_")
    assert message.pop("id").count("-") == 4
    assert message == {
        "type": EVENTS,
        "timestamp_ms": NOW_MS,
        "firehose_version": "3.2.0",
        "source_id": "99",
        "account": {"account_id": 7},
        "user_identities": [{"type": "email", "encoding": "raw", "value": "Jane.Doe@Example.com"}],
        "partner_identities": [{"type": "Acme_Id", "encoding": "raw", "value": "a-1"}],
        "user_attributes": {"plan": "gold", "vip": None},
        "user_attribute_lists": {"tags": ["a", "b"]},
        "runtime_environment": {
            "type": "android",
            "identities": [
                {
                    "type": "google_advertising_id",
                    "encoding": "raw",
                    "value": "8b1f0c1e-0000-4000-8000-000000000001",
                }
            ],
            "client_ip_address": "203.0.113.9",
            "brand": "Pixel",
            "model": "9",
            "has_nfc": True,
            "application_name": "Shop",
            "application_version": "4.2",
            "sdk_version": "5.1",
        },
        "integration_attributes": {"k": "v"},
        "events": [
            {
                "type": "custom_event",
                "id": "0f8fad5b-d9cb-569f-a165-70867728950e",
                "timestamp_ms": NOW_MS,
                "name": "Viewed",
                "custom_event_type": "other",
            }
        ],
        "source_channel": "native",
        "device_application_stamp": "stamp-1",
        "consent_state": {"gdpr_consent_state": {"marketing": consent}},
        "system_notifications": [
            {
                "type": "gdpr_consent_state",
                "purpose": "marketing",
                "new_gdpr_consent_state": consent,
            }
        ],
        "mpid": "42",
        "platform_fields": {
            "mp_account_id": "2",
            "mp_account_name": "Acme",
            "workspace_id": "3",
            "workspace_name": "Acme Shop",
            "input_name": "Acme web",
            "app_name": "Shop",
            "app_version": "4.2",
            "dataplan_id": "shop",
            "dataplan_version": 3,
        },
    }


async def test_case_25_what_is_not_granted_is_absent(module: Module) -> None:
    module.registration = registration(permissions={})
    content = batch(
        event(location={"latitude": 1, "longitude": 2}),
        ip="203.0.113.9",
        mp_deviceid="stamp-1",
        partner_identities={"Acme_Id": "a-1"},
        consent_state={"gdpr": {"marketing": {"consented": True, "timestamp_unixtime_ms": 5}}},
    )
    content["device_info"] |= {"http_header_user_agent": "Mozilla", "brand": "Pixel"}
    message = await send(module, content)
    assert message is not None
    assert message.keys() == {
        *("type", "id", "timestamp_ms", "firehose_version", "source_id", "account", "events"),
        *("runtime_environment", "source_channel"),
    }
    assert message["runtime_environment"] == {"type": "android"}
    assert "location" not in message["events"][0]


@pytest.mark.parametrize(
    ("device", "is_sent"),
    [
        pytest.param({"platform": "Android"}, False, id="only an email"),
        pytest.param({"platform": "Android", "android_advertising_id": "g"}, True, id="one of two"),
    ],
)
async def test_case_24_users_without_a_required_identity_are_left_out(
    module: Module, device: dict[str, str], is_sent: bool
) -> None:
    required = [
        {"type": "ios_advertising_id", "required": True},
        {"type": "google_advertising_id", "required": True, "encoding": "sha1"},
    ]
    module.registration = registration(permissions={"device_identities": required})
    place = Place()
    output = await opened(place, module)
    [outcome] = await output.send([sent(1, batch(event(), device_info=device))])
    await output.stop()
    assert isinstance(outcome, Delivered)
    assert bool(module.messages) is is_sent
    assert place.drops == ([] if is_sent else [(1, "missing_identity", 1)])
    if is_sent:
        [message] = module.messages
        assert "user_identities" not in message
        [identity] = message["runtime_environment"]["identities"]
        assert identity["type"] == "google_advertising_id"
        assert len(identity["value"]) == 40


@pytest.mark.parametrize(
    ("most_hours", "expected"),
    [pytest.param(24, 1, id="a day"), pytest.param(-1, 2, id="no limit")],
)
async def test_case_26_events_that_come_late_are_left_out(
    module: Module, most_hours: int, expected: int, caplog: pytest.LogCaptureFixture
) -> None:
    module.registration = registration(
        event_processing_registration={
            "supported_event_types": ["custom_event"],
            "max_data_age_hours": most_hours,
        }
    )
    old = event(timestamp_unixtime_ms=NOW_MS - 25 * HOUR_MS)
    message = await send(module, batch(old, event()))
    assert message is not None
    assert len(message["events"]) == expected
    alerts = [getattr(each, "alert", None) for each in caplog.records]
    assert alerts.count("Event Arrived Late") == 2 - expected


async def test_a_batch_of_which_nothing_is_left_is_not_sent(module: Module) -> None:
    module.registration = registration(
        event_processing_registration={
            "supported_event_types": ["screen_view"],
            "supported_runtime_environments": ["android"],
        },
        permissions={},
    )
    place = Place()
    output = await opened(place, module)
    ios = batch(event("screen_view", screen_name="x"), device_info={"platform": "iOS"})
    for content in (batch(event(), event()), batch(), ios):
        assert isinstance((await output.send([sent(1, content)]))[0], Delivered)
    await output.stop()
    assert module.messages == []
    assert place.drops == [
        (1, "unsupported_type", 2),
        (1, "setting", 1),
        (1, "unsupported_platform", 1),
    ]


async def test_settings_of_the_connection_win_over_those_of_the_account(module: Module) -> None:
    setting = {"type": "text", "id": "list", "name": "List"}
    module.registration = registration(
        event_processing_registration={
            "supported_event_types": ["custom_event"],
            "account_settings": [setting, {"type": "boolean", "id": "double", "name": "D"}],
            "event_connection_settings": [setting],
        }
    )
    output = Place(settings={"list": "own"}).open(module.url, account_settings={"list": "all"})
    await output.start()
    await output.send([sent(1, batch(event()))])
    await output.stop()
    account = {"account_id": 7, "account_settings": {"list": "own", "double": "false"}}
    assert module.messages[0]["account"] == account


async def test_wrong_settings_fault_the_connection(module: Module) -> None:
    module.registration = registration(
        event_processing_registration={
            "account_settings": [{"type": "text", "id": "key", "name": "Key", "required": True}]
        }
    )
    output = await opened(Place(), module)
    [outcome] = await output.send([sent(1, batch(event()))])
    await output.stop()
    assert outcome == Refused("invalid_settings", "account_settings.key: is required")


@pytest.mark.parametrize(
    ("is_strict", "text"),
    [
        pytest.param(True, "thanks", id="strict: no JSON"),
        pytest.param(True, '{"type":"event_processing_response"}', id="strict: no id"),
        pytest.param(True, '{"type":"pong","id":"1"}', id="strict: another type"),
        pytest.param(False, "thanks", id="not strict"),
    ],
)
async def test_an_answer_has_to_be_that_of_the_protocol(
    module: Module, is_strict: bool, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    output = await opened(Place(), module, strict_responses=is_strict)
    module.text = text
    [outcome] = await output.send([sent(1, batch(event()))])
    await output.stop()
    if is_strict:
        assert outcome == Fatal("invalid_module_response", text, 200)
    else:
        assert isinstance(outcome, Delivered)
        assert "invalid_module_response" in [getattr(r, "alert", None) for r in caplog.records]


@pytest.mark.parametrize("body", [b'{"type":"\x80"}', b"[" * 5_000], ids=["no UTF-8", "deep"])
async def test_an_answer_that_no_decoder_takes_is_none(module: Module, body: bytes) -> None:
    output = await opened(Place(), module, strict_responses=True)
    module.text = body
    [outcome] = await output.send([sent(1, batch(event()))])
    await output.stop()
    assert isinstance(outcome, Fatal)
    assert (outcome.reason, outcome.http_status) == ("invalid_module_response", 200)


async def test_case_27_a_module_that_wants_no_more_gets_the_rest_when_it_is_resumed(
    module: Module,
) -> None:
    place = Place()
    simulation = Simulation(place.clock)
    module.say[EVENTS] = {"suspend_subscription": True}
    outbox = MemoryOutbox([sent(1, batch(event(), batch_id=1))])
    forwarder = simulation.start(place.open(module.url), [outbox])
    await simulation.run(1)
    assert not outbox.waiting, "the one that was answered so is delivered"
    assert not outbox.dead
    fault = forwarder.fault(1)
    assert fault is not None
    assert fault.reason_code == "suspend_subscription"
    outbox.add(*(sent(each, batch(event(), batch_id=each)) for each in (2, 3)))
    forwarder.wake(0)
    await simulation.run(60)
    assert len(module.messages) == 1
    assert len(outbox.waiting) == 2
    module.say.clear()
    forwarder.resume(1)
    await simulation.run(60)
    await simulation.stop()
    assert [each["source_id"] for each in module.messages] == ["1", "2", "3"]


async def test_after_an_idle_hour_the_module_is_asked_whether_it_is_there(module: Module) -> None:
    place = Place()
    output = await opened(place, module)
    place.clock.advance(PROBE_AFTER_MS - 1)
    await output.keep_up()
    assert module.messages == []
    place.clock.advance(1)
    await output.keep_up()
    await output.keep_up()
    await output.stop()
    [message] = module.messages
    assert message["type"] == EVENTS
    assert message["events"] == []


async def test_a_slow_module_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    latency = Latency("mailer", ManualClock())
    caplog.set_level(logging.WARNING)
    for seconds in [0.1] * 100 + [0.1] * 97 + [2.0] * 3:
        latency.took(seconds)
    [record] = [each for each in caplog.records if getattr(each, "event", "") == "module_slow"]
    assert record.__dict__["p99_s"] == 2.0


def test_every_permission_is_tried() -> None:
    assert ALL_PERMISSIONS.keys() == Permissions.model_fields.keys()
