"""One calculated attribute at work on the states of users (spec/calculated-attributes.md, 9)."""

from collections.abc import Sequence

from actors.calculated.definition import Attribute
from actors.calculated.functions.registry import FUNCTIONS
from actors.calculated.matching import RowMatcher
from actors.calculated.rows import Kept, Qualified
from actors.calculated.state import CalculatedState, Seed, Value
from actors.calculated.window import MIN_TEXTS, Layout, Window

_SUMMARY = "summary"  # of what `data` holds, as long as the state is in memory


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
        state.value = self._value_without_rows(state.seed, had_rows=False)
        return state

    def begin(self, former: CalculatedState | None) -> CalculatedState:
        """Return the state of a user of whom no event has come, with his seeds.

        Those are taken from what was kept of the user under any definition. What is for neither
        this definition nor a later draft is gone (spec/calculated-attributes.md, 8).
        """
        if former is None:
            return self.start(None)
        if not self.is_seeded_by(former.seed) and self.is_seeded_by(former.next_seed):
            return self.start(former.next_seed)
        state = self.start(former.seed)
        if former.revision in (0, self.revision):
            state.next_seed = former.next_seed
        return state

    def remake(self, former: CalculatedState | None) -> CalculatedState:
        """Return what `begin` does, to be given only those of the events that are left.

        Where the former state is of this definition it is not forgotten that a row ever came.
        """
        state, layout = self.begin(former), self._layout
        if layout is None or former is None or former.revision != self.revision:
            return state
        if layout.had_rows(former.data):
            state.data = layout.note_row(state.data)
        return state

    def update(self, state: CalculatedState, events: Sequence[Qualified], now_ms: int) -> bool:
        """Add events, in order of arrival; tell whether the value is another one now."""
        former = state.value
        if self._layout is not None:
            self._move(state, self._layout, events, now_ms)
        else:
            self._grow(state, events)
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
        state.__dict__.clear()
        if self._layout is not None:
            state.value = self._window_value(state, self._layout)
        elif state.data:
            summary = self._function.unpacked(state.data)
            state.value = self._function.result(summary, self._seed(state))
        else:
            state.value = self._value_without_rows(self._seed(state), had_rows=False)
        return state.value != former

    def is_seeded_by(self, seed: Seed | None) -> bool:
        """Tell whether a seed is for this attribute as it is defined now."""
        return seed is not None and (seed.name, seed.function, seed.cutoff_ms) == (
            self.name,
            self._function.name,
            self.attribute.definition.cutoff_ms,
        )

    def _grow(self, state: CalculatedState, events: Sequence[Qualified]) -> None:
        """Add events to a range that only grows."""
        rows = events[0][1] if len(events) == 1 else [row for _, some in events for row in some]
        if not rows:
            return
        function, seed = self._function, state.seed and self._seed(state)
        former = state.__dict__.get(_SUMMARY)
        if former is None and state.data:
            former = function.unpacked(state.data)
        summary = function.widened(former, rows, seed)
        if summary is not former:
            state.__dict__[_SUMMARY] = summary
            state.data, state.value = function.packed(summary), function.result(summary, seed)

    def _move(
        self, state: CalculatedState, layout: Layout, events: Sequence[Qualified], now_ms: int
    ) -> None:
        """Add events to a range that moves, and let go of what is outside."""
        length_ms, data = self._length_ms, state.data
        came: Sequence[Kept] = ()
        for time_ms, rows in events:
            if length_ms is not None and time_ms < now_ms - length_ms:
                data = layout.note_row(data) if rows else data
            elif rows or self._is_by_count:
                data = layout.add(data, state.texts, time_ms, rows)
                came = [*came, *rows] if came else rows
        size = len(data)
        if self._is_by_count:
            data = layout.drop_superseded(data)
        elif length_ms is not None and state.expiry_ms and state.expiry_ms <= now_ms:
            data = layout.drop_before(data, now_ms - length_ms)
        if len(data) < size and len(state.texts) > MIN_TEXTS:
            data, state.texts = layout.forget_texts(data, state.texts)
        state.data = data
        former = None if self._is_by_count or len(data) < size else state.__dict__.get(_SUMMARY)
        if former is None:
            state.value = self._window_value(state, layout)
        elif came:
            seed = state.seed and self._seed(state)
            summary = self._function.widened(former, came, seed)
            if summary is not former:
                state.__dict__[_SUMMARY] = summary
                state.value = self._function.result(summary, seed)
        if length_ms is not None:
            first_ms = layout.first_ms(data)
            state.expiry_ms = 0 if first_ms is None else first_ms + length_ms + 1

    def _window_value(self, state: CalculatedState, layout: Layout) -> Value:
        """Return the value of all rows, and note their summary."""
        state.__dict__.clear()
        data = layout.usable(state.data) if self._is_by_count else state.data
        seed = self._seed(state)
        if not layout.count(data):
            return self._value_without_rows(seed, layout.had_rows(state.data))
        summary = self._function.windowed(Window(layout, data, state.texts), seed)
        state.__dict__[_SUMMARY] = summary
        return self._function.result(summary, seed)

    def _seed(self, state: CalculatedState) -> Seed | None:
        seed = state.seed
        return seed if seed is not None and self.is_seeded_by(seed) else None

    def _value_without_rows(self, seed: Seed | None, had_rows: bool) -> Value:
        """Return the value if no row counts: that of the seed, else `0` if any row ever did."""
        if seed is not None:
            return self._function.result(None, seed)
        return "0" if had_rows and self._function.is_zero_when_empty else None
