"""Validation and storage of single events: worked cases 14 and 21 to 26."""

from typing import Any

from tests.whole.cases import EV, dropped, refused, stored, user
from tests.whole.sent import custom, event
from tests.whole.world import World

SOURCE_FEED = {"mParticle Source Feed": "Backend"}


def attributes_of(outgoing: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes of the first event of an outgoing batch."""
    attributes: dict[str, Any] = outgoing["events"][0]["data"]["custom_attributes"]
    return attributes


async def test_case_14_type_of_a_custom_event(world: World) -> None:
    """spec/events-api.md, worked case 14."""
    kept = await stored(
        world,
        EV,
        custom(custom_event_type=None),
        custom(custom_event_type="NAVIGATION"),
        *(custom(custom_event_type=each) for each in ("attribution", "media", "unknown")),
    )
    types = ["other", "other", "navigation", "attribution", "media", "unknown"]
    assert [each["custom_event_type"] for each in kept] == types
    [outgoing] = world.outgoing()
    assert [each["data"]["custom_event_type"] for each in outgoing["events"]] == types
    await refused(
        world,
        user(events=[custom(custom_event_type="foo")]),
        "events[0].data.custom_event_type",
    )


async def test_case_21_attributes_become_text(world: World) -> None:
    """spec/events-api.md, worked case 21."""
    body = (
        b'{"user_identities":{"customer_id":"%b"},"events":[{"event_type":"custom_event","data":'
        b'{"event_name":"Opened","custom_attributes":'
        b'{"n":3,"f":1.50,"i":2.0,"b":true,"z":null,"s":"x"}}}]}'
    )
    text = {"n": "3", "f": "1.5", "i": "2", "b": "true", "z": None, "s": "x"}
    for key, customer, kept in (("k1", "a", text | SOURCE_FEED), ("k2", "b", text)):
        response = await world.post("/v2/events", body % customer.encode(), key)
        assert response.status == 202
        [shown] = await world.events(customer)
        assert shown["data"]["custom_attributes"] == kept
    assert sorted(map(len, map(attributes_of, world.outgoing()))) == [6, 7]


async def test_case_21_the_source_feed_cannot_be_feigned(world: World) -> None:
    """spec/events-api.md, 2.1: feeds overwrite the attribute, partner feeds with their own name."""
    feigned = custom(custom_attributes={"mParticle Source Feed": "Feigned"})
    for key, name in (("k1", "Backend"), ("k3", "acme"), ("k2", "Feigned")):
        [data] = await stored(world, feigned, key=key)
        assert data["custom_attributes"] == {"mParticle Source Feed": name}
    [data] = await stored(world, event("session_start"), key="k1")
    assert data["custom_attributes"] == SOURCE_FEED


async def test_case_22_attributes_are_flat(world: World) -> None:
    """spec/events-api.md, worked case 22."""
    [data] = await stored(world, custom(custom_attributes={"o": {"a": 1}, "l": [1], "k": "v"}))
    assert data["custom_attributes"] == {"k": "v"} | SOURCE_FEED
    assert dropped(world, "attribute_type") == 2
    await refused(
        world, user(events=[custom(custom_attributes=[])]), "events[0].data.custom_attributes"
    )


async def test_case_22_flags_are_any_json(world: World) -> None:
    """spec/events-api.md, worked case 22, and 12.2: on every type of event."""
    flags = {"o": {"a": [1, 2]}, "n": 1.5, "z": None, "long": "x" * 5000}
    kept = await stored(
        world, custom(custom_flags=flags), event("session_start", custom_flags=flags)
    )
    assert [each["custom_flags"] for each in kept] == [flags, flags]
    [outgoing] = world.outgoing()
    assert [each["data"]["custom_flags"] for each in outgoing["events"]] == [flags, flags]


async def test_case_23_name_of_a_screen(world: World) -> None:
    """spec/events-api.md, worked case 23."""
    await world.accept(
        user(
            events=[
                event("screen_view"),
                event("screen_view", event_name="Cart"),
                event("screen_view", event_name="Cart", screen_name="Basket"),
            ]
        )
    )
    shown = await world.events("a")
    assert [each["name"] for each in shown] == [None, "Cart", "Basket"]
    assert [each["data"].get("screen_name") for each in shown] == [None, "Cart", "Basket"]


async def test_case_24_what_an_event_has_to_have(world: World) -> None:
    """spec/events-api.md, worked case 24, and 12.1: missing, null and empty are alike."""
    needed: list[tuple[str, dict[str, Any], str]] = [
        ("breadcrumb", {}, "label"),
        ("push_registration", {"register": True}, "registration_token"),
        ("push_registration", {"registration_token": "t"}, "register"),
        ("application_state_transition", {}, "application_transition_type"),
        ("push_message", {}, "push_message_type"),
        ("profile", {}, "profile_event_type"),
        ("user_attribute_change", {}, "user_attribute_name"),
    ]
    for event_type, data, name in needed:
        for nothing in ({}, {name: None}, {name: ""}):
            batch = user(events=[event(event_type, **data, **nothing)])
            await refused(world, batch, f"events[0].data.{name}")
    assert await world.find("a") == []


async def test_case_24_what_an_event_may_leave_out(world: World) -> None:
    """spec/events-api.md, worked case 24, and 12.1."""
    types = (
        *("screen_view", "session_start", "session_end", "push_reaction", "network_performance"),
        *("crash_report", "opt_out", "uninstall", "first_run", "pre_attribution"),
        "user_identity_change",
    )
    await world.accept(user(events=[event(each) for each in types]))
    assert [each["event_type"] for each in await world.events("a")] == list(types)
    background, initialized = (
        event("application_state_transition", application_transition_type=kind, is_first_run=True)
        for kind in ("application_background", "application_initialized")
    )
    kept = await stored(world, background, initialized)
    assert [each["is_first_run"] for each in kept] == [False, True]


async def test_case_25_behaviour_of_a_push_message(world: World) -> None:
    """spec/events-api.md, worked case 25."""
    received = {"push_message_type": "received"}
    kept = await stored(
        world,
        *(
            event("push_message", push_message_behavior=behavior, **received)
            for behavior in ("Read", 11, "DirectOpen", "InfluencedOpen", "Displayed", "Received")
        ),
    )
    assert [each["push_message_behavior"] for each in kept] == [4, 11, 2, 8, 16, 1]


async def test_case_26_types_that_come_in_and_types_that_do_not(world: World) -> None:
    """spec/events-api.md, worked case 26."""
    await world.accept(user(events=[event("push_reaction")]))
    assert [each["event_type"] for each in await world.events("a")] == ["push_reaction"]
    assert [each["events"][0]["event_type"] for each in world.outgoing()] == ["push_reaction"]
    for output_only in ("validation_result", "unknown"):
        await refused(world, user(events=[event(output_only)]), "events[0].event_type")
