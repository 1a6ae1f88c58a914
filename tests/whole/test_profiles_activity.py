"""The user activity API: search, one user, timeline. Worked cases 26 and 27."""

import random
from pathlib import Path
from typing import Any

import pytest

from actors.clock import ManualClock
from tests.whole.sent import DAY, HOUR, MINUTE, batch, custom, event
from tests.whole.world import DOCUMENT, T, World, changed, running

USERS = "/platform/v2/workspaces/1/users"
STAMP = "0b6f2c1e-7d43-4a8e-9c55-1f2e3d4c5b6a"
IDFA = "11111111-2222-3333-4444-555555555555"
IDFV = "22222222-2222-3333-4444-555555555555"
PHONE = {"platform": "iOS", "ios_advertising_id": IDFA, "ios_idfv": IDFV, "push_token": "pt-1"}


def names(items: list[dict[str, Any]]) -> list[list[str]]:
    """Return the names of the events of each item."""
    return [[each["name"] for each in item["events"]] for item in items]


async def pages(world: World, mpid: int, **filters: str) -> list[list[dict[str, Any]]]:
    """Return all pages of a timeline, by following its cursors."""
    found: list[list[dict[str, Any]]] = []
    cursor: dict[str, str] = {}
    while True:
        response = await world.get(f"{USERS}/{mpid}/events", **filters, **cursor)
        assert response.status == 200, await response.text()
        page = await response.json()
        found.append(page["items"])
        if page["next_cursor"] is None:
            return found
        cursor = {"cursor": page["next_cursor"]}


# -- Search ---------------------------------------------------------------------------------------


async def test_case_26_search_is_exact(world: World, clock: ManualClock) -> None:
    """spec/profiles.md, worked case 26."""
    clock.advance(HOUR)
    await world.accept(batch("c-1", custom(), user_identities={"email": "ann@example.com"}))
    assert await world.find("ann@example.co") == []
    response = await world.get(f"{USERS}/search", q="ann@example.com")
    mpid = await world.mpid("c-1")
    assert await response.json() == [
        {
            "mpid": mpid,
            "customer_id": "c-1",
            "email": "ann@example.com",
            "last_seen_ms": T + HOUR,
        }
    ]
    assert (await world.get(f"{USERS}/search")).status == 400
    viewer = await world.token("viewer")
    for path in ("/search?q=ann@example.com", f"/{mpid}", f"/{mpid}/events"):
        assert (await world.client.get(USERS + path, headers=viewer)).status == 403


async def test_a_user_is_found_by_whatever_identifies_it(world: World) -> None:
    """spec/profiles.md, 8: user or device identity, device application stamp, or MPID."""
    identities = {"email": "Ann@Example.com", "other_id_2": "o-2"}
    await world.accept(
        batch("c-1", custom(), user_identities=identities, device_info=PHONE, mp_deviceid=STAMP)
    )
    mpid = await world.mpid("c-1")
    for query in (
        *("c-1", " c-1 ", "ann@example.com", "Ann@Example.com", "o-2", IDFA, IDFV.upper()),
        *("pt-1", STAMP, str(mpid)),
    ):
        assert await world.find(query) == [mpid], query
    for field, query in (
        ("customer_id", "c-1"),
        ("email", "ann@example.com"),
        ("ios_advertising_id", IDFA),
        ("mp_deviceid", STAMP),
        ("mpid", str(mpid)),
    ):
        assert await world.find(query, field=field) == [mpid], field
    for field, query in (("email", "c-1"), ("mpid", "c-1"), ("other_id_2", str(mpid))):
        assert await world.find(query, field=field) == [], field
    assert await world.find("C-1") == []


async def test_all_who_share_an_identity_are_found_newest_first(world: World) -> None:
    shared = {"email": "family@example.com"}
    for customer in ("c-1", "c-2", "c-3"):
        await world.accept(batch(customer, custom(), user_identities=shared))
    found = await world.find("family@example.com")
    assert found == [await world.mpid(customer) for customer in ("c-3", "c-2", "c-1")]


# -- One user -------------------------------------------------------------------------------------


