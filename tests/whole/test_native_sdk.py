"""The Android and Apple SDKs: configuration, events, signatures (spec/clients.md, 5)."""

import gzip
import hmac
import json
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse

from actors.clock import ManualClock
from tests.whole.world import DOCUMENT, T, World, changed, running

KEY, SECRET = "us1-0123456789abcdef0123456789abcdef", "recorded-secret"
DATE = "Thu, 01 Jan 2026 00:00:00 GMT"
BODY = (
    b'{"dt":"h","id":"b-1","ct":1767225600000,"mpid":"12",'
    b'"das":"0f0f0f0f-0000-4000-8000-000000000001",'
    b'"msgs":[{"dt":"e","id":"m-1","ct":1767225600000,"sid":"s-1","n":"Ping","et":"Search",'
    b'"attrs":{"q":"tea"}}]}'
)
SIGNED = "9b81ef6b7405a44e7487146a72e154ca91a0bc4337b7c68a6dbdc27d02d75afd"
NATIVE = changed(
    DOCUMENT,
    workspace={"client_audience_api": True},
    inputs=[
        each | {"keys": [{"key": KEY, "secret": SECRET}]} if each["id"] == "ios" else each
        for each in DOCUMENT["inputs"]
    ],
)


PROMOTION = {"id": "p", "nm": "P", "ps": 2}


@pytest.fixture(params=[1, 3], ids=["1 shard", "3 shards"])
async def world(
    request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock
) -> AsyncIterator[World]:
    async with running(tmp_path, shards=request.param, clock=clock, document=NATIVE) as opened:
        await opened.accept({"mpid": 12, "events": []})
        yield opened


async def upload(
    world: World,
    body: bytes,
    signature: str,
    *,
    date: str = DATE,
    path: str = f"/v2/{KEY}/events",
) -> ClientResponse:
    headers = {"Content-Encoding": "gzip", "Date": date, "x-mp-signature": signature}
    return await world.client.post(path, data=gzip.compress(body), headers=headers)


async def send(world: World, **members: Any) -> ClientResponse:
    """Send a batch with a signature of its own."""
    body = json.dumps({"dt": "h", "ct": T, "mpid": "12", "msgs": []} | members).encode()
    signed = f"POST\n{DATE}\n/v2/{KEY}/events".encode() + body
    signature = hmac.new(SECRET.encode(), signed, sha256).hexdigest()
    return await upload(world, body, signature)


async def stored(world: World, *messages: dict[str, Any]) -> list[dict[str, Any]]:
    """Send messages, and return the events that are kept of them."""
    before = len(await world.events(12))
    response = await send(world, msgs=[{"ct": T, **each} for each in messages])
    assert response.status == 202, await response.text()
    return (await world.events(12))[before:]


async def get(world: World, path: str, signature: str | None, **headers: str) -> ClientResponse:
    signed = {} if signature is None else {"Date": DATE, "x-mp-signature": signature}
    return await world.client.get(path, headers=signed | headers)


@pytest.mark.parametrize("prefix", ["", "/nativeevents"])
async def test_a_signed_batch_is_stored_once(world: World, prefix: str) -> None:
    """Worked cases 18 and 39."""
    path = f"{prefix}/v2/{KEY}/events"
    for _ in range(2):
        response = await upload(world, BODY, SIGNED, path=path)
        assert response.status == 202
        answer = await response.json()
        assert (answer["dt"], answer["msgs"], answer["ct"]) == ("rh", [], T)
        assert isinstance(answer["id"], str)
    [event] = await world.events(12)
    data = event["data"]
    assert (data["event_name"], data["custom_event_type"]) == ("Ping", "search")
    assert data["custom_attributes"] == {"q": "tea"}
    assert data["source_message_id"] == "m-1"


async def test_a_wrong_signature_stores_nothing(world: World) -> None:
    """Worked case 18, its end."""
    for signature in (SIGNED[:-1] + "e", "", "x"):
        response = await upload(world, BODY, signature)
        assert response.status == 403
        assert (await response.json())["errors"][0]["code"] == "FORBIDDEN"
    unsigned = await world.client.post(f"/v2/{KEY}/events", data=BODY)
    assert unsigned.status == 403
    unknown = await upload(world, BODY, SIGNED, path="/v2/unknown/events")
    assert unknown.status == 403
    assert await world.events(12) == []


async def test_the_devices_zone_is_read(world: World) -> None:
    """Worked case 19."""
    signature = "75c735d8ba6477f647e5941b5d93d40ec5f1d8b18352ecb74489ebd8b77da630"
    date = "Thu, 01 Jan 2026 01:00:00 GMT+01:00"
    assert (await upload(world, BODY, signature, date=date)).status == 202


