"""How long a session lasted, when its end does not say (spec/events-api.md, 12.4)."""

from collections.abc import Iterable

from actors.model.batches import Event
from actors.model.profiles import Section

OPEN_SESSIONS = 10  # sessions whose start is remembered; a user rarely has more than one per device


def note_starts(section: Section, starts: Iterable[Event]) -> None:
    """Remember when sessions started; of more than `OPEN_SESSIONS` the latest are kept."""
    sessions = section.open_sessions
    for event in starts:
        session_id = event.get("session_id")
        if session_id is not None:
            sessions.setdefault(session_id, event.timestamp_ms)
    while len(sessions) > OPEN_SESSIONS:
        del sessions[min(sessions, key=sessions.__getitem__)]


def fill_durations(section: Section, ends: Iterable[Event]) -> None:
    """Give each `session_end` that has no duration the time since its session started.

    A session whose start is not known, or lies after its end, stays without a duration.
    """
    for event in ends:
        session_id = event.get("session_id")
        if session_id is None or event.get("session_duration_ms") is not None:
            continue
        started_ms = section.open_sessions.get(session_id)
        if started_ms is not None and event.timestamp_ms >= started_ms:
            event.put("session_duration_ms", event.timestamp_ms - started_ms)
