"""Whatever the order of arrival: what was kept up to date is what all events give at once.

Source: spec/calculated-attributes.md, 9; worked case 32.
"""

from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from actors.calculated.applying import apply, calculate, expire, next_expiry, rebuild
from actors.calculated.definition import Definition
from actors.calculated.functions import most_frequent, unique
from actors.calculated.functions.registry import FUNCTIONS
from actors.calculated.numbers import add_exactly, exact_parts
from actors.model.batches import Event, StoredBatch
from actors.model.profiles import Section
from tests.actors.calculated.builders import (
    buy,
    definition,
    known,
    ms,
    of_products,
    purchase,
    stored,
)
from tests.actors.calculated.plain import PlainEvent, PlainRow, plain_value
from tests.actors.profiles.builders import WORKSPACE

HOUR_MS = 3_600_000
START_MS = ms("03-01T00:00")
CAP = 3
PERIODS: tuple[dict[str, Any], ...] = (
    {"type": "since", "date": "2026-03-02T06:00:00Z"},
    {"type": "within", "within": 36, "within_unit": "hours"},
    {"type": "all"},
    {"type": "last_events", "count": 3},
)


class Arrival(Struct):
    """A batch of a stream, as stored and as plain rows."""

    batch: StoredBatch
    plain: list[PlainEvent]


texts = st.sampled_from(["1", "0.1", "0.2", "-3", "1e3", "7.25", "n/a", "A", "a", "", "0.7", "b"])
quantities = st.sampled_from([None, 1, 2, 0.1, 2.5, 0, -1, 1e308])
rows = st.lists(st.builds(PlainRow, st.none() | texts, quantities), min_size=1, max_size=3)
hours = st.integers(0, 72)
# Of each batch: hours after the one before, and its events as (hour, rows).
streams = st.lists(
    st.tuples(st.integers(0, 30), st.lists(st.tuples(hours, rows), min_size=1, max_size=3)),
    min_size=1,
    max_size=10,
)


def event_of(time_ms: int, found: list[PlainRow]) -> Event:
    """Return a `Buy` with the value of its one row."""
    [row] = found
    return buy(time_ms, **({} if row.text is None else {"amt": row.text}))


def purchase_of(time_ms: int, found: list[PlainRow]) -> Event:
    """Return a purchase with these products; an empty `color` is one too."""
    products = []
    for row in found:
        product: dict[str, Any] = {}
        if row.text is not None:
            product["custom_attributes"] = {"color": row.text}
        if row.quantity is not None:
            product["quantity"] = row.quantity
        products.append(product)
    return purchase(time_ms, products)


def arrivals(
    stream: list[tuple[int, list[tuple[int, list[PlainRow]]]]], over: str
) -> list[Arrival]:
    """Return the batches of a stream in the order of their receipt."""
    received_ms, made = START_MS, []
    for log_id, (later, listed) in enumerate(stream, 1):
        received_ms += later * HOUR_MS
        events, plain = [], []
        for position, (hour, found) in enumerate(listed):
            used = found if over == "products" else found[:1]
            sent_ms = START_MS + hour * HOUR_MS
            events.append((purchase_of if over == "products" else event_of)(sent_ms, used))
            time_ms = min(sent_ms, received_ms)
            stamp_ms = received_ms if over == "products" else time_ms
            plain.append(PlainEvent(time_ms, position, stamp_ms, used))
        batch = stored(*events, received_ms=received_ms, log_id=log_id)
        made.append(Arrival(batch, plain))
    return made


def definitions(over: str) -> list[Definition]:
    """Return all functions over all ranges."""
    made = []
    for name in FUNCTIONS:
        for period in PERIODS:
            if over == "products":
                made += [
                    definition(**of_products(name, "color", quantity, period=period))
                    for quantity in (True, False)
                ]
            else:
                made.append(definition(name, "amt", period=period))
    return made


DEFINED = {over: definitions(over) for over in ("events", "products")}


