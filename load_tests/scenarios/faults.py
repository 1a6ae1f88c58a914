"""What faults of all kinds do to a deployment under load: nothing, if it is right."""

import asyncio
import os
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
from msgspec import Struct
from msgspec.structs import replace
from rich.console import Console
from rich.table import Table

from actors.clock import SystemClock
from load_tests.faults.campaign import Campaign, Check, Report
from load_tests.faults.checks import KINDS, Found, summed
from load_tests.faults.kept import NotServing
from load_tests.faults.plan import described
from load_tests.faults.runs import FaultsOptions, RunResult
from load_tests.report import write_json

_MOST_DETAILS = 20


class OfFault(Struct, kw_only=True):
    """The runs in which one fault befell the deployment.

    Attributes:
        missed: faults more, whose victim was away just then.
        wrong: runs in which something was wrong.
        longest_wait_s, median_wait_s: of the longest unavailabilities of these runs, which may be
            another fault's.
    """

    fault: str
    runs: int
    missed: int
    wrong: int
    median_wait_s: float
    longest_wait_s: float


class FaultsReport(Struct, kw_only=True):
    """The result of all runs.

    Attributes:
        wrong: seeds of the runs in which something was wrong.
        ended: seeds of those in which the deployment ended by itself.
        found: of all runs together, and of the checks at the ends of deployments.
        faults: the same by kind of fault.
    """

    scenario: str
    options: FaultsOptions
    runs: list[RunResult]
    checks: list[Check]
    acknowledged: int
    repeats: int
    cuts: int
    longest_wait_s: float
    wrong: list[int]
    ended: list[int]
    found: Found
    faults: list[OfFault]

    @property
    def is_right(self) -> bool:
        """Whether nothing is wrong."""
        return not self.wrong and self.found.is_clean


def report_of(options: FaultsOptions, runs: list[RunResult], checks: list[Check]) -> FaultsReport:
    """Put runs together."""
    return FaultsReport(
        scenario="faults",
        options=options,
        runs=runs,
        checks=checks,
        acknowledged=sum(each.acknowledged for each in runs),
        repeats=sum(each.repeats for each in runs),
        cuts=sum(each.cuts for each in runs),
        longest_wait_s=max((each.longest_wait_s for each in runs), default=0.0),
        wrong=[each.seed for each in runs if not each.is_right],
        ended=[each.seed for each in runs if each.has_ended_itself],
        found=summed([*(each.found for each in runs), *(each.found for each in checks)]),
        faults=_by_fault(runs),
    )


def _by_fault(runs: list[RunResult]) -> list[OfFault]:
    by_name: dict[str, list[RunResult]] = {}
    missed: dict[str, int] = {}
    for run in runs:
        for name in {each.name for each in run.faults if each not in run.missed}:
            by_name.setdefault(name, []).append(run)
        for each in run.missed:
            missed[each.name] = missed.get(each.name, 0) + 1
    return [
        OfFault(
            fault=name,
            runs=len(own),
            missed=missed.get(name, 0),
            wrong=sum(not each.is_right for each in own),
            median_wait_s=statistics.median(each.longest_wait_s for each in own),
            longest_wait_s=max(each.longest_wait_s for each in own),
        )
        for name, own in sorted(by_name.items())
    ]


def line_of(run: RunResult) -> str:
    """Return a run as one line, and what was wrong as more."""
    counts = " ".join(f"{kind} {getattr(run.found, kind)}" for kind in KINDS)
    first, before, after = (f"{s * 1000:.0f} ms" for s in (run.first_s, run.before_s, run.after_s))
    speed = f"batch {before} -> {after} (at first {first})"
    moved = f" moves {run.passes}" if run.passes else ""
    refused = "".join(f", {count} {why}" for why, count in sorted(run.refused.items()))
    took = f"took {run.load_s:.1f} + {run.settle_s:.1f} + {run.check_s:.1f} s"
    verdict = "ok" if run.is_right else "WRONG"
    line = (
        f"seed {run.seed} {verdict} acknowledged {run.acknowledged}{moved} {counts} "
        f"refused {sum(run.refused.values())}{refused}, "
        f"unavailable {run.longest_wait_s:.1f} s, {speed}, {took}, {described(run.faults)}"
    )
    ended = ["the deployment ended by itself"] if run.has_ended_itself else []
    return "\n  ".join([line, *ended, *run.found.details[:_MOST_DETAILS]])


