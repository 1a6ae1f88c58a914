"""How long sessions lasted."""

import pytest

from actors.profiles.sessions import OPEN_SESSIONS
from tests.actors.profiles.builders import NOW, apply, batch, event, new_profile, section


@pytest.mark.parametrize(
    ("sent", "duration_ms"),
    [
        pytest.param({"session_id": 5}, 700, id="since the session started"),
        pytest.param({"session_id": 5, "session_duration_ms": 1}, 1, id="what was sent stays"),
        pytest.param({"session_id": 6}, None, id="a session that nobody saw start"),
        pytest.param({}, None, id="no session"),
    ],
)
def test_a_session_end_without_a_duration_gets_one(
    sent: dict[str, int], duration_ms: int | None
) -> None:
    """spec/events-api.md, 12.4."""
    profile = new_profile()
    apply(profile, batch(event("session_start", NOW, session_id=5), event("session_start", NOW)))
    end = event("session_end", NOW + 700, **sent)
    apply(profile, batch(end))
    assert end.data.get("session_duration_ms") == duration_ms


def test_start_and_end_may_come_together() -> None:
    """spec/events-api.md, 12.4."""
    end = event("session_end", NOW + 3, session_id=0)
    apply(new_profile(), batch(event("session_start", NOW, session_id=0), end))
    assert end.data["session_duration_ms"] == 3


def test_an_end_before_its_start_has_no_duration() -> None:
    """Clocks of clients are set back."""
    end = event("session_end", NOW - 1, session_id=5)
    apply(new_profile(), batch(event("session_start", NOW, session_id=5), end))
    assert "session_duration_ms" not in end.data


@pytest.mark.parametrize(
    ("count", "kept"),
    [
        pytest.param(OPEN_SESSIONS, range(OPEN_SESSIONS), id="10 are remembered"),
        pytest.param(OPEN_SESSIONS + 1, range(1, OPEN_SESSIONS + 1), id="of 11 the latest 10"),
    ],
)
def test_the_starts_of_the_latest_sessions_are_remembered(count: int, kept: range) -> None:
    """The profile stays small however often sessions end without saying so."""
    profile = new_profile()
    for session_id in reversed(range(count)):
        apply(profile, batch(event("session_start", NOW + session_id, session_id=session_id)))
    assert sorted(section(profile).open_sessions) == list(kept)
