"""Validation of what belongs to a whole batch: worked cases 11 to 13, 15 to 20, 27 and 28."""

from typing import Any

import orjson

from tests.whole.cases import EV, newest, paths, problems, refused, user
from tests.whole.sent import custom
from tests.whole.world import World

ZERO = "00000000-0000-0000-0000-000000000000"
STAMPS = ("11111111-7d43-4a8e-9c55-1f2e3d4c5b6a", "22222222-7d43-4a8e-9c55-1f2e3d4c5b6a")
NO_TYPE = 'Required event field "event_type" is missing or empty.'


async def test_case_11_the_documented_answer(world: World) -> None:
    """spec/events-api.md, worked case 11."""
    response = await world.send({"events": [{"data": {}}]})
    assert response.status == 400
    assert await response.json() == {
        "errors": [{"code": "BAD_REQUEST", "message": NO_TYPE, "path": "events[0].event_type"}]
    }
    for nothing in (None, ""):
        response = await world.send(user(events=[{"event_type": nothing, "data": {}}]))
        assert [each["message"] for each in await problems(response)] == [NO_TYPE]
    assert await world.find("a") == []


async def test_case_12_shape_of_events(world: World) -> None:
    """spec/events-api.md, worked cases 12 and 13."""
    wrong: list[tuple[Any, str]] = [
        ([{"event_type": "purchase", "data": {}}], "events[0].event_type"),
        ([{"event_type": "custom_event"}], "events[0].data"),
        ([{"event_type": "custom_event", "data": []}], "events[0].data"),
        ([None], "events[0]"),
        ({}, "events"),
        ([custom("")], "events[0].data.event_name"),
    ]
    for events, path in wrong:
        await refused(world, user(events=events), path)
    assert await world.find("a") == []


async def test_case_13_all_problems_are_listed_in_order(world: World) -> None:
    """spec/events-api.md, worked case 13, and 3.4: at most 20."""
    response = await world.send(user(events=[custom(""), EV, {"event_type": "breadcrumb"}]))
    assert await paths(response) == ["events[0].data.event_name", "events[2].data"]
    response = await world.send(user(events=[custom("")] * 21))
    assert await paths(response) == [f"events[{n}].data.event_name" for n in range(20)]


async def test_case_15_environment(world: World) -> None:
    """spec/events-api.md, worked case 15."""
    for customer, members, environment in (
        ("absent", {}, "production"),
        ("unknown", {"environment": "unknown"}, "production"),
        ("null", {"environment": None}, "production"),
        ("development", {"environment": "Development"}, "development"),
    ):
        await world.accept(user(customer, **members))
        mpid = await world.mpid_in(customer, environment)
        assert (await newest(world, mpid))["environment"] == environment
    await refused(world, user(environment="test"), "environment")


async def identities(world: World, sent: dict[str, Any], query: str) -> dict[str, str]:
    """Send a batch with identities and return those of the profile that is found."""
    await world.accept({"events": [EV], "user_identities": sent})
    profile = await world.profile(query, "user_identities")
    return {each["type"]: each["value"] for each in profile["user_identities"]}


async def test_case_16_names_of_identities(world: World) -> None:
    """spec/events-api.md, worked case 16."""
    assert await identities(world, {"customerid": "c9"}, "c9") == {"customer_id": "c9"}
    both = {"customer_id": "a", "customerid": "b"}
    assert await identities(world, both, "a") == {"customer_id": "a"}
    assert await world.find("b") == []
    assert await identities(world, {"customer_id": 42}, "42") == {"customer_id": "42"}
    passport = {"events": [EV], "user_identities": {"passport": "x"}}
    await refused(world, passport, "user_identities.passport")


async def test_case_16_an_empty_value_is_none(world: World) -> None:
    """spec/events-api.md, worked case 16: it neither identifies nor removes."""
    kept = {"customer_id": "c9", "email": "c9@example.com"}
    assert await identities(world, kept, "c9") == kept
    mpid = await world.mpid("c9")
    for nothing in ("", None):
        assert await identities(world, {"email": nothing, "customer_id": "c9"}, "c9") == kept
    assert await identities(world, {"email": "", "customer_id": "c8"}, "c8") == {
        "customer_id": "c8"
    }
    assert await world.mpid("c9") == mpid
    assert len(await world.events("c9")) == 3


async def test_case_17_mpid(world: World) -> None:
    """spec/events-api.md, worked case 17."""
    mpid = -7_346_244_611_012_968_789
    for written, name in ((str(mpid), "As text"), (mpid, "As number")):
        await world.accept({"events": [custom(name)], "mpid": written})
    assert [each["name"] for each in await world.events(mpid)] == ["As text", "As number"]
    assert (await world.profile(mpid))["mpid"] == mpid
    assert [each["mpid"] for each in world.outgoing()] == [mpid, mpid]
    for wrong in (b"9223372036854775808", b"-9223372036854775809", b'"abc"', b"1.5", b"{}"):
        response = await world.post("/v2/events", b'{"mpid":%b}' % wrong)
        assert (response.status, await paths(response)) == (400, ["mpid"])


