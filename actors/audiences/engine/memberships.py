"""Who is in which audience: one bit per row and audience, row by row."""

from collections.abc import Collection, Iterable, Sequence

import numpy as np

from actors.audiences.engine.arrays import Bools, Bytes, Ints, Places, grown, transpose, unpack
from actors.audiences.engine.growing import Growing

_LEAST_BYTES = 8


class Memberships:
    """The members of all audiences; an audience has a bit as long as it is known."""

    def __init__(self) -> None:
        self._rows = Growing(np.uint8, shape=(_LEAST_BYTES,))
        self._sizes: Ints = np.zeros(8 * _LEAST_BYTES, np.int64)  # members by bit
        self._bit_of: dict[int, int] = {}
        self._free: list[int] = []
        self._last: tuple[Sequence[int], Ints] = (), np.zeros(0, np.int64)

    @property
    def nbytes(self) -> int:
        """The bytes of the array."""
        return self._rows.nbytes

    @property
    def _bits(self) -> Bytes:
        return self._rows.array

    def __contains__(self, audience: int) -> bool:
        """Tell whether the audience has a bit."""
        return audience in self._bit_of

    def know(self, rows: int) -> None:
        """Make room for rows."""
        self._rows.grow(rows)

    def add(self, audience: int) -> None:
        """Give an audience a bit; nobody is in it."""
        if audience in self._bit_of:
            return
        bit = self._free.pop() if self._free else len(self._bit_of)
        if bit >= 8 * self._bits.shape[1]:
            width = self._bits.shape[1]
            wider = Growing(np.uint8, shape=(2 * width,))
            wider.grow(len(self._rows))
            wider.array[:, :width] = self._bits
            self._rows = wider
            self._sizes = grown(self._sizes, 16 * width, 0)
        self._bit_of[audience] = bit

    def remove(self, audience: int) -> None:
        """Take everybody out and the bit away."""
        bit = self._bit_of.pop(audience)
        self._last = (), np.zeros(0, np.int64)
        self._bits[:, bit >> 3] &= 0xFF ^ (1 << (bit & 7))
        self._sizes[bit] = 0
        self._free.append(bit)

    def put(self, row: int, audiences: Iterable[int]) -> None:
        """Let a row be in these audiences and no others; unknown ones are left out."""
        if self._bits[row].any():
            self._sizes -= self._of(row)
            self._bits[row] = 0
        for audience in audiences:
            self.set(row, audience, is_member=True)

    def put_new(self, rows: Places, audiences: Sequence[Collection[int]]) -> None:
        """Let rows that are in none be in these audiences each; unknown ones are left out."""
        lengths = np.fromiter(map(len, audiences), np.int64, len(audiences))
        bit_of = self._bit_of
        found = [bit_of.get(audience, -1) for each in audiences for audience in each]
        bits, row = np.array(found, np.int64), rows.repeat(lengths)
        is_known = bits >= 0
        bits, row = bits[is_known], row[is_known]
        np.bitwise_or.at(self._bits, (row, bits >> 3), (1 << (bits & 7)).astype(np.uint8))
        np.add.at(self._sizes, bits, 1)

    def set(self, row: int, audience: int, *, is_member: bool) -> None:
        """Let a row be in an audience or not; an unknown one is left out."""
        bit = self._bit_of.get(audience)
        if bit is None or bool(self._bits[row, bit >> 3] >> (bit & 7) & 1) == is_member:
            return
        self._bits[row, bit >> 3] ^= 1 << (bit & 7)
        self._sizes[bit] += 1 if is_member else -1

    def of(self, row: int) -> list[int]:
        """Return the audiences that a row is in, ascending."""
        bits = self._of(row)
        return sorted(audience for audience, bit in self._bit_of.items() if bits[bit])

    def rows_of(self, audience: int) -> Places:
        """Return the rows of an audience's members, ascending."""
        bit = self._bit_of[audience]
        return (self._bits[:, bit >> 3] & (1 << (bit & 7))).nonzero()[0]

    def count(self, audience: int) -> int:
        """Return how many members an audience has."""
        return int(self._sizes[self._bit_of[audience]])

    def change(
        self, rows: Places, audiences: Sequence[int], now: Bytes, ready: Bytes | None
    ) -> tuple[Ints, Ints, Bools]:
        """Set memberships; return what changed.

        Args:
            rows: each once.
            audiences: whose bits are set; not to be changed afterwards.
            now: who is a member, packed, one line per audience.
            ready: where it is set, in the same form; `None` for everywhere.

        Returns:
            (index into `audiences`, index into `rows`, whether entered), by row and audience.
        """
        bits = self._bits_of(audiences)
        after, changed = self._after(rows, bits, now, ready)
        row, byte = (changed != 0).nonzero()  # few of many: only these are taken apart
        if not len(row):
            nothing = np.zeros(0, np.int64)
            return nothing, nothing, np.zeros(0, np.bool_)
        self._bits[rows] = after
        at, within = unpack(changed[row, byte][:, None], 8).nonzero()
        place, bit = row[at], 8 * byte[at] + within
        entered: Bools = after[place, bit >> 3] >> (bit & 7).astype(np.uint8) & 1 != 0
        np.add.at(self._sizes, bit, np.where(entered, 1, -1))
        index_of = np.zeros(8 * self._bits.shape[1], np.int64)
        index_of[bits] = np.arange(len(bits))
        audience = index_of[bit]
        order = np.lexsort((audience, place))
        return audience[order], place[order], entered[order]

    def differing(
        self, rows: Places, audiences: Sequence[int], now: Bytes, ready: Bytes | None
    ) -> Bools:
        """Tell of which rows `change` would change anything; the arguments are as there."""
        _, changed = self._after(rows, self._bits_of(audiences), now, ready)
        differs: Bools = (changed != 0).max(axis=1)
        return differs

    def _after(
        self, rows: Places, bits: Ints, now: Bytes, ready: Bytes | None
    ) -> tuple[Bytes, Bytes]:
        """Return the bytes of rows as they would be set, and which of their bits would change."""
        before = self._bits[rows]
        set_ = self._by_row(bits, now, len(rows))
        if ready is None:
            is_set = np.zeros(8 * self._bits.shape[1], np.bool_)
            is_set[bits] = True
            mask = np.packbits(is_set, bitorder="little")
        else:
            mask = self._by_row(bits, ready, len(rows))
        after: Bytes = (before & ~mask) | (set_ & mask)
        return after, after ^ before

    def _bits_of(self, audiences: Sequence[int]) -> Ints:
        """Return where the bits of audiences are; those asked for last are remembered."""
        last, bits = self._last
        if last is not audiences:
            bits = np.array([self._bit_of[audience] for audience in audiences], np.int64)
            self._last = audiences, bits
        return bits

    def _of(self, row: int) -> Bytes:
        """Return 0 or 1 for each bit of a row."""
        bits: Bytes = unpack(self._bits[row : row + 1], 8 * self._bits.shape[1])[0]
        return bits

    def _by_row(self, bits: Ints, lines: Bytes, rows: int) -> Bytes:
        """Return packed lines as bytes like those that are kept; 0 where there is no line."""
        placed = np.zeros((8 * self._bits.shape[1], lines.shape[1]), np.uint8)
        placed[bits] = lines
        return transpose(placed)[:rows]
