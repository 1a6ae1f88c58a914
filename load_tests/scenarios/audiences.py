"""How long audiences take, in this process: touched profiles, a full pass, memory.

Beside each figure of the engine stands that of a bare numpy loop over the same rows.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from time import process_time

import click
import numpy as np
from rich.console import Console
from rich.progress import Progress

from actors.audiences.criteria import Node
from actors.audiences.engine.costs import engine_cost
from actors.audiences.engine.engine import Engine
from actors.audiences.engine.records import Kept
from actors.model.batches import StoredBatch
from actors.model.profiles import Profile, ProfileKey
from load_tests.audience_mix import LOOKBACK_MS, NOW_MS, WORKSPACE, Mix
from load_tests.audience_report import (
    AudiencesReport,
    FullPass,
    Touched,
    missed_by,
    print_audiences,
)
from load_tests.bare_audiences import BareColumns, Comparison, NoBareLoop
from load_tests.report import write_json

_PEOPLE = 1000  # of a full pass; rows are made of them over and over
_MICRO_BATCH = 100
_EVENTS_PER_BATCH = 5
_WARM_UP = 5
_SLICE = 8192  # rows whose arrays stay in the cache
_PASS_AUDIENCES = 100


People = list[tuple[Profile, StoredBatch]]


def make_people(mix: Mix, count: int, events: int) -> People:
    """Return different people with their histories."""
    return [(mix.profile(), mix.history(events)) for _ in range(count)]


def fill(engine: Engine, people: People, rows: int, advance: Callable[[int], None]) -> None:
    """Load rows; entries are made once for each of the people, and then read from bytes."""
    packed = []
    for number, (profile, stored) in enumerate(people):
        engine.load(_key(number), profile, Kept())
        packed.append(engine.rebuild_events(_key(number), [stored], 0, NOW_MS))
    for number in range(len(people), rows):
        profile, _ = people[number % len(people)]
        engine.load(_key(number), profile, Kept(packed[number % len(people)]))
        if number % _SLICE == 0:
            advance(number)


def measure_touched(
    seed: int, audiences: int, rows: int, micro_batches: int, advance: Callable[[int], None]
) -> Touched:
    """Measure micro-batches of 100 profiles."""
    mix = Mix(seed)
    engine = Engine(WORKSPACE, LOOKBACK_MS)
    nodes = mix.definitions(audiences)
    for number, node in enumerate(nodes):
        engine.activate(number, "production", node)
    people = make_people(mix, rows, 30)
    columns, prepared = prepare_bare(people[:_MICRO_BATCH], nodes)
    fill(engine, people, rows, advance)
    for part in engine.slices(_SLICE):
        engine.evaluate(part, NOW_MS, expiring=())
    drawn = np.random.default_rng(seed)
    taken: list[tuple[float, float, float, int]] = []
    bare: list[float] = []
    for number in range(2 * micro_batches + _WARM_UP):
        now_ms = NOW_MS + 1000 * number
        chosen = np.unique(drawn.integers(0, rows, _MICRO_BATCH)).tolist()
        profiles = [people[one][0] for one in chosen]
        batches = [mix.batch(each, now_ms, _EVENTS_PER_BATCH) for each in profiles]
        with_expirations = number % 2 == 1
        start = process_time()
        for one, profile, stored in zip(chosen, profiles, batches, strict=True):
            engine.observe(_key(one), profile, stored)
        observed = process_time()
        rows_touched = engine.rows_of(_key(one) for one in chosen)
        changes = engine.evaluate(rows_touched, now_ms, expiring=None if with_expirations else ())
        ended = process_time()
        if number >= _WARM_UP:
            per_row = 1e6 / len(chosen)
            observe, evaluate = (observed - start) * per_row, (ended - observed) * per_row
            taken.append((observe, evaluate, float(with_expirations), len(changes)))
            start = process_time()
            for compare in prepared:
                compare()
            bare.append((process_time() - start) * 1e6 / _MICRO_BATCH)
    table = np.array(taken)
    without, with_ = table[table[:, 2] == 0], table[table[:, 2] == 1]
    evaluate = float(np.median(without[:, 1]))
    cost = engine_cost(engine)
    return Touched(
        audiences=audiences,
        criteria=cost.leaves,
        streams=cost.streams,
        rows=rows,
        observe=float(np.median(table[:, 0])),
        evaluate=evaluate,
        expirations=float(np.median(with_[:, 1])) - evaluate,
        changes=float(table[:, 3].sum()) / (len(table) * _MICRO_BATCH),
        array_bytes_per_row=cost.row_bytes,
        entries_per_row=cost.entries / cost.rows,
        entry_bytes=cost.entry_bytes,
        bare=float(np.median(bare)),
        bare_audiences=len(prepared),
        bare_bytes_per_row=columns.bytes_per_row,
    )


def prepare_bare(people: People, nodes: Sequence[Node]) -> tuple[BareColumns, list[Comparison]]:
    """Prepare the bare loop over some people, for the audiences that it has one for."""
    columns = BareColumns(people, len(people))
    prepared = []
    for node in nodes:
        with suppress(NoBareLoop):
            prepared.append(columns.prepare(node))
    return columns, prepared


def measure_full_pass(seed: int, rows: int, advance: Callable[[int], None]) -> FullPass:
    """Measure the evaluation of 100 audiences for all rows: a first pass, and a second one.

    Raises:
        ValueError: the engine and the bare loop do not find the same members.
    """
    mix = Mix(seed)
    nodes = mix.definitions(_PASS_AUDIENCES, is_plain=True)
    people = make_people(mix, _PEOPLE, 10)
    engine = Engine(WORKSPACE, LOOKBACK_MS)
    for number, node in enumerate(nodes):
        engine.activate(number, "production", node)
    fill(engine, people, rows, advance)
    times = []
    for _ in range(2):
        start = process_time()
        for part in engine.slices(_SLICE):
            engine.evaluate(part, NOW_MS, expiring=())
        times.append(process_time() - start)
    first, took = times
    columns = BareColumns(people, rows)
    prepared = [columns.prepare(node) for node in nodes]
    members = 0
    for number, compare in enumerate(prepared):
        found = int(compare().sum())
        if found != engine.size(number):
            raise ValueError(f"audience {number}: {engine.size(number)} members, {found} expected")
        members += found
    start = process_time()
    for compare in prepared:
        compare()
    bare = process_time() - start
    cost = engine_cost(engine)
    return FullPass(
        audiences=len(nodes),
        rows=rows,
        first=first,
        engine=took,
        bare=bare,
        first_ratio=first / bare,
        ratio=took / bare,
        members=members,
        engine_bytes_per_row=cost.row_bytes + cost.entries_bytes / cost.rows,
        bare_bytes_per_row=columns.bytes_per_row,
    )


def _key(number: int) -> ProfileKey:
    return ProfileKey(WORKSPACE.scope, "production", number + 1)


@click.command("audiences")
@click.option("--audiences", "counts", default="100,1000", show_default=True)
@click.option("--rows", type=click.IntRange(100), default=10_000, show_default=True)
@click.option("--micro-batches", type=click.IntRange(1), default=100, show_default=True)
@click.option(
    "--pass-rows",
    type=click.IntRange(0),
    default=1_000_000,
    show_default=True,
    help="Profiles of the full pass; 0: none.",
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write all results to this file.",
)
def command(
    counts: str,
    rows: int,
    micro_batches: int,
    pass_rows: int,
    seed: int,
    json_file: Path | None,
) -> None:
    """Evaluate a realistic mix of audiences in this process, without a deployment.

    Ends with 1 above a bar.
    """
    try:
        audiences = [int(count) for count in counts.split(",")]
    except ValueError as error:
        raise click.BadParameter(
            "must be numbers joined by commas", param_hint="--audiences"
        ) from (error)
    messages = Console(stderr=True)
    with Progress(console=messages, transient=True, disable=not messages.is_terminal) as progress:
        touched = []
        for count in audiences:
            task = progress.add_task(f"{count} audiences", total=rows)
            step = _advance(progress, task)
            touched.append(measure_touched(seed, count, rows, micro_batches, step))
        full_pass = None
        if pass_rows:
            task = progress.add_task("full pass", total=pass_rows)
            full_pass = measure_full_pass(seed, pass_rows, _advance(progress, task))
    report = AudiencesReport(
        scenario="audiences",
        seed=seed,
        touched=touched,
        full_pass=full_pass,
        missed=missed_by(touched, full_pass),
    )
    print_audiences(report, Console())
    if json_file is not None:
        write_json(report, json_file)
    if report.missed:
        raise SystemExit(1)


def _advance(progress: Progress, task: object) -> Callable[[int], None]:
    return lambda done: progress.update(task, completed=done)  # type: ignore[arg-type]
