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
from load_tests.measurements import PERCENTILES
from load_tests.reaction import ReactionOptions, ReactionResult, react
from load_tests.report import write_json

AT_MOST_MS = 150.0  # the bar of the 99th percentile over all probes, with the full feature set
AUDIENCES_AT_MOST_MS = 200.0  # and for audiences with less beside them; only shown
LOAD_TOLERANCE = 0.02  # of the rate that was offered: else it was another load


class ReactionReport(Struct, kw_only=True):
    """The result of a run.

    `is_within`: none is missing, p99 is not above `at_most_ms`, and the load was what was offered.
    """

    scenario: str
    options: ReactionOptions
    at_most_ms: float
    result: ReactionResult
    is_within: bool


def report_of(
    options: ReactionOptions, result: ReactionResult, at_most_ms: float
) -> ReactionReport:
    """Judge a result."""
    every = result.latencies["all"]
    is_soon = not every.missing and every.latency_ms["p99"] <= at_most_ms
    return ReactionReport(
        scenario="reaction",
        options=options,
        at_most_ms=at_most_ms,
        result=result,
        is_within=is_soon and _is_offered(result),
    )


def tables_of(report: ReactionReport) -> list[Table]:
    """Show the result to a person."""
    result, options = report.result, report.options
    title = f"reaction, {options.mode}: the full feature set, "
    title += f"{options.attributes} calculated attributes, {options.audiences} audiences"
    load = Table(title=title, title_justify="left")
    load.add_column("measure")
    load.add_column("value", justify="right")
    load.add_row("highest rate, batches/s", f"{result.highest_rate:,.0f}")
    load.add_row("load offered, batches/s", f"{result.offered_rate:,.1f}")
    load.add_row("load achieved, batches/s", f"{result.load_rate:,.1f}")
    load.add_row("achieved to offered", f"{result.load_rate / result.offered_rate:.1%}")
    load.add_row("messages", f"{result.messages:,}")
    kinds = result.latencies
    probes = Table(title="probes, by their users", title_justify="left")
    probes.add_column("measure")
    for kind in kinds:
        probes.add_column(kind, justify="right")
    probes.add_row("probes", *(f"{each.probes:,}" for each in kinds.values()))
    probes.add_row("not told of", *(f"{each.missing:,}" for each in kinds.values()))
    for name in PERCENTILES:
        found = (f"{each.acknowledged_ms[name]:,.1f} ms" for each in kinds.values())
        probes.add_row(f"event to answer {name}", *found)
    for name in PERCENTILES:
        found = (f"{each.latency_ms[name]:,.1f} ms" for each in kinds.values())
        probes.add_row(f"event to webhook {name}", *found)
    probes.caption = verdict_of(report)
    return [load, probes]


def verdict_of(report: ReactionReport) -> str:
    """Return which bars the 99th percentile is within, and why else a run does not pass."""
    every = report.result.latencies["all"]
    bars = sorted({report.at_most_ms, AUDIENCES_AT_MOST_MS})
    above = [bar for bar in bars if every.latency_ms["p99"] > bar]
    words = [f"within {bar:g} ms" for bar in bars[len(above) :][:1]]
    words += [f"ABOVE {bar:g} ms" for bar in above[-1:]]
    if every.missing:
        words.append(f"{every.missing:,} NOT TOLD OF")
    if not _is_offered(report.result):
        words.append("the load was NOT what was offered")
    return "p99 of all: " + ", ".join(words)


def _is_offered(result: ReactionResult) -> bool:
    return abs(result.load_rate / result.offered_rate - 1) <= LOAD_TOLERANCE


_FILE = click.Path(dir_okay=False, writable=True, path_type=Path)


@click.command("reaction")
@click.option("--seconds", type=click.FloatRange(1), default=60.0, show_default=True)
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

    Half of the events are of users who have sent before. Ends with 1 above the bar, if the webhook
    was not told of every probe, or if the load was not within 2 % of what was offered.
    """
    options = ReactionOptions(**flags)
    with tempfile.TemporaryDirectory(prefix="headwater-reaction-") as folder:
        try:
            result = asyncio.run(react(options, Path(folder), SystemClock()))
        except (RuntimeError, LoadFailed, OSError) as error:
            raise click.ClickException(str(error)) from error
    report = report_of(options, result, at_most_ms)
    console = Console(width=100)
    for table in tables_of(report):
        console.print(table)
    if json_file is not None:
        write_json(report, json_file)
    if not report.is_within:
        raise SystemExit(1)
