"""What mParticle's SDKs for Java and Go send, by their published source: they were not recorded.

spec/clients.md, 3: `customer_id`. Java's (2.5.1) sends enums by their names in Java, in capitals,
and lists and objects that nobody filled empty; Go's (1.2) leaves out what is empty.
"""

import json
from typing import Any

import pytest

from tests.whole.world import World, basic

JAVA: dict[str, Any] = {
    "events": [
        {
            "event_type": "CUSTOM_EVENT",
            "data": {
                "event_name": "Opened",
                "custom_event_type": "LOCATION",
                "custom_attributes": {"foo": "bar"},
                "custom_flags": {},
            },
        },
        {"event_type": "SCREEN_VIEW", "data": {"screen_name": "Home", "custom_attributes": {}}},
        {
            "event_type": "COMMERCE_EVENT",
            "data": {
                "product_action": {
                    "action": "PURCHASE",
                    "total_amount": 123.12,
                    "transaction_id": "t1",
                    "products": [{"id": "p", "name": "P", "total_product_amount": 123.12}],
                }
            },
        },
    ],
    "device_info": {"platform": "IOS", "att_authorization_status": "AUTHORIZED"},
    "user_attributes": {"foo": "bar", "foo-array": ["bar1", "bar2"]},
    "deleted_user_attributes": [],
    "user_identities": {"customer_id": "j1", "email": "j1@example.test", "phone_number_2": "5515"},
    "environment": "DEVELOPMENT",
    "api_keys": [],
    "integration_attributes": {},
    "partner_identities": {},
}
GO: dict[str, Any] = {
    "context": {
        "data_plan": {"plan_id": "plan", "plan_version": 1},
        "batching": {"bypass": True, "partition_key": "k", "request_ids": ["a", "b"]},
    },
    "events": [
        {
            "data": {
                "custom_attributes": {"foo": "bar"},
                "custom_event_type": "location",
                "event_name": "Opened",
            },
            "event_type": "custom_event",
        },
        {"data": {"screen_name": "Home"}, "event_type": "screen_view"},
        {
            "data": {
                "product_action": {
                    "action": "purchase",
                    "transaction_id": "t1",
                    "total_amount": 123.12,
                    "products": [
                        {"id": "p", "name": "P", "quantity": 2, "total_product_amount": 10}
                    ],
                }
            },
            "event_type": "commerce_event",
        },
    ],
    "device_info": {
        "platform": "iOS",
        "ios_advertising_id": "607258d9-c28b-43ad-95ed-e9593025d5a1",
        "att_timestamp_unixtime_ms": 1_767_225_600,
        "att_authorization_status": "authorized",
    },
    "user_attributes": {"foo": "bar", "foo-array": ["bar1", "bar2"]},
    "user_identities": {"customer_id": "j1", "email": "j1@example.test"},
    "environment": "development",
}


@pytest.mark.parametrize(
    ("batch", "headers"),
    [
        pytest.param(
            JAVA,
            {"Content-Type": "application/json; charset=UTF-8", "User-Agent": "okhttp/4.9.1"},
            id="Java",
        ),
        pytest.param(
            GO,
            {
                "Content-Type": "application/json",
                "Accept": "application/json",
                "User-Agent": "mParticle Go SDK/1.2.0",
            },
            id="Go",
        ),
    ],
)
async def test_its_batches_are_stored(
    world: World, batch: dict[str, Any], headers: dict[str, str]
) -> None:
    for path, body in [("/v2/events", batch), ("/v2/bulkevents", [batch])]:
        response = await world.client.post(
            path, data=json.dumps(body), headers=headers | basic("k1-backend:s1")
        )
        assert (response.status, await response.read()) == (202, b""), await response.text()
    mpid = await world.mpid_in("j1", "development")
    assert await world.attributes(mpid) == {"foo": "bar", "foo-array": ["bar1", "bar2"]}
    events = await world.events(mpid)
    assert [each["event_type"] for each in events] == [
        "custom_event",
        "screen_view",
        "commerce_event",
    ] * 2
    assert events[0]["data"]["custom_event_type"] == "location"
    assert events[2]["data"]["custom_event_type"] == "purchase"
    assert {each.batch.environment for each in world.log()} == {"development"}
    assert {each.batch.device_info["platform"] for each in world.log()} == {"iOS"}
