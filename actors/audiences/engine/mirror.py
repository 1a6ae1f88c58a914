"""The columns: which sources are mirrored, and what a batch can have changed of them."""

from collections.abc import Iterable, Mapping
from typing import Literal

from msgspec import Struct

from actors.audiences.engine.dictionary import CodedColumn, Predicate
from actors.audiences.engine.numbers import NumberColumn, Parser, instant_of, number_of
from actors.audiences.engine.sources import (
    AttributeSource,
    ConsentSource,
    DeviceSource,
    ListedSource,
    PredictionSource,
    SectionSource,
    SeenSource,
    SegmentSource,
    Source,
    Subject,
)
from actors.model.batches import StoredBatch

NumberKind = Literal["number", "date", "instant"]  # what a text is parsed as

_PARSERS: dict[NumberKind, Parser] = {"number": number_of, "date": instant_of, "instant": float}
_AT_REQUEST = (PredictionSource, SegmentSource, ListedSource)  # no batch changes these


class _Mirrored:
    """A source with the columns that are made of it."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.coded: CodedColumn | None = None
        self.numbers: dict[NumberKind, NumberColumn] = {}
        self.users = 0  # leaves that read it

    def put(self, row: int, subject: Subject) -> None:
        value = self.source.read(subject)
        if self.coded is not None:
            self.coded.put(row, value)
        for column in self.numbers.values():
            column.put(row, value)


class SourceCost(Struct, frozen=True):
    """What one source takes: bytes of arrays, distinct values, and their bytes."""

    source: str
    array_bytes: int
    distinct: int
    value_bytes: int


class Mirror:
    """All columns of the rows. A column is there as long as a criterion reads it."""

    def __init__(self) -> None:
        self._rows = 0
        self._calculated: Mapping[str, int] = {}  # names of calculated attributes
        self._mirrored: dict[Source, _Mirrored] = {}
        self._attributes: dict[str, _Mirrored] = {}
        self._always: list[_Mirrored] = []
        self._by_device: list[_Mirrored] = []
        self._by_consent: list[_Mirrored] = []

    def coded(self, source: Source) -> CodedColumn:
        """Return the coded column of a source; it is new, and empty, if nobody had it."""
        mirrored = self._of(source)
        if mirrored.coded is None:
            mirrored.coded = CodedColumn(self._rows)
        return mirrored.coded

    def numbers(self, source: Source, kind: NumberKind) -> NumberColumn:
        """Return the number column of a source; new, and empty, if nobody had it."""
        mirrored = self._of(source)
        if kind not in mirrored.numbers:
            mirrored.numbers[kind] = NumberColumn(self._rows, _PARSERS[kind])
        return mirrored.numbers[kind]

    def slot(self, source: Source, predicate: Predicate) -> int:
        """Ask for something of a coded column; return the slot."""
        return self.coded(source).add(predicate)

    def hold(self, source: Source) -> None:
        """Count a user of a source."""
        self._of(source).users += 1

    def release(self, source: Source) -> None:
        """Count a user less; the columns go with the last."""
        mirrored = self._mirrored[source]
        mirrored.users -= 1
        if not mirrored.users:
            del self._mirrored[source]
            self._sort()

    def know(self, rows: int) -> None:
        """Make room for rows."""
        self._rows = rows
        for mirrored in self._mirrored.values():
            if mirrored.coded is not None:
                mirrored.coded.know(rows)
            for column in mirrored.numbers.values():
                column.know(rows)

    def fill(self, row: int, subject: Subject) -> None:
        """Set all columns of a row."""
        for mirrored in self._mirrored.values():
            mirrored.put(row, subject)

    def update(self, row: int, subject: Subject, stored: StoredBatch) -> None:
        """Set the columns of a row that a batch can have changed."""
        if subject.derived.names is not self._calculated:
            self._calculated = subject.derived.names
            self._sort()
        batch = stored.batch
        for names in (batch.user_attributes, batch.deleted_user_attributes):
            self._put_attributes(row, subject, names)
        for event in batch.events:
            if event.event_type == "user_attribute_change":
                self._put_attributes(row, subject, [event.get("user_attribute_name")])
        for mirrored in self._always:
            mirrored.put(row, subject)
        if stored.device_key is not None:
            for mirrored in self._by_device:
                mirrored.put(row, subject)
        if batch.consent_state:
            for mirrored in self._by_consent:
                mirrored.put(row, subject)

    def costs(self) -> list[SourceCost]:
        """Return what each source takes."""
        return [
            SourceCost(
                repr(mirrored.source),
                (0 if mirrored.coded is None else mirrored.coded.nbytes)
                + sum(column.nbytes for column in mirrored.numbers.values()),
                0 if mirrored.coded is None else mirrored.coded.distinct,
                0 if mirrored.coded is None else mirrored.coded.value_bytes,
            )
            for mirrored in self._mirrored.values()
        ]

    def _put_attributes(self, row: int, subject: Subject, names: Iterable[str | None]) -> None:
        for name in names:
            mirrored = self._attributes.get(name or "")
            if mirrored is not None:
                mirrored.put(row, subject)

    def _is_sent(self, name: str) -> bool:
        """Tell whether only what a batch says of a user attribute can change its value.

        A name of a group's attribute has a colon; a reserved name has several spellings.
        """
        return ":" not in name and not name.startswith("$") and name not in self._calculated

    def _of(self, source: Source) -> _Mirrored:
        mirrored = self._mirrored.get(source)
        if mirrored is None:
            mirrored = self._mirrored[source] = _Mirrored(source)
            self._sort()
        return mirrored

    def _sort(self) -> None:
        """Sort the sources by what changes them."""
        self._attributes, self._always, self._by_device, self._by_consent = {}, [], [], []
        for source, mirrored in self._mirrored.items():
            match source:
                case AttributeSource(name) if self._is_sent(name):
                    self._attributes[name] = mirrored
                case DeviceSource():
                    self._by_device.append(mirrored)
                case ConsentSource():
                    self._by_consent.append(mirrored)
                case _ if not isinstance(source, _AT_REQUEST):
                    self._always.append(mirrored)


def kind_of_dates(source: Source) -> NumberKind:
    """Return how the dates of a source are parsed: some are ms already."""
    if isinstance(source, SectionSource):
        return kind_of_dates(source.source)
    if isinstance(source, SeenSource) or (
        isinstance(source, ConsentSource) and source.field == "timestamp_ms"
    ):
        return "instant"
    return "date"
