"""What a deployment does with requests that nobody should send."""

import asyncio
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import psutil  # type: ignore[import-untyped]
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from actors.clock import Clock, SystemClock
from load_tests.bad_input.connection import Hang
from load_tests.bad_input.run import Run, Tally
from load_tests.client import Target
from load_tests.report import write_json
from load_tests.server_process import ServerProcess

WORKSPACE = Path(__file__).parent.parent / "bad_input" / "workspace.yaml"


class BadInputReport(Struct, kw_only=True):
    """The result of a run.

    Attributes:
        statuses: by class (`4xx`), of all bad requests; `closed` without an answer.
        failures: answers of 500 and more, and connections closed where an answer was due.
        crashes: processes of the deployment that ended, and defects that it logged.
        is_safe: no failure, hang or crash, and no good request was refused.
    """

    scenario: str
    seed: int
    requests: int
    seconds: float
    statuses: dict[str, int]
    failures: int
    hangs: int
    crashes: int
    defects: int
    tally: Tally
    is_safe: bool


_FILE = click.Path(dir_okay=False, writable=True, path_type=Path)


@click.command("bad-input")
@click.option("--requests", "count", type=click.IntRange(1), default=20_000, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--start", type=click.IntRange(0), default=0, show_default=True)
@click.option(
    "--each",
    type=click.IntRange(1),
    default=50_000,
    show_default=True,
    help="Requests to one deployment, which fills; another one gets the next.",
)
@click.option("--connections", type=click.IntRange(1), default=16, show_default=True)
@click.option("--only", type=click.IntRange(0), help="Send this request alone, and show it.")
@click.option("--json", "json_file", type=_FILE, help="Write all results to this file.")
def command(
    count: int,
    seed: int,
    start: int,
    each: int,
    connections: int,
    only: int | None,
    json_file: Path | None,
) -> None:
    """Send bad requests to deployments that are started for it and thrown away.

    Ends with 1 if one was answered 500, not at all, or disturbed another.
    """
    clock = SystemClock()
    tally = Tally()
    try:
        if only is not None:
            _show(seed, only, clock)
            return
        began, crashes, defects = clock.monotonic(), 0, list[str]()
        for first in range(start, start + count, each):
            some = min(each, start + count - first)
            ended, logged = _send(tally, seed, first, some, connections, clock)
            crashes, defects = crashes + ended, defects + logged
            found = tally.failures + tally.hangs + crashes + len(defects) + tally.good_refused
            click.echo(f"{first + some - start:,} requests: {found} findings")
        seconds = clock.monotonic() - began
    except (RuntimeError, OSError) as error:
        raise click.ClickException(str(error)) from error
    report = _report(tally, seed, count, seconds, crashes, len(defects))
    console = Console(width=120)
    console.print(_table(report))
    for line in defects[:20]:
        click.echo(line)
    if json_file is not None:
        write_json(report, json_file)
    if not report.is_safe:
        raise SystemExit(1)


@contextmanager
def _deployment(clock: Clock) -> Iterator[ServerProcess]:
    with tempfile.TemporaryDirectory(prefix="headwater-bad-") as folder:
        server = ServerProcess(
            Path(folder),
            clock,
            *("--workspace", str(WORKSPACE)),
            environ={"HEADWATER_LOG_LEVEL": "warning"},
        )
        try:
            server.start()
            yield server
        finally:
            if server.is_running:
                server.stop()


def _send(
    tally: Tally, seed: int, start: int, count: int, connections: int, clock: Clock
) -> tuple[int, list[str]]:
    """Send some requests to a new deployment.

    Returns:
        How many processes of it ended, and the errors that it logged.
    """
    with _deployment(clock) as server:
        before = _alive(server)
        asyncio.run(_all(_run_of(server, tally, clock), seed, start, count, connections))
        log = server.text()
        return len(before - _alive(server)), [
            line for line in log.splitlines() if '"level":"error"' in line
        ]


async def _all(run: Run, seed: int, start: int, count: int, connections: int) -> None:
    requests = await run.prepare(seed)
    await run.send(requests, start, count, connections)


def _show(seed: int, number: int, clock: Clock) -> None:
    """Send one request alone, and show it, its answer and what was logged."""
    with _deployment(clock) as server:
        asyncio.run(_shown(_run_of(server, Tally(), clock), seed, number))
        click.echo(server.text())


async def _shown(run: Run, seed: int, number: int) -> None:
    sent = (await run.prepare(seed))[number]
    click.echo(repr(sent.data[:20_000]))
    try:
        click.echo(repr(await run.show(sent)))
    except Hang:
        click.echo("no answer in time")


def _run_of(server: ServerProcess, tally: Tally, clock: Clock) -> Run:
    target = Target.of(server.url)
    return Run(target.host, target.port, clock, tally)


def _alive(server: ServerProcess) -> set[int]:
    return {each.pid for each in server.processes() if each.status() != psutil.STATUS_ZOMBIE}


def _report(
    tally: Tally, seed: int, count: int, seconds: float, crashes: int, defects: int
) -> BadInputReport:
    classes: Counter[str] = Counter()
    for status, times in sorted(tally.statuses.items()):
        classes[f"{status // 100}xx" if status else "closed"] += times
    return BadInputReport(
        scenario="bad-input",
        seed=seed,
        requests=count,
        seconds=seconds,
        statuses=dict(classes),
        failures=tally.failures,
        hangs=tally.hangs,
        crashes=crashes,
        defects=defects,
        tally=tally,
        is_safe=not (tally.failures or tally.hangs or crashes or defects or tally.good_refused),
    )


def _table(report: BadInputReport) -> Table:
    title = f"bad-input: seed {report.seed}, {report.seconds:,.0f} s"
    table = Table(title=title, title_justify="left")
    table.add_column("measure")
    table.add_column("value", justify="right")
    table.add_row("bad requests", f"{report.requests:,}")
    for name, times in report.statuses.items():
        table.add_row(f"  {name}", f"{times:,}")
    table.add_section()
    table.add_row("answered 500, or not as due", f"{report.failures:,}")
    table.add_row("hangs", f"{report.hangs:,}")
    table.add_row("processes that ended", f"{report.crashes:,}")
    table.add_row("errors logged", f"{report.defects:,}")
    slowest = f"slowest bad request, {report.tally.slowest}"
    table.add_row(slowest, f"{report.tally.slowest_s * 1000:,.0f} ms")
    table.add_row("good requests beside them", f"{report.tally.good:,}")
    table.add_row("  not accepted", f"{report.tally.good_refused:,}")
    table.add_row("  slowest", f"{report.tally.slowest_good_s * 1000:,.0f} ms")
    for each in report.tally.findings[:20]:
        table.add_section()
        table.add_row(f"request {each.number}: {each.method} {each.path}", each.what)
    table.caption = "safe" if report.is_safe else "NOT SAFE"
    return table
