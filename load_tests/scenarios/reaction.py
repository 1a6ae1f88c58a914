"""How soon a webhook is told of what an event has changed, beside load."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import click
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from actors.clock import SystemClock
from load_tests.generator import LoadFailed
from load_tests.reaction import ReactionOptions, ReactionResult, react
from load_tests.report import write_json

AT_MOST_MS = 200.0  # the bar of the 99th percentile


class ReactionReport(Struct, kw_only=True):
    """The result of a run. `is_within`: none is missing, and p99 is not above `at_most_ms`."""

    scenario: str
    options: ReactionOptions
    at_most_ms: float
    result: ReactionResult
    is_within: bool


def report_of(
    options: ReactionOptions, result: ReactionResult, at_most_ms: float
) -> ReactionReport:
    """Judge a result."""
    return ReactionReport(
        scenario="reaction",
        options=options,
        at_most_ms=at_most_ms,
        result=result,
        is_within=not result.missing and result.latency_ms["p99"] <= at_most_ms,
    )


def table_of(report: ReactionReport) -> Table:
    """Show the result to a person."""
    result, options = report.result, report.options
    title = f"reaction, {options.mode}: {options.attributes} calculated attributes, "
    table = Table(title=title + f"{options.audiences} audiences", title_justify="left")
    table.add_column("measure")
    table.add_column("value", justify="right")
    table.add_row("highest rate, batches/s", f"{result.highest_rate:,.0f}")
    table.add_row("load, batches/s", f"{result.load_rate:,.0f}")
    table.add_row("probes", f"{result.probes:,}")
    table.add_row("not told of", f"{result.missing:,}")
    table.add_row("messages", f"{result.messages:,}")
    for name, value in result.acknowledged_ms.items():
        table.add_row(f"event to answer {name}", f"{value:,.1f} ms")
    for name, value in result.latency_ms.items():
        table.add_row(f"event to webhook {name}", f"{value:,.1f} ms")
    verdict = "within" if report.is_within else "ABOVE"
    table.caption = f"p99 is {verdict} {report.at_most_ms:g} ms"
    return table


_FILE = click.Path(dir_okay=False, writable=True, path_type=Path)


@click.command("reaction")
@click.option("--seconds", type=click.FloatRange(1), default=30.0, show_default=True)
@click.option("--rate-seconds", type=click.FloatRange(1), default=15.0, show_default=True)
@click.option("--share", type=click.FloatRange(0.01, 1), default=0.5, show_default=True)
@click.option("--mode", type=click.Choice(["bulk", "single"]), default="bulk", show_default=True)
@click.option("--probes-per-second", type=click.FloatRange(0.1), default=20.0, show_default=True)
@click.option("--attributes", type=click.IntRange(0, 100), default=20, show_default=True)
@click.option("--audiences", type=click.IntRange(1), default=100, show_default=True)
@click.option("--told", type=click.IntRange(0), default=10, show_default=True)
@click.option("--users", type=click.IntRange(1), default=10_000, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--at-most-ms", type=float, default=AT_MOST_MS, show_default=True, help="The bar.")
@click.option("--json", "json_file", type=_FILE, help="Write all results to this file.")
def command(at_most_ms: float, json_file: Path | None, **flags: Any) -> None:
    """Start a deployment, put half of its highest rate on it, and time events to a webhook.

    Ends with 1 above the bar, or if the webhook was not told of every probe.
    """
    options = ReactionOptions(**flags)
    with tempfile.TemporaryDirectory(prefix="headwater-reaction-") as folder:
        try:
            result = asyncio.run(react(options, Path(folder), SystemClock()))
        except (RuntimeError, LoadFailed, OSError) as error:
            raise click.ClickException(str(error)) from error
    report = report_of(options, result, at_most_ms)
    Console(width=100).print(table_of(report))
    if json_file is not None:
        write_json(report, json_file)
    if not report.is_within:
        raise SystemExit(1)
