"""The tracking API of Segment's and RudderStack's SDKs (spec/clients.md, 1, 2 and 6)."""

import gzip
import json
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse

from actors.batches.identities import MAX_IDENTITY
from actors.clock import ManualClock
from server.context import EDGES
from tests.whole.test_recorded import RECORDED
from tests.whole.world import DOCUMENT, T, World, basic, changed, running

KEY = "us1-0123456789abcdef0123456789abcdef"
ANONYMOUS = "0f0f0f0f-0000-4000-8000-000000000001"
MINUTE_MS = 60_000


def document(**members: Any) -> dict[str, Any]:
    """Return the workspace with a feed of module `segment`."""
    feed = {
        "id": "tracking",
        "kind": "feed",
        "module": "segment",
        "name": "Tracking",
        "keys": [{"key": KEY, "secret": "recorded-secret"}],
    }
    return changed(DOCUMENT, inputs=[*DOCUMENT["inputs"], feed | members])


@pytest.fixture(params=[1, 3], ids=["1 shard", "3 shards"])
async def world(
    request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock
) -> AsyncIterator[World]:
    async with running(tmp_path, shards=request.param, clock=clock, document=document()) as opened:
        yield opened


async def post(
    world: World, path: str, body: Any, headers: dict[str, str] | None = None
) -> ClientResponse:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await world.client.post(
        path, data=BytesIO(data), headers=basic(f"{KEY}:") if headers is None else headers
    )


