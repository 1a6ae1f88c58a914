"""What finding the streams of an event costs in memory, whatever senders send."""

import pytest

from actors.audiences import criteria
from actors.audiences.criteria import Condition, EventFilter
from actors.audiences.engine import matcher as matchers
from actors.audiences.engine.matcher import Matcher
from actors.audiences.engine.streams import Stream
from tests.oracle.audiences.fixture import NOW, WORKSPACE, custom
from tests.oracle.audiences.users import Users

KINDS = ("a", "b", "ab")


@pytest.fixture
def matcher() -> Matcher:
    """Streams of all custom events, by what their attribute `kind` contains."""
    streams = [
        Stream(EventFilter("custom_event", where=Condition("kind", "event_attribute", test)))
        for test in (criteria.Test("string", "contains", value=kind) for kind in KINDS)
    ]
    return Matcher(WORKSPACE, enumerate(streams))


def found(matcher: Matcher, *events: tuple[str, str]) -> list[list[int]]:
    """Return the streams of each event, given by its name and its kind."""
    sent = [custom(name, NOW, kind=kind) for name, kind in events]
    stored = Users(WORKSPACE).send(1, {"events": sent}, NOW)
    entries = matcher.entries(stored, 0, 0)
    return [[each.stream for each in entries if each.event == n] for n in range(len(events))]


def test_events_of_all_names_share_what_is_remembered(
    matcher: Matcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each name that a sender thinks of would have thousands of values of its own."""
    names = [f"name {number}" for number in range(50)]
    assert found(matcher, *((name, "xaby") for name in names)) == [[0, 1, 2]] * 50
    assert len(matcher._by_key) == 50
    [shared] = matcher._alike.values()
    assert shared._known == {"xaby": (0, 1, 2)}
    monkeypatch.setattr(matchers, "VALUES_KEPT", 10)
    for number in range(25):
        assert found(matcher, ("name 1", f"b{number}")) == [[1]]
    assert len(shared._known) <= 10
    monkeypatch.setattr(matchers, "_KEYS_KEPT", 50)
    assert found(matcher, ("another", "a")) == [[0]]
    assert (len(matcher._by_key), len(matcher._alike)) == (1, 1)


def test_long_values_are_looked_at_and_not_remembered(matcher: Matcher) -> None:
    long = "a" * 1000
    assert found(matcher, ("x", long), ("x", long + "b")) == [[0], [0, 1, 2]]
    [shared] = matcher._alike.values()
    assert shared._known == {}
