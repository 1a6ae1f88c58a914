"""Columns of values that criteria test whole: one code per row, one answer per value.

A criterion is asked once for every distinct value of its column. Its answers are one bit in a
table by code; to evaluate it for some rows is to look their codes up, eight criteria at a time.
"""

from collections.abc import Callable, Hashable
from sys import getsizeof

import numpy as np

from actors.audiences.engine.arrays import Bytes, Codes, Places, grown
from actors.audiences.values import MISSING, StoredValue

Predicate = Callable[[StoredValue], bool]

MISSING_CODE = 0

_LEAST_CODES = 64
_MOST_MEASURED = 1000
_CODE_BYTES = getsizeof(1 << 20)  # of a code as an object


class CodedColumn:
    """One source of values: what is asked of it (`slots`), and the code of every row.

    The dictionary is cleaned when it has doubled since the last time: codes of values that no row
    has any more are given up.
    """

    def __init__(self, rows: int) -> None:
        self.codes: Codes = np.zeros(rows, np.int32)
        self.table: Bytes = np.zeros((0, _LEAST_CODES), np.uint8)  # (words, codes)
        self._values: list[StoredValue] = [MISSING]
        self._code_of: dict[Hashable, int] = {MISSING: MISSING_CODE}
        self._slots: list[Predicate | None] = []
        self._clean_at = _LEAST_CODES

    @property
    def distinct(self) -> int:
        """How many codes there are."""
        return len(self._values)

    @property
    def nbytes(self) -> int:
        """The bytes of the arrays."""
        return self.codes.nbytes + self.table.nbytes

    @property
    def value_bytes(self) -> int:
        """The bytes of the distinct values and of what finds their codes.

        Of many values only some are measured, and count for all.
        """
        some = self._values[:: -(-len(self._values) // _MOST_MEASURED)]
        each = sum(map(_size_of, some)) / len(some)
        index = getsizeof(self._values) + getsizeof(self._code_of)
        return round(each * len(self._values)) + index

    def add(self, predicate: Predicate) -> int:
        """Ask for something more; return its slot."""
        slot = self._slots.index(None) if None in self._slots else len(self._slots)
        if slot == len(self._slots):
            self._slots.append(predicate)
            if slot // 8 == len(self.table):
                blank = np.zeros((1, self.table.shape[1]), np.uint8)
                self.table = np.concatenate([self.table, blank])
        self._slots[slot] = predicate
        for code, value in enumerate(self._values):
            if predicate(value):
                self.table[slot // 8, code] |= 1 << slot % 8
        return slot

    def remove(self, slot: int) -> None:
        """Ask no longer."""
        self._slots[slot] = None
        self.table[slot // 8] &= 0xFF ^ (1 << slot % 8)

    def know(self, rows: int) -> None:
        """Make room for rows; new ones have no value."""
        self.codes = grown(self.codes, rows, MISSING_CODE)

    def put(self, row: int, value: StoredValue) -> None:
        """Set the value of a row."""
        key = _key(value)
        code = self._code_of.get(key)
        if code is None:
            if len(self._values) >= self._clean_at:
                self._clean()
            code = self._learn(key, value)
        self.codes[row] = code

    def value(self, code: int) -> StoredValue:
        """Return the value of a code."""
        return self._values[code]

    def look_up(self, rows: Places, words: Places | None, into: Bytes) -> None:
        """Fill `into`, shape (words, rows), with the answers; `words`: which, `None` for all."""
        table = self.table if words is None else self.table[words]
        table.take(self.codes[rows], axis=1, out=into, mode="clip")

    def _learn(self, key: Hashable, value: StoredValue) -> int:
        code = len(self._values)
        if code == self.table.shape[1]:
            wider = np.zeros((len(self.table), 2 * code), np.uint8)
            wider[:, :code] = self.table
            self.table = wider
        self._values.append(value)
        self._code_of[key] = code
        for word in range(len(self.table)):
            answers = 0
            for bit, predicate in enumerate(self._slots[8 * word : 8 * word + 8]):
                if predicate is not None and predicate(value):
                    answers |= 1 << bit
            self.table[word, code] = answers
        return code

    def _clean(self) -> None:
        used = np.unique(np.append(self.codes, MISSING_CODE))
        if 2 * len(used) <= len(self._values):
            renamed = np.zeros(len(self._values), np.int32)
            renamed[used] = np.arange(len(used), dtype=np.int32)
            self.codes = renamed[self.codes]
            self._values = [self._values[code] for code in used]
            self._code_of = {_key(value): code for code, value in enumerate(self._values)}
            size = max(_LEAST_CODES, 1 << (2 * len(used) - 1).bit_length())
            table = np.zeros((len(self.table), size), np.uint8)
            table[:, : len(used)] = self.table[:, used]
            self.table = table
        self._clean_at = max(2 * len(used), _LEAST_CODES)


def _size_of(value: StoredValue) -> int:
    """Return the bytes of a value; a list has a key of its own, with the same texts."""
    texts = value if isinstance(value, list) else ()
    own = getsizeof(value) + (getsizeof(tuple(texts)) if texts else 0)
    return _CODE_BYTES + own + sum(map(getsizeof, texts))


def _key(value: StoredValue) -> Hashable:
    return tuple(value) if isinstance(value, list) else value