async def test_a_user_is_shown_with_all_that_is_known(world: World, clock: ManualClock) -> None:
    """spec/profiles.md, 8."""
    consent = {"gdpr": {"ads": {"consented": True, "timestamp_unixtime_ms": 5}}}
    await world.accept(
        batch(
            "c-1",
            custom("attribution", custom_event_type="attribution", custom_attributes=SOURCE),
            user_identities={"email": "ann@example.com"},
            user_attributes={"zebra": "z", "$zip": "1", "apple": "a", "$age": "30"},
            consent_state=consent,
        ),
        "k1",
    )
    clock.advance(DAY)
    await world.accept(batch("c-1", custom(), device_info=PHONE, mp_deviceid=STAMP), "k2")
    mpid = await world.mpid("c-1")
    response = await world.get(f"{USERS}/{mpid}")
    assert response.status == 200
    user = await response.json()
    assert user["user_details"] == {
        "mpid": mpid,
        "customer_id": "c-1",
        "email": "ann@example.com",
        "first_seen_ms": T,
        "last_seen_ms": T + DAY,
    }
    usage = user["workspace_usage"]
    assert (usage["first_seen_ms"], usage["last_seen_ms"]) == (T, T + DAY)
    assert usage["device_id"] == IDFA
    assert {each["id"]: each["first_seen_ms"] for each in usage["inputs"]} == {
        "backend": T,
        "ios": T + DAY,
    }
    [device] = user["devices"]
    assert (device["platform"], device["last_seen_ms"]) == ("iOS", T + DAY)
    assert {each["type"]: each["value"] for each in device["identities"]} == {
        "ios_advertising_id": IDFA,
        "ios_vendor_id": IDFV,
        "apple_push_notification_token": "pt-1",
    }
    assert [each["name"] for each in user["user_attributes"]] == ["$age", "$zip", "apple", "zebra"]
    assert user["attribution"] == [{"partner": "Pub", "campaign": "Spring"}]
    assert user["consent_state"]["gdpr"]["ads"]["consented"] is True
    assert user["status_messages"] == user["audience_memberships"] == []


SOURCE = {"publisher": "Pub", "campaign": "Spring"}


async def test_an_unknown_user_is_not_found(world: World) -> None:
    for path in ("/12345", "/12345/events"):
        assert (await world.get(USERS + path)).status == 404


# -- Timeline -------------------------------------------------------------------------------------


async def test_the_timeline_shows_batches_newest_first(world: World, clock: ManualClock) -> None:
    """spec/profiles.md, 8."""
    await world.accept(batch("c-1", custom("A"), custom("B"), user_attributes={"a": "1"}))
    await world.accept(batch("c-1", user_attributes={"silent": "1"}))
    clock.advance(MINUTE)
    bought = event(
        "commerce_event",
        product_action={
            "action": "purchase",
            "transaction_id": "t-1",
            "total_amount": 30.0,
            "products": [{"id": "p1", "name": "Pen", "price": 10, "quantity": 3}],
        },
        currency_code="EUR",
    )
    await world.accept(batch("c-1", bought, mp_deviceid=STAMP), "k2")
    mpid = await world.mpid("c-1")
    response = await world.get(f"{USERS}/{mpid}/events")
    page = await response.json()
    assert page["next_cursor"] is None
    assert page["last_updated_ms"] == T + MINUTE
    newest, oldest = page["items"]
    assert (newest["input"], newest["received_ms"], newest["environment"]) == (
        *("ios", T + MINUTE),
        "production",
    )
    assert names([newest, oldest]) == [["purchase"], ["A", "B"]]
    [purchase] = newest["events"]
    assert purchase["transaction"]["transaction_id"] == "t-1"
    assert purchase["transaction"]["currency_code"] == "EUR"
    [pen] = purchase["products"]
    assert (pen["quantity"], float(pen["total"])) == (3, 30.0)
    assert oldest["user_attributes"] == {"a": "1"}
    assert oldest["batch_id"] != newest["batch_id"]


async def test_the_timeline_is_filtered(world: World, clock: ManualClock) -> None:
    """spec/profiles.md, 8: OR within a filter, AND between filters; from <= t < to."""
    sent = [
        ("k1", [custom("A", T - 3 * HOUR), custom("B", T - 2 * HOUR)], {}),
        ("k2", [custom("A", T - HOUR)], {"mp_deviceid": STAMP}),
        ("k2", [event("screen_view", screen_name="A", timestamp_unixtime_ms=T)], {}),
    ]
    for key, events, members in sent:
        await world.accept(batch("c-1", *events, **members), key)
        clock.advance(MINUTE)
    mpid = await world.mpid("c-1")

    async def shown(query: str) -> list[list[str]]:
        response = await world.client.get(
            f"{USERS}/{mpid}/events?{query}", headers=await world.token()
        )
        assert response.status == 200, await response.text()
        return names((await response.json())["items"])

    screen, phone, both = ["A"], ["A"], ["A", "B"]
    assert await shown("") == [screen, phone, both]
    assert await shown("input=ios") == [screen, phone]
    assert await shown("input=ios&input=backend") == [screen, phone, both]
    assert await shown("type=screen_view") == [screen]
    assert await shown("event_name=B") == [["B"]]
    assert await shown("event_name=A&type=custom_event") == [phone, ["A"]]
    assert await shown(f"device={STAMP}") == [phone]
    assert await shown(f"device={STAMP}&input=backend") == []
    assert await shown(f"from={T - 2 * HOUR}&to={T}") == [phone, ["B"]]
    assert await shown("to=2025-12-31T21:00:00.001Z") == [["A"]]
    assert await shown(f"from={T + 1}") == []


