"""Batches of events, at a rate or as fast as possible; what was acknowledged can be read back."""

import asyncio
from pathlib import Path
from typing import Any, Literal

import click
import uvloop
from msgspec import Struct
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from actors.clock import Clock, SystemClock, SystemRandomness
from load_tests.chart import write_chart
from load_tests.client import Channel, Target
from load_tests.drive import Arrivals, DriveOptions, Driver
from load_tests.ledger import Ledger
from load_tests.pool import (
    MAX_BATCHES_PER_REQUEST,
    MAX_EVENTS_PER_BATCH,
    RUN_BITS,
    Pool,
    PoolOptions,
)
from load_tests.reader import Access, ReadBackFailed
from load_tests.report import Report, print_report, write_json
from load_tests.stages import Accountant, find_server
from load_tests.traffic import IngestTraffic
from load_tests.verify import Verification, Verifier

_POOL_BATCHES = 40_000  # about 80 MB, and a few seconds to make
_TICK_S = 0.25
_TICKS_PER_SAMPLE = 4
_BEFORE_FIRST_EVENT_MS = 5_000  # events happen up to two seconds before they are sent


class IngestOptions(Struct, frozen=True, kw_only=True):
    """How to run. `batches_per_second` `None`: as fast as `connections` can."""

    target: Target
    key: str
    secret: str
    mode: Literal["bulk", "single"]
    batches_per_second: float | None
    arrivals: Arrivals
    seconds: float
    users: int
    seed: int
    connections: int
    batches_per_request: int
    events_per_batch: int
    access: Access | None = None
    verify_users: int | None = None
    pid: int | None = None


def make_pool(options: IngestOptions, run: int, progress: Progress) -> Pool:
    """Make the batches of a run; ValueError if they do not fit into requests."""
    batches = _POOL_BATCHES
    if options.batches_per_second is not None:
        batches = min(batches, round(options.batches_per_second * options.seconds))
    task = progress.add_task("preparing", total=batches, rate="")
    pool_options = PoolOptions(
        seed=options.seed,
        users=options.users,
        batches=batches,
        is_bulk=options.mode == "bulk",
        batches_per_request=options.batches_per_request,
        events_per_batch=options.events_per_batch,
    )
    pool = Pool(pool_options, run, on_batch=lambda: progress.advance(task))
    progress.update(task, completed=batches)
    return pool


async def ingest(options: IngestOptions, pool: Pool, clock: Clock, progress: Progress) -> Report:
    """Send, measure, and verify if `options.access` is given.

    Raises:
        OSError: nothing answers at the target.
        ReadBackFailed: verification could not read the server's data.
        ValueError: `options.pid` is no process.
    """
    probe = Channel(options.target)
    await probe.connect()
    probe.close()
    accountant = Accountant(await asyncio.to_thread(find_server, options.target, options.pid))
    ledger = Ledger(pool)
    rate = options.batches_per_second
    drive_options = DriveOptions(
        seconds=options.seconds,
        connections=options.connections,
        requests_per_second=None if rate is None else rate / options.batches_per_request,
        arrivals=options.arrivals,
        seed=options.seed,
    )
    traffic = IngestTraffic(options.target, options.key, options.secret, pool, ledger)
    driver = Driver(options.target, traffic, drive_options, clock)
    since_ms = clock.now_ms() - _BEFORE_FIRST_EVENT_MS
    await asyncio.to_thread(accountant.sample)
    watch = asyncio.create_task(_watch(driver, accountant, options.seconds, clock, progress))
    started_ms = clock.now_ms()
    try:
        await driver.run()
        await asyncio.to_thread(accountant.sample)
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
    verification = None
    if options.access is not None:
        progress.add_task("reading back", total=None, rate="")
        progress.refresh()
        verifier = Verifier(options.target, options.access, pool, ledger, since_ms)
        verification = await verifier.run(clock, options.verify_users, options.seed)
    return _report(options, started_ms, driver, accountant, verification)


async def _watch(
    driver: Driver, accountant: Accountant, seconds: float, clock: Clock, progress: Progress
) -> None:
    """Show how far the run is and sample the processes, until cancelled."""
    task = progress.add_task("sending", total=seconds, rate="")
    started, tick = clock.monotonic(), 0
    while True:
        await asyncio.sleep(_TICK_S)
        tick += 1
        passed = clock.monotonic() - started
        rate = driver.measured.acknowledged_events / passed
        progress.update(task, completed=min(passed, seconds), rate=f"{rate:,.0f} events/s")
        progress.refresh()
        if tick % _TICKS_PER_SAMPLE == 0:
            await asyncio.to_thread(accountant.sample)


