"""What a deployment does with ten times what it can take."""

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import uvloop
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from actors.clock import SystemClock, SystemRandomness
from load_tests.overload import MIB, Overload, OverloadOptions, OverloadResult
from load_tests.phases import Calm, Phase
from load_tests.reader import ReadBackFailed
from load_tests.report import write_json

GOODPUT_AT_LEAST, FULL_WITHIN_S = 0.8, 5.0  # the bars
# Of the input that sends little: how many of its attempts are acknowledged, and all of its requests
# in the end. It waits for its turn behind what is under way to a shard, twice where a user is new
# there: some seconds of the shard's work, whatever another input sends.
AT_ONCE_AT_LEAST, CALM_P99_MS = 0.95, 10_000.0
_ALLOWED = frozenset({"202", "429", "503"})


class OverloadReport(Struct, kw_only=True):
    """The result of a run. `problems`: what did not meet its bar."""

    scenario: str
    options: OverloadOptions
    result: OverloadResult
    problems: list[str]


def problems_of(result: OverloadResult) -> list[str]:
    """Return what did not meet its bar."""
    found = []
    phases = {"before": result.before, "flood": result.flood, "after": result.after}
    for name, phase in phases.items():
        found += _problems_of_sender(name, phase)
        found += _problems_of_calm(f"{name}, calm input", phase.calm)
        for role, bound in result.bound_bytes.items():
            if (taken := phase.memory_bytes[role]) > bound:
                found.append(f"{name}: {role} took {taken // MIB} MiB, may {bound // MIB} MiB")
    if not {"429", "503"} & result.flood.statuses.keys() and not result.flood.unsent:
        found.append("flood: it was no more than the deployment takes")
    if result.goodput < GOODPUT_AT_LEAST:
        found.append(f"flood: {result.goodput:.0%} of what was taken before")
    if result.full_again_s is None or result.full_again_s > FULL_WITHIN_S:
        found.append(f"after: full speed {result.full_again_s} s after the flood")
    return found


def _problems_of_sender(name: str, sent: Phase | Calm) -> list[str]:
    """Return what no sender may meet."""
    found = []
    if others := sent.statuses.keys() - _ALLOWED:
        found.append(f"{name}: answers {', '.join(sorted(others))}")
    if sent.without_retry_after:
        found.append(f"{name}: {sent.without_retry_after} refusals without Retry-After")
    if sent.counts.lost or sent.counts.doubled or sent.counts.refused:
        found.append(f"{name}: lost, doubled or refused and kept: {sent.counts}")
    return found


def _problems_of_calm(name: str, calm: Calm) -> list[str]:
    """Return what an input that sends little suffers from another one."""
    found = _problems_of_sender(name, calm)
    if calm.share_at_once < AT_ONCE_AT_LEAST:
        found.append(f"{name}: {calm.share_at_once:.1%} of attempts acknowledged")
    if calm.acknowledged < calm.requests:
        missing = calm.requests - calm.acknowledged
        found.append(f"{name}: {missing} of {calm.requests} requests never acknowledged")
    if (p99 := calm.latency_ms.get("p99")) is None or p99 > CALM_P99_MS:
        found.append(f"{name}: p99 {'unknown' if p99 is None else f'{p99:,.0f} ms'}")
    return found