async def track(world: World, path: str, body: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Send what has to be accepted; return the answer's body."""
    response = await post(world, path, body, **more)
    assert response.status == 200, await response.text()
    answer: dict[str, Any] = await response.json()
    assert answer["success"] is True
    return answer


async def refused(response: ClientResponse, status: int, code: str) -> None:
    assert response.status == status, await response.text()
    body = await response.json()
    assert (body["success"], body["code"]) == (False, code)
    assert isinstance(body["message"], str)
    assert body["errors"] == [{"code": code, "message": body["message"]}]


async def names(world: World, user: str) -> list[str]:
    return [each["data"]["event_name"] for each in await world.events(user)]


async def only_event(world: World, user: str) -> dict[str, Any]:
    [event] = await world.events(user)
    return event


async def test_one_path_serves_two_protocols(world: World) -> None:
    """Worked case 1."""
    call = {"environment": "production", "known_identities": {"customerid": "i1"}}
    for headers in ({"x-mp-key": "kw-web-site"}, basic("k1-backend:s1")):
        response = await post(world, "/v1/identify", call, headers)
        assert response.status == 200
        assert isinstance((await response.json())["mpid"], str)
    body: dict[str, Any] = {"userId": "u1", "traits": {"plan": "pro"}, "messageId": "m1"}
    await track(world, "/v1/identify", body)
    assert await world.attributes("u1") == {"plan": "pro"}
    body = {"writeKey": KEY, "userId": "u1", "traits": {"size": 2}}
    await track(world, "/v1/identify", body, headers={})
    assert (await world.attributes("u1"))["size"] == "2"
    response = await post(world, "/v1/identify", {}, {})
    assert (response.status, await response.text()) == (401, "")


async def test_a_prefix_names_the_protocol(world: World) -> None:
    """Worked case 2."""
    response = await post(world, "/identity/v1/identify", {"userId": "u"})
    assert (response.status, await response.text()) == (401, "")
    response = await post(world, "/segment/v1/identify", {"userId": "u"}, {"x-mp-key": KEY})
    await refused(response, 401, "unauthorized")
    await track(world, "/segment/v1/identify", {"userId": "u"})


@pytest.mark.parametrize(
    "path", ["/v1/identify", "/v1/t", "/v1/batch", "/sourceConfig/", f"/v3/JS/{KEY}/events"]
)
async def test_browsers_may_send_all_that_sdks_send(world: World, path: str) -> None:
    """Worked case 3."""
    wanted = {"anonymousid", "authorization", "content-type", "sentat", "x-mp-key"}
    response = await world.client.options(
        path,
        headers={
            "Origin": "https://shop.example.test",
            "Access-Control-Request-Headers": ",".join(sorted(wanted)),
        },
    )
    assert response.status == 204
    allowed = response.headers["Access-Control-Allow-Headers"].split(", ")
    assert wanted <= set(allowed)


@pytest.mark.parametrize("sdk", ["segment", "rudder"])
async def test_what_sdks_sent_is_accepted(world: World, sdk: str) -> None:
    """Worked case 24."""
    lines = (RECORDED / f"{sdk}.ndjson").read_text().splitlines()
    requests = [json.loads(line) for line in lines]
    assert len(requests) > 20
    for sent in requests:
        headers = {
            name: value
            for name, value in sent["headers"].items()
            if name in ("authorization", "content-type", "origin", "anonymousid", "sentat")
        }
        body = None if sent["body"] is None else json.dumps(sent["body"]).encode()
        if body is not None and sent["headers"].get("content-encoding") == "gzip":
            body, headers = gzip.compress(body), headers | {"content-encoding": "gzip"}
        response = await world.client.request(
            sent["method"], sent["path"], data=body, headers=headers
        )
        is_preflight = sent["method"] == "OPTIONS"
        expected = 204 if is_preflight else 401 if "wrong" in sent["call"] else 200
        assert response.status == expected, (sent["call"], await response.text())
        assert response.headers["Access-Control-Allow-Origin"] == "*"
    customers = {each.batch.user_identities.get("customer_id") for each in world.log()}
    assert {"u-31"} <= customers


async def test_a_message_that_is_invalid_is_left_out_alone(world: World) -> None:
    """Worked case 25."""
    batch = [
        {"type": "track", "userId": "u2", "event": "A", "messageId": "1"},
        {"type": "track", "event": "B"},
        {"type": "track", "userId": "u2", "event": "C", "messageId": "1"},
    ]
    answer = await track(world, "/v1/batch", {"batch": batch})
    [skipped] = answer["skipped"]
    assert (skipped["index"], skipped["code"]) == (1, "missing_id")
    assert await names(world, "u2") == ["A"]
    only = await post(world, "/v1/batch", {"batch": [{"type": "track", "event": "B"}]})
    await refused(only, 400, "invalid_request")
    assert "skipped" not in await track(world, "/v1/batch", {"batch": []})
    for body, code in [
        (b'{"batch":{}}', "invalid_request"),
        (b"[]", "invalid_request"),
        (b"{", "invalid_json"),
        (b"{}", "invalid_request"),
    ]:
        await refused(await post(world, "/v1/batch", body), 400, code)
    dropped = {"workspace": "w1", "input": "tracking", "reason": "missing_id"}
    assert world.count("headwater_ingest_drops_total", **dropped) == 1


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (5, "invalid_message"),
        ({"userId": "u"}, "invalid_type"),
        ({"type": "pageview", "userId": "u"}, "invalid_type"),
        ({"type": "page", "userId": "", "anonymousId": None}, "missing_id"),
        ({"type": "page", "userId": True}, "missing_id"),
        ({"type": "track", "userId": "u", "event": " "}, "missing_event"),
        ({"type": "track", "userId": "u", "event": 5}, "missing_event"),
        ({"type": "group", "userId": "u"}, "missing_group"),
        ({"type": "alias", "userId": "u"}, "missing_id"),
        ({"type": "track", "userId": "u", "event": "E", "x": "y" * 600_000}, "too_large"),
    ],
)
async def test_what_is_wrong_with_a_message_is_said(world: World, message: Any, code: str) -> None:
    good = {"type": "track", "userId": 7.0, "event": "Good"}
    answer = await track(world, "/v1/batch", {"batch": [message, good]})
    assert [(each["index"], each["code"]) for each in answer["skipped"]] == [(0, code)]
    assert await names(world, "7") == ["Good"]


async def test_only_a_write_key_opens(world: World) -> None:
    """Worked case 26."""
    body = {"userId": "u", "event": "E", "writeKey": "wrong"}
    await refused(await post(world, "/v1/track", body, basic("wrong:")), 401, "unauthorized")
    await refused(await post(world, "/v1/track", body, {}), 401, "unauthorized")
    await refused(await post(world, "/v1/track", {"userId": "u"}, {}), 401, "unauthorized")
    bearer = {"Authorization": f"Bearer {KEY}"}
    await refused(await post(world, "/v1/track", body, bearer), 401, "unauthorized")
    await track(world, "/v1/track", body)
    for key in ("k2-ios-app", "k1-backend"):
        response = await post(world, "/v1/track", body, basic(f"{key}:"))
        await refused(response, 401, "unauthorized")
    await track(world, "/v1/track", body, headers=basic("kw-web-site:"))
    await track(world, "/v1/track", body, headers=basic(f"{KEY}:anything"))


