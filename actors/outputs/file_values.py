"""Reads the values of rows, in the order of the columns."""

from collections.abc import Mapping
from typing import Any

from actors.outputs.file_columns import COLUMNS, NOTHING, Convert, Getter, Kind, Made
from actors.outputs.file_rows import Row


class _Members:
    """The columns that are members of one object: only members that are there cost anything."""

    def __init__(self) -> None:
        self._own: dict[str, list[tuple[int, Convert]]] = {}
        self._inner: dict[str, _Members] = {}

    def add(self, path: tuple[str, ...], at: int, convert: Convert) -> None:
        name, *inner = path
        if inner:
            self._inner.setdefault(name, _Members()).add(tuple(inner), at, convert)
        else:
            self._own.setdefault(name, []).append((at, convert))

    def read(self, found: Any, into: list[Any]) -> None:
        if type(found) is not dict:
            return
        own, inner = self._own, self._inner
        for name, value in found.items():
            for at, convert in own.get(name, ()):
                into[at] = convert(value)
            if name in inner:
                inner[name].read(value, into)


class ColumnReader:
    """Reads the values of rows.

    Args:
        conversions: what is made of a value of each kind; of `None` that is `None`.
    """

    def __init__(self, conversions: Mapping[Kind, Convert]) -> None:
        self._members = {"batch": _Members(), "identities": _Members(), "data": _Members()}
        self._of_batch: list[tuple[int, Getter, Convert]] = []
        self._of_event: list[tuple[int, Getter, Convert]] = []
        for at, (_, kind, source) in enumerate(COLUMNS):
            convert = conversions[kind]
            if isinstance(source, Made):
                made = self._of_batch if source.is_of_batch else self._of_event
                if source is not NOTHING:
                    made.append((at, source.getter, convert))
            else:
                if source.convert is not None:
                    convert = _after(source.convert, convert)
                self._members[source.part].add(source.path, at, convert)

    def values(self, row: Row) -> list[Any]:
        """Return the values of a row, in the order of COLUMNS."""
        members = self._members
        if not row.of_batch:
            of_batch = [None] * len(COLUMNS)
            members["batch"].read(row.batch, of_batch)
            members["identities"].read(row.identities, of_batch)
            for at, getter, convert in self._of_batch:
                of_batch[at] = convert(getter(row))
            row.of_batch.extend(of_batch)
        found = row.of_batch.copy()
        members["data"].read(row.data, found)
        for at, getter, convert in self._of_event:
            found[at] = convert(getter(row))
        return found


def _after(first: Convert, then: Convert) -> Convert:
    return lambda value: then(first(value))
