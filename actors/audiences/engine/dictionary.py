"""Columns of values that criteria test whole: one code per row, one answer per value.

A criterion is asked once for every distinct value of its column. Its answers are one bit in a
table by code; to evaluate it for some rows is to look their codes up, eight criteria at a time.
"""

from collections.abc import Callable, Hashable
from sys import getsizeof

import numpy as np

from actors.audiences.engine.arrays import Bytes, Codes, Places
from actors.audiences.engine.growing import Growing
from actors.audiences.values import MISSING, StoredValue

Predicate = Callable[[StoredValue], bool]

MISSING_CODE = 0

_LEAST_CODES = 64
_MOST_MEASURED = 1000
_CODE_BYTES = getsizeof(1 << 20)  # of a code as an object


class CodedColumn:
    """One source of values: what is asked of it (`slots`), and the code of every row.

    A value that no row has any more is forgotten; its code is used again.
    """

    def __init__(self, rows: int) -> None:
        self._codes = Growing(np.int32, MISSING_CODE)
        self.table: Bytes = np.zeros((0, _LEAST_CODES), np.uint8)  # (words, codes)
        self._values: list[StoredValue] = [MISSING]
        self._users = [0]  # rows, by code; those without a value are not counted
        self._free: list[int] = []  # codes
        self._code_of: dict[Hashable, int] = {MISSING: MISSING_CODE}
        self._slots: list[Predicate | None] = []
        self.know(rows)

    @property
    def codes(self) -> Codes:
        """The code of each row."""
        return self._codes.array

    @property
    def codes_end(self) -> int:
        """What is more than any code."""
        return len(self._values)

    @property
    def distinct(self) -> int:
        """How many values there are."""
        return len(self._code_of)

    @property
    def nbytes(self) -> int:
        """The bytes of the arrays."""
        return self._codes.nbytes + self.table.nbytes

    @property
    def value_bytes(self) -> int:
        """The bytes of the distinct values and of what finds their codes.

        Of many values only some are measured, and count for all.
        """
        some = self._values[:: -(-len(self._values) // _MOST_MEASURED)]
        each = sum(map(_size_of, some)) / len(some)
        index = sum(map(getsizeof, (self._values, self._users, self._code_of)))
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
        self._codes.grow(rows)

    def put(self, row: int, value: StoredValue) -> None:
        """Set the value of a row."""
        key = _key(value)
        code = self._code_of.get(key)
        codes = self._codes.array
        before = int(codes[row])
        if code == before:
            return
        if code is None:
            code = self._learn(key, value)
        codes[row] = code
        self._users[code] += 1
        if before != MISSING_CODE:
            self._users[before] -= 1
            if not self._users[before]:
                self._forget(before)

    def value(self, code: int) -> StoredValue:
        """Return the value of a code."""
        return self._values[code]

    def look_up(self, rows: Places, words: Places | None, into: Bytes) -> None:
        """Fill `into`, shape (words, rows), with the answers; `words`: which, `None` for all."""
        table = self.table if words is None else self.table[words]
        table.take(self.codes[rows], axis=1, out=into, mode="clip")

    def _learn(self, key: Hashable, value: StoredValue) -> int:
        if self._free:
            code = self._free.pop()
            self._values[code] = value
        else:
            code = len(self._values)
            self._values.append(value)
            self._users.append(0)
            if code == self.table.shape[1]:
                wider = np.zeros((len(self.table), 2 * code), np.uint8)
                wider[:, :code] = self.table
                self.table = wider
        self._code_of[key] = code
        for word in range(len(self.table)):
            answers = 0
            for bit, predicate in enumerate(self._slots[8 * word : 8 * word + 8]):
                if predicate is not None and predicate(value):
                    answers |= 1 << bit
            self.table[word, code] = answers
        return code

    def _forget(self, code: int) -> None:
        del self._code_of[_key(self._values[code])]
        self._values[code] = MISSING
        self._free.append(code)


def _size_of(value: StoredValue) -> int:
    """Return the bytes of a value; a list has a key of its own, with the same texts."""
    texts = value if isinstance(value, list) else ()
    own = getsizeof(value) + (getsizeof(tuple(texts)) if texts else 0)
    return _CODE_BYTES + own + sum(map(getsizeof, texts))


def _key(value: StoredValue) -> Hashable:
    return tuple(value) if isinstance(value, list) else value
