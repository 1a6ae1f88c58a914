"""Calculated attributes once more, as plain as can be: always from all events, in fractions.

Takes rows that tests make, not stored batches: what is compared is the arithmetic, the ranges, and
the orders of time and arrival (spec/calculated-attributes.md, 2.1, 2.2, 2.3, 4).
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from fractions import Fraction
from typing import NamedTuple

from msgspec import Struct

from actors.calculated.definition import Definition

FUNCTIONS_OF_NUMBERS = ("sum", "min", "max", "average")


class PlainRow(NamedTuple):
    """One product of an event, or the event as its one row; `quantity` as it is there."""

    text: str | None
    quantity: float | None = None


class PlainEvent(Struct):
    """An event in the order of arrival."""

    time_ms: int
    position: int
    received_ms: int
    rows: list[PlainRow]


class _Row(NamedTuple):
    time_ms: int
    position: int
    place: int
    arrival: int
    received_ms: int
    text: str
    weight: Fraction


def plain_value(
    events: Sequence[PlainEvent], defined: Definition, now_ms: int, cap: int = 100
) -> str | list[str] | None:
    """Return the value over events that all match the data point; there is no seed."""
    first_ms = defined.first_ms
    seen = [
        (arrival, each)
        for arrival, each in enumerate(events)
        if first_ms is None or each.time_ms >= first_ms
    ]
    usable = [row for arrival, each in seen for row in _rows(arrival, each, defined)]
    if defined.range.type == "within":
        usable_now = [row for row in usable if row.time_ms >= now_ms - defined.range.length_ms]
    elif defined.range.type == "last_events":
        newest = sorted((each.time_ms, arrival) for arrival, each in seen)[-defined.range.count :]
        arrivals = {arrival for _, arrival in newest}
        usable_now = [row for row in usable if row.arrival in arrivals]
    else:
        usable_now = usable
    if usable_now:
        return _calculated(defined.function, usable_now, cap)
    is_zero = defined.function in ("count", "sum", "unique_values_count")
    return "0" if usable and is_zero else None


def _rows(arrival: int, event: PlainEvent, defined: Definition) -> list[_Row]:
    function, datapoint = defined.function, defined.datapoint
    rows = []
    for place, row in enumerate(event.rows):
        weight = Fraction(1)
        if datapoint.uses_quantity and row.quantity is not None:
            weight = Fraction(row.quantity)
        text = row.text
        if function == "count" or function.endswith("timestamp"):
            text = ""
        if text is None or weight <= 0 or weight >= 2**960:  # too great to be added up
            continue
        if function in FUNCTIONS_OF_NUMBERS and not _is_number(text):
            continue
        rows.append(
            _Row(
                *(event.time_ms, event.position, place, arrival, event.received_ms, text, weight),
            )
        )
    is_per_event = function.endswith("timestamp") or (
        function == "count" and not datapoint.uses_quantity
    )
    return rows[:1] if is_per_event else rows


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _calculated(function: str, rows: Sequence[_Row], cap: int) -> str | list[str]:
    ordered = sorted(rows, key=lambda row: (row.time_ms, row.position, row.place, row.arrival))
    match function:
        case "count":
            return _number(sum((row.weight for row in rows), Fraction()))
        case "sum":
            return _number(_total(rows))
        case "average":
            return _number(_total(rows) / sum((row.weight for row in rows), Fraction()))
        case "min":
            return _number(min(Fraction(float(row.text)) for row in rows))
        case "max":
            return _number(max(Fraction(float(row.text)) for row in rows))
        case "first_occurrence":
            return ordered[0].text
        case "last_occurrence":
            return ordered[-1].text
        case "first_occurrence_timestamp":
            return _time(min(row.received_ms for row in rows))
        case "last_occurrence_timestamp":
            return _time(max(row.received_ms for row in rows))
        case "unique_values_count":
            return str(len({row.text for row in rows}))
    tracked = list(dict.fromkeys(row.text for row in rows))[:cap]
    if function == "unique_list":
        return sorted(tracked, key=lambda text: (text.casefold(), text))
    counted = {
        text: sum((row.weight for row in rows if row.text == text), Fraction()) for text in tracked
    }
    best = max(counted.values())
    return min(
        (text for text in tracked if counted[text] == best),
        key=lambda text: (text.casefold(), text),
    )


def _total(rows: Sequence[_Row]) -> Fraction:
    # Weight times value is a double, as the values are.
    return sum((Fraction(float(row.weight) * float(row.text)) for row in rows), Fraction())


def _number(number: Fraction) -> str:
    rounded = float(number)
    if number.denominator == 1 and abs(number) < 10**15:
        return str(int(number))
    return f"{rounded:.15g}"


def _time(time_ms: int) -> str:
    moment = datetime.fromtimestamp(time_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ms % 1000:03}Z"
