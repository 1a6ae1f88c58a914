"""How soon an audience and a calculated attribute are complete for what is stored, in this process.

Source: spec/audiences.md, 7, Backfill; spec/calculated-attributes.md, 5 and 9.
"""

import asyncio
import tempfile
from pathlib import Path

import click
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from actors.hosting import settle_memory
from load_tests.backfill.measuring import EVENTS_PER_BATCH, NotComplete, measure
from load_tests.backfill.results import Options, Result
from load_tests.report import write_json
from load_tests.scenarios.identity import processor_time
from load_tests.steady import NotSteady

DUE_AT_MOST_S = 60.0  # after the instant (spec/audiences.md, 7)
FILL_AT_MOST = 6.0  # times what reading and writing the same takes
STEP_AT_MOST_S = 0.05  # for which a batch waits
INGEST_AT_MOST = 1.6  # times the processor time of an event while nothing else is done


class BackFillReport(Struct, kw_only=True):
    """The result of a run. `missed`: which bars it is above, in words."""

    scenario: str
    options: Options
    result: Result
    missed: list[str]


def missed_by(result: Result) -> list[str]:
    """Return which bars a result is above."""
    floor = result.floor
    floor_us = floor.read_us + floor.decode_us + floor.write_us
    due_s = max(result.day_ends.seconds, result.week_ends.seconds)
    steps = [result.idle, result.day_ends, result.week_ends]
    held = [
        ("back-fill to bare loop", result.idle.cpu_us_per_user / floor_us, FILL_AT_MOST),
        ("seconds after the end of a day or week", due_s, DUE_AT_MOST_S),
    ]
    if (shared := result.shared) is not None:
        ratio = shared.meanwhile.cpu_us_per_event / shared.alone.cpu_us_per_event
        held.append(("event meanwhile to event alone", ratio, INGEST_AT_MOST))
        steps.append(shared.filled)
    longest_s = max(each.longest_s for each in steps)
    held.append(("seconds of the longest step", longest_s, STEP_AT_MOST_S))
    return [f"{name}: {found:.3g} > {bar:g}" for name, found, bar in held if found > bar]


def print_back_fill(report: BackFillReport, console: Console) -> None:
    """Show the result to a person."""
    result, options = report.result, report.options
    title = (
        f"{options.users:,} users of {options.events} events, {result.wanted:.0%} of them "
        f"looked for; {result.members:,} members"
    )
    table = Table(title=title, title_justify="left")
    for name in ("", "CPU µs/user", "CPU µs/event", "seconds", "longest step"):
        table.add_column(name, justify="right" if name else "left")
    floor = result.floor
    for name, us in (("reading the log", floor.read_us), ("decoding it", floor.decode_us)):
        table.add_row(name, f"{us:,.1f}", f"{us / options.events:,.2f}")
    table.add_row("rewriting profiles", f"{floor.write_us:,.1f}")
    rows = [("back-fill, nothing else", result.idle, options.events)]
    if (shared := result.shared) is not None:
        rows.append(("back-fill, batches come", shared.filled, options.events))
    rows.append((f"a day ends, {result.day_ends.users:,} leave", result.day_ends, 0))
    rows.append((f"a week ends, {result.week_ends.users:,} stay out", result.week_ends, 0))
    for name, filled, events in rows:
        us, longest = filled.cpu_us_per_user, f"{filled.longest_s * 1000:,.1f} ms"
        per_event = f"{us / events:,.2f}" if events else ""
        table.add_row(name, f"{us:,.1f}", per_event, f"{filled.seconds:,.1f}", longest)
    console.print(table)
    if shared is not None:
        sent = Table(title="taken in", title_justify="left")
        for name in ("", "events", "events/s", "CPU µs/event"):
            sent.add_column(name, justify="right" if name else "left")
        for name, each in (("alone", shared.alone), ("meanwhile", shared.meanwhile)):
            rate, per_event = f"{each.events_per_second:,.0f}", f"{each.cpu_us_per_event:,.1f}"
            sent.add_row(name, f"{each.events:,}", rate, per_event)
        console.print(sent)
    console.print("\n".join(f"ABOVE {each}" for each in report.missed) or "within all bars")


_FILE = click.Path(dir_okay=False, writable=True, path_type=Path)


@click.command("backfill")
@click.option("--users", type=click.IntRange(200), default=100_000, show_default=True)
@click.option(
    "--events",
    type=click.IntRange(EVENTS_PER_BATCH),
    default=10,
    show_default=True,
    help=f"Of each user; they come {EVENTS_PER_BATCH} in a batch.",
)
@click.option(
    "--requests",
    type=click.IntRange(0),
    default=50,
    show_default=True,
    help="Of 100 batches, sent for comparison with those during a back-fill; 0: neither.",
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--json", "json_file", type=_FILE, help="Write all results to this file.")
def command(users: int, events: int, requests: int, seed: int, json_file: Path | None) -> None:
    """Begin an audience and a calculated attribute on a shard that has users with histories.

    Everything runs in this process, on a temporary folder: once while nothing else is asked of the
    shard, once while batches come; then a day and a week end for those who were there in them.
    Ends with 1 above a bar, or if somebody is missing.
    """
    settle_memory()  # as the processes of a deployment do
    options = Options(
        users=users, events=events - events % EVENTS_PER_BATCH, requests=requests, seed=seed
    )
    with tempfile.TemporaryDirectory(prefix="headwater-backfill-") as folder:
        try:
            result = asyncio.run(measure(Path(folder), options, processor_time))
        except (NotComplete, NotSteady) as error:
            raise click.ClickException(str(error)) from error
    report = BackFillReport(
        scenario="backfill", options=options, result=result, missed=missed_by(result)
    )
    print_back_fill(report, Console(width=110))
    if json_file is not None:
        write_json(report, json_file)
    if report.missed:
        raise SystemExit(1)
