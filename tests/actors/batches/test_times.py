from typing import Any

import pytest

from tests.actors.batches.support import (
    FEED,
    OPENED,
    T,
    client_context,
    context,
    decoded,
    decoded_event,
    event,
    paths,
    problems,
)

DAY = 86_400_000
HISTORICAL = context(FEED, is_historical=True)


@pytest.mark.parametrize(
    ("sent", "event_time", "drops"),
    [
        (None, T, []),
        ("", T, []),
        (0, T, ["timestamp_invalid"]),
        (-5, T, ["timestamp_invalid"]),
        (T + DAY, T + DAY, []),
        (T + DAY + 1, T + DAY + 1, ["timestamp_future"]),
        (T - 40 * DAY, T - 40 * DAY, []),
        ("1767225000000", 1767225000000, []),
    ],
)
def test_event_time_is_the_clients_where_it_makes_sense(
    sent: Any, event_time: int, drops: list[str]
) -> None:
    """spec/events-api.md, worked case 46."""
    batch = decoded(event("session_start", {"timestamp_unixtime_ms": sent}))
    [only] = batch.events
    assert only.timestamp_ms == event_time
    assert only.data["timestamp_unixtime_ms"] == event_time
    assert only.data["event_start_unixtime_ms"] == event_time
    assert batch.drops == drops


def test_a_time_that_is_no_integer_is_refused() -> None:
    """spec/events-api.md, worked case 46."""
    assert paths(event("session_start", {"timestamp_unixtime_ms": "yesterday"})) == [
        "events[0].data.timestamp_unixtime_ms"
    ]


def test_an_event_may_have_begun_before_its_time() -> None:
    only = decoded_event("session_start", {"event_start_unixtime_ms": T - 5})
    assert only.data["event_start_unixtime_ms"] == T - 5


@pytest.mark.parametrize("channel", ["server_to_server", "partner", "pixel"])
def test_a_servers_batch_has_the_time_of_receipt(channel: str) -> None:
    """spec/events-api.md, worked case 47."""
    batch = decoded({"timestamp_unixtime_ms": 1, "events": [OPENED]}, context(channel=channel))
    assert batch.timestamp_ms == T
    assert batch.events[0].timestamp_ms == T


@pytest.mark.parametrize(
    ("sent", "batch_time"),
    [(1, 1), ("5", 5), (None, T), (0, T), (-1, T), ("soon", T), ({}, T)],
)
def test_a_clients_batch_keeps_its_time_where_it_is_valid(sent: Any, batch_time: int) -> None:
    """spec/events-api.md, 13.1 and 16."""
    body = {"timestamp_unixtime_ms": sent}
    assert decoded(body, client_context()).timestamp_ms == batch_time
    assert decoded(body, context(channel="native")).timestamp_ms == batch_time


@pytest.mark.parametrize(
    ("data", "session_id"),
    [
        (
            {"session_uuid": "0B6F2C1E-7D43-4A8E-9C55-1F2E3D4C5B6A", "session_id": 5},
            -5919788808654228288,
        ),
        ({"session_id": 5}, 5),
        ({"session_uuid": "00000000-0000-0000-0000-000000000000", "session_id": 5}, 5),
        ({}, None),
    ],
)
def test_a_session_id_is_the_hash_of_its_uuid(data: Any, session_id: int | None) -> None:
    """spec/events-api.md, worked case 48."""
    assert decoded_event("session_start", data).data.get("session_id") == session_id


def opened_at(timestamp_ms: Any) -> dict[str, Any]:
    return event("custom_event", {"event_name": "e", "timestamp_unixtime_ms": timestamp_ms})


def test_historical_events_are_at_least_72_hours_old() -> None:
    """spec/events-api.md, worked case 55."""
    [only] = decoded(opened_at(T - 259_200_000), HISTORICAL).events
    assert only.timestamp_ms == T - 259_200_000
    assert paths(opened_at(T - 259_199_999), HISTORICAL) == ["events[0].data.timestamp_unixtime_ms"]
    assert paths(opened_at(-1), HISTORICAL) == ["events[0].data.timestamp_unixtime_ms"]


@pytest.mark.parametrize("nothing", [None, ""])
def test_historical_events_say_when_they_happened(nothing: Any) -> None:
    """spec/events-api.md, worked case 55."""
    [problem] = problems(opened_at(nothing), HISTORICAL)
    assert problem.path == "events[0].data.timestamp_unixtime_ms"
    assert problem.message == ('Required event field "timestamp_unixtime_ms" is missing or empty.')
    assert paths(event("breadcrumb", {}), HISTORICAL) == [
        "events[0].data.timestamp_unixtime_ms",
        "events[0].data.label",
    ]


@pytest.mark.parametrize("body", [{}, {"events": None}, {"events": []}])
def test_a_historical_batch_has_events(body: Any) -> None:
    """spec/events-api.md, worked case 55."""
    assert paths(body, HISTORICAL) == ["events"]
    assert decoded(body).events == []
