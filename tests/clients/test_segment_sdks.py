"""Segment's and RudderStack's server SDKs, unmodified (spec/clients.md, 6 and 7)."""

from typing import Any

import pytest

from tests.clients.messages import every_call, start
from tests.clients.programs import Program
from tests.serving import Served, eventually

pytestmark = pytest.mark.ray

SDKS = ["segment", "rudder"]
LANGUAGES = ["python", "node", "go", "java"]
NAMES = ["Opened", "purchase", "Pricing", "Main"]


@pytest.fixture(params=LANGUAGES)
def tracker(request: pytest.FixtureRequest) -> Program:
    found: Program = request.getfixturevalue(f"{request.param}_tracker")
    return found


def shown(event: dict[str, Any]) -> str:
    data = event["data"]
    name: str = data.get("event_name") or data.get("screen_name") or data["custom_event_type"]
    return name


@pytest.mark.parametrize("sdk", SDKS)
def test_every_call_of_an_sdk_arrives(
    served: Served, tracker: Program, sdk: str, request: pytest.FixtureRequest
) -> None:
    """Section 7, (a) and (b): every call succeeds; profile, history and output show it."""
    user = f"{sdk}-{request.node.callspec.params['tracker']}"
    known = f"known-{user}"
    with start(tracker, sdk, served.process.url, every_call(user)) as sending:
        assert sending.result() == []

    eventually(lambda: served.find(known), bool)
    profile = served.profile(user)
    assert profile["user_attributes"] == {
        "$FirstName": "Ada",
        "plan": "pro",
        "$City": "Turin",
        "group_id": "acme",
        "group_size": "3",
    }
    assert {each["type"]: each["value"] for each in profile["user_identities"]} == {
        "customer_id": user,
        "email": f"{user}@example.test",
    }
    events = served.events(user)
    assert [shown(each) for each in events] == NAMES
    data = [each["data"] for each in events]
    assert data[0]["custom_attributes"]["n"] == "1"
    assert data[1]["product_action"]["products"][0]["quantity"] == 2
    assert data[1]["product_action"]["total_amount"] == 21
    assert data[2]["custom_attributes"]["category"] == "Docs"

    assert [shown(each) for each in served.events(known)] == ["Visited"]
    assert served.profile(known)["mpid"] != profile["mpid"]

    delivered = eventually(
        lambda: [
            shown(event)
            for batch in served.delivered()
            if batch["mpid"] == profile["mpid"]
            for event in batch.get("events", ())
        ],
        lambda found: len(found) >= len(NAMES),
    )
    assert delivered == NAMES


@pytest.mark.parametrize("sdk", SDKS)
def test_a_wrong_key_is_told(served: Served, tracker: Program, sdk: str) -> None:
    """Section 7, (d)."""
    with start(tracker, sdk, served.process.url, every_call("nobody"), key="wrong") as sending:
        assert sending.result()
    assert served.find("nobody") == []
