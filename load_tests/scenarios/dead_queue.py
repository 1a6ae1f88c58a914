"""What a long queue of a dead output costs: memory, and time to start again."""

import asyncio
import logging
import tempfile
from pathlib import Path

import click
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from actors.clock import SystemClock
from actors.errors import StoreFull
from load_tests.dead_queue import MEGABYTE, DeadQueueOptions, DeadQueueResult, fill
from load_tests.report import write_json

# Of memory, from a quarter of the queue to the whole: what is held is bounded, not the same always.
MAY_GROW_BYTES = 64 * MEGABYTE
MAY_TAKE_S = 0.5  # longer to start with the whole queue


class DeadQueueReport(Struct, kw_only=True):
    """The result of a run. `is_within`: neither memory nor the start follow the queue."""

    scenario: str
    options: DeadQueueOptions
    result: DeadQueueResult
    is_within: bool


def report_of(options: DeadQueueOptions, result: DeadQueueResult) -> DeadQueueReport:
    """Judge a result."""
    is_within = (
        result.growth_bytes <= MAY_GROW_BYTES
        and result.start_full_s - result.start_empty_s <= MAY_TAKE_S
    )
    return DeadQueueReport(
        scenario="dead-queue", options=options, result=result, is_within=is_within
    )


def table_of(report: DeadQueueReport) -> Table:
    """Show the result to a person."""
    result = report.result
    table = Table(title="dead-queue: deliveries that wait for a dead webhook", title_justify="left")
    table.add_column("measure")
    table.add_column("value", justify="right")
    for sample in result.samples:
        label = f"memory with {sample.queued:,} queued"
        table.add_row(label, f"{sample.private / MEGABYTE:,.0f} MiB")
    table.add_row("on disk", f"{result.disk_bytes / MEGABYTE:,.0f} MiB")
    table.add_row("start, empty", f"{result.start_empty_s * 1000:,.0f} ms")
    table.add_row("start, full", f"{result.start_full_s * 1000:,.0f} ms")
    table.caption = "within" if report.is_within else "NOT WITHIN"
    return table


_FILE = click.Path(dir_okay=False, writable=True, path_type=Path)


@click.command("dead-queue")
@click.option("--deliveries", type=click.IntRange(4), default=1_000_000, show_default=True)
@click.option("--payload-bytes", type=click.IntRange(0), default=700, show_default=True)
@click.option("--json", "json_file", type=_FILE, help="Write all results to this file.")
def command(json_file: Path | None, deliveries: int, payload_bytes: int) -> None:
    """Queue deliveries for a webhook that is dead; watch memory, and start again.

    Ends with 1 if memory grows with the queue or a start takes longer.
    """
    logging.getLogger("headwater").setLevel(logging.ERROR)  # that it is dead is known
    options = DeadQueueOptions(deliveries=deliveries, payload_bytes=payload_bytes)
    with tempfile.TemporaryDirectory(prefix="headwater-queue-") as folder:
        try:
            result = asyncio.run(fill(options, Path(folder), SystemClock()))
        except (RuntimeError, StoreFull, OSError) as error:
            raise click.ClickException(str(error)) from error
    report = report_of(options, result)
    Console(width=100).print(table_of(report))
    if json_file is not None:
        write_json(report, json_file)
    if not report.is_within:
        raise SystemExit(1)
