"""What batches do to profiles: worked cases 34 to 41, 43 to 45. Consent is in a file of its own."""

from pathlib import Path
from typing import Any

import orjson

from actors.clock import ManualClock
from tests.whole.cases import EV, newest, refused, user
from tests.whole.sent import custom, event
from tests.whole.world import DOCUMENT, WEB_KEY, World, changed, running

STAMP = "0b6f2c1e-7d43-4a8e-9c55-1f2e3d4c5b6a"


async def test_cases_34_and_35_attributes(world: World) -> None:
    """spec/events-api.md, worked cases 34 and 35."""
    sent = {"tier": "gold", "tags": ["x", "y", 1], "vip": None, "n": 9}
    await world.accept(user(user_attributes=sent))
    kept = {"tier": "gold", "tags": ["x", "y", "1"], "vip": None, "n": "9"}
    assert await world.attributes("a") == kept
    await world.accept(user(user_attributes={"tags": ["z"]}))
    kept["tags"] = ["z"]
    assert await world.attributes("a") == kept
    await world.accept(user(user_attributes={"tier": None}))
    kept["tier"] = None
    assert await world.attributes("a") == kept
    await world.accept(user(deleted_user_attributes=["tier", "none"]))
    del kept["tier"]
    assert await world.attributes("a") == kept
    assert world.outgoing()[-1]["user_attributes"] == kept


async def test_case_36_what_is_deleted_and_set_is_set(world: World) -> None:
    """spec/events-api.md, worked case 36."""
    for former in ({}, {"user_attributes": {"t": "0"}}):
        await world.accept(user(**former))
        await world.accept(user(deleted_user_attributes=["t"], user_attributes={"t": "1"}))
        assert await world.attributes("a") == {"t": "1"}


async def test_case_37_attributes_that_are_none(world: World) -> None:
    """spec/events-api.md, worked case 37."""
    sent = {"o": {"a": 1}, "l": ["x", ["y"]], "m": [{}], "ok": "1"}
    await world.accept(user(user_attributes=sent))
    assert await world.attributes("a") == {"ok": "1"}
    await refused(world, user(user_attributes=[]), "user_attributes")
    await refused(world, user(deleted_user_attributes=[1]), "deleted_user_attributes[0]")
    assert await world.attributes("a") == {"ok": "1"}


async def test_case_38_a_batch_without_events(world: World) -> None:
    """spec/events-api.md, worked case 38, and 5.5: the values go out with the next event."""
    silent: dict[str, Any] = {"user_identities": {"customer_id": "a"}}
    for number, batch in enumerate((silent, silent | {"events": None}, silent | {"events": []})):
        await world.accept(batch | {"user_attributes": {"n": number}})
        assert await world.attributes("a") == {"n": str(number)}
    assert world.outgoing() == []
    await world.accept({})
    assert world.outgoing() == []
    await world.accept(user())
    assert [each["user_attributes"] for each in world.outgoing()] == [{"n": "2"}]


def profiles(world: World) -> int:
    """Return how many profiles there are."""
    return sum(shard.state.status()["profiles"]["stored"] for shard in world.shards)


OF_NOBODY = {
    "events": [EV],
    "user_attributes": {"needle": "a"},
    "deleted_user_attributes": ["needle_2"],
    "consent_state": {
        "gdpr": {"newsletter": {"consented": True, "document": "needle_3"}},
        "ccpa": {"data_sale_opt_out": {"consented": True, "document": "needle_4"}},
    },
}


async def test_case_39_a_batch_of_nobody(world: World) -> None:
    """spec/events-api.md, worked case 39, and 8.3: seen, forwarded, and on no profile."""
    await world.accept(OF_NOBODY)
    [outgoing] = world.outgoing()
    assert outgoing["mpid"] is None
    assert [each["data"]["event_name"] for each in outgoing["events"]] == ["Opened"]
    assert b"needle" not in orjson.dumps(outgoing)
    [kept] = world.log()
    assert (kept.mpid, [each.event_type for each in kept.batch.events]) == (None, ["custom_event"])
    assert "needle" not in str(kept)
    assert profiles(world) == 0
    await world.accept(user())
    assert profiles(world) == 1


async def test_case_39_a_raw_output_gets_the_events_alone(
    tmp_path: Path, clock: ManualClock
) -> None:
    """spec/events-api.md, worked case 39, and 8.3; a preview shows the same."""
    settings = {"send_as_batch": True, "raw_data_feed": True}
    connections = [each | {"settings": settings} for each in DOCUMENT["connections"]]
    document = changed(DOCUMENT, connections=connections)
    async with running(tmp_path, document=document, clock=clock) as world:
        await world.accept(OF_NOBODY)
        [raw] = world.outgoing()
        path = f"/platform/v2/workspaces/{world.number}/output-connections/backend-hook/preview"
        answer = await world.client.post(path, json=OF_NOBODY, headers=await world.token())
        [shown] = (await answer.json())["payloads"]
        for payload in (raw, shown["body"]):
            assert [each["data"]["event_name"] for each in payload["events"]] == ["Opened"]
            assert payload["user_attributes"] == {}
            assert b"needle" not in orjson.dumps(payload)