@pytest.mark.parametrize("seed", range(4))
async def test_historical_batches_lie_at_their_date_on_every_page(
    world: World, clock: ManualClock, seed: int
) -> None:
    """A timeline is one order, by receipt and by the newest event of what came late."""
    draw = random.Random(seed)
    order: list[tuple[int, int, str]] = []  # time, number of the batch, name
    for number in range(24):
        clock.advance(draw.choice([0, HOUR, 2 * DAY]))
        name = f"e{number}"
        if draw.random() < 0.5:
            await world.accept(batch("c-1", custom(name)))
            order.append((clock.now_ms(), number, name))
        else:
            ages = (4 * DAY, 5 * DAY, clock.now_ms() - T + 4 * DAY)
            newest_ms = clock.now_ms() - draw.choice(ages)
            older = custom("older", newest_ms - DAY)
            response = await world.historical([batch("c-1", older, custom(name, newest_ms))])
            assert response.status == 202, await response.text()
            order.append((newest_ms, number, name))
    mpid = await world.mpid("c-1")
    expected = [name for _, _, name in sorted(order, reverse=True)]
    for limit in (1, 2, 5, 24, 100):
        found = await pages(world, mpid, limit=str(limit))
        assert all(len(page) == limit for page in found[:-1])
        assert [shown[-1] for page in found for shown in names(page)] == expected
    only = [name for name in expected if int(name[1:]) % 2]
    response = await world.client.get(
        f"{USERS}/{mpid}/events?" + "&".join(f"event_name={name}" for name in only),
        headers=await world.token(),
    )
    assert [shown for [shown] in names((await response.json())["items"])] == only


async def test_what_comes_between_two_pages_does_not_shift_them(
    world: World, clock: ManualClock
) -> None:
    for name in "abcd":
        await world.accept(batch("c-1", custom(name)))
        clock.advance(MINUTE)
    mpid = await world.mpid("c-1")
    first = await (await world.get(f"{USERS}/{mpid}/events", limit="2")).json()
    await world.accept(batch("c-1", custom("e")))
    second = await world.get(f"{USERS}/{mpid}/events", limit="2", cursor=first["next_cursor"])
    assert names(first["items"] + (await second.json())["items"]) == [["d"], ["c"], ["b"], ["a"]]


async def test_a_cursor_that_was_not_given_out_is_refused(world: World) -> None:
    """Neither nonsense nor another user's or environment's cursor shows anything."""
    for customer in ("c-1", "c-2"):
        for _ in range(3):
            await world.accept(batch(customer, custom()))
            await world.accept({**batch(customer, custom()), "environment": "development"})
    mine, theirs = await world.mpid_in("c-1"), await world.mpid_in("c-2")
    trial = await world.mpid_in("c-1", "development")
    response = await world.get(f"{USERS}/{mine}/events", limit="1")
    cursor = (await response.json())["next_cursor"]
    assert cursor is not None
    assert (await world.get(f"{USERS}/{mine}/events", cursor=cursor)).status == 200
    for mpid in (theirs, trial):
        response = await world.get(f"{USERS}/{mpid}/events", limit="1")
        foreign = (await response.json())["next_cursor"]
        refused = await world.get(f"{USERS}/{mine}/events", cursor=foreign)
        assert refused.status == 400
        assert (await refused.json())["errors"][0]["code"] == "BAD_REQUEST"
        assert (await world.get(f"{USERS}/{mpid}/events", cursor=cursor)).status == 400
    shapes = (
        "{}",
        "{}.2.3",
        "{}.2.3.4.5",
        "{}.b.c.d",
        "{}.-1.0.0",
        f"{{}}.{2**64}.0.0",
        "{}.2.3.x",
    )
    for nonsense in ("", "x", "1.2.3.4", *(shape.format(mine) for shape in shapes)):
        refused = await world.get(f"{USERS}/{mine}/events", cursor=nonsense)
        assert refused.status == 400, nonsense


@pytest.mark.parametrize("name", ["limit", "from", "to"])
async def test_a_wrong_filter_is_refused(world: World, name: str) -> None:
    await world.accept(batch("c-1", custom()))
    mpid = await world.mpid("c-1")
    assert (await world.get(f"{USERS}/{mpid}/events", **{name: "x"})).status == 400


async def test_case_27_tiers(tmp_path: Path) -> None:
    """spec/profiles.md, worked case 27; what is not stored is still forwarded."""
    tiers = {
        "overrides": [
            {"event": "Ping", "tier": "connect"},
            {"event": "Pong", "tier": "preserve"},
        ]
    }
    document = changed(DOCUMENT, workspace={"event_tiers": tiers})
    async with running(tmp_path, document=document) as world:
        await world.accept(batch("c-1", custom("Ping"), custom("Pong")))
        await world.accept(batch("c-1", custom("Ping"), user_attributes={"a": "1"}))
        assert names(await world.timeline("c-1")) == [["Pong"]]
        assert await world.attributes("c-1") == {"a": "1"}
        forwarded = [
            [each["data"]["event_name"] for each in outgoing["events"]]
            for outgoing in world.outgoing()
        ]
        assert forwarded == [["Ping", "Pong"], ["Ping"]]