@pytest.mark.parametrize("place", ["traits", "context"])
async def test_traits_become_attributes_and_identities(world: World, place: str) -> None:
    """Worked cases 27 and 28."""
    await track(world, "/v1/identify", {"userId": "u3", "traits": {"old": "x"}})
    traits = {
        "email": "a@example.test",
        "firstName": "Ada",
        "phone": "+39 011 555 1234",
        "address": {"city": "Turin", "geo": {"lat": 1}},
        "tags": ["x", "y"],
        "items": [{"id": 1}],
        "old": None,
    }
    members = {"traits": traits} if place == "traits" else {"context": {"traits": traits}}
    await track(world, "/v1/identify", {"userId": "u3", **members})
    profile = await world.profile("u3")
    assert {each["type"]: each["value"] for each in profile["user_identities"]} == {
        "customer_id": "u3",
        "email": "a@example.test",
        "mobile_number": "+39 011 555 1234",
    }
    attributes = {
        "$FirstName": "Ada",
        "$Mobile": "+39 011 555 1234",
        "$City": "Turin",
        "address.geo.lat": "1",
        "tags": ["x", "y"],
        "items": '[{"id":1}]',
    }
    assert profile["user_attributes"] == attributes
    assert await world.events("u3") == []
    message = {"userId": "u3", "event": "E", "context": {"traits": {"plan": "pro"}}}
    await track(world, "/v1/track", message)
    assert await world.attributes("u3") == attributes


ORDER = {
    "order_id": "o8",
    "total": 27.5,
    "revenue": 25,
    "tax": 2,
    "shipping": 3,
    "currency": "USD",
    "gift": True,
    "products": [{"product_id": 507, "sku": 45, "price": 19, "quantity": 1}],
}


async def test_an_order_is_a_purchase(world: World) -> None:
    """Worked case 29."""
    message = {"userId": "u4", "event": "order completed", "properties": ORDER}
    await track(world, "/v1/track", message)
    event = await only_event(world, "u4")
    data = event["data"]
    assert (event["event_type"], data["custom_event_type"]) == ("commerce_event", "purchase")
    assert data["currency_code"] == "USD"
    assert data["custom_attributes"]["gift"] == "true"
    assert data["custom_attributes"]["revenue"] == "25"  # it is not the total, which is there
    action = data["product_action"]
    [product] = action.pop("products")
    assert action == {
        "action": "purchase",
        "transaction_id": "o8",
        "total_amount": 27.5,
        "tax_amount": 2,
        "shipping_amount": 3,
    }
    assert product["id"] == "507"
    assert product["custom_attributes"] == {"sku": "45"}
    await track(
        world, "/v1/track", {"userId": "u5", "event": "Item Purchased", "properties": ORDER}
    )
    assert (await only_event(world, "u5"))["event_type"] == "custom_event"


async def test_names_can_be_left_without_a_meaning(tmp_path: Path, clock: ManualClock) -> None:
    """Worked case 29, the setting."""
    plain = document(semantic_events=False)
    async with running(tmp_path, clock=clock, document=plain) as world:
        message = {"userId": "u4", "event": "Order Completed", "properties": ORDER}
        await track(world, "/v1/track", message)
        event = await only_event(world, "u4")
        assert (event["event_type"], event["data"]["event_name"]) == (
            "custom_event",
            "Order Completed",
        )


async def test_pages_are_screens_by_the_first_name_there_is(world: World) -> None:
    """Worked case 30."""
    page = {"userId": "u3", "category": "Docs", "name": "Pricing"}
    await track(world, "/v1/page", page | {"properties": {"url": "https://x.test/p"}})
    await track(world, "/v1/p", {"userId": "u3", "properties": {"title": "T", "path": "/t"}})
    await track(world, "/v1/page", {"userId": "u3"})
    await track(world, "/v1/screen", {"userId": "u3", "category": "Docs"})
    await track(world, "/v1/s", {"userId": "u3"})
    events = await world.events("u3")
    assert {each["event_type"] for each in events} == {"screen_view"}
    names_ = ["Pricing", "T", "Page", "Docs", "Screen"]
    assert [each["data"]["screen_name"] for each in events] == names_
    first = events[0]["data"]["custom_attributes"]
    assert first["category"] == "Docs"
    assert first["url"] == "https://x.test/p"


