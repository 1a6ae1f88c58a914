"""Many runs: on one deployment after the other, written down one by one, gone on with later."""

import asyncio
import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from actors.clock import Clock
from load_tests.faults.checks import Found, summed
from load_tests.faults.runs import FaultsOptions, Runner, RunResult

_DISK_BYTES = 256 * 1024**2  # 250 runs take a quarter of it
_SOCKETS = "ray"  # below a deployment's folder; of no use once it has ended


class Check(Struct, kw_only=True, tag_field="kind", tag="check"):
    """What was found when all runs of a deployment were checked once more, at its end."""

    seeds: list[int]
    found: Found


class Made(Struct, kw_only=True, tag_field="kind", tag="run"):
    """A run, with the options that it depends on."""

    seconds: float
    has_disk: bool
    run: RunResult
    has_moves: bool = False


class Report:
    """A file to which each result is appended as a line of JSON, and which is read to go on."""

    def __init__(self, file: Path | None, options: FaultsOptions) -> None:
        """Read what there is. Raises OSError, and ValueError for a file of something else."""
        self._file = file
        self._options = options
        self.runs: list[RunResult] = []
        self.checks: list[Check] = []
        if file is None or not file.exists():
            return
        for number, line in enumerate(file.read_bytes().splitlines(), 1):
            try:
                self._take(msgspec.json.decode(line, type=Made | Check))
            except msgspec.DecodeError as error:
                raise ValueError(f"{file}, line {number}: {error}") from error

    def left(self) -> list[int]:
        """Return the seeds whose runs have not been made."""
        options, done = self._options, {run.seed for run in self.runs}
        wanted = range(options.seed, options.seed + options.runs)
        return [seed for seed in wanted if seed not in done]

    def add(self, result: RunResult | Check) -> None:
        """Append a result. Raises OSError."""
        line: Made | Check
        if isinstance(result, RunResult):
            options = self._options
            line = Made(
                seconds=options.seconds,
                has_disk=options.has_disk,
                run=result,
                has_moves=options.has_moves,
            )
        else:
            line = result
        if self._file is not None:
            with self._file.open("ab") as file:
                file.write(msgspec.json.encode(line) + b"\n")
        self._take(line)

    def _take(self, line: Made | Check) -> None:
        """Count a line, unless it is a run of other seeds or with other faults."""
        options = self._options
        if isinstance(line, Check):
            self.checks.append(line)
        elif options.seed <= line.run.seed < options.seed + options.runs and (
            line.seconds,
            line.has_disk,
            line.has_moves,
        ) == (options.seconds, options.has_disk, options.has_moves):
            self.runs.append(line.run)


class Campaign:
    """Makes the runs that a report lacks.

    A deployment goes on from run to run. After `renew` of them, after the last, and after one that
    went wrong it ends, all that its runs have left having been checked once more; of one that went
    wrong the folder is kept.
    """

    def __init__(
        self,
        report: Report,
        options: FaultsOptions,
        kept: Path,
        clock: Clock,
        say: Callable[[str], None],
    ) -> None:
        """Args: `kept`: the folder for those of runs that went wrong; `say` prints a line."""
        self._report = report
        self._options = options
        self._kept = kept
        self._clock = clock
        self._say = say

    async def run(self, describe: Callable[[RunResult], str]) -> None:
        """Make the runs. Raises NotServing if a new deployment does not start, and OSError."""
        left = self._report.left()
        while left:
            with _folder(self._options.has_disk) as folder:
                runner = Runner(self._options, self._clock)
                made: list[int] = []
                is_right = True
                async with runner.serving(folder):
                    while left and is_right and len(made) < self._options.renew:
                        result = await runner.run(left[0])
                        made.append(left.pop(0))
                        self._report.add(result)
                        self._say(describe(result))
                        is_right = result.is_right
                    found = await runner.check_all() if is_right else Found(details=[])
                orphans = runner.orphans()
                found.add("orphans", len(orphans), "; ".join(orphans))
                found = summed((found, await runner.look_back()))
                self._report.add(Check(seeds=made, found=found))
                if not (is_right and found.is_clean):
                    place = await asyncio.to_thread(self._keep, runner, folder, made[-1])
                    self._say(f"  the folder of the deployment, and what it printed: {place}")

    def _keep(self, runner: Runner, folder: Path, seed: int) -> Path:
        place = self._kept / f"seed-{seed}"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(folder, place, ignore=shutil.ignore_patterns(_SOCKETS))
        (place / "printed.log").write_text(runner.printed())
        return place


@contextlib.contextmanager
def _folder(has_disk: bool) -> Iterator[Path]:
    """Make a folder, with a disk of its own if it is to be filled."""
    with tempfile.TemporaryDirectory(prefix="hw-") as name:
        if not has_disk:
            yield Path(name)
            return
        mount = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_BYTES}", "none", name]
        subprocess.run(mount, check=True)  # noqa: S603
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", name], check=True)  # noqa: S603, S607
