"""Processor time of calculated attributes and audiences as batches come, in this process."""

import asyncio
import tempfile
from pathlib import Path

import click
import msgspec
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from actors.clock import Clock, SystemClock
from actors.hosting import settle_memory
from load_tests.in_process import InProcess, document
from load_tests.ingest_cost import CostOptions, CostResult, keep_current, measure
from load_tests.scenarios.identity import processor_time
from load_tests.steady import CpuClock, NotSteady

AT_MOST = 1.6  # the bar


class CostReport(Struct, kw_only=True):
    """The result of a run. `is_within`: the median ratio is not above `at_most`."""

    scenario: str
    options: CostOptions
    at_most: float
    result: CostResult
    is_within: bool


async def compare(
    options: CostOptions, at_most: float, folder: Path, clock: Clock, cpu: CpuClock
) -> CostReport:
    """Measure on two deployments. Raises NotSteady."""
    workspace = document(priority=["customerid"])
    plain = InProcess(folder / "plain", workspace, 2, clock)
    full = InProcess(folder / "full", workspace, 2, clock)
    try:
        keep_current(full, options, clock)
        result = await measure(plain, full, options, clock, cpu)
    finally:
        plain.close()
        full.close()
    return CostReport(
        scenario="ingest-cost",
        options=options,
        at_most=at_most,
        result=result,
        is_within=result.ratio <= at_most,
    )


def table_of(report: CostReport) -> Table:
    """Show the result to a person."""
    result, options = report.result, report.options
    title = f"{options.attributes} calculated attributes, {options.audiences} audiences"
    table = Table(title=f"ingest-cost, CPU µs per event: {title}", title_justify="left")
    for name in ("events", "without", "with", "ratio", "least", "most"):
        table.add_column(name, justify="right")
    table.add_row(
        f"{result.events:,}",
        f"{result.without_us:.1f}",
        f"{result.with_us:.1f}",
        f"{result.ratio:.2f}",
        f"{min(result.ratios):.2f}",
        f"{max(result.ratios):.2f}",
    )
    verdict = "within" if report.is_within else "ABOVE"
    table.caption = f"the median ratio is {verdict} {report.at_most:g}"
    return table


_FILE = click.Path(dir_okay=False, writable=True, path_type=Path)


@click.command("ingest-cost")
@click.option("--users", type=click.IntRange(1), default=2000, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=10, show_default=True)
@click.option("--batches", type=click.IntRange(1), default=2000, show_default=True)
@click.option("--events-per-batch", type=click.IntRange(1, 50), default=5, show_default=True)
@click.option("--attributes", type=click.IntRange(0, 100), default=20, show_default=True)
@click.option("--audiences", type=click.IntRange(0), default=100, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--at-most", type=float, default=AT_MOST, show_default=True, help="The bar.")
@click.option("--json", "json_file", type=_FILE, help="Write all results to this file.")
def command(
    users: int,
    rounds: int,
    batches: int,
    events_per_batch: int,
    attributes: int,
    audiences: int,
    seed: int,
    at_most: float,
    json_file: Path | None,
) -> None:
    """Compare ingestion with calculated attributes and audiences to ingestion without any.

    Everything runs in this process, on a temporary folder. Ends with 1 above the bar.
    """
    settle_memory()  # as the processes of a deployment do
    options = CostOptions(
        users=users,
        rounds=rounds,
        batches=batches,
        events_per_batch=events_per_batch,
        attributes=attributes,
        audiences=audiences,
        seed=seed,
    )
    with tempfile.TemporaryDirectory(prefix="headwater-cost-") as folder:
        running = compare(options, at_most, Path(folder), SystemClock(), processor_time)
        try:
            report = asyncio.run(running)
        except NotSteady as error:
            raise click.ClickException(str(error)) from error
    Console(width=100).print(table_of(report))
    if json_file is not None:
        json_file.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    if not report.is_within:
        raise SystemExit(1)
