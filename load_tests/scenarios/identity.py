"""Processor time of identity resolution in the steady state, in this process."""

import asyncio
import resource
import tempfile
from pathlib import Path

import click
import msgspec
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from actors.clock import Clock, SystemClock
from actors.hosting import settle_memory
from actors.identity.registry import STRATEGIES
from load_tests.in_process import InProcess, document
from load_tests.steady import (
    USERS,
    CpuClock,
    NotSteady,
    SteadyOptions,
    SteadyResult,
    measure,
)

AT_MOST = 1.15  # the bar: the steady state may cost 15 % more than resolution by MPID alone


class IdentityReport(Struct, kw_only=True):
    """All results of a run. `is_within`: no median ratio is above `at_most`."""

    scenario: str
    options: SteadyOptions
    shards: int
    at_most: float
    results: list[SteadyResult]
    is_within: bool


async def compare(
    strategies: tuple[str, ...],
    options: SteadyOptions,
    shards: int,
    at_most: float,
    folder: Path,
    clock: Clock,
    cpu: CpuClock,
) -> IdentityReport:
    """Measure strategies, each on a deployment of its own. Raises NotSteady."""
    results: list[SteadyResult] = []
    for strategy in strategies:
        deployment = InProcess(folder / strategy, document(strategy=strategy), shards, clock)
        try:
            results += [
                await measure(deployment, strategy, users, options, clock, cpu) for users in USERS
            ]
        finally:
            deployment.close()
    return IdentityReport(
        scenario="identity",
        options=options,
        shards=shards,
        at_most=at_most,
        results=results,
        is_within=all(each.ratio <= at_most for each in results),
    )


def processor_time() -> float:
    """Return the seconds of processor time that this process has taken, in user and kernel mode."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def table_of(report: IdentityReport) -> Table:
    """Show the results to a person."""
    table = Table(title="identity, CPU µs per event in the steady state", title_justify="left")
    for name in ("strategy", "users"):
        table.add_column(name)
    for name in ("events", "by MPID", "by identities", "ratio", "least", "most"):
        table.add_column(name, justify="right")
    for each in report.results:
        table.add_row(
            each.strategy,
            each.users,
            f"{each.events:,}",
            f"{each.by_mpid_us:.1f}",
            f"{each.by_identities_us:.1f}",
            f"{each.ratio:.3f}",
            f"{min(each.ratios):.3f}",
            f"{max(each.ratios):.3f}",
        )
    verdict = "within" if report.is_within else "ABOVE"
    table.caption = f"median ratios are {verdict} {report.at_most:g}"
    return table


_FILE = click.Path(dir_okay=False, writable=True, path_type=Path)


@click.command("identity")
@click.option(
    "--strategy",
    "strategies",
    multiple=True,
    type=click.Choice(sorted(STRATEGIES)),
    help="Only this one; may be repeated.",
)
@click.option("--users", type=click.IntRange(1), default=1000, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=15, show_default=True)
@click.option("--events-per-batch", type=click.IntRange(1, 50), default=5, show_default=True)
@click.option("--shards", type=click.IntRange(1, 64), default=2, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--at-most", type=float, default=AT_MOST, show_default=True, help="The bar.")
@click.option("--json", "json_file", type=_FILE, help="Write all results to this file.")
def command(
    strategies: tuple[str, ...],
    users: int,
    rounds: int,
    events_per_batch: int,
    shards: int,
    seed: int,
    at_most: float,
    json_file: Path | None,
) -> None:
    """Compare batches of known users by identities with the same ones by MPID.

    Everything runs in this process, on a temporary folder: no server is needed. Ends with 1 if a
    strategy is above the bar.
    """
    settle_memory()  # as the processes of a deployment do
    options = SteadyOptions(
        users=users, rounds=rounds, events_per_batch=events_per_batch, seed=seed
    )
    chosen = strategies or tuple(STRATEGIES)
    with tempfile.TemporaryDirectory(prefix="headwater-identity-") as folder:
        running = compare(
            chosen, options, shards, at_most, Path(folder), SystemClock(), processor_time
        )
        try:
            report = asyncio.run(running)
        except NotSteady as error:
            raise click.ClickException(str(error)) from error
    Console(width=100).print(table_of(report))
    if json_file is not None:
        json_file.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    if not report.is_within:
        raise SystemExit(1)