def again_of(run: RunResult, options: FaultsOptions) -> str:
    """Return the flags that make a run again: the same users, and the same faults."""
    again = f"--seed {run.seed} --runs 1 --seconds {options.seconds} "
    again += f"--patience-s {options.patience_s}"
    again += " --disk" if options.has_disk else ""
    return again + (" --moves" if options.has_moves else "")


def disk_left_out(options: FaultsOptions, is_root: bool) -> str | None:
    """Return why no disk is going to be filled, `None` if that may happen."""
    if options.has_moves:
        return "no disk is filled: with --moves, processes die and nothing else happens"
    if not options.has_disk:
        return "no disk is filled: --disk is not given, and needs root"
    return None if is_root else "no disk is filled: --disk needs root"


def table_of(report: FaultsReport) -> Table:
    """Show the result to a person."""
    found = report.found
    title = f"faults: {len(report.runs):,} runs, {report.acknowledged:,} batches acknowledged"
    title += f", {report.repeats:,} of them sent again, {report.cuts:,} requests cut off"
    table = Table(title=title, title_justify="left")
    table.add_column("fault")
    for column in ("runs", "missed", "wrong", "unavailable: median s", "longest s"):
        table.add_column(column, justify="right")
    for each in report.faults:
        counts = (f"{each.runs:,}", f"{each.missed:,}", f"{each.wrong:,}")
        table.add_row(
            each.fault, *counts, f"{each.median_wait_s:.1f}", f"{each.longest_wait_s:.1f}"
        )
    again = sum(len(each.seeds) for each in report.checks)
    table.caption = (
        ", ".join(f"{kind} {getattr(found, kind)}" for kind in KINDS)
        + f"; {again:,} runs checked once more at the end of their deployment, "
        + f"which ended by itself in {len(report.ended):,}"
    )
    return table


_FILE = click.Path(dir_okay=False, writable=True, path_type=Path)
_FOLDER = click.Path(file_okay=False, path_type=Path)
_KEPT = Path(tempfile.gettempdir()) / "headwater-faults"


@click.command("faults")
@click.option("--runs", type=click.IntRange(1), default=10, show_default=True)
@click.option("--seed", type=click.IntRange(0), help="Of the first run; the next ones follow it.")
@click.option("--seconds", type=click.FloatRange(0.1), default=1.2, show_default=True)
@click.option("--patience-s", type=click.FloatRange(1), default=120.0, show_default=True)
@click.option(
    "--renew",
    type=click.IntRange(1),
    default=250,
    show_default=True,
    help="Runs after which all are checked once more and a new deployment begins.",
)
@click.option("--disk/--no-disk", "has_disk", default=False, help="Fill a tmpfs; needs root.")
@click.option("--moves/--no-moves", "has_moves", default=False, help="Move slots while parts die.")
@click.option("--report", "file", type=_FILE, help="Add each run to this file; go on if it exists.")
@click.option(
    "--keep",
    type=_FOLDER,
    default=_KEPT,
    show_default=True,
    help="Where the data of runs that went wrong are kept.",
)
@click.option("--json", "json_file", type=_FILE, help="Write all results to this file.")
def command(
    seed: int | None, file: Path | None, keep: Path, json_file: Path | None, **flags: Any
) -> None:
    """Start a deployment, and kill, stop and starve its parts while clients send.

    Every run prints its seed; `--seed S --runs 1` does the same again. Ends with 1 if anything was
    lost, applied twice, out of order, or left slower than before, or if a deployment ended although
    nothing was done to what it cannot do without.
    """
    if seed is None:
        seed = time.time_ns() % 1_000_000
    options = FaultsOptions(seed=seed, **flags)
    left_out = disk_left_out(options, os.geteuid() == 0)
    if left_out is not None:
        options = replace(options, has_disk=False)
        click.echo(left_out)
    # Else the deployment would go on without it.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))

    def describe(run: RunResult) -> str:
        if run.is_right:
            return line_of(run)
        return f"{line_of(run)}\n  again: python -m load_tests faults {again_of(run, options)}"

    try:
        results = Report(file, options)
        campaign = Campaign(results, options, keep, SystemClock(), click.echo)
        asyncio.run(campaign.run(describe))
    except (NotServing, OSError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    report = report_of(options, results.runs, results.checks)
    if json_file is not None:
        write_json(report, json_file)
    Console(width=110).print(table_of(report))
    for each in results.checks:
        for detail in each.found.details[:_MOST_DETAILS]:
            click.echo(f"  at the end of seeds {each.seeds[0]} to {each.seeds[-1]}: {detail}")
    if not report.is_right:
        raise SystemExit(1)
