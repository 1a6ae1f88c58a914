"""From an event to the entries that it makes in streams."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import NamedTuple

from actors.audiences.criteria import Condition
from actors.audiences.engine.entries import Entry, Happened, bits_of
from actors.audiences.engine.spans_of_now import union
from actors.audiences.engine.streams import (
    UNLIKE,
    Stream,
    TakeNothing,
    TakeNumber,
    TakeQuantity,
    TakeSame,
    TakeSession,
    TakeText,
    hash_of,
)
from actors.audiences.engine.where import VALUES_KEPT, is_short, row_spans, row_test
from actors.audiences.event_rows import (
    Reader,
    Row,
    attribute_or_field_reader,
    event_key,
    key_members,
    matches_key,
    product_quantity,
    reader,
    rows_of,
    session_id,
)
from actors.audiences.predicates import predicate
from actors.audiences.values import MISSING, StoredValue, fold, parse_number
from actors.model.batches import Event, StoredBatch
from actors.model.workspaces import WorkspaceInfo
from actors.profiles.tiers import event_name

_KEYS_KEPT = 8192

_TakeRow = Callable[[Row], tuple[int, float] | None]  # the value's bits and its weight


class _Candidate:
    """One stream, compiled."""

    def __init__(self, number: int, stream: Stream) -> None:
        self.number = number
        self.stream = stream
        wanted = stream.filter
        self.inputs = None if wanted.inputs is None else frozenset(wanted.inputs)
        where = wanted.where
        is_timed = where is not None and stream.is_wide and _is_timed(stream)
        self.test = None if where is None or is_timed else row_test(where)
        self.spans = row_spans(where) if where is not None and is_timed else None
        self.take_row = _row_taker(stream)
        is_free = where is None and self.inputs is None
        takes_nothing = isinstance(stream.take, TakeNothing)
        self.is_plain = is_free and takes_nothing
        # What it asks of an event, if that is one condition alone.
        is_simple = self.test is not None and self.inputs is None and takes_nothing
        self.condition = where if is_simple and isinstance(where, Condition) else None
        names = stream.take.names if isinstance(stream.take, TakeSame) else ()
        self.same = tuple(_same_reader(name) for name in names)

    def add_entries(self, made: list[Entry], rows: list[Row], t_ms: int, event: int) -> None:
        """Append what the rows of one event make."""
        if self.inputs is not None and rows[0].batch.input not in self.inputs:
            return
        if self.spans is not None:
            made.extend(self._timed(rows, t_ms, event))
            return
        test, take = self.test, self.take_row
        for row in rows:
            if test is None or test(row):
                if take is None:
                    value = self._of_event(rows[0])
                    if value is not None:
                        made.append(Entry(self.number, t_ms, event, value))
                    return
                taken = take(row)
                if taken is not None:
                    made.append(Entry(self.number, t_ms, event, *taken))

    def _timed(self, rows: list[Row], t_ms: int, event: int) -> Iterator[Entry]:
        assert self.spans is not None
        if self.take_row is None:
            value = self._of_event(rows[0])
            if value is not None:
                for span in union([self.spans(row) for row in rows]):
                    yield Entry(self.number, t_ms, event, value, 1.0, *span)
            return
        for row in rows:
            taken = self.take_row(row)
            if taken is not None:
                for span in self.spans(row):
                    yield Entry(self.number, t_ms, event, *taken, *span)

    def _of_event(self, row: Row) -> int | None:
        match self.stream.take:
            case TakeSession():
                return session_id(row.event)
            case TakeSame():
                return _hash_of_same(row, self.same)
        return 0


class _Alike:
    """Streams of events that differ only in the condition on one attribute.

    Its value is read once for all of them, and what follows from it is remembered.
    """

    def __init__(self, candidates: Sequence[_Candidate], conditions: Sequence[Condition]) -> None:
        first = conditions[0]
        self._read = reader(first.attribute_category, first.attribute_name)
        self._tests = [
            (candidate.number, predicate(condition.test))
            for candidate, condition in zip(candidates, conditions, strict=True)
        ]
        self._known: dict[StoredValue, tuple[int, ...]] = {}

    def streams(self, rows: Sequence[Row]) -> tuple[int, ...]:
        """Return the numbers of the streams that an event with these rows is in, each once."""
        if len(rows) == 1:
            return self._of(self._read(rows[0]))
        found: dict[int, None] = {}
        for row in rows:
            found.update(dict.fromkeys(self._of(self._read(row))))
        return tuple(found)

    def _of(self, value: StoredValue) -> tuple[int, ...]:
        if type(value) is list:
            return self._satisfied(value)
        found = self._known.get(value)
        if found is None:
            found = self._satisfied(value)
            if is_short(value):
                if len(self._known) >= VALUES_KEPT:
                    self._known.clear()
                self._known[value] = found
        return found

    def _satisfied(self, value: StoredValue) -> tuple[int, ...]:
        return tuple(number for number, holds in self._tests if holds(value))


class _Matching(NamedTuple):
    """The streams that events of one key may be in: those for certain by their numbers."""

    plain: tuple[int, ...]
    alike: list[_Alike]
    others: list[_Candidate]


_NOTHING = _Matching((), [], [])


class Matcher:
    """The streams of an engine, found by event key."""

    def __init__(self, workspace: WorkspaceInfo, streams: Iterable[tuple[int, Stream]]) -> None:
        self._candidates = [_Candidate(number, stream) for number, stream in streams]
        self._by_key: dict[Hashable, _Matching] = {}
        # By the numbers of their streams: events of many keys share what is remembered of values.
        self._alike: dict[tuple[int, ...], _Alike] = {}
        self._tiers = workspace.tiers
        self._default_tier = workspace.default_tier

    def entries(self, stored: StoredBatch, first_event: int, since_ms: int) -> list[Entry]:
        """Return the entries of a batch, those of one stream in its order.

        Args:
            stored: a stored batch.
            first_event: number for its first event.
            since_ms: older events make none.
        """
        happened, others = self.found(stored, first_event, since_ms)
        return [
            *(
                Entry(stream, each.t_ms, each.event, 0)
                for each in happened
                for stream in each.streams
            ),
            *others,
        ]

    def found(
        self, stored: StoredBatch, first_event: int, since_ms: int
    ) -> tuple[list[Happened], list[Entry]]:
        """Return `entries` as they are made: those that say nothing but that an event happened,
        by event, and all others."""
        happened: list[Happened] = []
        made: list[Entry] = []
        received_ms = stored.received_ms
        for number, event in enumerate(stored.batch.events, first_event):
            members = key_members(event)
            matching = self._by_key.get(members)
            if matching is None:
                matching = self._learn(members, event)
            if matching is _NOTHING:
                continue
            t_ms = min(event.timestamp_ms, received_ms)
            if t_ms < since_ms:
                continue
            streams, alike, others = matching
            if alike or others:
                rows = rows_of(stored, event)
                for each in alike:
                    streams = streams + each.streams(rows)
                for candidate in others:
                    candidate.add_entries(made, rows, t_ms, number)
            if streams:
                happened.append(Happened(t_ms, number, streams))
        return happened, made

    def _learn(self, members: Hashable, event: Event) -> _Matching:
        """Find the streams of an event of which these are the key's members."""
        if len(self._by_key) >= _KEYS_KEPT:
            self._by_key.clear()
            self._alike.clear()
        key = event_key(event)
        candidates = [each for each in self._candidates if matches_key(each.stream.filter, key)]
        is_seen = bool(candidates) and self._is_visible(event)
        found = self._by_key[members] = self._sorted_out(candidates) if is_seen else _NOTHING
        return found

    def _sorted_out(self, candidates: Sequence[_Candidate]) -> _Matching:
        plain = tuple(each.number for each in candidates if each.is_plain)
        matching = _Matching(plain, [], [])
        by_attribute: dict[tuple[str, str], list[tuple[_Candidate, Condition]]] = {}
        for each in candidates:
            condition = each.condition
            if each.is_plain:
                continue
            if condition is None:
                matching.others.append(each)
            else:
                attribute = condition.attribute_category, condition.attribute_name
                by_attribute.setdefault(attribute, []).append((each, condition))
        for group in by_attribute.values():
            members, conditions = zip(*group, strict=True)
            numbers = tuple(member.number for member in members)
            if numbers not in self._alike:
                self._alike[numbers] = _Alike(members, conditions)
            matching.alike.append(self._alike[numbers])
        return matching

    def _is_visible(self, event: Event) -> bool:
        """Tell whether the tier lets audiences see the event (spec/audiences.md, 1)."""
        tier = self._default_tier
        if self._tiers:
            tier = self._tiers.get(event_name(event) or "", tier)
        return tier == "personalize"


