"""Pages of a timeline: whatever their size, together they are the same one list."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.errors import CursorInvalid
from actors.model.batches import Event
from actors.model.profiles import ProfileKey, Section
from actors.profiles import history
from actors.profiles.history import read_page
from actors.profiles.timeline import TimelineQuery
from actors.store import log
from actors.store.environment import Store
from tests.actors.profiles.builders import NOW, WORKSPACE
from tests.actors.store.builders import stored, temporary_store

KEY = ProfileKey(WORKSPACE.scope, "production", 5)
# Whether it is historical, and its time: edges have clocks of their own, so receipt may go back.
batches = st.lists(st.tuples(st.booleans(), st.integers(0, 6)), max_size=12)


def write(store: Store, made: list[tuple[bool, int]]) -> Section:
    """Append batches to the log; each has one event, named after its place."""
    section = Section(NOW, NOW)
    with store.write() as txn:
        for number, (is_historical, at) in enumerate(made, start=1):
            base = stored(number)
            name = {"event_name": f"e{number}"}
            batch = replace(base.batch, events=[Event("custom_event", NOW + at, name, number)])
            previous = section.newest_historical_id if is_historical else section.newest_log_id
            received_ms = NOW + 100 if is_historical else NOW + at
            log.append(
                txn,
                replace(
                    base,
                    previous_log_id=previous,
                    received_ms=received_ms,
                    is_historical=is_historical,
                    batch=batch,
                ),
            )
            if is_historical:
                section.newest_historical_id = number
            else:
                section.newest_log_id = number
    return section


def page(store: Store, section: Section, **query: Any) -> dict[str, Any]:
    with store.read() as txn:
        return read_page(txn, KEY, section, WORKSPACE, TimelineQuery(**query))


def names(read: dict[str, Any]) -> list[str]:
    return [event["name"] for item in read["items"] for event in item["events"]]


@given(batches, st.integers(1, 5))
@settings(deadline=None, max_examples=40)
def test_pages_are_parts_of_one_list(made: list[tuple[bool, int]], limit: int) -> None:
    with temporary_store() as store:
        section = write(store, made)
        whole = names(page(store, section, limit=1000))
        assert sorted(whole) == sorted(f"e{number}" for number in range(1, len(made) + 1))
        found: list[str] = []
        cursor: str | None = None
        while True:
            part = page(store, section, limit=limit, cursor=cursor)
            assert part["last_updated_ms"] == section.last_seen_ms
            found += names(part)
            cursor = part["next_cursor"]
            if cursor is None:
                break
            assert len(part["items"]) == limit
        assert found == whole


@given(batches)
@settings(deadline=None, max_examples=40)
def test_live_batches_are_in_the_order_of_their_commit(made: list[tuple[bool, int]]) -> None:
    """Historical ones lie between them, newest first among themselves."""
    with temporary_store() as store:
        whole = names(page(store, write(store, made)))
    live = [f"e{number}" for number, (is_historical, _) in enumerate(made, 1) if not is_historical]
    old = [(at, number) for number, (is_historical, at) in enumerate(made, 1) if is_historical]
    assert [name for name in whole if name in live] == live[::-1]
    assert [name for name in whole if name not in live] == [
        f"e{number}" for _, number in sorted(old, reverse=True)
    ]


@given(batches, st.sampled_from(["e1", "e2", "none"]), st.integers(1, 5))
@settings(deadline=None, max_examples=40)
def test_a_page_ends_after_so_many_batches_whatever_matches(
    made: list[tuple[bool, int]], wanted: str, most: int
) -> None:
    """What it has not come to is on the pages after it, none of which looks at more."""
    with pytest.MonkeyPatch.context() as patch, temporary_store() as store:
        section = write(store, made)
        query = {"event_names": (wanted,), "limit": 1000}
        whole = names(page(store, section, **query))
        patch.setattr(history, "MOST_LOOKED_AT", most)
        found: list[str] = []
        cursor: str | None = None
        for _ in range(max(-(-len(made) // most), 1)):
            part = page(store, section, cursor=cursor, **query)
            found += names(part)
            cursor = part["next_cursor"]
        assert cursor is None
        assert found == whole


@pytest.mark.parametrize(("most", "has_more"), [(3, False), (2, True)])
def test_a_page_of_as_many_batches_as_may_be_looked_at_is_the_last(
    monkeypatch: pytest.MonkeyPatch, most: int, *, has_more: bool
) -> None:
    monkeypatch.setattr(history, "MOST_LOOKED_AT", most)
    with temporary_store() as store:
        section = write(store, [(False, 1), (False, 2), (False, 3)])
        part = page(store, section, event_names=("none",))
    assert part["items"] == []
    assert (part["next_cursor"] is not None) == has_more


def test_what_ended_before_the_time_that_is_asked_for_is_not_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of historical batches; the events of live ones may be later than these were received."""
    monkeypatch.setattr(history, "MOST_LOOKED_AT", 2)
    with temporary_store() as store:
        section = write(store, [(True, 1), (True, 2), (True, 3), (False, 9)])
        part = page(store, section, start_ms=NOW + 3)
    assert names(part) == ["e4", "e3"]
    assert part["next_cursor"] is None


def test_what_is_past_its_retention_ends_the_list() -> None:
    with temporary_store() as store:
        section = write(store, [(False, 1), (True, 0), (False, 2), (False, 3)])
        first = page(store, section, limit=1)
        with store.write() as txn:
            for number in (1, 3):
                txn.delete("log", number.to_bytes(8, "big"))
        assert names(page(store, section)) == ["e4", "e2"]
        assert names(page(store, section, cursor=first["next_cursor"])) == ["e2"]


@pytest.mark.parametrize(
    "cursor", ["", "x", "5.1", "5.1.2.3.4", "6.1.2.3", "5.-1.2.3", f"5.{2**64}.2.3", "5.1.2.x"]
)
def test_a_cursor_that_no_page_gave_is_refused(cursor: str) -> None:
    with temporary_store() as store:
        section = write(store, [(False, 1)] * 3)
        with pytest.raises(CursorInvalid):
            page(store, section, cursor=cursor)


def test_a_cursor_into_somebody_elses_batches_is_refused() -> None:
    with temporary_store() as store:
        section = write(store, [(False, 1)])
        with store.write() as txn:
            log.append(txn, stored(2, mpid=6))
        with pytest.raises(CursorInvalid):
            page(store, section, cursor=f"5.2.{NOW}.9")
