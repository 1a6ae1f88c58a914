"""Which events and rows count for a definition (spec/calculated-attributes.md, 2.1)."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from actors.audiences.criteria import Condition
from actors.audiences.event_rows import (
    Row,
    attribute_or_field_reader,
    product_quantity,
    reader,
)
from actors.audiences.predicates import predicate
from actors.audiences.values import MISSING, StoredValue
from actors.calculated.definition import Category, Definition
from actors.calculated.functions.contract import Function
from actors.calculated.numbers import SUMMABLE_END
from actors.calculated.rows import Content, Kept
from actors.model.batches import StoredBatch

Read = Callable[[Row], StoredValue]

# What was made of texts is remembered: values repeat, and parsing them costs most.
_MAX_REMEMBERED = 4096
_MAX_REMEMBERED_LENGTH = 64
_PLACE_END = 1 << 16  # positions and indices beyond are told apart by the order of arrival


class _Remembered(dict[Any, Any]):
    """Remembers the results of a function of a stored value."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self._function = function

    def __missing__(self, value: StoredValue) -> Any:
        result = self._function(value)
        if not isinstance(value, str) or len(value) <= _MAX_REMEMBERED_LENGTH:
            if len(self) >= _MAX_REMEMBERED:
                self.clear()
            self[value] = result
        return result


class RowMatcher:
    """Takes the usable rows of one definition out of events of its data point."""

    def __init__(self, definition: Definition, function: Function[object]) -> None:
        datapoint = definition.datapoint
        self.is_by_part = datapoint.category != "event_attribute"
        self._first_ms = definition.first_ms
        # Of a commerce event the subtype is part of what it is found by; `LiveIndex`.
        is_kind = datapoint.event_type == "custom_event" and datapoint.subtype is not None
        self._kind = datapoint.subtype if is_kind else None
        self._conditions = [
            (_condition_reader(each, datapoint.category), _outcomes(each))
            for each in definition.conditions
        ]
        self._read: Read | None = None
        if function.takes == "value":
            assert datapoint.attribute_name is not None, "the function needs an attribute"
            self._read = _value_reader(datapoint.category, datapoint.attribute_name)
        self._content = function.content
        self._contents = _Remembered(lambda text: function.content(text, 1.0))
        self._takes_time = function.takes == "time"
        self._is_stamped_at_receipt = datapoint.is_stamped_at_receipt
        self._uses_quantity = datapoint.uses_quantity

    def kept(
        self, stored: StoredBatch, position: int, time_ms: int, rows: Sequence[Row]
    ) -> list[Kept] | None:
        """Return the usable rows of one event; `None` if it does not qualify.

        Args:
            stored: the event's batch.
            position: of the event in the batch.
            time_ms: event time t.
            rows: the event as one row, or as one per product or promotion (`is_by_part`).
        """
        if self._first_ms is not None and time_ms < self._first_ms:
            return None
        if self._kind is not None and rows[0].event.get("custom_event_type") != self._kind:
            return None
        qualifying = rows
        if self._conditions:
            qualifying = [row for row in rows if self._holds(row)]
            if not qualifying:
                return None
        place = min(position, _PLACE_END - 1) * _PLACE_END
        if self._read is None:
            return self._without_value(stored, place, time_ms, qualifying)
        if len(qualifying) == 1 and not self._uses_quantity:
            value = self._read(qualifying[0])
            only: Content = self._contents[value] if type(value) is str else None
            if only is None:
                return []
            return [(time_ms, place + min(qualifying[0].index, _PLACE_END - 1), only, 1.0)]
        kept = []
        for row in qualifying:
            value = self._read(row)
            weight = product_quantity(row) if self._uses_quantity else 1.0
            if type(value) is not str or not 0 < weight < SUMMABLE_END:
                continue
            content: Content
            content = self._contents[value] if weight == 1.0 else self._content(value, weight)
            if content is not None:
                kept.append((time_ms, place + min(row.index, _PLACE_END - 1), content, weight))
        return kept

    def _holds(self, row: Row) -> bool:
        for read, outcomes in self._conditions:  # noqa: SIM110 - a generator costs as much again
            if not outcomes[read(row)]:
                return False
        return True

    def _without_value(
        self, stored: StoredBatch, place: int, time_ms: int, qualifying: Sequence[Row]
    ) -> list[Kept]:
        if self._uses_quantity:
            weights = [product_quantity(row) for row in qualifying]
            usable = [weight for weight in weights if 0 < weight < SUMMABLE_END]
            return [(time_ms, place, None, weight) for weight in usable]
        if not self._takes_time:
            return [(time_ms, place, None, 1.0)]
        stamp_ms = stored.received_ms if self._is_stamped_at_receipt else time_ms
        return [(time_ms, place, stamp_ms, 1.0)]


def _value_reader(category: Category, name: str) -> Read:
    if category == "event_attribute":
        return attribute_or_field_reader(name)
    return reader(category, name)


def _condition_reader(condition: Condition, category: Category) -> Read:
    """Look in the data point's category first, then at the event (3.1)."""
    of_event = attribute_or_field_reader(condition.attribute_name)
    if category == "event_attribute":
        return of_event
    of_part = reader(category, condition.attribute_name)

    def read(row: Row) -> StoredValue:
        value = of_part(row)
        return of_event(row) if value is MISSING else value

    return read


@lru_cache(maxsize=1024)
def _outcomes(condition: Condition) -> _Remembered:
    """Compile a condition; equal ones of several definitions share what they remember."""
    return _Remembered(predicate(condition.test))
