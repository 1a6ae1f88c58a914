from typing import Any

import pytest

from tests.actors.batches.support import OPENED, decoded, event, paths

PARIS = {"latitude": 48.85, "longitude": 2.35}
OSLO = {"latitude": 59.91, "longitude": 10.75}


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (
            PARIS | {"accuracy": "5", "dma_code": "7", "x": 1},
            PARIS | {"accuracy": 5.0, "dma_code": 7},
        ),
        ({"latitude": 90, "longitude": -180}, {"latitude": 90, "longitude": -180}),
        ({"latitude": 90.1, "longitude": 0, "country_code": "NO"}, {"country_code": "NO"}),
        ({"latitude": 0, "longitude": -180.1}, None),
        ({"latitude": 91, "longitude": 0, "accuracy": 5, "location_source": "lat_long"}, None),
        (
            {"latitude": 91, "longitude": 0, "accuracy": 5, "dma_code": 7},
            {"accuracy": 5, "dma_code": 7},
        ),
        ({}, None),
        (None, None),
    ],
)
def test_coordinates_off_the_globe_are_left_out(sent: Any, kept: Any) -> None:
    """spec/events-api.md, 12.2."""
    [only] = decoded(event("session_start", {"location": sent})).events
    assert only.data.get("location") == kept


def test_the_batch_is_where_its_context_or_first_located_event_is() -> None:
    """spec/events-api.md, 11.2."""
    events = [
        OPENED,
        {
            "event_type": "session_start",
            "data": {"location": {"latitude": 91, "longitude": 0, "accuracy": 5}},
        },
        {"event_type": "session_start", "data": {"location": PARIS}},
        {"event_type": "session_end", "data": {"location": OSLO}},
    ]
    assert decoded({"events": events}).location == PARIS
    assert decoded({"events": events, "context": {"location": OSLO}}).location == OSLO
    assert decoded({"events": events, "context": {"location": {}}}).location == PARIS
    assert decoded({"events": [OPENED]}).location is None


def test_a_location_of_the_wrong_kind_refuses_the_batch() -> None:
    assert paths({"context": {"location": {"latitude": "north"}}}) == ["context.location.latitude"]
    assert paths(event("session_start", {"location": []})) == ["events[0].data.location"]