@pytest.mark.parametrize("prefix", ["", "/config"])
@pytest.mark.parametrize(
    "signature",
    [
        "0658f933f5065935dcb976f295a96ff6a06bcf50f67dbdb98fc3c482e2fb4f41",
        "85a006a51976c3d5a59f56784f7717a966967d2c4eba00ed99b3db36e379a916",
    ],
    ids=["whole query", "av and sv"],
)
async def test_an_app_is_told_how_to_work(world: World, prefix: str, signature: str) -> None:
    """Worked case 20."""
    path = f"{prefix}/v4/{KEY}/config?av=1.2&sv=6.0&plan_id=shop_plan&plan_version=2"
    response = await get(world, path, signature)
    assert response.status == 200
    answer = await response.json()
    assert answer["dt"] == "ac"
    assert answer["flags"] == {"AudienceAPI": "True"}
    assert (answer["dur"], answer["alias_max_window"], answer["eks"]) == (False, 90, [])
    assert "stl" not in answer
    tag = response.headers["ETag"]
    for sent in (tag, tag.strip('"')):
        again = await get(world, path, signature, **{"If-None-Match": sent})
        assert (again.status, await again.read()) == (304, b"")
    zipped = await get(world, path, signature, **{"Content-Encoding": "gzip"})
    assert zipped.status == 200
    assert (await get(world, path, None)).status == 403
    assert (await get(world, path, signature[:-1] + "x")).status == 403


@pytest.mark.parametrize(
    "signature",
    [
        "0bb13bff0e6c8dd912a13ef5dae117f7d80b08c4543cc586170a851d5175c890",
        "5308995253f1f6fc5fac93bf41da851b53a7257576ee06595f1bee17d70e3a82",
    ],
    ids=["as sent", "without the prefix"],
)
async def test_a_signed_audience_request_is_verified(world: World, signature: str) -> None:
    """Worked case 21."""
    path = f"/nativeevents/v1/{KEY}/audience?mpid=12"
    assert (await get(world, path, signature)).status == 200
    assert (await get(world, path, None)).status == 200
    assert (await get(world, path, signature[:-1] + "x")).status == 403


async def test_a_purchase_has_its_numbers_as_texts(world: World) -> None:
    """Worked case 22."""
    product = {"id": "a", "nm": "A", "pr": "2.5", "qt": "5"}
    action = {"an": "purchase", "ti": "o1", "tr": "12.5", "pl": [product]}
    [event] = await stored(world, {"dt": "cm", "pd": action}, {"dt": "zz"})
    sent = event["data"]["product_action"]
    assert (sent["action"], sent["total_amount"]) == ("purchase", 12.5)
    assert sent["products"][0]["quantity"] == 5
    assert sent["products"][0]["total_product_amount"] == 12.5
    labels = {"workspace": "w1", "input": "ios", "reason": "unknown_message_type"}
    assert world.count("headwater_ingest_drops_total", **labels) == 1
    assert (await send(world, dt="ui")).status == 400


async def test_consent_identities_and_attributes_are_taken_over(world: World) -> None:
    """Worked case 23."""
    backend = {"mpid": 12, "user_attributes": {"old": "x"}, "events": []}
    await world.accept(backend)
    response = await send(
        world,
        con={"gdpr": {"ads": {"c": False, "ts": 1, "d": "v1"}}},
        ui=[{"n": 1, "i": "c9"}, {"n": 7, "i": "a@b.c"}, {"n": 10, "i": "x"}, {"n": 2, "i": None}],
        uad=["old"],
        ua={"t": None},
    )
    assert response.status == 202
    [batch] = [each.batch for each in world.log() if each.channel == "native"]
    assert batch.user_identities == {"customer_id": "c9", "email": "a@b.c", "other_id_2": "x"}
    profile = await world.profile(12)
    assert profile["consent_state"]["gdpr"]["ads"]["consented"] is False
    assert profile["user_attributes"] == {}
    await stored(world, {"dt": "uac", "n": "t", "nv": None, "d": False})
    assert await world.attributes(12) == {"t": None}


