"""The outgoing form of a batch: spec/events-api.md, 15; spec/connections.md, 6."""

import uuid
from typing import Any

import orjson
import pytest

from actors.model.batches import Batch, Event, StoredBatch
from actors.model.profiles import (
    AttributeValue,
    ConsentChange,
    ConsentRecord,
    IdentityValue,
    Profile,
    Section,
)
from actors.model.workspaces import InputInfo, WorkspaceInfo
from actors.outgoing import (
    MESSAGE_NAMESPACE,
    MESSAGE_TYPES,
    inbound_batch,
    inbound_event,
    message_id,
    outgoing_batch,
    outgoing_event,
)

NOW_MS = 1_767_225_600_000


def workspace(**changes: Any) -> WorkspaceInfo:
    partner = InputInfo(number=1, id="ads", name="Ads", kind="feed", os="Unknown", is_partner=True)
    web = InputInfo(number=2, id="web", name="Web", kind="platform", os="MobileWeb")
    values: dict[str, Any] = {
        "number": 5,
        "id": "shop",
        "name": "Shop",
        "account": 1,
        "organization": 1,
        "scope": 1,
        "inputs": {1: partner, 2: web},
        "priority": (),
        "login_ids": frozenset(),
        "unique_ids": frozenset(),
        "immutable_ids": frozenset(),
        "gdpr_purposes": frozenset({"marketing"}),
        "is_ccpa_enabled": True,
    }
    return WorkspaceInfo(**values | changes)


def stored(batch: Batch | None = None, **changes: Any) -> StoredBatch:
    values: dict[str, Any] = {
        "log_id": 1,
        "previous_log_id": 0,
        "workspace": 5,
        "scope": 1,
        "mpid": -6520741417792989986,
        "input": 2,
        "received_ms": NOW_MS + 5,
        "channel": "server_to_server",
        "is_historical": False,
        "device_key": None,
        "batch": batch or a_batch(),
    }
    return StoredBatch(**values | changes)


def a_batch(**changes: Any) -> Batch:
    event = Event(
        "custom_event",
        NOW_MS - 1,
        {
            "event_name": "Open",
            "session_id": 5,
            "timestamp_unixtime_ms": NOW_MS - 1,
            "event_start_unixtime_ms": NOW_MS - 500,
        },
        event_id=77,
    )
    values: dict[str, Any] = {
        "environment": "production",
        "timestamp_ms": NOW_MS,
        "batch_id": 9,
        "events": [event],
    }
    return Batch(**values | changes)


def profile(**section: Any) -> Profile:
    identities = {"customer_id": IdentityValue("c-1", 10, 20)}
    return Profile(1, user_identities=identities, workspaces={5: Section(1, 2, **section)})


def test_a_batch_goes_out_with_what_the_server_adds() -> None:
    attributes = {"tier": AttributeValue("gold", 1, 2), "tag": AttributeValue(None, 1, 2)}
    outgoing = outgoing_batch(stored(), profile(user_attributes=attributes), workspace(), [])
    assert outgoing == {
        "schema_version": 2,
        "environment": "production",
        "batch_id": 9,
        "mpid": -6520741417792989986,
        "timestamp_unixtime_ms": NOW_MS,
        "source_info": {
            "channel": "server_to_server",
            "partner": None,
            "replay_request_id": None,
            "replay_job_id": None,
            "is_historical": False,
        },
        "user_identities": [
            {"identity_type": "customer_id", "identity": "c-1", "timestamp_unixtime_ms": 20}
        ],
        "user_attributes": {"tier": "gold", "tag": None},
        "system_notifications": [],
    }
    orjson.dumps(outgoing)


def test_an_event_goes_out_with_its_names() -> None:
    [event] = a_batch().events
    assert orjson.loads(outgoing_event(event)) == {
        "event_type": "custom_event",
        "data": {
            "event_name": "Open",
            "event_id": 77,
            "message_id": message_id(77),
            "message_type": 4,
            "timestamp_unixtime_ms": NOW_MS - 1,
            "event_start_unixtime_ms": NOW_MS - 500,
            "session_id": 5,
        },
    }
    assert orjson.loads(inbound_event(event)) == {"event_type": "custom_event", "data": event.data}


@pytest.mark.parametrize("event_type", MESSAGE_TYPES)
def test_every_type_of_event_goes_out(event_type: str) -> None:
    event = Event(event_type, NOW_MS, {"label": 'a "b"'}, event_id=-1)
    shown = orjson.loads(outgoing_event(event))
    assert shown["event_type"] == event_type
    assert shown["data"]["message_type"] == MESSAGE_TYPES[event_type]
    assert shown["data"]["label"] == 'a "b"'
    assert shown["data"]["event_id"] == -1


def test_what_was_sent_goes_out_and_the_address_never_does() -> None:
    batch = a_batch(
        source_request_id="r-1",
        mp_deviceid="d-1",
        sdk_version="1.2",
        deleted_user_attributes=["old"],
        device_info={"os_version": "17"},
        application_info={"package": "p"},
        attribution_info={"publisher": "x"},
        integration_attributes={"1": {"k": "v"}},
        partner_identity="legacy",
        context={"data_plan": {"plan_id": "p"}},
        location={"latitude": 1.0},
        ip="192.0.2.1",
        partner_identities={"Ads_Id": "secret"},
    )
    outgoing = outgoing_batch(stored(batch), profile(), workspace(), [])
    assert outgoing["context"] == {"data_plan": {"plan_id": "p"}, "location": {"latitude": 1.0}}
    assert batch.context == {"data_plan": {"plan_id": "p"}}
    names = "source_request_id mp_deviceid sdk_version deleted_user_attributes device_info"
    assert {name: outgoing[name] for name in names.split()} == {
        "source_request_id": "r-1",
        "mp_deviceid": "d-1",
        "sdk_version": "1.2",
        "deleted_user_attributes": ["old"],
        "device_info": {"os_version": "17"},
    }
    text = orjson.dumps(outgoing).decode()
    assert "192.0.2.1" not in text
    assert "secret" not in text
    assert "192.0.2.1" not in orjson.dumps(inbound_batch(stored(batch))).decode()


