"""What may go further: repeats and event names over the limit may not."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from actors.model.batches import Event
from actors.model.micro_batches import (
    Deferred,
    Duplicate,
    EventName,
    EventNames,
    Moved,
    Result,
    Unregistered,
)
from actors.steps.admit import KnownNames, admit, limited_name
from actors.steps.decode import Decoder
from actors.steps.work import Work
from actors.store import event_names
from actors.store.duplicates import Duplicates
from actors.store.environment import Store
from actors.store.keys import sent_digest
from tests.actors.profiles.builders import DAY, NOW, WORKSPACE, context

A, B, C = (EventName("custom_event", name) for name in "ABC")
SENT, OTHER = (sent_digest(bytes(16), {"email": each}) for each in ("ann", "bob"))


class Step:
    """The step with what it remembers."""

    def __init__(self, store: Store, names: set[EventName]) -> None:
        self.store = store
        self.names = KnownNames(names, limit=2)
        self._duplicates = Duplicates(window_days=30)

    def admit(self, *works: Work, now_ms: int = NOW) -> list[Result | None]:
        Decoder(WORKSPACE).decode(works)
        with self.store.write() as txn:
            admit(works, txn, self._duplicates, self.names, now_ms)
        return [work.result for work in works]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path, 16 * 1024 * 1024)
    yield store
    store.close()


@pytest.fixture
def step(store: Store) -> Step:
    return Step(store, {A})


def work(
    *names: str,
    unit: int = 0,
    mpid: int | None = 1,
    sent: bytes | None = None,
    key: str = "key",
    **ids: Any,
) -> Work:
    events = [{"event_type": "custom_event", "data": {"event_name": name}} for name in names]
    made = Work(orjson.dumps({"events": events, **ids}), unit, None, False, context())
    made.context.api_key = key
    made.mpid = mpid
    made.sent = sent
    return made


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        pytest.param(work("A", source_request_id="r"), "duplicate_request_id", id="request id"),
        pytest.param(work("A", source_request_id="s"), None, id="another request id"),
        pytest.param(work("A", source_request_id="7"), None, id="a request id is no batch id"),
        pytest.param(work("A", batch_id=7), "duplicate_batch_id", id="batch id"),
        pytest.param(work("A", source_request_id="r", key="k2"), None, id="of another key"),
        pytest.param(work("A", source_request_id="r", mpid=2), None, id="of another user"),
        pytest.param(work("A", source_request_id="r", mpid=None), None, id="of nobody"),
        pytest.param(work("A"), None, id="without ids"),
    ],
)
@pytest.mark.parametrize("is_together", [True, False], ids=["one micro-batch", "two"])
def test_an_upload_is_admitted_once(
    step: Step, second: Work, reason: str | None, is_together: bool
) -> None:
    """spec/events-api.md, 5.4."""
    first = work("A", source_request_id="r", batch_id=7)
    second.result = None  # cases are shared between the parameters
    calls = [[first, second]] if is_together else [[first], [second]]
    results = [result for works in calls for result in step.admit(*works)]
    assert results == [None, None if reason is None else Duplicate(reason)]


@pytest.mark.parametrize(
    ("second", "is_repeat"),
    [
        pytest.param({"mpid": 2, "sent": SENT}, True, id="of somebody else by now"),
        pytest.param({"mpid": 2, "sent": OTHER}, False, id="of another user"),
        pytest.param({"mpid": 2, "sent": None}, False, id="of another user, who is named"),
        pytest.param({"mpid": 1, "sent": OTHER}, True, id="with other identities"),
        pytest.param({"mpid": 1, "sent": None}, True, id="with the user named"),
        pytest.param({"mpid": 2, "sent": SENT, "key": "k2"}, False, id="of another key"),
    ],
)
@pytest.mark.parametrize("is_together", [True, False], ids=["one micro-batch", "two"])
def test_an_upload_is_known_by_its_user_and_by_its_identities(
    step: Step, second: dict[str, Any], is_repeat: bool, is_together: bool
) -> None:
    """spec/events-api.md, 5.4."""
    works = [work(sent=SENT, source_request_id="r"), work(**second, source_request_id="r")]
    calls = [works] if is_together else [works[:1], works[1:]]
    results = [result for each in calls for result in step.admit(*each)]
    assert results == [None, Duplicate("duplicate_request_id") if is_repeat else None]


@pytest.mark.parametrize(("age_ms", "is_repeat"), [(30 * DAY, True), (30 * DAY + 1, False)])
def test_uploads_are_remembered_for_the_window(step: Step, age_ms: int, is_repeat: bool) -> None:
    upload: dict[str, Any] = {"source_request_id": "r"}
    step.admit(work("A", **upload))
    [result] = step.admit(work("A", **upload), now_ms=NOW + age_ms)
    assert (result is not None) == is_repeat


def test_what_is_not_applied_registers_nothing(step: Step) -> None:
    """It will be sent again, and must not meet itself as a repeat."""
    upload: dict[str, Any] = {"source_request_id": "r"}
    elsewhere = work("A", **upload)
    elsewhere.result = Moved(5)
    results = step.admit(elsewhere, work("B", unit=1, **upload), work("A", unit=1, **upload))
    assert results == [Moved(5), Unregistered([B]), Deferred()]
    assert step.admit(work("A", **upload)) == [None]


def test_unknown_names_are_asked_for_each_once(step: Step) -> None:
    """spec/events-api.md, 14. A unit waits; others do not."""
    results = step.admit(
        work("A", "B", "C", "B", unit=1),
        work("A", unit=1),
        work("A", unit=2),
        work("B", unit=2),
        work(unit=3),
    )
    assert results == [Unregistered([B, C]), Deferred(), None, Unregistered([B]), None]


def test_a_user_waits_for_names_in_all_units_of_a_request(step: Step) -> None:
    """Another unit may name him in another way; other users and other requests do not wait."""
    where = context()
    works = [
        work("B", unit=1),
        work("A", unit=2),
        work("A", unit=2, mpid=2),  # after one of its unit that waits
        work("A", unit=3, mpid=3),
        work("A", unit=4),
    ]
    for each in works[:4]:
        each.context = where
    assert step.admit(*works) == [Unregistered([B]), Deferred(), Deferred(), None, None]


def test_a_repeat_is_one_even_with_unknown_names(step: Step) -> None:
    step.admit(work("A", source_request_id="r"))
    assert step.admit(work("B", source_request_id="r")) == [Duplicate("duplicate_request_id")]


def test_over_the_limit_events_are_left_out_alone(step: Step) -> None:
    """spec/events-api.md, 14."""
    with step.store.write() as txn:
        step.names.learn(txn, EventNames([A, B], is_full=True))
    step.names.published()
    mixed = work("C", "A", "C", "B")
    [result] = step.admit(mixed)
    assert result is None
    assert [event.data["event_name"] for event in mixed.decoded.events] == ["A", "B"]
    assert mixed.decoded.drops.count("event_name_limit") == 2


@pytest.mark.parametrize("is_full", [False, True])
def test_memory_follows_disk(step: Step, is_full: bool) -> None:
    """What a failed transaction learnt is asked for again, also when there is no more room."""
    with step.store.write() as txn:
        step.names.learn(txn, EventNames([A, B], is_full))
        assert step.names.sort([named("B")]) == ([], 0)
    step.names.abandon()
    assert step.names.sort([named("A"), named("B")]) == ([B], 0)
    with step.store.write() as txn:
        step.names.learn(txn, EventNames([A, B], is_full))
    step.names.published()
    step.names.abandon()  # of a later transaction
    assert step.names.sort([named("B"), named("C")]) == (([], 1) if is_full else ([C], 0))
    with step.store.read() as txn:
        assert event_names.read_all(txn) == {B}


def named(name: str) -> Event:
    return Event("custom_event", NOW, {"event_name": name})


@pytest.mark.parametrize(
    ("event", "name"),
    [
        (Event("custom_event", NOW, {"event_name": "x"}), EventName("custom_event", "x")),
        (Event("screen_view", NOW, {"screen_name": "x"}), EventName("screen_view", "x")),
        (Event("screen_view", NOW, {}), None),
        (Event("session_start", NOW, {"event_name": "x"}), None),
        (Event("commerce_event", NOW, {"event_name": "x"}), None),
    ],
)
def test_which_events_count(event: Event, name: EventName | None) -> None:
    """spec/events-api.md, 14."""
    assert limited_name(event) == name