async def test_each_type_of_message_becomes_its_event(world: World) -> None:
    """Section 5.3, its table."""
    session = "0a0a0a0a-0000-4000-8000-00000000000a"
    common = {"sid": session, "sct": T - 5000, "lc": {"lat": 1.5, "lng": 2.5, "acc": 3}}
    messages: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
        ({"dt": "ss", "id": session}, "session_start", {"session_uuid": session.upper()}),
        ({"dt": "se", "sl": 3, "slx": "5"}, "session_end", {"session_duration_ms": 5000}),
        ({"dt": "se", "sl": 3}, "session_end", {"session_duration_ms": 3000}),
        (
            {"dt": "e", "n": "E", "et": "UserContent", "flags": {"f": ["1"]}, "cs": {"x": 1}},
            "custom_event",
            {"custom_event_type": "user_content", "custom_flags": {"f": ["1"]}},
        ),
        ({"dt": "e", "n": "E", "et": "Weird"}, "custom_event", {"custom_event_type": "other"}),
        ({"dt": "v", "n": "Home"}, "screen_view", {"screen_name": "Home"}),
        (
            {
                "dt": "cm",
                "cu": "EUR",
                "pm": {"an": "view", "pl": [{"id": "p", "nm": "P", "ps": 2}]},
            },
            "commerce_event",
            {
                "currency_code": "EUR",
                "promotion_action": {
                    "action": "view",
                    "promotions": [{"id": "p", "name": "P", "position": "2"}],
                },
            },
        ),
        (
            {"dt": "cm", "pi": [{"pil": "L", "pl": [{"id": "a"}]}]},
            "commerce_event",
            {"product_impressions": [{"product_impression_list": "L", "products": [{"id": "a"}]}]},
        ),
        (
            {
                "dt": "x",
                "c": "C",
                "m": "M",
                "st": "S",
                "eh": "true",
                "sn": "3",
                "bc": [{"dt": "bc", "l": "tapped"}, 5, {"l": ["x"]}, {}, {"l": "paid"}],
            },
            "crash_report",
            {
                "class_name": "C",
                "message": "M",
                "exception_handled": True,
                "session_number": 3,
                "breadcrumbs": ["tapped", "paid"],
            },
        ),
        ({"dt": "fr"}, "first_run", {}),
        (
            {"dt": "ast", "t": "app_init", "ifr": True, "lr": "ref"},
            "application_state_transition",
            {
                "application_transition_type": "application_initialized",
                "is_first_run": True,
                "launch_referral": "ref",
            },
        ),
        (
            {"dt": "pr", "to": "tok", "r": True},
            "push_registration",
            {"registration_token": "tok", "register": True},
        ),
        (
            {
                "dt": "pm",
                "t": "received",
                "pay": "{}",
                "as": "background",
                "aid": "a",
                "n": "gcm",
                "bhv": "11",
            },
            "push_message",
            {
                "push_message_type": "received",
                "application_state": "background",
                "network": "gcm",
                "push_message_behavior": 11,
            },
        ),
        (
            {"dt": "pm", "t": "action", "n": {"of": "apn"}, "bhv": "often"},
            "push_message",
            {"push_message_type": "action"},
        ),
        (
            {"dt": "pm", "t": "action", "n": [], "bhv": 10**30},
            "push_message",
            {"push_message_type": "action"},
        ),
        ({"dt": "x", "m": "M", "bc": "tapped"}, "crash_report", {"message": "M"}),
        (
            {"dt": "npe", "v": "GET", "url": "u", "te": 5, "bo": 1, "bi": 2},
            "network_performance",
            {"http_verb": "GET", "time_elapsed": 5, "bytes_out": 1, "bytes_in": 2},
        ),
        ({"dt": "bc", "l": "crumb"}, "breadcrumb", {"label": "crumb"}),
        ({"dt": "pro", "t": "login"}, "profile", {"profile_event_type": "login"}),
        (
            {"dt": "uic", "ni": {"n": 7, "i": "n@b.c", "dfs": T}, "oi": None},
            "user_identity_change",
            {"new": {"identity_type": "email", "identity": "n@b.c", "timestamp_unixtime_ms": T}},
        ),
        ({"dt": "o", "s": False}, "opt_out", {"is_opted_out": False}),
    ]
    kept = await stored(world, *(common | sent for sent, _, _ in messages))
    assert [each["event_type"] for each in kept] == [kind for _, kind, _ in messages]
    for event, (_, _, expected) in zip(kept, messages, strict=True):
        data = event["data"]
        for name, value in expected.items():
            if name == "session_uuid":
                assert data[name].lower() == value.lower()
            else:
                assert data[name] == value, (event["event_type"], name)
        assert data["location"]["latitude"] == 1.5


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("0A0A0A0A00004000800000000000000A", "0a0a0a0a-0000-4000-8000-00000000000a"),
        ("0a0a0a0a-0000-4000-8000-00000000000a", "0a0a0a0a-0000-4000-8000-00000000000a"),
        ("0a0a0a0a-000040008000-00000000000a", None),
        ("0a0a0a0a00004000800000000000000", None),
    ],
)
async def test_a_session_may_be_written_without_dashes(
    world: World, sent: str, kept: str | None
) -> None:
    """What is no id of a session is left out; the event stays."""
    for message in ({"dt": "v", "n": "Home", "sid": sent}, {"dt": "ss", "id": sent}):
        [event] = await stored(world, message)
        assert event["data"].get("session_uuid") == kept