@pytest.mark.parametrize("event_id", [1, -1, 77, -(2**63), 2**63 - 1])
def test_message_ids_are_version_5_uuids_of_event_ids(event_id: int) -> None:
    assert message_id(event_id) == str(uuid.uuid5(MESSAGE_NAMESPACE, str(event_id)))


def test_every_event_type_has_its_number() -> None:
    """spec/connections.md, 7.4."""
    assert sorted(MESSAGE_TYPES.values()) == list(range(1, 20))
    assert MESSAGE_TYPES["commerce_event"] == 16


def test_an_unattributed_batch_has_no_user() -> None:
    batch = a_batch(user_attributes={"tier": "gold"}, user_identities={"alias": "x"})
    outgoing = outgoing_batch(stored(batch, mpid=None), None, workspace(), [])
    assert outgoing["mpid"] is None
    assert outgoing["user_attributes"] == {}
    assert outgoing["user_identities"] == [
        {"identity_type": "alias", "identity": "x", "timestamp_unixtime_ms": NOW_MS + 5}
    ]


@pytest.mark.parametrize(
    ("mpid", "expected"),
    [
        pytest.param(42, {"customer_id": "c-2", "email": "e"}, id="beside an MPID"),
        pytest.param(None, {"customer_id": "c-1"}, id="as resolved"),
    ],
)
def test_identities_beside_an_mpid_are_forwarded(
    mpid: int | None, expected: dict[str, str]
) -> None:
    """spec/identity.md, 9, row 1."""
    batch = a_batch(mpid=mpid, user_identities={"customer_id": "c-2", "email": "e"})
    outgoing = outgoing_batch(stored(batch), profile(), workspace(), [])
    found = {each["identity_type"]: each["identity"] for each in outgoing["user_identities"]}
    assert found == expected


@pytest.mark.parametrize(
    ("channel", "tier"),
    [("javascript", "client"), ("native", "client"), ("server_to_server", "profile")],
)
def test_a_clients_snapshot_enriches_its_batch(channel: str, tier: str) -> None:
    """spec/events-api.md, 9."""
    batch = a_batch(user_attributes={"tier": "client"})
    known = profile(user_attributes={"tier": AttributeValue("profile", 1, 2)})
    outgoing = outgoing_batch(stored(batch, channel=channel), known, workspace(), [])
    assert outgoing["user_attributes"] == {"tier": tier}


def test_partner_feeds_are_named() -> None:
    outgoing = outgoing_batch(stored(input=1), profile(), workspace(), [])
    assert outgoing["source_info"]["partner"] == "Ads"


@pytest.mark.parametrize(
    ("settings", "shown"),
    [
        ({}, {"gdpr", "ccpa"}),
        ({"gdpr_purposes": None}, {"ccpa"}),
        ({"is_ccpa_enabled": False}, {"gdpr"}),
        ({"gdpr_purposes": None, "is_ccpa_enabled": False}, set()),
    ],
)
def test_consent_by_a_regulation_that_is_off_does_not_go_out(
    settings: dict[str, Any], shown: set[str]
) -> None:
    """spec/privacy.md, 1."""
    record = ConsentRecord(True, 1, 2)
    state = {"gdpr": {"marketing": record}, "ccpa": {"data_sale_opt_out": record}}
    known = profile(consent_state=state)
    outgoing = outgoing_batch(stored(), known, workspace(**settings), [])
    assert outgoing.get("consent_state", {}).keys() == shown


def test_consent_and_its_changes_go_out() -> None:
    """spec/privacy.md, 2.3 and worked case 1."""
    old = ConsentRecord(False, 1, 2, document="terms-6")
    new = ConsentRecord(True, 1_700_000_000_000, 3, location="x")
    changes = [
        ConsentChange("gdpr", "marketing", None, new),
        ConsentChange("ccpa", "data_sale_opt_out", old, None),
    ]
    known = profile(consent_state={"gdpr": {"marketing": new}})
    outgoing = outgoing_batch(stored(), known, workspace(), changes)
    record = {"consented": True, "timestamp_unixtime_ms": 1_700_000_000_000, "location": "x"}
    assert outgoing["consent_state"] == {"gdpr": {"marketing": record}}
    assert outgoing["system_notifications"] == [
        {
            "type": "gdpr_change",
            "data": {
                "purpose": "marketing",
                "old": None,
                "current": {"regulation": "GDPR", **record},
            },
        },
        {
            "type": "ccpa_change",
            "data": {
                "purpose": "data_sale_opt_out",
                "old": {
                    "regulation": "CCPA",
                    "consented": False,
                    "timestamp_unixtime_ms": 1,
                    "document": "terms-6",
                },
                "current": None,
            },
        },
    ]


def test_the_inbound_form_has_what_was_sent_and_nothing_of_the_profile() -> None:
    consent: dict[str, Any] = {"gdpr": {"marketing": {"consented": True}}}
    batch = a_batch(
        user_identities={"customer_id": "c-2"},
        user_attributes={"tier": "sent"},
        consent_state=consent,
    )
    inbound = inbound_batch(stored(batch))
    assert inbound["user_identities"] == {"customer_id": "c-2"}
    assert inbound["user_attributes"] == {"tier": "sent"}
    assert inbound["consent_state"] == consent
    assert inbound["batch_id"] == 9
