"""What the web SDK's batches make of a profile (spec/clients.md, 4.4)."""

import itertools
from typing import Any

import pytest

from tests.whole.cases import EV, newest
from tests.whole.test_events_client import PATH, TEXT, post
from tests.whole.world import WEB_KEY, T, World

_NUMBERS = itertools.count()


def batch(*events: dict[str, Any], **members: Any) -> dict[str, Any]:
    """Return a batch of one page's user, as the SDK writes it."""
    return {
        "mpid": "9007199254740993",
        "environment": "production",
        "source_request_id": f"00000000-0000-4000-8000-{next(_NUMBERS):012d}",
        "user_identities": None,
        "user_attributes": {},
        "consent_state": None,
        "application_info": {},
        "events": list(events),
        **members,
    }


def change(name: str, new: Any, old: Any, *, deleted: bool) -> dict[str, Any]:
    data = {"user_attribute_name": name, "new": new, "old": old, "deleted": deleted}
    return {"event_type": "user_attribute_change", "data": {"timestamp_unixtime_ms": T, **data}}


async def accept(world: World, sent: dict[str, Any], **headers: str) -> None:
    response = await world.client.post(PATH, json=sent, headers=TEXT | headers)
    assert (response.status, await response.read()) == (202, b"")


async def test_case_6_an_answer_is_empty_or_what_it_says_it_is(world: World) -> None:
    """Worked case 6, of servers and of pages."""
    accepted = [
        await world.send({"events": [EV]}),
        await world.bulk([{"events": [EV]}]),
        await post(world, batch(EV)),
    ]
    for response in accepted:
        assert (response.status, await response.read()) == (202, b"")
        assert response.headers.get("Content-Type") != "application/json"


async def test_case_9_a_promotion_may_have_numbers(world: World) -> None:
    """Worked case 9."""
    promotion = {"action": 2, "promotions": [{"id": "p", "position": 2}]}
    event = {
        "event_type": "commerce_event",
        "data": {
            "timestamp_unixtime_ms": T,
            "promotion_action": promotion,
            "product_action": None,
            "product_impressions": None,
        },
    }
    await accept(world, batch(event))
    [kept] = [each.batch.events[0] for each in world.log()]
    assert kept.get("promotion_action")["action"] == "click"
    assert kept.get("promotion_action")["promotions"][0]["position"] == "2"
    assert kept.get("custom_event_type") == "promotion_click"


async def test_case_10_batches_and_identity_calls_name_the_same_user(world: World) -> None:
    """Worked case 10: the SDK spells identities in two ways."""
    asked = await world.client.post(
        "/v1/identify",
        json={
            "client_sdk": {"platform": "web", "sdk_vendor": "mparticle", "sdk_version": "2.68.0"},
            "environment": "production",
            "request_id": "r-1",
            "request_timestamp_ms": T,
            "previous_mpid": None,
            "known_identities": {"customerid": "c1", "other2": "o"},
        },
        headers={"x-mp-key": WEB_KEY},
    )
    assert asked.status == 200
    mpid = int((await asked.json())["mpid"])
    sent = batch(EV, user_identities={"customer_id": "c1", "other_id_2": "o"})
    del sent["mpid"]
    await accept(world, sent)
    assert (await newest(world, mpid))["events"][0]["name"] == "Opened"
    shown = {each["type"]: each["value"] for each in (await world.profile(mpid))["user_identities"]}
    assert (shown["customer_id"], shown["other_id_2"]) == ("c1", "o")


async def test_case_11_a_web_user_can_lose_an_attribute_and_have_a_tag(world: World) -> None:
    """Worked case 11."""
    mpid = 9007199254740993
    await accept(
        world,
        batch(
            change("plan", "plus", None, deleted=False),
            user_attributes={"plan": "plus"},
        ),
    )
    assert (await world.attributes(mpid))["plan"] == "plus"
    await accept(world, batch(change("plan", None, "x", deleted=True)))
    assert "plan" not in await world.attributes(mpid)
    await accept(
        world,
        batch(change("vip", None, None, deleted=False), user_attributes={"vip": None}),
    )
    assert (await world.attributes(mpid))["vip"] is None


async def test_case_12_a_batch_counts_once_however_it_was_sent(world: World) -> None:
    """Worked case 12: by fetch, and by a beacon when the page was closed."""
    sent = batch(EV)
    await accept(world, sent, Accept="text/plain;charset=UTF-8")
    await accept(world, sent, Origin="https://shop.example")
    assert len(world.log()) == 1


@pytest.mark.parametrize(("length", "status"), [(12_000, 202), (16_300, 202), (17_000, 400)])
async def test_a_page_of_a_site_with_many_cookies_is_heard(
    world: World, length: int, status: int
) -> None:
    """A page sends what other parts of the site have set for its domain with each request."""
    cookie = {"Cookie": "c=" + "x" * (length - 2)}
    response = await world.client.post(PATH, json=batch(EV), headers=TEXT | cookie)
    assert response.status == status
    assert len(world.log()) == (status == 202)