async def test_a_group_is_an_attribute_of_its_members(world: World) -> None:
    """Worked case 31."""
    message = {"userId": "u3", "groupId": "acme", "traits": {"size": 3}}
    await track(world, "/v1/group", message)
    assert await world.attributes("u3") == {"group_id": "acme", "group_size": "3"}


async def test_anonymous_ids_are_devices(world: World) -> None:
    """Worked case 32."""
    await track(world, "/v1/track", {"anonymousId": ANONYMOUS, "event": "Before"})
    await track(world, "/v1/identify", {"userId": "u9", "anonymousId": ANONYMOUS})
    await track(world, "/v1/track", {"userId": "u9", "event": "After"})
    assert await names(world, "u9") == ["Before", "After"]
    assert {each.mpid for each in world.log()} == {await world.mpid("u9")}
    for _ in range(2):
        await track(world, "/v1/track", {"anonymousId": "anon-1", "event": "Seen"})
    owners = [each.mpid for each in world.log() if each.batch.integration_attributes]
    of_one = [
        each.mpid
        for each in world.log()
        if each.batch.integration_attributes.get("segment") == {"anonymousId": "anon-1"}
    ]
    assert len(of_one) == 2
    assert len(set(of_one)) == 1
    assert len(owners) == 4


async def test_an_alias_joins_who_is_known(world: World) -> None:
    """Worked case 33."""
    await track(world, "/v1/alias", {"previousId": "nobody", "userId": "new-1"})
    assert await world.find("new-1") == []
    await track(world, "/v1/track", {"anonymousId": "anon-5", "event": "Before"})
    [before] = [each.mpid for each in world.log() if each.mpid is not None]
    await track(world, "/v1/alias", {"previousId": "anon-5", "userId": "new-2"})
    assert await world.find("new-2") == [before]
    await track(world, "/v1/alias", {"previousId": "new-2", "userId": "new-2"})
    assert await world.find("new-2") == [before]
    await track(world, "/v1/alias", {"previousId": "new-2", "userId": "new-3"})
    assert await world.find("new-3") == []  # a customer_id is immutable here


async def test_an_alias_replaces_a_customer_id_that_may_change(
    tmp_path: Path, clock: ManualClock
) -> None:
    mutable = document() | {"identity": {"strategy": "profile_link", "immutable_ids": []}}
    async with running(tmp_path, clock=clock, document=mutable) as world:
        await track(world, "/v1/track", {"userId": "old", "event": "Before"})
        mpid = await world.mpid("old")
        await track(world, "/v1/alias", {"previousId": "old", "userId": "new"})
        assert (await world.find("old"), await world.find("new")) == ([], [mpid])


LINK = {"strategy": "profile_link"}


@pytest.mark.parametrize("shards", [1, 3])
async def test_an_alias_of_a_shared_browser_leaves_its_known_users_alone(
    tmp_path: Path, clock: ManualClock, shards: int
) -> None:
    """spec/identity.md, 1: who has a login ID is not found by a device alone."""
    linking = document() | {"identity": LINK | {"search_requires_immutable": True}}
    async with running(tmp_path, shards=shards, clock=clock, document=linking) as world:
        await track(world, "/v1/track", {"anonymousId": "anon-1", "event": "Before"})
        [anonymous] = [each.mpid for each in world.log()]
        await track(world, "/v1/identify", {"userId": "bob", "anonymousId": "anon-1"})
        bob = await world.mpid("bob")
        assert bob != anonymous
        await track(world, "/v1/alias", {"previousId": "anon-1", "userId": "bob"})
        deployment = world.edge.app[EDGES].first.deployment
        accepted = await deployment.aliases_of("production", bob)
        found = [(each.request.source_mpid, each.request.destination_mpid) for each in accepted]
        assert found == [(anonymous, bob)]
        await track(world, "/v1/alias", {"previousId": "anon-1", "userId": "carol"})
        assert (await world.find("bob"), await world.find("carol")) == ([bob], [anonymous])
        await track(world, "/v1/alias", {"previousId": "anon-1", "userId": "dave"})
        assert await world.find("dave") == []  # nobody is left whom the device tells


