"""What a run of `python -m load_tests audiences` ends with, and the bars for it."""

from collections.abc import Sequence

from msgspec import Struct
from rich.console import Console
from rich.table import Table

TOUCHED_AT_MOST_US = 60.0  # to evaluate as many audiences for a profile
TOUCHED_AUDIENCES = 1000
PASS_AT_MOST = 3.0  # times the bare loop


class Touched(Struct, kw_only=True):
    """CPU time per touched profile, in µs; medians over micro-batches.

    Attributes:
        observe: columns and entries, with its batch of five events.
        evaluate: all audiences, with what changed.
        expirations: more for the expirations of all memberships that began.
        changes: memberships that began or ended, per profile.
        bare: the same audiences by the bare loop over a micro-batch, without those that it has
            no loop for; `bare_audiences`: how many are left.
        bare_bytes_per_row: of the arrays that the bare loop compares.
    """

    audiences: int
    criteria: int
    streams: int
    rows: int
    observe: float
    evaluate: float
    expirations: float
    changes: float
    array_bytes_per_row: float
    entries_per_row: float
    entry_bytes: int
    bare: float
    bare_audiences: int
    bare_bytes_per_row: float


class FullPass(Struct, kw_only=True):
    """CPU time of evaluating all rows, in seconds; without sequences, carts and places.

    The bar is for `engine`, which does what the bare loop does: every criterion of every audience
    is compared for every row, nothing is left out because nothing changes. The first pass compares
    as much and hands out its changes besides, which the bare loop does not; they are as many as
    there are memberships, and most of what it takes.

    Attributes:
        first: the first pass: nobody is a member yet, and every membership is found and made a
            change of. `first_ratio`: of it to `bare`.
        engine: the second pass: all memberships are known, and nothing has changed.
        bare: the same comparisons by the bare loop, which keeps nothing.
        ratio: of `engine` to `bare`.
    """

    audiences: int
    rows: int
    first: float
    engine: float
    bare: float
    first_ratio: float
    ratio: float
    members: int
    engine_bytes_per_row: float
    bare_bytes_per_row: float


class AudiencesReport(Struct, kw_only=True):
    """All results of a run. `missed`: which bars they are above, in words."""

    scenario: str
    seed: int
    touched: list[Touched]
    full_pass: FullPass | None
    missed: list[str]


def missed_by(touched: Sequence[Touched], full_pass: FullPass | None) -> list[str]:
    """Return which bars results are above; none is for more audiences than it is about."""
    missed = [
        f"{one.audiences} audiences for a profile: {one.evaluate:.1f} µs > {TOUCHED_AT_MOST_US:g}"
        for one in touched
        if one.audiences <= TOUCHED_AUDIENCES and one.evaluate > TOUCHED_AT_MOST_US
    ]
    if full_pass is not None and full_pass.ratio > PASS_AT_MOST:
        missed.append(f"second full pass to bare loop: {full_pass.ratio:.2f} > {PASS_AT_MOST:g}")
    return missed


def print_audiences(report: AudiencesReport, console: Console) -> None:
    """Print the report as tables."""
    for one in report.touched:
        table = Table(title=f"{one.audiences} audiences, touched profiles", title_justify="left")
        table.add_column("measure")
        table.add_column("value", justify="right")
        table.add_row("different criteria, streams", f"{one.criteria:,}, {one.streams:,}")
        table.add_row("evaluate", f"{one.evaluate:,.1f} µs/profile")
        bare = f"{one.bare:,.1f} µs/profile"
        table.add_row(f"bare numpy loop, {one.bare_audiences:,} of the audiences", bare)
        table.add_row("expirations of all that began", f"{one.expirations:,.1f} µs/profile")
        table.add_row("observe (5 events, 2 attributes)", f"{one.observe:,.1f} µs/profile")
        table.add_row("changes", f"{one.changes:,.2f} per profile")
        table.add_row("arrays", f"{one.array_bytes_per_row:,.0f} bytes/profile")
        entries = f"{one.entries_per_row:,.1f} x {one.entry_bytes} bytes/profile"
        table.add_row("entries of streams", entries)
        table.add_row("bare arrays", f"{one.bare_bytes_per_row:,.0f} bytes/profile")
        console.print(table)
    if report.full_pass is not None:
        whole = report.full_pass
        title = f"{whole.audiences} audiences without sequences, carts and places, all of "
        title += f"{whole.rows:,} profiles"
        table = Table(title=title, title_justify="left")
        table.add_column("measure")
        table.add_column("value", justify="right")
        first = f"first pass, makes {whole.members:,} changes"
        table.add_row(first, f"{whole.first:,.2f} s CPU")
        table.add_row("second pass, memberships known", f"{whole.engine:,.2f} s CPU")
        table.add_row("bare numpy loop", f"{whole.bare:,.2f} s CPU")
        table.add_row("first pass to bare loop", f"{whole.first_ratio:,.2f}")
        table.add_row(f"second pass to bare loop, bar {PASS_AT_MOST:g}", f"{whole.ratio:,.2f}")
        table.add_row("memberships", f"{whole.members:,}")
        table.add_row("memory", f"{whole.engine_bytes_per_row:,.0f} bytes/profile")
        table.add_row("bare arrays", f"{whole.bare_bytes_per_row:,.0f} bytes/profile")
        console.print(table)
    console.print("\n".join(f"ABOVE {each}" for each in report.missed) or "within all bars")