async def test_case_40_order_within_one_request(world: World, clock: ManualClock) -> None:
    """spec/events-api.md, worked case 40, also among 98 batches of other users."""
    others = [user(f"u{number}", user_attributes={"x": "0"}) for number in range(98)]
    for number in range(5):
        first, second = ({"user_attributes": {"x": f"{number}.{each}"}} for each in (1, 2))
        response = await world.bulk([user(**first), *others, user(**second)])
        assert response.status == 202
        assert await world.attributes("a") == {"x": f"{number}.2"}
        clock.advance(1000)  # so that no rate limit is reached
    shown = [each["user_attributes"]["x"] for each in await world.timeline("a")]
    assert shown == [f"{number}.{each}" for number in (4, 3, 2, 1, 0) for each in (2, 1)]


async def test_case_41_opting_out_and_in(world: World) -> None:
    """spec/events-api.md, worked case 41, and 12.4: what comes later is still taken."""
    await world.accept(user(events=[event("opt_out", is_opted_out=True)]))
    assert (await world.profile("a"))["is_opted_out"] is True
    assert world.outgoing()[0]["events"][0]["data"]["is_opted_out"] is True
    await world.accept(user())
    assert (await world.profile("a"))["is_opted_out"] is True
    assert len(await world.events("a")) == 2
    await world.accept(user(events=[event("opt_out")]))
    assert (await world.profile("a"))["is_opted_out"] is False
    assert len(world.outgoing()) == 3


async def test_case_43_partner_identities_are_registered(world: World) -> None:
    """spec/events-api.md, worked case 43."""
    batch = user(partner_identities={"Foo_id": "1"})
    await refused(world, batch, "partner_identities.Foo_id")
    response = await world.send(batch)
    [problem] = (await response.json())["errors"]
    assert problem["message"] == 'Unregistered partner identity "Foo_id".'


async def test_case_44_attribution(world: World) -> None:
    """spec/events-api.md, worked case 44, and 12.3: only an install with both members is kept."""

    async def attributed(customer: str, name: str, **attributes: str) -> list[dict[str, Any]]:
        attribution = custom(name, custom_event_type="attribution", custom_attributes=attributes)
        await world.accept(user(customer, events=[attribution], mp_deviceid=STAMP), "k2")
        found: list[dict[str, Any]] = (await world.profile(customer, "attribution"))["attribution"]
        return found

    for name, attributes in (
        ("re-engagement", {"publisher": "Pub", "campaign": "Spring"}),
        ("anything", {"publisher": "Pub", "campaign": "Spring"}),
        ("attribution", {"publisher": "Pub"}),
        ("attribution", {"campaign": "Spring"}),
    ):
        assert await attributed("a", name, **attributes) == []
    [install] = await attributed("a", "attribution", publisher="Pub", campaign="Spring")
    assert (install["event"], install["publisher"], install["campaign"]) == (
        *("install", "Pub"),
        "Spring",
    )
    assert len(await world.events("a")) == 5


async def test_case_45_attributes_of_a_client_are_its_snapshot(world: World) -> None:
    """spec/events-api.md, worked case 45, and 9."""
    path = f"/v3/JS/{WEB_KEY}/events"
    change = event("user_attribute_change", user_attribute_name="a", new="1", old=None)
    snapshot = user(user_attributes={"a": "1"})
    assert (await world.client.post(path, json=snapshot)).status == 202
    assert await world.attributes("a") == {}
    assert (await newest(world))["user_attributes"] == {"a": "1"}
    both = user(events=[change], user_attributes={"a": "1", "b": "2"})
    assert (await world.client.post(path, json=both)).status == 202
    assert await world.attributes("a") == {"a": "1"}
    removed = user(deleted_user_attributes=["a"])
    assert (await world.client.post(path, json=removed)).status == 202
    assert await world.attributes("a") == {}


async def test_order_of_attributes_within_a_batch(world: World) -> None:
    """spec/events-api.md, 9: change events, then what is deleted, then what is set."""

    def change(name: str, **data: Any) -> dict[str, Any]:
        return event("user_attribute_change", user_attribute_name=name, **data)

    await world.accept(user(user_attributes={"gone": "0", "kept": "0"}))
    await world.accept(
        user(
            events=[
                *(change("set", new="1"), change("set", new="2"), change("tag")),
                *(change("gone", deleted=True), change("deleted", new="1")),
                *(change("list", new=["x", 1]), change("last", new="event")),
            ],
            deleted_user_attributes=["deleted", "last"],
            user_attributes={"last": "batch"},
        )
    )
    kept = {"kept": "0", "set": "2", "tag": None, "list": ["x", "1"], "last": "batch"}
    assert await world.attributes("a") == kept
