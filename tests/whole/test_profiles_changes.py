"""What batches do to a profile, seen through the Profile API: worked cases 1 to 13 and 17."""

from typing import Any

import pytest

from actors.clock import ManualClock
from tests.whole.sent import DAY, HOUR, MINUTE, batch, custom, event
from tests.whole.world import T, World

IDENTITIES = [{"type": "customer_id", "encoding": "none", "value": "c-1"}]


async def test_case_1_a_batch_creates_the_profile(world: World, clock: ManualClock) -> None:
    """spec/profiles.md, worked case 1."""
    clock.advance(5 * MINUTE)
    await world.accept(batch("c-1", custom(at_ms=T - HOUR)))
    mpid = await world.mpid("c-1")
    clock.advance(MINUTE)
    assert await world.profile(mpid, "user_identities") == {
        "mpid": mpid,
        "created_timestamp_ms": T + 5 * MINUTE,
        "last_stored_timestamp_ms": T + 5 * MINUTE,
        "is_opted_out": False,
        "limit_ad_tracking": None,
        "user_identities": IDENTITIES,
    }


async def test_a_later_batch_moves_only_the_time_of_the_last(
    world: World, clock: ManualClock
) -> None:
    await world.accept(batch("c-1", custom()))
    clock.advance(HOUR)
    await world.accept(batch("c-1", custom()))
    profile = await world.profile("c-1")
    assert profile["created_timestamp_ms"] == T
    assert profile["last_stored_timestamp_ms"] == T + HOUR


@pytest.mark.parametrize(
    ("steps", "stored"),
    [
        pytest.param(
            [{"user_attributes": {"n": 5.0, "f": 2.50, "b": True, "t": None}}],
            {"n": "5", "f": "2.5", "b": "true", "t": None},
            id="case 2: scalars",
        ),
        pytest.param(
            [{"user_attributes": {"l": ["x", 7, None, "x"]}}],
            {"l": ["x", "7", "x"]},
            id="case 2: a list",
        ),
        pytest.param(
            [
                {"user_attributes": {"color": "red"}},
                {
                    "deleted_user_attributes": ["color", "nope"],
                    "user_attributes": {"color": "blue"},
                },
            ],
            {"color": "blue"},
            id="case 3: deleted and set",
        ),
        pytest.param(
            [{"user_attributes": {"color": "red"}}, {"deleted_user_attributes": ["color"]}],
            {},
            id="case 4: deleted only",
        ),
        pytest.param(
            [{"user_attributes": {"tags": "a"}}, {"user_attributes": {"tags": ["b", "c"]}}],
            {"tags": ["b", "c"]},
            id="case 7: a scalar becomes a list",
        ),
        pytest.param(
            [{"user_attributes": {"tags": ["b", "c"]}}, {"user_attributes": {"tags": "d"}}],
            {"tags": "d"},
            id="case 7: a list becomes a scalar",
        ),
        pytest.param(
            [{"user_attributes": {"bad": {"x": 1}, "ok": "1"}}],
            {"ok": "1"},
            id="case 8: an object",
        ),
        pytest.param(
            [{"user_attributes": {"long": "x" * 4097, "ok": "1"}}],
            {"ok": "1"},
            id="case 9: a value too long",
        ),
        pytest.param(
            [{"user_attributes": {"long": "x" * 4096, "ok": "1"}}],
            {"long": "x" * 4096, "ok": "1"},
            id="case 9: just short enough",
        ),
        pytest.param(
            [{"user_attributes": {f"a{number}": "1" for number in range(101)}}],
            {f"a{number}": "1" for number in range(100)},
            id="case 9: the first 100",
        ),
    ],
)
async def test_cases_2_to_9_attributes(
    world: World, steps: list[dict[str, Any]], stored: dict[str, Any]
) -> None:
    """spec/profiles.md, worked cases 2 to 4 and 7 to 9."""
    for step in steps:
        await world.accept(batch("c-1", **step))
    assert await world.attributes("c-1") == stored


