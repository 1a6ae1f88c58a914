"""What a function of calculated attributes is (spec/calculated-attributes.md, 2 and 8).

A function makes the value of a *summary* of the rows that count, with a seed or without (`result`).
Of a range that only grows it keeps the summary (`packed`, `unpacked`); of one that moves it makes
the summary of the rows in it (`windowed`). New rows are added to either (`widened`). For every
order of arrival all ways give equal results, except where a cap makes the order count.
"""

from collections.abc import Sequence
from typing import Generic, Literal, Protocol, TypeVar

from actors.calculated.definition import Datapoint
from actors.calculated.rows import Kept
from actors.calculated.state import Seed, Value
from actors.calculated.window import Column, Window

SummaryT = TypeVar("SummaryT")

Takes = Literal["nothing", "value", "time"]


class Function(Protocol, Generic[SummaryT]):
    """One function.

    Attributes:
        name: its canonical `calculation_type`.
        trigger: its class in the API's metadata.
        takes: what it takes of a row: nothing, the attribute's value, or the time.
        weighs: the quantity of products counts where a definition asks for it.
        is_zero_when_empty: the value is `0`, not null, when all rows have left the range.
    """

    @property
    def name(self) -> str:
        """See `Function`."""
        ...

    @property
    def trigger(self) -> Literal["sync", "async"]:
        """See `Function`."""
        ...

    @property
    def takes(self) -> Takes:
        """See `Function`."""
        ...

    @property
    def weighs(self) -> bool:
        """See `Function`."""
        ...

    @property
    def is_zero_when_empty(self) -> bool:
        """See `Function`."""
        ...

    def columns(self, datapoint: Datapoint) -> tuple[Column, ...]:
        """Return the columns that `windowed` reads."""
        ...

    def content(self, text: str, weight: float) -> float | int | str | None:
        """Return what is kept of a value; `None` if the row is not usable."""
        ...

    def widened(
        self, summary: SummaryT | None, rows: Sequence[Kept], seed: Seed | None
    ) -> SummaryT:
        """Return the summary with some more usable rows: the same object if they change nothing.

        Args:
            summary: stays as it is; `None`: there were no rows.
            rows: in order of arrival, at least one.
            seed: that of the user.
        """
        ...

    def packed(self, summary: SummaryT) -> bytes:
        """Return a summary as it is kept, not `b""`."""
        ...

    def unpacked(self, data: bytes) -> SummaryT:
        """Return a summary that was kept."""
        ...

    def windowed(self, window: Window, seed: Seed | None) -> SummaryT:
        """Return the summary of the rows of a window, of which there is one."""
        ...

    def result(self, summary: SummaryT | None, seed: Seed | None) -> Value:
        """Return the value; `summary` is `None` if no row counts, and then there is a seed."""
        ...
