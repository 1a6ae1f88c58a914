"""Times and sessions of events: worked cases 46 to 48."""

from typing import Any

from actors.clock import ManualClock
from tests.whole.cases import dropped, newest, refused, stored, user
from tests.whole.sent import DAY, HOUR, custom, event
from tests.whole.world import T, World

SESSION = "0B6F2C1E-7D43-4A8E-9C55-1F2E3D4C5B6A"
SESSION_ID = -5_919_788_808_654_228_288


def at(timestamp: Any) -> dict[str, Any]:
    """Make an event with a timestamp as it is sent."""
    return custom(timestamp_unixtime_ms=timestamp)


async def test_case_46_time_of_an_event(world: World) -> None:
    """spec/events-api.md, worked case 46, and 13.1: seconds are a time in 1970."""
    times: list[tuple[Any, int]] = [
        (None, T),
        ("", T),
        (0, T),
        (-1, T),
        (T + DAY, T + DAY),
        (T - 40 * DAY, T - 40 * DAY),
        ("1767225000000", 1_767_225_000_000),
        (1_767_225_000, 1_767_225_000),
    ]
    kept = await stored(world, *(at(sent) for sent, _ in times))
    assert [each["timestamp_unixtime_ms"] for each in kept] == [time for _, time in times]
    [outgoing] = world.outgoing()
    sent = [each["data"]["timestamp_unixtime_ms"] for each in outgoing["events"]]
    assert sent == [time for _, time in times]


async def test_case_46_no_time_and_no_time_at_all(world: World) -> None:
    """spec/events-api.md, worked case 46, and 13.1: what is odd is counted."""
    [data] = await stored(world, custom())
    assert data["timestamp_unixtime_ms"] == T
    assert dropped(world, "timestamp_invalid") == 0
    await stored(world, at(0), at(T + DAY), at(T + DAY + 1))
    assert (dropped(world, "timestamp_invalid"), dropped(world, "timestamp_future")) == (1, 1)
    not_integers: list[Any] = ["yesterday", 1.5, {}, 2**63]
    for wrong in not_integers:
        await refused(world, user(events=[at(wrong)]), "events[0].data.timestamp_unixtime_ms")


async def test_events_of_more_than_three_days_ago_are_counted_as_late(
    world: World, clock: ManualClock
) -> None:
    """spec/observability.md, worked case 8: what lies 72 h back is not late yet."""
    late = {"workspace": "w1", "input": "backend"}
    for before_ms, count in ((71 * HOUR + HOUR // 2, 0), (72 * HOUR, 0), (72 * HOUR + 1, 1)):
        await world.accept(user(events=[at(T - before_ms)]))
        assert world.count("headwater_ingest_late_events_total", **late) == count
    await world.accept(user(events=[at(T), at(T - 73 * HOUR), at(T - 74 * HOUR)]))
    assert world.count("headwater_ingest_late_events_total", **late) == 3


async def test_case_47_time_of_a_batch(world: World, clock: ManualClock) -> None:
    """spec/events-api.md, worked case 47."""
    clock.advance(HOUR)
    await world.accept(user(timestamp_unixtime_ms=1))
    batch = await newest(world)
    assert batch["timestamp_unixtime_ms"] == T + HOUR
    assert batch["events"][0]["timestamp_unixtime_ms"] == T + HOUR
    [outgoing] = world.outgoing()
    assert outgoing["timestamp_unixtime_ms"] == T + HOUR


async def test_case_48_id_of_a_session(world: World) -> None:
    """spec/events-api.md, worked case 48."""
    kept = await stored(
        world,
        custom(session_uuid=SESSION, session_id=5),
        custom(session_uuid=SESSION.lower()),
        custom(session_id=5),
        custom(),
    )
    assert [each.get("session_id") for each in kept] == [SESSION_ID, SESSION_ID, 5, None]
    [outgoing] = world.outgoing()
    sent = [each["data"].get("session_id") for each in outgoing["events"]]
    assert sent == [SESSION_ID, SESSION_ID, 5, None]


async def test_a_session_lasts_from_its_start(world: World) -> None:
    """spec/events-api.md, 12.4: `session_duration_ms` where `session_end` has none."""
    await world.accept(
        user(events=[event("session_start", session_id=5, timestamp_unixtime_ms=T - 9000)])
    )
    kept = await stored(
        world,
        event("session_end", session_id=6),
        event("session_end", session_id=5, timestamp_unixtime_ms=T - 2000),
    )
    assert [each.get("session_duration_ms") for each in kept] == [None, 7000]