async def test_case_17_mpid_0_is_nobody(world: World) -> None:
    """spec/events-api.md, worked case 17, and 8.3."""
    await world.accept({"events": [EV], "mpid": 0, "user_attributes": {"a": "1"}})
    [outgoing] = world.outgoing()
    assert outgoing["mpid"] is None
    assert (await world.get("/userprofile/v1/1/1/1/0", fields="user_attributes")).status == 404
    await world.accept(user("a", mpid=0))
    assert len(await world.events("a")) == 1


async def test_case_18_ip(world: World) -> None:
    """spec/events-api.md, worked case 18; by 15 an outgoing batch has no `ip` unless asked for."""
    for ip in ("2001:db8::1", "192.0.2.7", "999.1.1.1", None):
        await world.accept(user(ip=ip))
    kept = [stored_batch.batch.ip for stored_batch in world.log()]
    assert kept == ["2001:db8::1", "192.0.2.7", None, None]
    assert all("ip" not in each for each in world.outgoing())


async def test_case_19_advertising_ids(world: World) -> None:
    """spec/events-api.md, worked case 19."""
    advertising_id = "11111111-2222-3333-4444-AAAAAAAAAAAA"
    await world.accept(user("a", device_info={"android_advertising_id": ""}))
    assert "android_advertising_id" not in (await newest(world)).get("device_info", {})
    await refused(
        world,
        user("a", device_info={"android_advertising_id": "not-a-uuid"}),
        "device_info.android_advertising_id",
    )
    await world.accept(user("a", device_info={"android_advertising_id": advertising_id}))
    device = (await newest(world))["device_info"]
    assert device["android_advertising_id"] == advertising_id.lower()


async def test_case_19_zeros_join_nobody(world: World) -> None:
    """spec/events-api.md, worked case 19, and 8.2."""
    device = {"android_advertising_id": ZERO}
    for stamp in STAMPS:
        batch = {"events": [EV], "mp_deviceid": stamp, "device_info": device}
        await world.accept(batch)
    assert await world.mpid(STAMPS[0]) != await world.mpid(STAMPS[1])
    assert await world.find(ZERO) == []
    await world.accept({"events": [EV], "device_info": device})
    assert [each["mpid"] for each in world.outgoing()].count(None) == 1


async def test_case_20_what_is_unknown_is_ignored(world: World) -> None:
    """spec/events-api.md, worked case 20, and 7."""
    server_made = {"source_info": 1, "api_key": [], "job_id": 2, "unique_id": {}, "modified": "x"}
    await world.accept(user(schema_version=2, foo="needle", **server_made))
    await world.accept(user(events=[{**EV, "foo": "needle"}, custom("Second", foo="needle")]))
    kept = [await world.timeline("a"), await world.profile("a"), world.outgoing()]
    assert b"needle" not in orjson.dumps(kept)
    assert b'"foo"' not in orjson.dumps(kept)
    assert [each["schema_version"] for each in world.outgoing()] == [2, 2]
    assert len(await world.events("a")) == 3


async def test_case_27_context(world: World) -> None:
    """spec/events-api.md, worked case 27: without a known plan a batch is not validated."""
    plans: list[dict[str, Any]] = [{}, {"plan_version": 2}, {"plan_id": "no_such_plan"}]
    for plan in plans:
        await world.accept(user(context={"data_plan": plan}))
    assert [each["name"] for each in await world.events("a")] == ["Opened"] * 3
    assert len(world.outgoing()) == 3
    await refused(world, user(context=[]), "context")
    await world.accept(user(batch_context={"data_plan": {"plan_id": "p"}}))
    assert (await newest(world))["context"]["data_plan"]["plan_id"] == "p"


SDK_BODY: dict[str, Any] = {
    "environment": "development",
    "user_identities": {"customerid": "c1"},
    "mpid": 600868121729048600,
    "events": [
        {
            "data": {
                "event_name": "Hi",
                "custom_event_type": "navigation",
                "custom_flags": {"n": 42, "l": ["a"]},
            },
            "event_type": "custom_event",
        },
        {"data": {"session_id": 1}, "event_type": "session_start"},
        {
            "data": {
                "product_action": {
                    "action": "purchase",
                    "products": [{"id": "p", "name": "P", "price": 1.5}],
                }
            },
            "event_type": "commerce_event",
        },
        {"data": {"profile_name": "x", "profile_event_type": "login"}, "event_type": "profile"},
        {"data": {}, "event_type": "session_end"},
    ],
}


async def test_case_28_what_server_sdks_produce(world: World) -> None:
    """spec/events-api.md, worked case 28.

    The identity stays with the batch and does not reach index and profile, because the batch has
    an MPID (spec/README.md, "Where pages disagree", and identity.md, 9, row 1). All recorded
    bodies: test_recorded.py.
    """
    await world.accept(SDK_BODY)
    batch = await newest(world, SDK_BODY["mpid"])
    assert batch["environment"] == "development"
    assert batch["user_identities"] == {"customer_id": "c1"}
    sent = [each["event_type"] for each in SDK_BODY["events"]]
    assert [each["event_type"] for each in batch["events"]] == sent
    assert batch["events"][0]["data"]["custom_flags"] == {"n": 42, "l": ["a"]}
    assert [each["data"].get("session_id") for each in batch["events"]] == [None, 1] + [None] * 3
    assert await world.find("c1") == []
