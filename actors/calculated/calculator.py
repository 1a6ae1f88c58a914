"""One calculated attribute at work on the states of users (spec/calculated-attributes.md, 9)."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from actors.calculated.definition import Attribute
from actors.calculated.functions.registry import FUNCTIONS
from actors.calculated.matching import RowMatcher
from actors.calculated.state import CalculatedState, Seed, Value
from actors.calculated.window import Kept, Layout, Window


class Qualified(NamedTuple):
    """An event that qualifies: its time t, and its usable rows."""

    time_ms: int
    rows: list[Kept]


class Calculator:
    """Brings states up to date. Everything depends on the state, the events and now alone."""

    def __init__(self, attribute: Attribute) -> None:
        definition = attribute.definition
        function = FUNCTIONS[definition.function]
        self.attribute = attribute
        self.number = attribute.number
        self.name = attribute.name
        self.revision = attribute.revision
        self.matcher = RowMatcher(definition, function)
        self._function = function
        self._length_ms = definition.range.length_ms if definition.range.type == "within" else None
        self._is_by_count = definition.range.type == "last_events"
        self._layout: Layout | None = None
        if self._length_ms is not None or self._is_by_count:
            columns = function.columns(definition.datapoint)
            self._layout = Layout(columns, definition.range.count)

    def start(self, seed: Seed | None) -> CalculatedState:
        """Return the state of a user of whom no event has come."""
        state = CalculatedState(self.revision, seed=seed if self.is_seeded_by(seed) else None)
        state.value = self._value(state, None)
        return state

    def update(self, state: CalculatedState, events: Sequence[Qualified], now_ms: int) -> bool:
        """Add events, in order of arrival; tell whether the value is another one now."""
        former = state.value
        if self._layout is not None:
            window = self._layout.open(state.data)
            first_ms = self._first_ms(now_ms)
            for event in events:
                if first_ms is not None and event.time_ms < first_ms:
                    window.had_rows |= bool(event.rows)
                elif event.rows or self._is_by_count:
                    self._layout.add(window, event.time_ms, event.rows)
            self._settle(state, self._layout, window, first_ms)
        else:
            rows = [row for event in events for row in event.rows]
            if rows:
                state.data = self._function.add(state.data, rows, self._seed(state))
                state.value = self._value(state, None)
        return state.value != former

    def expire(self, state: CalculatedState, now_ms: int) -> bool:
        """Let go of what has left the range; tell whether the value is another one now."""
        if not state.expiry_ms or state.expiry_ms > now_ms:
            return False
        return self.update(state, (), now_ms)

    def plant(self, state: CalculatedState, seed: Seed | None) -> bool:
        """Put a seed in the place of the former; tell whether the value is another one now."""
        former = state.value
        state.seed = seed
        window = None if self._layout is None else self._layout.open(state.data)
        state.value = self._value(state, window)
        return state.value != former

    def is_seeded_by(self, seed: Seed | None) -> bool:
        """Tell whether a seed is for this attribute as it is defined now."""
        return seed is not None and (seed.name, seed.function, seed.cutoff_ms) == (
            self.name,
            self._function.name,
            self.attribute.definition.cutoff_ms,
        )

    def _first_ms(self, now_ms: int) -> int | None:
        return None if self._length_ms is None else now_ms - self._length_ms

    def _settle(
        self, state: CalculatedState, layout: Layout, window: Window, first_ms: int | None
    ) -> None:
        if first_ms is not None:
            layout.drop_before(window, first_ms)
        layout.drop_superseded(window)
        state.data = layout.close(window) if window.arrived or window.had_rows else b""
        state.expiry_ms = 0
        if self._length_ms is not None and window.times:
            state.expiry_ms = layout.first_time_ms(window) + self._length_ms + 1
        state.value = self._value(state, window)

    def _seed(self, state: CalculatedState) -> Seed | None:
        return state.seed if self.is_seeded_by(state.seed) else None

    def _value(self, state: CalculatedState, window: Window | None) -> Value:
        """Return the value; `window` is the one of the state's data where it has one."""
        seed = self._seed(state)
        summary: Any = None
        if window is not None and self._layout is not None:
            had_rows = window.had_rows
            if window.times:
                summary = self._function.windowed(self._layout, window)
        else:
            had_rows = bool(state.data)
            if state.data and self._layout is None:
                summary = self._function.accumulated(state.data)
        if summary is None and seed is None:
            return "0" if had_rows and self._function.is_zero_when_empty else None
        return self._function.result(summary, seed)