def _is_timed(stream: Stream) -> bool:
    return Stream(stream.filter).is_wide


def _same_reader(name: str) -> Reader:
    if name != "session_id":
        return attribute_or_field_reader(name)

    def read(row: Row) -> StoredValue:
        session = session_id(row.event)
        return MISSING if session is None else str(session)

    return read


def _row_taker(stream: Stream) -> _TakeRow | None:
    """Return how a value is taken from each row; `None` for streams with one entry per event."""
    match stream.take:
        case TakeQuantity():
            return _quantity
        case TakeNumber(category, name, weight):
            return _number_taker(reader(category, name), weight)
        case TakeText(category, name):
            return _text_taker(reader(category, name))
        case _:
            return None


def _quantity(row: Row) -> tuple[int, float] | None:
    quantity = product_quantity(row)
    return (bits_of(quantity), 1.0) if quantity > 0 else None


def _number_taker(read: Reader, weight: str) -> _TakeRow:
    def take(row: Row) -> tuple[int, float] | None:
        text = read(row)
        number = parse_number(text) if isinstance(text, str) else None
        if number is None:
            return None
        if weight == "none":
            return bits_of(number), 1.0
        quantity = product_quantity(row)
        return (bits_of(number * quantity), quantity) if quantity > 0 else None

    return take


def _text_taker(read: Reader) -> _TakeRow:
    def take(row: Row) -> tuple[int, float] | None:
        text = read(row)
        return (hash_of(text.encode(errors="surrogatepass")), 1.0) if type(text) is str else None

    return take


def _hash_of_same(row: Row, readers: tuple[Reader, ...]) -> int:
    texts = [read(row) for read in readers]
    if not all(type(text) is str for text in texts):
        return UNLIKE
    folded = "\0".join(fold(str(text)) for text in texts)
    return hash_of(folded.encode(errors="surrogatepass"))