def _report(
    options: IngestOptions,
    started_ms: int,
    driver: Driver,
    accountant: Accountant,
    verification: Verification | None,
) -> Report:
    measured = driver.measured
    shown = (
        "mode",
        "batches_per_second",
        "arrivals",
        "users",
        "seed",
        "connections",
        "batches_per_request",
        "events_per_batch",
    )
    return Report(
        scenario="ingest",
        options={name: getattr(options, name) for name in shown},
        seconds=options.seconds,
        started_ms=started_ms,
        requests=measured.requests,
        throughput=measured.throughput(options.seconds),
        latency_ms=measured.latency_ms(),
        acknowledged={
            "batches": measured.acknowledged_batches,
            "events": measured.acknowledged_events,
        },
        statuses={str(status): count for status, count in sorted(measured.statuses.items())},
        retries=dict(measured.retries),
        unsent=measured.unsent,
        roles=accountant.usage(measured.acknowledged_events),
        verification=verification,
        is_exact=None if verification is None else verification.is_exact,
        by_second=measured.by_second(options.seconds),
    )


def _target(context: click.Context, parameter: click.Parameter, value: str) -> Target:
    try:
        return Target.of(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _rate(context: click.Context, parameter: click.Parameter, value: str) -> float | None:
    if value == "max":
        return None
    try:
        rate = float(value)
    except ValueError:
        rate = 0.0
    if not 0 < rate < float("inf"):
        raise click.BadParameter("must be a positive number, or max")
    return rate


_FILE = click.Path(dir_okay=False, writable=True, path_type=Path)


@click.command("ingest")
@click.option("--url", "target", required=True, callback=_target, help="Base URL of the server.")
@click.option("--key", required=True, help="API key of an input.")
@click.option("--secret", required=True, help="Its secret.")
@click.option("--mode", type=click.Choice(["bulk", "single"]), default="bulk", show_default=True)
@click.option(
    "--rate",
    "batches_per_second",
    default="max",
    show_default=True,
    callback=_rate,
    help="Batches per second, whatever the server does; max: as fast as the connections can.",
)
@click.option(
    "--arrivals",
    type=click.Choice(["poisson", "fixed"]),
    default="poisson",
    show_default=True,
    help="When requests are due, with a --rate.",
)
@click.option("--seconds", type=click.FloatRange(0.1), default=30.0, show_default=True)
@click.option("--users", type=click.IntRange(1), default=10_000, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--connections", type=click.IntRange(1, 10_000), default=32, show_default=True)
@click.option(
    "--batches-per-request",
    type=click.IntRange(1, MAX_BATCHES_PER_REQUEST),
    default=100,
    show_default=True,
    help="In bulk requests; single requests have one.",
)
@click.option(
    "--events-per-batch",
    type=click.IntRange(1, MAX_EVENTS_PER_BATCH),
    default=5,
    show_default=True,
    help="Mean number; batches have 1 to 2N-1.",
)
@click.option("--verify", is_flag=True, help="Read everything back; exit with 1 if not exact.")
@click.option("--verify-users", type=click.IntRange(1), help="Only a random sample of users.")
@click.option("--client-id", help="API credential, to read back.")
@click.option("--client-secret", help="Its secret.")
@click.option("--org", type=int, default=1, show_default=True)
@click.option("--account", type=int, default=1, show_default=True)
@click.option("--workspace", default="1", show_default=True)
@click.option("--pid", type=int, help="Process of the server; else who listens on the port.")
@click.option("--json", "json_file", type=_FILE, help="Write all results to this file.")
@click.option("--plot", "plot_file", type=_FILE, help="Draw a PNG.")
def command(json_file: Path | None, plot_file: Path | None, **flags: Any) -> None:
    """Send generated batches to the events API and measure what the server acknowledges."""
    options = _options(flags)
    clock = SystemClock()
    messages = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[rate]}"),
    )
    progress = Progress(
        *columns, console=messages, transient=True, auto_refresh=False,
        disable=not messages.is_terminal,
    )  # fmt: skip
    try:
        with progress:
            pool = make_pool(options, SystemRandomness().bits(RUN_BITS), progress)
            report = uvloop.run(ingest(options, pool, clock, progress))
    except (ValueError, OSError, ReadBackFailed) as error:
        raise click.ClickException(str(error)) from error
    print_report(report, Console())
    if json_file is not None:
        write_json(report, json_file)
    if plot_file is not None:
        write_chart(report, plot_file)
    if report.is_exact is False or not report.acknowledged["events"]:
        raise SystemExit(1)


def _options(flags: dict[str, Any]) -> IngestOptions:
    """Make options of the flags; UsageError where they do not go together."""
    access = None
    names = ("client_id", "client_secret", "org", "account", "workspace")
    access_flags = {name: flags.pop(name) for name in names}
    if flags.pop("verify"):
        if access_flags["client_id"] is None or access_flags["client_secret"] is None:
            raise click.UsageError("--verify needs --client-id and --client-secret")
        access = Access(**access_flags)
    elif flags["verify_users"] is not None:
        raise click.UsageError("--verify-users needs --verify")
    if flags["mode"] == "single":
        flags["batches_per_request"] = 1
    return IngestOptions(access=access, **flags)