@pytest.mark.parametrize(("length", "count"), [(MAX_IDENTITY, 1), (MAX_IDENTITY + 1, 0)])
async def test_an_alias_gives_no_customer_id_that_is_too_long(
    world: World, length: int, count: int
) -> None:
    """spec/identity.md, 2."""
    user = "u" * length
    await track(world, "/v1/track", {"anonymousId": "anon-1", "event": "Before"})
    await track(world, "/v1/alias", {"previousId": "anon-1", "userId": user})
    deployment = world.edge.app[EDGES].first.deployment
    assert len(await deployment.lookup("production", "customerid", user)) == count


async def test_an_alias_of_two_who_are_known_copies_the_history(world: World) -> None:
    for user in ("one", "two"):
        await track(world, "/v1/track", {"userId": user, "event": f"Of {user}"})
    source, target = await world.mpid("one"), await world.mpid("two")
    batch = [
        {"type": "alias", "previousId": "one", "userId": "two", "messageId": "a-1"},
        {"type": "track", "userId": "two", "event": "Later"},
    ]
    await track(world, "/v1/batch", {"batch": batch})
    deployment = world.edge.app[EDGES].first.deployment
    accepted = await deployment.aliases_of("production", source)
    found = [(each.request.source_mpid, each.request.destination_mpid) for each in accepted]
    assert found == [(source, target)]


async def test_events_are_dated_by_a_clock_that_is_right(world: World, clock: ManualClock) -> None:
    """Worked case 34."""
    clock.advance(10 * MINUTE_MS + 1000)
    sent = {"userId": "u6", "event": "E", "timestamp": "2026-01-01T00:00:00Z"}
    await track(world, "/v1/track", sent | {"sentAt": "2026-01-01T00:00:01Z"})
    await track(world, "/v1/track", sent | {"sentAt": "2026-01-01T00:09:30.123456789Z"})
    await track(world, "/v1/track", sent | {"timestamp": "soon"})
    await track(world, "/v1/track", sent | {"timestamp": None, "originalTimestamp": T + 5})
    await track(world, "/v1/track", sent | {"timestamp": "2026-01-01T02:00:01+02:00"})
    times = [each["data"]["timestamp_unixtime_ms"] for each in await world.events("u6")]
    assert times == [
        T + 10 * MINUTE_MS,
        T,
        clock.now_ms(),
        T + 5,
        T + 1000,
    ]


async def test_the_time_of_a_request_is_none_of_its_messages_that_have_their_own(
    world: World, clock: ManualClock
) -> None:
    """RudderStack's Node SDK sends when it flushed beside when each message happened."""
    clock.advance(MINUTE_MS)
    messages = [
        {"type": "track", "userId": "u6", "event": "E"} | times
        for times in (
            {"originalTimestamp": "2026-01-01T00:00:10Z"},
            {"originalTimestamp": "2026-01-01T00:00:20Z", "timestamp": "2026-01-01T00:00:30Z"},
            {},
        )
    ]
    flushed = {"timestamp": "2026-01-01T00:00:59Z", "sentAt": "2026-01-01T00:00:59Z"}
    await track(world, "/v1/batch", {"batch": messages} | flushed)
    times = [each["data"]["timestamp_unixtime_ms"] for each in await world.events("u6")]
    assert times == [T + 10_000, T + 30_000, T + 59_000]


OF_ONE = ("track", "identify", "page", "screen", "group", "alias", *"tipsga")
OF_SEVERAL = ("/v1/batch", "/v1/import", "/v1/b", "/segment/v1/batch", "/beacon/v1/batch")


