"""Everything side by side in one run: floors, what a deployment takes, latency, growth."""

import asyncio
import tempfile
from pathlib import Path

import click
from msgspec import Struct
from msgspec.structs import replace
from rich.console import Console

from actors.clock import Clock, SystemClock
from load_tests.bench import all_floors, deployment, growth
from load_tests.bench.all_floors import FloorOptions, Parsing
from load_tests.bench.alone import alone
from load_tests.bench.charts import write_charts
from load_tests.bench.growth import GrowthOptions
from load_tests.bench.report import BenchReport, Capacity, Floors, Growth, Start, bars_of
from load_tests.bench.tables import tables_of
from load_tests.filled import Filled, NotServed
from load_tests.generator import LoadFailed
from load_tests.reader import ReadBackFailed
from load_tests.report import write_json
from load_tests.scenarios.identity import processor_time
from load_tests.server_process import ServerProcess

MODES = ("bulk", "single")
_START_PROFILES = 1_000_000
_HOT_USERS = 4_000  # whose profiles fit into the memory that there is for them


class BenchOptions(Struct, frozen=True, kw_only=True):
    """How to run.

    Attributes:
        parts: `floors`, `capacity`, `growth`, `start`.
        seconds: of each measurement of a deployment; a floor takes as long.
        shares: of the highest rate, at which latency is measured.
        profiles: how many there are, one measurement each, with `shards[0]` shards; with the other
            numbers of shards only the first is measured. A start is measured with as many as the
            most, but no more than a million.
    """

    parts: tuple[str, ...]
    seconds: float
    shares: tuple[float, ...]
    profiles: tuple[int, ...]
    shards: tuple[int, ...]
    batches: int
    attributes: int
    audiences: int
    users: int
    seed: int


async def bench(options: BenchOptions, folder: Path, clock: Clock) -> BenchReport:
    """Measure all parts that are asked for.

    Raises:
        RuntimeError: the deployment did not start.
        LoadFailed: its load could not be sent.
        ReadBackFailed: its profiles could not be read.
        NotServed: it refused the batches of which profiles are made.
    """
    capacity: list[Capacity] = []
    bare: Capacity | None = None
    floors: Floors | None = None
    grown: list[Growth] = []
    parsing = Parsing(options.users, options.seed, clock, processor_time)
    for mode in MODES if "capacity" in options.parts else ():
        with tempfile.TemporaryDirectory(dir=folder) as own:
            capacity.append(await _capacity(options, mode, Path(own), parsing, clock))
        if mode == "bulk":  # right after the one that it is compared with
            with tempfile.TemporaryDirectory(dir=folder) as own:
                bare = await _capacity(_bare(options), mode, Path(own), parsing, clock)
    if "floors" in options.parts:
        with tempfile.TemporaryDirectory(dir=folder) as own:
            floors = await all_floors.measure(
                Path(own),
                _floor_options(options),
                parsing,
                capacity,
                MODES,
                clock,
                processor_time,
            )
    if "growth" in options.parts:
        first, *others = options.shards
        sizes = [(number, first) for number in options.profiles]
        sizes += [(options.profiles[0], shards) for shards in others]
        for number, shards in sizes:
            with tempfile.TemporaryDirectory(dir=folder) as own:
                grown.append(await _growth(options, Path(own), number, shards, clock))
    start: Start | None = None
    if "start" in options.parts:
        with tempfile.TemporaryDirectory(dir=folder) as own:
            start = await _start(options, Path(own), clock)
    return BenchReport(
        scenario="bench",
        floors=floors,
        capacity=capacity,
        bare=bare,
        growth=grown,
        start=start,
        bars=bars_of(floors, capacity, bare, grown, start),
    )


def _bare(options: BenchOptions) -> BenchOptions:
    """Return what measures the same deployment with nothing to keep current."""
    return replace(options, shares=(), attributes=0, audiences=0)


async def _capacity(
    options: BenchOptions, mode: str, folder: Path, parsing: Parsing, clock: Clock
) -> Capacity:
    load = deployment.LoadOptions(
        mode=mode,
        seconds=options.seconds,
        shares=options.shares,
        attributes=options.attributes,
        audiences=options.audiences,
        users=options.users,
        seed=options.seed,
    )
    workspace = deployment.write_workspace(folder, load)
    server = ServerProcess(
        folder / "data",
        clock,
        *("--workspace", str(workspace)),
        environ=deployment.ENVIRON,
    )
    await asyncio.to_thread(server.start)
    try:
        return await deployment.measure(server, folder, load, clock, parsing.us_per_event)
    finally:
        await asyncio.to_thread(server.stop)


