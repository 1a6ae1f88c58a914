"""The location that a profile shows."""

from typing import Any

import pytest

from tests.actors.profiles.builders import (
    DAY,
    NOW,
    apply,
    batch,
    context,
    historical,
    new_profile,
    section,
)

HOME = {"latitude": 52.5, "longitude": 13.4, "city_name": "Berlin"}
AWAY = {"latitude": 48.9, "longitude": 2.4}


@pytest.mark.parametrize(
    ("sent", "left"),
    [
        pytest.param(AWAY, AWAY, id="another location replaces the whole of it"),
        pytest.param(None, HOME, id="a batch without one leaves it"),
    ],
)
def test_a_profile_shows_the_last_location(
    sent: dict[str, Any] | None, left: dict[str, Any]
) -> None:
    """spec/profiles.md, 3.5."""
    profile = new_profile()
    apply(profile, batch(location=HOME))
    apply(profile, batch(location=sent), context(NOW + 1))
    assert section(profile).location == left


@pytest.mark.parametrize(
    ("stored_ms", "left"),
    [
        pytest.param(NOW - DAY, HOME, id="newer stays"),
        pytest.param(NOW - 9 * DAY, AWAY, id="older is replaced"),
    ],
)
def test_history_moves_nobody_back(stored_ms: int, left: dict[str, Any]) -> None:
    """spec/profiles.md, 3.1."""
    profile = new_profile()
    apply(profile, batch(location=HOME), context(stored_ms))
    apply(profile, *historical(NOW - 5 * DAY, location=AWAY))
    assert section(profile).location == left
