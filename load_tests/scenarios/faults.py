"""What faults of all kinds do to a deployment under load: nothing, if it is right."""

import asyncio
import contextlib
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from msgspec import Struct

from actors.clock import SystemClock, SystemRandomness
from load_tests.faults.checks import Found, summed
from load_tests.faults.clients import NotAcknowledged
from load_tests.faults.kept import NotServing
from load_tests.faults.plan import described
from load_tests.faults.runs import FaultsOptions, Runner, RunResult
from load_tests.reader import ReadBackFailed
from load_tests.report import write_json

DISK_BYTES = 512 * 1024**2


class FaultsReport(Struct, kw_only=True):
    """The result of all runs.

    Attributes:
        wrong: seeds of the runs in which something was wrong.
        found: of all runs together.
    """

    scenario: str
    options: FaultsOptions
    runs: list[RunResult]
    acknowledged: int
    longest_wait_s: float
    wrong: list[int]
    found: Found


def report_of(options: FaultsOptions, runs: list[RunResult]) -> FaultsReport:
    """Put runs together."""
    return FaultsReport(
        scenario="faults",
        options=options,
        runs=runs,
        acknowledged=sum(each.acknowledged for each in runs),
        longest_wait_s=max((each.longest_wait_s for each in runs), default=0.0),
        wrong=[each.seed for each in runs if not each.is_right],
        found=summed(each.found for each in runs),
    )


def line_of(run: RunResult) -> str:
    """Return a run as one line."""
    found = run.found
    counts = f"lost {found.lost} doubled {found.doubled} disordered {found.disordered}"
    counts += f" identities {found.identities} orphans {found.orphans}"
    speed = f"batch {run.before_s * 1000:.0f} ms -> {run.after_s * 1000:.0f} ms"
    verdict = "ok" if run.is_right else "WRONG"
    return (
        f"seed {run.seed} {verdict} acknowledged {run.acknowledged} {counts} "
        f"unavailable {run.longest_wait_s:.1f} s, {speed}, {described(run.faults)}"
    )


_FILE = click.Path(dir_okay=False, writable=True, path_type=Path)


@click.command("faults")
@click.option("--runs", type=click.IntRange(1), default=10, show_default=True)
@click.option("--seed", type=click.IntRange(0), help="Of the first run; the next ones follow it.")
@click.option("--seconds", type=click.FloatRange(0.1), default=3.0, show_default=True)
@click.option("--patience-s", type=click.FloatRange(1), default=300.0, show_default=True)
@click.option("--disk/--no-disk", "has_disk", default=False, help="Fill a tmpfs; needs root.")
@click.option("--json", "json_file", type=_FILE, help="Write all results to this file.")
@click.option("--log", "log_file", type=_FILE, help="Write what it prints to this file.")
def command(seed: int | None, json_file: Path | None, log_file: Path | None, **flags: Any) -> None:
    """Start a deployment, and kill, stop and starve its parts while clients send.

    Every run prints its seed; `--seed S --runs 1` does the same again. Ends with 1 if anything was
    lost, applied twice, out of order, or left slower than before.
    """
    if seed is None:
        seed = time.time_ns() % 1_000_000
    options = FaultsOptions(seed=seed, **flags)
    runs: list[RunResult] = []
    # Else the deployment would go on without it.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    runner = Runner(options, SystemClock(), SystemRandomness())
    with _folder(options.has_disk) as folder:
        try:
            asyncio.run(_run(runner, options, folder, runs))
        except (NotServing, NotAcknowledged, ReadBackFailed, OSError) as error:
            raise click.ClickException(f"seed {seed + len(runs)}: {error}") from error
        finally:
            report = report_of(options, runs)
            if log_file is not None and runner.kept is not None:
                log_file.write_text(runner.kept.server.text())
            if json_file is not None:
                write_json(report, json_file)
    click.echo(
        f"{len(runs)} runs, {report.acknowledged:,} batches acknowledged, "
        f"lost {report.found.lost}, doubled {report.found.doubled}, "
        f"disordered {report.found.disordered}, identities {report.found.identities}, "
        f"orphans {report.found.orphans}; longest unavailability {report.longest_wait_s:.1f} s"
    )
    if report.wrong:
        raise SystemExit(1)


async def _run(runner: Runner, options: FaultsOptions, folder: Path, runs: list[RunResult]) -> None:
    async with runner.serving(folder):
        for number in range(options.runs):
            runs.append(await runner.run(options.seed + number))
            click.echo(line_of(runs[-1]))
            for detail in runs[-1].found.details:
                click.echo(f"  {detail}")


@contextlib.contextmanager
def _folder(has_disk: bool) -> Iterator[Path]:
    """Make a folder, with a disk of its own if it is to be filled."""
    with tempfile.TemporaryDirectory(prefix="hw-") as name:
        if not has_disk:
            yield Path(name)
            return
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", name]
        subprocess.run(mount, check=True)  # noqa: S603
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", name], check=True)  # noqa: S603, S607
