"""What five outputs notice of a dead one and a slow one beside them."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import click
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from actors.clock import SystemClock
from load_tests.outputs import OutputsOptions, OutputsResult, outputs
from load_tests.report import write_json

AT_MOST = 1.1  # times the 99th percentile of the five without the bad ones
# Of the rate without the bad ones; both runs are sent the same, and wait for the last answer.
RATE_KEPT = 0.95


class OutputsReport(Struct, kw_only=True):
    """The result of a run.

    Attributes:
        ratio: of the highest delivery p99 among the five, with the bad ones to without.
        is_complete: everything arrived everywhere, once, each user's in order.
        is_within: that, the ratio at most `at_most`, and the rate of ingestion kept.
    """

    scenario: str
    options: OutputsOptions
    result: OutputsResult
    at_most: float
    ratio: float
    is_complete: bool
    is_within: bool


def report_of(options: OutputsOptions, result: OutputsResult, at_most: float) -> OutputsReport:
    """Judge a result."""
    ratio = result.bad.worst_ms / result.good.worst_ms
    faults = [result.missing, result.repeated, result.out_of_order]
    is_complete = not any(sum(each.values()) for each in faults)
    is_kept = result.bad.rate >= result.good.rate * RATE_KEPT
    return OutputsReport(
        scenario="outputs",
        options=options,
        result=result,
        at_most=at_most,
        ratio=ratio,
        is_complete=is_complete,
        is_within=is_complete and is_kept and ratio <= at_most,
    )


def table_of(report: OutputsReport) -> Table:
    """Show the result to a person."""
    result = report.result
    table = Table(title="outputs: five that are well", title_justify="left")
    table.add_column("measure")
    table.add_column("all seven well", justify="right")
    table.add_column("one dead, one slow", justify="right")
    good, bad = result.good, result.bad
    table.add_row("batches acknowledged", f"{good.acknowledged:,}", f"{bad.acknowledged:,}")
    table.add_row("batches/s", f"{good.rate:,.1f}", f"{bad.rate:,.1f}")
    p99 = (f"{good.ingest_p99_ms:,.1f} ms", f"{bad.ingest_p99_ms:,.1f} ms")
    table.add_row("ingest p99", *p99)
    for name, value in good.delivery_p99_ms.items():
        p99 = (f"{value:,.1f} ms", f"{bad.delivery_p99_ms[name]:,.1f} ms")
        table.add_row(f"delivery p99 of {name}", *p99)
    for name in ("missing", "repeated", "out_of_order"):
        table.add_row(
            f"events {name.replace('_', ' ')}", "", f"{sum(getattr(result, name).values()):,}"
        )
    table.add_row("all had arrived after", "", f"{result.recovery_s:,.1f} s")
    verdict = "within" if report.is_within else "NOT WITHIN"
    table.caption = f"p99 with the bad ones {report.ratio:.2f} times: {verdict} {report.at_most:g}"
    return table


_FILE = click.Path(dir_okay=False, writable=True, path_type=Path)


@click.command("outputs")
@click.option("--seconds", type=click.FloatRange(1), default=60.0, show_default=True)
@click.option("--rate", type=click.FloatRange(0.1), default=50.0, show_default=True)
@click.option("--users", type=click.IntRange(1), default=1000, show_default=True)
@click.option("--slow-s", type=click.FloatRange(0), default=5.0, show_default=True)
@click.option("--patience-s", type=click.FloatRange(1), default=300.0, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--at-most", type=float, default=AT_MOST, show_default=True, help="The bar.")
@click.option("--json", "json_file", type=_FILE, help="Write all results to this file.")
def command(at_most: float, json_file: Path | None, **flags: Any) -> None:
    """Start a deployment with seven webhooks, kill one, slow one down, and watch the others.

    Ends with 1 above the bar, or if anything is missing, came twice or out of order.
    """
    options = OutputsOptions(**flags)
    with tempfile.TemporaryDirectory(prefix="headwater-outputs-") as folder:
        try:
            result = asyncio.run(outputs(options, Path(folder), SystemClock()))
        except (RuntimeError, OSError) as error:
            raise click.ClickException(str(error)) from error
    report = report_of(options, result, at_most)
    Console(width=100).print(table_of(report))
    if json_file is not None:
        write_json(report, json_file)
    if not report.is_within:
        raise SystemExit(1)