def table_of(report: OverloadReport) -> Table:
    """Show the result to a person."""
    result, options = report.result, report.options
    title = f"overload, {options.mode}: {options.times:g} times what it takes, "
    title += f"{options.attributes} calculated attributes, {options.audiences} audiences"
    table = Table(title=title, title_justify="left")
    for column in ("", "before", "flood", "after"):
        table.add_column(column, justify="right" if column else "left")
    phases = (result.before, result.flood, result.after)
    table.add_row("requests/s offered", *(f"{each.offered:,.0f}" for each in phases))
    table.add_row("batches/s acknowledged", *(f"{each.batches_per_second:,.0f}" for each in phases))
    for status in sorted({status for each in phases for status in each.statuses}):
        table.add_row(status, *(f"{each.statuses.get(status, 0):,}" for each in phases))
    table.add_row("connections broken", *(f"{each.connections_broken:,}" for each in phases))
    table.add_row("not sent", *(f"{each.unsent:,}" for each in phases))
    for name in ("p50", "p99"):
        shown = (each.latency_ms.get(name) for each in phases)
        table.add_row(f"{name} ms", *("" if ms is None else f"{ms:,.0f}" for ms in shown))
    for role in sorted(result.idle_bytes):
        sizes = (each.memory_bytes.get(role, 0) / MIB for each in phases)
        idle = result.idle_bytes[role] / MIB
        bound = result.bound_bytes.get(role)
        most = "" if bound is None else f", may {bound / MIB:,.0f}"
        label = f"{role} MiB (idle {idle:,.0f}{most})"
        table.add_row(label, *(f"{size:,.0f}" for size in sizes))
    for name in ("verified", "lost", "doubled"):
        table.add_row(f"events {name}", *(f"{getattr(each.counts, name):,}" for each in phases))
    _add_calm(table, [each.calm for each in phases])
    table.caption = (
        f"goodput {result.goodput:.0%}; full speed after {result.full_again_s} s; "
        f"{'; '.join(report.problems) or 'all bars met'}"
    )
    return table


def _add_calm(table: Table, calm: Sequence[Calm]) -> None:
    """Show what became of the input that sends little."""
    table.add_section()
    table.add_row("calm input: requests/s", *(f"{each.offered:,.1f}" for each in calm))
    table.add_row("acknowledged at once", *(f"{each.share_at_once:.1%}" for each in calm))
    table.add_row("acknowledged", *(f"{each.share:.1%}" for each in calm))
    for status in sorted({status for each in calm for status in each.statuses}):
        table.add_row(status, *(f"{each.statuses.get(status, 0):,}" for each in calm))
    for name in ("p50", "p99"):
        shown = (each.latency_ms.get(name) for each in calm)
        table.add_row(f"{name} ms", *("" if ms is None else f"{ms:,.0f}" for ms in shown))
    for name in ("verified", "lost", "doubled"):
        table.add_row(f"events {name}", *(f"{getattr(each.counts, name):,}" for each in calm))


_FILE = click.Path(dir_okay=False, writable=True, path_type=Path)


@click.command("overload")
@click.option("--mode", type=click.Choice(["bulk", "single"]), default="bulk", show_default=True)
@click.option("--seconds", type=click.FloatRange(2), default=20.0, show_default=True)
@click.option("--times", type=click.FloatRange(1), default=10.0, show_default=True)
@click.option("--connections", type=click.IntRange(1), default=8, show_default=True)
@click.option("--flood-connections", type=click.IntRange(1), default=1000, show_default=True)
@click.option("--received-mib", type=click.IntRange(1), default=64, show_default=True)
@click.option("--attributes", type=click.IntRange(0, 100), default=20, show_default=True)
@click.option("--audiences", type=click.IntRange(1), default=100, show_default=True)
@click.option("--users", type=click.IntRange(1), default=2_000, show_default=True)
@click.option("--verify-users", type=click.IntRange(1), default=200, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--json", "json_file", type=_FILE, help="Write all results to this file.")
def command(received_mib: int, json_file: Path | None, **flags: Any) -> None:
    """Start a deployment, measure what it takes, send it ten times that, and measure again.

    Meanwhile another input sends a tenth of what it takes, in small requests.

    Ends with 1 if it takes less than 80 % meanwhile, uses more memory than its settings allow,
    answers anything but 202, 429 and 503, loses what it acknowledged, or is slower 5 s afterwards;
    and if the other input is refused more often than once in twenty times, not acknowledged in the
    end, or slow.
    """
    options = OverloadOptions(received_bytes=received_mib * MIB, **flags)
    with tempfile.TemporaryDirectory(prefix="headwater-overload-") as folder:
        overload = Overload(options, Path(folder), SystemClock(), SystemRandomness())
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                result = runner.run(overload.run())
        except (RuntimeError, ReadBackFailed, OSError) as error:
            raise click.ClickException(str(error)) from error
    problems = problems_of(result)
    report = OverloadReport(scenario="overload", options=options, result=result, problems=problems)
    Console(width=110).print(table_of(report))
    if json_file is not None:
        write_json(report, json_file)
    if problems:
        raise SystemExit(1)