@pytest.fixture(autouse=True, scope="module")
def low_cap() -> Any:
    """Let short streams come to the cap on tracked values."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unique, "MAX_VALUES", CAP)
        patch.setattr(most_frequent, "MAX_VALUES", CAP)
        yield


@pytest.mark.parametrize("over", ["events", "products"])
@settings(deadline=None)
@given(stream=streams, later=st.integers(0, 60), is_reread=st.booleans())
def test_32_incremental_is_full_recomputation(
    over: str,
    stream: list[tuple[int, list[tuple[int, list[PlainRow]]]]],
    later: int,
    is_reread: bool,
) -> None:
    """Case 32: at every batch, at every expiry, and after an initialization in the middle.

    `is_reread`: every batch finds what was on disk, not what is still in memory.
    """
    defined = DEFINED[over]
    active, section = known(*defined), Section(START_MS, START_MS)
    came: list[Arrival] = []
    for arrival in arrivals(stream, over):
        now_ms = arrival.batch.received_ms
        if is_reread:
            section = msgspec.convert(msgspec.to_builtins(section), Section)
        _expire_until(section, active, came, now_ms)
        came.append(arrival)
        before = _values(section)
        changed = apply(section, arrival.batch, active, now_ms)
        assert _values(section) == _present(before | changed)
        _check(section, defined, came, now_ms)
    end_ms = came[-1].batch.received_ms + later * HOUR_MS
    _expire_until(section, active, came, end_ms)
    _check(section, defined, came, end_ms)

    anew = Section(START_MS, START_MS)
    index = active.index_of(range(1, len(defined) + 1))
    rebuild(anew, [each.batch for each in came], index, end_ms, 0)
    assert _values(anew) == _values(section)


@settings(deadline=None)
@given(stream=streams)
def test_32_a_preview_is_full_recomputation(
    stream: list[tuple[int, list[tuple[int, list[PlainRow]]]]],
) -> None:
    """Case 32, for what is calculated without a state, and its cut at `as_of`."""
    came = arrivals(stream, "events")
    as_of_ms = START_MS + 40 * HOUR_MS
    seen = [event for each in came for event in each.plain if event.time_ms <= as_of_ms]
    for attribute in (each.attribute for each in known(*DEFINED["events"]).by_number.values()):
        found = calculate(attribute, [each.batch for each in came], WORKSPACE, as_of_ms)
        assert found == plain_value(seen, attribute.definition, as_of_ms, CAP)


@given(terms=st.lists(st.floats(-1e250, 1e250)), later=st.lists(st.floats(-1e250, 1e250)))
def test_parts_of_a_sum_are_as_exact_as_all_its_terms(
    terms: list[float], later: list[float]
) -> None:
    """Also when more is added to them."""
    parts = exact_parts(terms)
    for term in later:
        add_exactly(parts, term)
    assert sum(map(Fraction, parts)) == sum(map(Fraction, (*terms, *later)))


def _expire_until(section: Section, active: Any, came: list[Arrival], now_ms: int) -> None:
    """Let the time pass, from one instant at which something is due to the next."""
    while (due_ms := next_expiry(section)) is not None and due_ms <= now_ms:
        before = _values(section)
        changed = expire(section, active, due_ms)
        assert _values(section) == _present(before | changed)
        plain = [event for each in came for event in each.plain]
        for number in changed:
            defined = active.by_number[number].attribute.definition
            assert changed[number] == plain_value(plain, defined, due_ms, CAP)
    expire(section, active, now_ms)


def _check(section: Section, defined: list[Definition], came: list[Arrival], now_ms: int) -> None:
    plain = [event for each in came for event in each.plain]
    for number, each in enumerate(defined, 1):
        state = section.calculated.get(number)
        found = None if state is None else state.value
        assert found == plain_value(plain, each, now_ms, CAP), each


def _values(section: Section) -> dict[int, Any]:
    return _present({number: state.value for number, state in section.calculated.items()})


def _present(values: dict[int, Any]) -> dict[int, Any]:
    return {number: value for number, value in values.items() if value is not None}
