"""How long it takes until a shard with a million profiles, or an edge, is back after `kill -9`."""

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from actors.clock import SystemClock
from load_tests.filled import NotServed
from load_tests.reader import ReadBackFailed
from load_tests.recovery import Kill, Recovery, RecoveryOptions, RecoveryResult
from load_tests.report import write_json

SHARD_AT_MOST_S, EDGE_AT_MOST_S = 5.0, 3.0  # the bars


class RecoveryReport(Struct, kw_only=True):
    """The result of a run. `is_within`: all came back in time, and nobody else was refused."""

    scenario: str
    options: RecoveryOptions
    result: RecoveryResult
    is_within: bool


def report_of(options: RecoveryOptions, result: RecoveryResult) -> RecoveryReport:
    """Judge a result."""
    bars = ((result.shards, SHARD_AT_MOST_S), (result.edges, EDGE_AT_MOST_S))
    is_within = all(
        max(each.back_s, each.unserved_s) <= at_most_s and not each.others_refused
        for kills, at_most_s in bars
        for each in kills
    )
    return RecoveryReport(scenario="recovery", options=options, result=result, is_within=is_within)


def table_of(report: RecoveryReport) -> Table:
    """Show the result to a person."""
    result, options = report.result, report.options
    title = f"recovery with {options.profiles:,} profiles in the shard that is killed, "
    title += f"{options.attributes} calculated attributes, {options.audiences} audiences"
    table = Table(title=title, title_justify="left")
    for column in ("killed", "back s", "its cpu s", "unserved s", "others: refused"):
        table.add_column(column, justify="right")
    table.add_column("slowest s", justify="right")
    table.add_column("before s", justify="right")
    _add_rows(table, "shard", result.shards)
    _add_rows(table, "edge", result.edges)
    verdict = "within" if report.is_within else "NOT within"
    table.caption = (
        f"start {result.start_s:.1f} s, columns of audiences {result.loaded_s:.1f} s later; "
        f"{verdict} {SHARD_AT_MOST_S:g} s for a shard, {EDGE_AT_MOST_S:g} s for an edge"
    )
    return table


def _add_rows(table: Table, what: str, kills: Sequence[Kill]) -> None:
    for each in kills:
        table.add_row(
            what,
            f"{each.back_s:.2f}",
            f"{each.cpu_s:.2f}",
            f"{each.unserved_s:.2f}",
            f"{each.others_refused}",
            f"{each.others_s:.2f}",
            f"{each.before_s:.2f}",
        )


_FILE = click.Path(dir_okay=False, writable=True, path_type=Path)
_FOLDER = click.Path(file_okay=False, exists=True, path_type=Path)


@click.command("recovery")
@click.option("--profiles", type=click.IntRange(1), default=1_000_000, show_default=True)
@click.option("--kills", type=click.IntRange(1), default=3, show_default=True)
@click.option("--attributes", type=click.IntRange(0, 100), default=20, show_default=True)
@click.option("--audiences", type=click.IntRange(1), default=100, show_default=True)
@click.option("--pause", "pause_s", type=click.FloatRange(0), default=0.02, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--folder", type=_FOLDER, help="Of the data: a million profiles take 4 GB.")
@click.option("--json", "json_file", type=_FILE, help="Write all results to this file.")
def command(folder: Path | None, json_file: Path | None, **flags: Any) -> None:
    """Kill a shard with many profiles, and an edge, and time until they serve again.

    Meanwhile two and eight clients send single batches, each with a pause (seconds) between two.
    Ends with 1 if one takes longer than its bar, or if others were refused meanwhile.
    """
    options = RecoveryOptions(**flags)
    with tempfile.TemporaryDirectory(prefix="headwater-recovery-", dir=folder) as own:
        recovery = Recovery(options, Path(own), SystemClock())
        try:
            result = asyncio.run(recovery.run())
        except (RuntimeError, NotServed, ReadBackFailed, OSError) as error:
            raise click.ClickException(str(error)) from error
    report = report_of(options, result)
    Console(width=110).print(table_of(report))
    if json_file is not None:
        write_json(report, json_file)
    if not report.is_within:
        raise SystemExit(1)