@pytest.mark.parametrize(
    "path", [*OF_SEVERAL, *(f"/v1/{each}" for each in OF_ONE), "/segment/v1/track"]
)
async def test_bodies_may_be_compressed_and_are_bounded(world: World, path: str) -> None:
    """Worked case 35, on every path that takes messages: what is refused has no effect."""
    await track(world, "/v1/track", {"anonymousId": "anon-7", "event": "Before"})
    message = {
        "userId": "u7",
        "anonymousId": "anon-7",
        "previousId": "anon-7",
        "event": "E",
        "groupId": "acme",
    }
    sent = {"batch": [message | {"type": "track"}]} if path in OF_SEVERAL else message
    body = json.dumps(sent).encode()
    large = json.dumps(sent | {"x": "y" * 5 * 1024 * 1024}).encode()
    zipped = basic(f"{KEY}:") | {"Content-Encoding": "gzip"}
    corrupt = await post(world, path, gzip.compress(body)[:-9], zipped)
    await refused(corrupt, 400, "invalid_json")
    await refused(await post(world, path, large), 413, "too_large")
    await refused(await post(world, path, gzip.compress(large), zipped), 413, "too_large")
    assert await world.find("u7") == []
    assert (await post(world, path, gzip.compress(body), zipped)).status == 200
    assert await world.find("u7") == [world.log()[0].mpid]


async def test_metrics_of_sdks_may_be_compressed(world: World) -> None:
    """Worked case 35."""
    zipped = basic(f"{KEY}:") | {"Content-Encoding": "gzip"}
    assert (await post(world, "/v1/m", gzip.compress(b'{"series":[]}'), zipped)).status == 200


async def test_browsers_send_text_and_metrics(world: World) -> None:
    """Worked case 36."""
    headers = basic(f"{KEY}:") | {"Content-Type": "text/plain"}
    await track(world, "/v1/p", {"userId": "u8", "writeKey": KEY}, headers=headers)
    stored = len(world.log())
    assert (await post(world, "/v1/m", {"series": []}, {})).status == 200
    assert len(world.log()) == stored


async def test_beacons_and_pixels_carry_their_key_in_the_query(world: World) -> None:
    """Worked case 37."""
    batch = {"batch": [{"type": "track", "userId": "u8", "event": "Left"}]}
    await track(world, f"/beacon/v1/batch?writeKey={KEY}", batch, headers={})
    await refused(await post(world, "/beacon/v1/batch", batch, {}), 401, "unauthorized")
    query = "anonymousId=a-8&event=Seen&properties.x=1&properties.y.z=2&context.page.url=u"
    for key, count in (("bad", 1), (KEY, 2)):
        response = await world.client.get(f"/pixel/v1/track?writeKey={key}&{query}")
        assert (response.status, response.content_type) == (200, "image/gif")
        assert response.headers["Cache-Control"] == "no-store"
        assert len(world.log()) == count
    events = [event for each in world.log() for event in each.batch.events]
    [seen] = [each for each in events if each.get("event_name") == "Seen"]
    assert seen.data["custom_attributes"] == {
        "x": "1",
        "y.z": "2",
        "url": "u",
        "mParticle Source Feed": "Tracking",
    }


async def test_browser_sdks_find_their_settings(world: World) -> None:
    response = await world.client.get(f"/v1/projects/{KEY}/settings")
    assert response.status == 200
    body = await response.json()
    assert body["integrations"]["Segment.io"]["apiKey"] == KEY
    assert response.headers["Cache-Control"] == "max-age=300"
    unknown = await world.client.get("/v1/projects/unknown/settings")
    assert (unknown.status, await unknown.json()) == (404, {})
    source = await world.client.get("/sourceConfig/?v=1", headers=basic(f"{KEY}:"))
    body = await source.json()
    assert (source.status, body["source"]["enabled"]) == (200, True)
    assert body["updatedAt"] == "2026-01-01T00:00:00.000Z"
    unknown = await world.client.get("/sourceConfig/?writeKey=unknown")
    assert unknown.status == 401


async def test_a_request_that_is_sent_again_has_no_second_effect(world: World) -> None:
    """Worked case 39."""
    batch = [
        {"type": "track", "userId": f"r{number % 3}", "event": "E", "messageId": str(number)}
        for number in range(20)
    ]
    for _ in range(2):
        await track(world, "/v1/batch", {"batch": batch, "sentAt": "2026-01-01T00:00:00Z"})
    assert sum(len(each.batch.events) for each in world.log()) == 20
    kept = await world.events("r0")
    ids = [each["data"]["source_message_id"] for each in kept]
    assert ids == [str(number) for number in range(0, 20, 3)]