async def test_device_and_app_are_described(world: World) -> None:
    response = await send(
        world,
        mpid=None,
        das="0f0f0f0f-0000-4000-8000-00000000000b",
        sdk="8.1",
        dbg=None,
        ai={"an": "Shop", "av": "1.2", "abn": "7", "apn": "com.shop", "env": 1},
        di={
            "dp": "iOS",
            "dosv": "17",
            "vr": "17.2",
            "dmdl": "iPhone",
            "dsh": "800",
            "dsw": 400,
            "vid": "0a0a0a0a-0000-4000-8000-00000000000c",
            "tz": "-5",
            "lat": "false",
            "idst": "true",
        },
        ctx={"dpln": {"id": "plan", "v": 3}},
        ia={"5": {"k": "v"}},
    )
    assert response.status == 202
    [stored_batch] = [each for each in world.log() if each.batch.sdk_version]
    batch = stored_batch.batch
    assert (batch.environment, stored_batch.channel) == ("development", "native")
    device = batch.device_info
    assert (device["platform"], device["os_version"]) == ("iOS", "17.2")
    assert (device["screen_height"], device["timezone_offset"]) == (800, -5)
    assert device["is_dst"] is True
    assert batch.application_info["application_name"] == "Shop"
    assert batch.context["data_plan"] == {"plan_id": "plan", "plan_version": 3}
    assert batch.integration_attributes == {"5": {"k": "v"}}


@pytest.mark.parametrize(
    "members",
    [
        {"msgs": 5},
        {"msgs": [5, None, [], {"dt": 7}]},
        {"ui": {"n": 1}, "di": [], "ai": 3, "con": 4, "ctx": "x"},
        {"ui": [{"n": "1", "i": "c"}, {"n": True, "i": "c"}, {"n": "9" * 40, "i": "c"}]},
        {"mpid": "x", "das": 5, "ua": [], "uad": {}, "ia": 1},
        {"msgs": [{"dt": "se", "slx": "inf"}, {"dt": "cm", "pd": 5, "pm": [], "pi": [1]}]},
    ],
)
async def test_what_cannot_be_read_is_left_out(world: World, members: dict[str, Any]) -> None:
    response = await send(world, **members)
    assert response.status == 202, await response.text()
    assert (await response.json())["dt"] == "rh"


DEEP = "[" * 600 + "]" * 600
HUGE = "9" * 30


@pytest.mark.parametrize("value", [DEEP, HUGE, "1e400"])
@pytest.mark.parametrize(
    ("member", "status"),
    [
        ('"msgs":[{"dt":"e","n":"E","attrs":{"a":%s}},{"dt":%s},{"dt":"e","n":"E","et":%s}]', 202),
        ('"msgs":[{"dt":"se","slx":%s},{"dt":"uic","ni":{"n":%s,"i":"x"}}]', 202),
        ('"ua":{"a":%s}', 400),
        ('"ai":{"env":%s},"ui":[{"n":%s,"i":"x"}]', 202),
    ],
)
async def test_no_value_is_more_than_a_message_left_out(
    world: World, member: str, status: int, value: str
) -> None:
    """A batch is refused only if it has such a value outside of its messages."""
    body = b'{"dt":"h","mpid":"12",%b}' % member.replace("%s", value).encode()
    signed = f"POST\n{DATE}\n/v2/{KEY}/events".encode() + body
    response = await upload(world, body, hmac.new(SECRET.encode(), signed, sha256).hexdigest())
    assert response.status in {status, 400}, await response.text()


async def test_an_input_that_needs_no_signature_takes_events_without_one(
    tmp_path: Path, clock: ManualClock
) -> None:
    inputs = [
        each | {"key_only_auth": True} if each["id"] == "ios" else each for each in NATIVE["inputs"]
    ]
    async with running(tmp_path, clock=clock, document=NATIVE | {"inputs": inputs}) as world:
        await world.accept({"mpid": 12, "events": []})
        assert (await world.client.post(f"/v2/{KEY}/events", data=BODY)).status == 202
        assert (await world.client.get(f"/v4/{KEY}/config")).status == 200
        wrong = {"Date": DATE, "x-mp-signature": "0" * 64}
        response = await world.client.post(f"/v2/{KEY}/events", data=BODY, headers=wrong)
        assert response.status == 403
        large = BODY[:-2] + b"," + b" " * (2 * 1024 * 1024) + b"]}"
        assert (await world.client.post(f"/v2/{KEY}/events", data=iter_of(large))).status == 413
        for body in (b"[]", b"{", b"{}"):
            response = await world.client.post(f"/v2/{KEY}/events", data=body)
            assert response.status == 400


async def iter_of(body: bytes) -> AsyncIterator[bytes]:
    yield body
