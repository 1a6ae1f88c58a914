"""From a batch to deliveries. Case numbers are those of spec/connections.md."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from actors.model.batches import Event, StoredBatch
from actors.model.workspaces import ENVIRONMENTS
from actors.outgoing import outgoing_batch
from actors.outputs.connection_settings import ConnectionSettings, payload_settings
from actors.pipeline.candidate import Drop
from actors.pipeline.compiling import compile_pipelines
from actors.pipeline.connection import ConnectionInfo
from actors.steps.enqueue import admit_to_queue, delivery_id, enqueue
from actors.steps.payload import WHOLE
from tests.actors.forwarding.support import connection, delivery
from tests.actors.test_outgoing import NOW_MS, a_batch, profile, stored, workspace

TYPES = ("session_start", "custom_event", "screen_view", "user_attribute_change")


def many(*types: str, **changes: Any) -> StoredBatch:
    events = [
        Event(each, NOW_MS + index, {"session_id": 7, "location": {"latitude": 1.0}}, index + 1)
        for index, each in enumerate(types)
    ]
    return stored(a_batch(events=events, **changes))


def with_settings(
    number: int = 1, *, send_as_batch: bool = True, **settings: Any
) -> ConnectionInfo:
    compiled = payload_settings(ConnectionSettings.model_validate(settings))
    return connection(number, settings=compiled, send_as_batch=send_as_batch)


def payloads(batch: StoredBatch, *connections: ConnectionInfo) -> list[dict[str, Any]]:
    outgoing = outgoing_batch(batch, profile(), workspace(), [])
    made, _ = enqueue(outgoing, batch, profile(), compile_pipelines(connections))
    return [json.loads(each.payload) for each in made]


def drops(batch: StoredBatch, *connections: ConnectionInfo) -> list[Drop]:
    outgoing = outgoing_batch(batch, profile(), workspace(), [])
    return enqueue(outgoing, batch, profile(), compile_pipelines(connections))[1]


def types_of(payload: dict[str, Any]) -> list[str]:
    return [event["event_type"] for event in payload["events"]]


def test_case_22_a_delivery_id_is_a_function_of_its_source() -> None:
    expected = "dl_560a6e716e3d973c1b0691f6eafa5154"
    assert delivery_id("web-to-hook", -6520741417792989986, 0) == expected
    batch = stored(a_batch(batch_id=-6520741417792989986))
    outgoing = outgoing_batch(batch, profile(), workspace(), [])
    [made], _ = enqueue(
        outgoing, batch, profile(), compile_pipelines([connection(id="web-to-hook")])
    )
    assert made.delivery_id == expected


def test_a_delivery_knows_its_batch() -> None:
    batch = many("custom_event", "custom_event")
    outgoing = outgoing_batch(batch, profile(), workspace(), [])
    [made], _ = enqueue(outgoing, batch, profile(), compile_pipelines([connection(3)]))
    assert (made.sequence, made.connection, made.mpid) == (0, 3, batch.mpid)
    assert (made.created_ms, made.first_event_ms) == (batch.received_ms, NOW_MS)
    assert (made.event_count, made.environment, made.attempts) == (2, "production", 0)


def test_only_modules_with_permissions_get_the_address_and_partner_identities() -> None:
    batch = many("custom_event", ip="192.0.2.1", partner_identities={"Ads_Id": "a"})
    plain, whole = payloads(batch, with_settings(1), connection(2, settings=WHOLE))
    assert not plain.keys() & {"ip", "partner_identities"}
    assert (whole["ip"], whole["partner_identities"]) == ("192.0.2.1", {"Ads_Id": "a"})


def test_each_event_goes_alone_where_batches_are_not_sent_as_such() -> None:
    batch = many("custom_event", "user_attribute_change", "custom_event")
    outgoing = outgoing_batch(batch, profile(), workspace(), [])
    made, _ = enqueue(
        outgoing, batch, profile(), compile_pipelines([with_settings(send_as_batch=False)])
    )
    assert [each.delivery_id for each in made] == [delivery_id("c1", 9, 0), delivery_id("c1", 9, 2)]
    assert [each.first_event_ms for each in made] == [NOW_MS, NOW_MS + 2]
    assert [len(json.loads(each.payload)["events"]) for each in made] == [1, 1]
    assert {json.loads(each.payload)["batch_id"] for each in made} == {9}


def test_case_14_historical_batches_go_nowhere() -> None:
    batch = replace(many("custom_event"), is_historical=True)
    assert payloads(batch, connection()) == []
    assert drops(batch, connection()) == [Drop(1, "historical")]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"is_active": False}, "inactive", id="inactive"),
        pytest.param({"environments": frozenset({"development"})}, "environment", id="environment"),
    ],
)
def test_a_connection_that_wants_nothing_gets_nothing(changes: dict[str, Any], reason: str) -> None:
    batch = many("custom_event")
    assert payloads(batch, connection(**changes)) == []
    assert drops(batch, connection(**changes)) == [Drop(1, reason)]


def test_a_faulted_connection_is_queued_for() -> None:
    assert len(payloads(many("custom_event"), connection(is_faulted=True))) == 1


def test_unattributed_batches_are_forwarded() -> None:
    batch = replace(many("custom_event"), mpid=None)
    outgoing = outgoing_batch(batch, None, workspace(), [])
    [made], _ = enqueue(outgoing, batch, None, compile_pipelines([connection()]))
    assert made.mpid is None
    assert json.loads(made.payload)["mpid"] is None


def test_a_batch_without_events_follows_its_setting() -> None:
    [sent] = payloads(many(), with_settings(send_as_batch=False))
    assert sent["events"] == []
    silent = with_settings(send_batches_without_events=False)
    assert payloads(many(), silent) == []
    assert drops(many(), silent) == [Drop(1, "setting")]


def test_a_batch_that_loses_all_its_events_is_not_forwarded() -> None:
    only = with_settings(send_custom_events=False)
    assert payloads(many("custom_event"), only) == []
    assert drops(many("custom_event"), only) == [Drop(1, "setting", 0)]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        pytest.param({}, TYPES[:3], id="changes are off"),
        pytest.param({"include_user_attribute_change_events": True}, TYPES, id="changes are on"),
        pytest.param({"send_lifecycle_events": False}, TYPES[1:3], id="lifecycle off"),
        pytest.param({"send_screen_views": False}, TYPES[:2], id="screens off"),
    ],
)
def test_toggles_choose_event_types(settings: dict[str, Any], expected: tuple[str, ...]) -> None:
    [sent] = payloads(many(*TYPES), with_settings(**settings))
    assert types_of(sent) == list(expected)


def rich() -> StoredBatch:
    return many(
        "custom_event",
        mp_deviceid="d-1",
        device_info={"device": "Pixel", "os_version": "17"},
        application_info={"package": "p"},
        location={"latitude": 2.0},
        context={"data_plan": {"plan_id": "p"}},
    )


def sent_with(**settings: Any) -> dict[str, Any]:
    [sent] = payloads(rich(), with_settings(**settings))
    return sent


def test_optional_parts_are_off_by_default() -> None:
    sent = sent_with()
    assert "mp_deviceid" not in sent
    assert "consent_state" not in sent
    assert sent["context"] == {"data_plan": {"plan_id": "p"}}
    assert sent["device_info"] == {"device": "Pixel", "os_version": "17"}
    assert sent["events"][0]["data"]["location"] == {"latitude": 1.0}
    assert sent["system_notifications"] == []


def test_settings_add_and_remove_parts() -> None:
    sent = sent_with(
        include_mp_device_id=True,
        include_event_batch_location=True,
        include_location=False,
        include_metadata=False,
        include_system_notifications=False,
    )
    assert sent["mp_deviceid"] == "d-1"
    assert sent["context"]["location"] == {"latitude": 2.0}
    assert "location" not in sent["events"][0]["data"]
    assert not {"device_info", "application_info", "source_info"} & set(sent)
    assert "system_notifications" not in sent


def test_an_output_can_ask_for_the_device_id_on_all_its_connections() -> None:
    """In the environments in which it does."""
    for environment in ENVIRONMENTS:
        settings = payload_settings(
            ConnectionSettings(), device_id_environments=frozenset({environment})
        )
        [sent] = payloads(rich(), connection(settings=settings))
        assert sent["environment"] == "production"
        assert ("mp_deviceid" in sent) == (environment == "production")


@pytest.mark.parametrize("path", ["device_name", "device_info.device", "$.device_info.device"])
def test_metadata_is_excluded_by_name_or_path(path: str) -> None:
    assert sent_with(metadata_field_exclusion=[path])["device_info"] == {"os_version": "17"}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("mpid", "-6520741417792989986"),
        ("customer_id", "c-1"),
        ("device_application_stamp", "d-1"),
        ("email", None),
    ],
)
def test_the_unique_id_is_an_identity(kind: str, value: str | None) -> None:
    assert sent_with(unique_id=kind).get("unique_id") == value


def test_ids_can_be_strings() -> None:
    sent = sent_with(ids_as_strings=True)
    data = sent["events"][0]["data"]
    ids = (sent["mpid"], sent["batch_id"], data["event_id"], data["session_id"])
    assert ids == ("-6520741417792989986", "9", "1", "7")


def test_the_raw_data_feed_is_the_inbound_form() -> None:
    batch = many(*TYPES, user_identities={"email": "e"}, mp_deviceid="d-1")
    [sent] = payloads(batch, with_settings(raw_data_feed=True))
    assert types_of(sent) == list(TYPES)
    assert sent["user_identities"] == {"email": "e"}
    assert sent["mp_deviceid"] == "d-1"
    assert "event_id" not in sent["events"][0]["data"]


def test_one_connections_settings_change_nothing_for_another() -> None:
    bare = with_settings(1, include_location=False, metadata_field_exclusion=["device_name"])
    whole = with_settings(2)
    _, second = payloads(rich(), bare, whole)
    assert second == sent_with()
    assert payloads(rich(), whole, bare)[0] == second


def test_connections_with_equal_settings_get_equal_bytes() -> None:
    outgoing = outgoing_batch(rich(), profile(), workspace(), [])
    made, _ = enqueue(
        outgoing, rich(), profile(), compile_pipelines([with_settings(1), with_settings(2)])
    )
    assert made[0].payload == made[1].payload
    assert made[0].delivery_id != made[1].delivery_id


def test_case_38_what_does_not_fit_into_the_queue_becomes_a_dead_letter() -> None:
    size = 64 * 1024
    limit = 1024 * 1024
    deliveries = [delivery(n, payload=b"x" * size) for n in range(1, 33)]  # 2 MiB
    admitted, dead = admit_to_queue(deliveries, {1: limit}, NOW_MS)
    assert sum(len(each.payload) for each in admitted) == limit
    assert [letter.reason for letter in dead] == ["queue_full"] * 16
    assert {each.sequence for each in admitted} | {
        letter.delivery.sequence for letter in dead
    } == set(range(1, 33))


@pytest.mark.parametrize(
    ("room", "fits"),
    [({1: 10}, True), ({1: 9}, False), ({}, True)],
)
def test_a_delivery_fits_or_it_does_not(room: dict[int, int], fits: bool) -> None:
    admitted, dead = admit_to_queue([delivery(1, payload=b"x" * 10)], room, NOW_MS)
    assert (len(admitted), len(dead)) == ((1, 0) if fits else (0, 1))
