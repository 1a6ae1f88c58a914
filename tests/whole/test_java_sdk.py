"""What mParticle's SDK for Java sends, by its published source: version 2.5.1 was not recorded.

spec/clients.md, 3: `customer_id`. Enums are sent by their names in Java, in capitals, and lists and
objects that nobody filled are sent empty.
"""

import json
from typing import Any

from tests.whole.world import World, basic

HEADERS = {"Content-Type": "application/json; charset=UTF-8", "User-Agent": "okhttp/4.9.1"}
BATCH: dict[str, Any] = {
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


async def test_its_batches_are_stored(world: World) -> None:
    for path, body in [("/v2/events", BATCH), ("/v2/bulkevents", [BATCH])]:
        response = await world.client.post(
            path, data=json.dumps(body), headers=HEADERS | basic("k1-backend:s1")
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