async def test_cases_5_and_6_who_comes_last_wins_but_not_history(
    world: World, clock: ManualClock
) -> None:
    """spec/profiles.md, worked cases 5 and 6."""
    clock.advance(10 * HOUR)
    await world.accept(batch("c-1", custom(), user_attributes={"drink": "Beer"}), "k1")
    clock.advance(5 * MINUTE)
    late = custom(at_ms=T + 9 * HOUR)
    await world.accept(batch("c-1", late, user_attributes={"drink": "Coke"}), "k2")
    assert await world.attributes("c-1") == {"drink": "Coke"}
    old = batch("c-1", custom(at_ms=T - 5 * DAY), user_attributes={"drink": "Milk", "size": "L"})
    response = await world.historical([old])
    assert response.status == 202, await response.text()
    assert await world.attributes("c-1") == {"drink": "Coke", "size": "L"}


async def test_case_10_a_batch_without_events_waits_for_the_next_event(world: World) -> None:
    """spec/profiles.md, worked case 10."""
    await world.accept(batch("c-1", user_attributes={"plan": "gold"}))
    assert await world.attributes("c-1") == {"plan": "gold"}
    assert world.outgoing() == []
    await world.accept(batch("c-1", custom()))
    [outgoing] = world.outgoing()
    assert outgoing["user_attributes"] == {"plan": "gold"}


def ads(consented: bool, timestamp_ms: int) -> dict[str, Any]:
    record = {"consented": consented, "timestamp_unixtime_ms": timestamp_ms}
    return {"consent_state": {"gdpr": {"ads": record}}}


async def test_case_11_of_consent_the_older_loses(world: World) -> None:
    """spec/profiles.md, worked case 11."""
    await world.accept(batch("c-1", custom(), **ads(True, 200)))
    await world.accept(batch("c-1", custom(), **ads(False, 100)))
    consent = (await world.profile("c-1", "consent_state"))["consent_state"]
    assert consent["gdpr"]["ads"]["consented"] is True
    await world.accept(batch("c-1", custom(), **ads(False, 200)))
    consent = (await world.profile("c-1", "consent_state"))["consent_state"]
    assert consent["gdpr"]["ads"]["consented"] is False
    changes = [
        [each["type"] for each in outgoing.get("system_notifications", ())]
        for outgoing in world.outgoing()
    ]
    assert changes == [["gdpr_change"], [], ["gdpr_change"]]


async def test_case_12_a_purpose_that_is_not_defined_is_left_out(world: World) -> None:
    """spec/profiles.md, worked case 12."""
    consent = {"gdpr": {"zzz": {"consented": True, "timestamp_unixtime_ms": 100}}}
    await world.accept(batch("c-1", custom(), consent_state=consent, user_attributes={"a": "1"}))
    profile = await world.profile("c-1")
    assert profile["consent_state"] == {}
    assert profile["user_attributes"] == {"a": "1"}


async def test_case_13_the_last_opt_out_counts(world: World) -> None:
    """spec/profiles.md, worked case 13."""
    out, back = event("opt_out", is_opted_out=True), event("opt_out", is_opted_out=False)
    await world.accept(batch("c-1", out, back))
    assert (await world.profile("c-1"))["is_opted_out"] is False
    await world.accept(batch("c-1", back, out))
    assert (await world.profile("c-1"))["is_opted_out"] is True


async def test_case_17_environments_never_mix(world: World) -> None:
    """spec/profiles.md, worked case 17, and 1: the same identity in both has two MPIDs."""
    await world.accept(batch("c-1", custom("Live"), user_attributes={"a": "live"}))
    assert (await world.resolve("c-1", "development")).status == 404
    assert (await world.resolve("c-1", "staging")).status == 400

    trial = batch("c-1", custom("Trial"), user_attributes={"a": "trial"})
    await world.accept({**trial, "environment": "development"})
    live, test = [
        (await (await world.resolve("c-1", name)).json()) for name in ("production", "development")
    ]
    assert live["mpid"] != test["mpid"]
    assert [live["user_attributes"], test["user_attributes"]] == [{"a": "live"}, {"a": "trial"}]
    assert await world.find("c-1", environment="development") == [test["mpid"]]
    assert set(await world.find("c-1")) == {live["mpid"], test["mpid"]}
    for mpid, name in ((live["mpid"], "Live"), (test["mpid"], "Trial")):
        assert [each["data"]["event_name"] for each in await world.events(mpid)] == [name]