async def _start(options: BenchOptions, folder: Path, clock: Clock) -> Start:
    profiles = min(max(options.profiles), _START_PROFILES)
    filled = Filled(folder, profiles, options.attributes, options.audiences, options.seed, clock)
    await filled.fill()
    began_s = clock.monotonic()
    async with filled.serving():
        return Start(profiles=profiles, ready_s=clock.monotonic() - began_s)


def _floor_options(options: BenchOptions) -> FloorOptions:
    return FloorOptions(
        seconds=options.seconds,
        users=options.users,
        seed=options.seed,
        growth=_growth_options(options),
    )


async def _growth(
    options: BenchOptions, folder: Path, profiles: int, shards: int, clock: Clock
) -> Growth:
    """Fill stores and measure, each in a process of its own: what one frees, it may keep."""
    how = _growth_options(options)
    disk = await alone(growth.prepare, folder, profiles, shards, how, clock, processor_time)
    return await alone(growth.measure, folder, profiles, shards, disk, how, clock, processor_time)


def _growth_options(options: BenchOptions) -> GrowthOptions:
    return GrowthOptions(
        batches=options.batches,
        hot_users=_HOT_USERS,
        events_per_batch=5,
        attributes=options.attributes,
        audiences=options.audiences,
        seed=options.seed,
    )


def _numbers(context: click.Context, parameter: click.Parameter, value: str) -> tuple[float, ...]:
    try:
        found = tuple(float(each) for each in value.split(","))
    except ValueError:
        found = ()
    if not found or min(found) <= 0:
        raise click.BadParameter("must be positive numbers, separated by commas")
    return found


def _integers(context: click.Context, parameter: click.Parameter, value: str) -> tuple[int, ...]:
    return tuple(int(each) for each in _numbers(context, parameter, value))


_FILE = click.Path(dir_okay=False, writable=True, path_type=Path)
_FOLDER = click.Path(file_okay=False, exists=True, path_type=Path)
_PARTS = ("capacity", "floors", "growth", "start")


@click.command("bench")
@click.option(
    "--part", "parts", type=click.Choice(_PARTS), multiple=True, default=_PARTS, show_default=True
)
@click.option("--seconds", type=click.FloatRange(0.5), default=15.0, show_default=True)
@click.option("--shares", default="0.25,0.5,0.75,0.9", show_default=True, callback=_numbers)
@click.option("--profiles", default="10000,100000,1000000", show_default=True, callback=_integers)
@click.option("--shards", default="1,2,4,8", show_default=True, callback=_integers)
@click.option("--batches", type=click.IntRange(100), default=4_000, show_default=True)
@click.option("--attributes", type=click.IntRange(0, 100), default=20, show_default=True)
@click.option("--audiences", type=click.IntRange(1), default=100, show_default=True)
@click.option("--users", type=click.IntRange(1), default=10_000, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--json", "json_file", type=_FILE, help="Write all results to this file.")
@click.option("--charts", "charts_folder", type=_FOLDER, help="Draw PNGs into this folder.")
def command(json_file: Path | None, charts_folder: Path | None, **flags: object) -> None:
    """Measure a deployment with everything switched on, beside the floors under it.

    Ends with 1 if a bar is not met.
    """
    options = BenchOptions(**flags)  # type: ignore[arg-type]  # as click has checked them
    with tempfile.TemporaryDirectory(prefix="headwater-bench-") as folder:
        try:
            report = asyncio.run(bench(options, Path(folder), SystemClock()))
        except (RuntimeError, LoadFailed, NotServed, ReadBackFailed, OSError) as error:
            raise click.ClickException(str(error)) from error
    console = Console(width=100)
    for table in tables_of(report):
        console.print(table)
    if json_file is not None:
        write_json(report, json_file)
    if charts_folder is not None:
        write_charts(report, charts_folder)
    if not all(bar.is_met for bar in report.bars):
        raise SystemExit(1)