async def test_the_context_describes_device_app_and_consent(world: World) -> None:
    context = {
        "ip": "203.0.113.7",
        "userAgent": "Agent/1",
        "locale": "pt-BR",
        "device": {
            "type": "ios",
            "id": "0a0a0a0a-0000-4000-8000-000000000002",
            "advertisingId": "0a0a0a0a-0000-4000-8000-000000000003",
            "manufacturer": "Apple",
            "model": "iPhone7,2",
            "token": "push",
        },
        "os": {"version": "17.1"},
        "screen": {"width": 320, "height": 568, "density": 2},
        "network": {"carrier": "T-Mobile"},
        "app": {"name": "Shop", "version": "1.2", "build": "345", "namespace": "com.shop"},
        "page": {"url": "https://x.test/a", "title": "A"},
        "campaign": {"name": "spring", "source": "news"},
        "location": {"latitude": 45.07, "longitude": 7.69},
        "consent": {"categoryPreferences": {"Ads": True, "newsletter": False, "other": True}},
        "sessionId": 1795480513946,
        "environment": "development",
        "library": {"name": "analytics.js", "version": "3"},
    }
    message = {"userId": "u10", "event": "E", "properties": {"url": "own"}, "context": context}
    await track(world, "/v1/track", message)
    [stored] = world.log()
    batch = stored.batch
    assert (stored.channel, batch.environment, batch.ip) == (
        "javascript",
        "development",
        "203.0.113.7",
    )
    expected = {
        "platform": "iOS",
        "http_header_user_agent": "Agent/1",
        "locale_language": "pt",
        "locale_country": "BR",
        "ios_idfv": "0a0a0a0a-0000-4000-8000-000000000002",
        "ios_advertising_id": "0a0a0a0a-0000-4000-8000-000000000003",
        "device_manufacturer": "Apple",
        "device_model": "iPhone7,2",
        "push_token": "push",
        "os_version": "17.1",
        "screen_width": 320,
        "screen_height": 568,
        "screen_dpi": 2,
        "network_carrier": "T-Mobile",
    }
    assert expected.items() <= batch.device_info.items()
    assert batch.application_info == {
        "application_name": "Shop",
        "application_version": "1.2",
        "application_build_number": "345",
        "package": "com.shop",
    }
    choices = batch.consent_state["gdpr"].items()
    assert {name: record and record["consented"] for name, record in choices} == {
        "ads": True,
        "newsletter": False,
    }
    [event] = batch.events
    data = event.data
    assert data["session_id"] == 1795480513946
    assert data["location"]["latitude"] == 45.07
    attributes = data["custom_attributes"]
    assert attributes["url"] == "own"
    assert attributes["utm_campaign"] == "spring"
    await track(world, "/v1/identify", message | {"traits": {"plan": "pro"}, "type": "identify"})
    assert world.log()[-1].channel == "javascript"


DEEP = b'{"a":' * 600 + b"1" + b"}" * 600
LISTS = b"[" * 600 + b"]" * 600
HUGE = b"9" * 30


@pytest.mark.parametrize("value", [DEEP, LISTS, HUGE, b"1e400", b'"\\ud800"'])
@pytest.mark.parametrize(
    "message",
    [
        b'{"userId":"u","event":"E","properties":{"p":%b}}',
        b'{"userId":"u","event":"Product Viewed","properties":{"price":%b}}',
        b'{"userId":"u","event":"E","context":{"device":{"type":%b,"id":%b}}}',
        b'{"userId":"u","event":"E","timestamp":%b,"sentAt":%b}',
        b'{"userId":"u","event":"E","messageId":%b}',
        b'{"userId":%b,"event":"E"}',
    ],
)
async def test_no_value_is_more_than_a_message_left_out(
    world: World, message: bytes, value: bytes
) -> None:
    """And the next message of the request is stored."""
    bad = message.replace(b"%b", value)
    good = b'{"type":"track","userId":"g","event":"Good"}'
    batch = b'{"batch":[%b,%b]}' % (b'{"type":"track",' + bad[1:], good)
    response = await post(world, "/v1/batch", batch)
    assert response.status in (200, 400), await response.text()
    if response.status == 200:
        assert await names(world, "g") == ["Good"]
    assert (await post(world, "/v1/track", bad)).status in (200, 400)
