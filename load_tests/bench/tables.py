"""A bench as tables for people."""

from collections.abc import Callable, Iterable, Sequence

from rich.table import Table

from load_tests.bench.report import (
    Answers,
    BenchReport,
    Capacity,
    Floors,
    Growth,
    ModeFloors,
)

MIB = 1024 * 1024


def tables_of(report: BenchReport) -> list[Table]:
    """Show the result to a person."""
    capacity = {each.mode: each for each in report.capacity}
    if report.bare is not None:
        capacity[f"{report.bare.mode}, without attributes and audiences"] = report.bare
    tables = [_of_capacity(capacity, report.floors)] if capacity else []
    if any(each.points for each in report.capacity):
        tables.append(_of_points(report.capacity))
    if report.floors is not None:
        tables.append(_of_floors(report.floors))
    if report.growth:
        tables += [_of_growth(report.growth), _of_memory(report.growth), _of_calls(report.growth)]
    table = _table("bars", "what", "value", "bar", "")
    for bar in report.bars:
        sign = "≥" if bar.is_at_least else "≤"
        verdict = "met" if bar.is_met else "NOT MET"
        value = f"{bar.value:,.2f}" if bar.unit in ("×", "ms", "s") else f"{bar.value:,.0f}"
        table.add_row(bar.what, f"{value} {bar.unit}", f"{sign} {bar.bound:,g}", verdict)
    tables.append(table)
    return tables


def _of_growth(growth: list[Growth]) -> Table:
    title = "growth: all shards in one process, one after the other, asked by one client; B on disk"
    names = ["profiles", "shards", "events/s", "CPU µs/event", "× parse"]
    table = _table(title, *names, "B/profile", "B/event", "opened in CPU s")
    for each in growth:
        table.add_row(
            f"{each.profiles:,}",
            str(each.shards),
            f"{each.events_per_second:,.0f}",
            f"{each.cpu_us_per_event:.1f}",
            f"{each.to_parsing:.1f}",
            f"{each.disk_per_profile:,.0f}",
            f"{each.disk_per_event:,.0f}",
            f"{each.open_s:.1f}",
        )
    return table


def _of_memory(growth: list[Growth]) -> Table:
    title = (
        "memory of that process, without pages of files; cache: profile_cache_bytes of all shards"
    )
    names = ["profiles", "shards", "columns, B/profile", "hot profiles", "B/hot profile"]
    table = _table(title, *names, "beyond columns, MiB", "cache, MiB")
    for each in growth:
        memory = each.memory
        table.add_row(
            f"{each.profiles:,}",
            str(each.shards),
            _number(memory.columns_per_profile),
            f"{memory.hot_profiles:,}",
            _number(memory.per_hot_profile),
            _number(memory.beyond_columns, MIB),
            _number(memory.cache_bytes, MIB),
        )
    return table


def _of_calls(growth: list[Growth]) -> Table:
    title = "longest call of a shard, CPU ms (/ by the clock); full: by max_micro_batch_bytes"
    calls = growth[0].longest_s
    table = _table(title, "profiles", "shards", *calls, "batches in full")
    for each in growth:
        cells = [f"{seconds * 1000:.1f}" for seconds in each.longest_s.values()]
        for place, name in enumerate(each.longest_s):
            if name in each.longest_wall_s:
                cells[place] += f" / {each.longest_wall_s[name] * 1000:.1f}"
        table.add_row(f"{each.profiles:,}", str(each.shards), *cells, f"{each.full_batches:,}")
    return table


def _number(value: float | None, unit: int = 1) -> str:
    return "" if value is None else f"{value / unit:,.0f}"


def _of_capacity(capacity: dict[str, Capacity], floors: Floors | None) -> Table:
    table = _table("a deployment with everything, at the most that it takes", "measure", *capacity)
    measured = capacity.values()

    def add(name: str, values: Iterable[str]) -> None:
        table.add_row(name, *values)

    add("events/s", (f"{each.events_per_second:,.0f}" for each in measured))
    add("requests/s", (f"{each.requests_per_second:,.1f}" for each in measured))
    if floors is not None:
        add(
            "events/s, to parse + store on one core",
            (
                f"{each.events_per_second * floors.of_event(each.mode) / 1e6:.3f} ×"
                for each in measured
            ),
        )
        idle = {mode: each.http.requests_per_second for mode, each in floors.modes.items()}
        add(
            "requests/s, to an edge without work",
            (f"{each.requests_per_second / idle[each.mode]:.3f} ×" for each in measured),
        )
    add("events per micro-batch", (f"{each.events_per_micro_batch:,.0f}" for each in measured))
    add("CPU µs/event", (f"{each.cpu_us:.1f}" for each in measured))
    for kind, title in (
        ("cpu_us_per_event", ""),
        ("stages_us_per_event", "shard's wall time, "),
    ):
        names = dict.fromkeys(name for each in measured for name in getattr(each, kind))
        for name in names:
            add(
                f"  {title}{name}", (f"{getattr(each, kind).get(name, 0):.1f}" for each in measured)
            )
    add("CPU of ingestion, to parsing", (f"{each.ingestion_to_parsing:.1f} ×" for each in measured))
    add("reads of profiles", (f"{each.reads:,}" for each in measured))
    for name in ("p50", "p99"):
        add(f"read of a profile, {name}", (_ms(each.reads_ms, name) for each in measured))
    add("answers", (_answers(each.answers) for each in measured))
    return table


def _of_points(capacity: Sequence[Capacity]) -> Table:
    names = ("load", "offered/s", "achieved/s", "requests", "p50", "p99", "answers")
    table = _table("latency by load, a share of the highest rate; batches per second", *names)
    for each in capacity:
        for point in each.points:
            table.add_row(
                f"{each.mode}, {point.share:.0%}",
                f"{point.offered_per_second:,.0f}",
                f"{point.achieved_per_second:,.0f}",
                f"{point.requests:,}",
                _ms(point.latency_ms, "p50"),
                _ms(point.latency_ms, "p99"),
                _answers(point.answers),
            )
    return table


def _answers(answers: Answers) -> str:
    """Show what came back, so that a run of refusals looks like one."""
    shown = [f"{count:,} × {status}" for status, count in answers.statuses.items()]
    shown += [f"{count:,} again after {reason}" for reason, count in answers.retries.items()]
    if answers.unsent:
        shown.append(f"{answers.unsent:,} never sent")
    return "\n".join(shown)


def _of_floors(floors: Floors) -> Table:
    table = _table("floors, CPU µs where nothing else is said", "floor", *floors.modes)
    modes = floors.modes.values()
    table.add_row("parse, per event", *(f"{floors.parse_per_event:.2f}" for _ in modes))
    rows: dict[str, Callable[[ModeFloors], str]] = {
        "batches in a group": lambda each: f"{each.batches_per_group:,}",
        "store, per event": lambda each: f"{each.store_per_event:.2f}",
        "HTTP, per request": lambda each: f"{each.http.us_per_request:.1f}",
        "edge without work, requests/s": lambda each: f"{each.http.requests_per_second:,.0f}",
        "its p50 at half of the deployment's rate": lambda each: _ms(each.http.latency_ms, "p50"),
        "its p99": lambda each: _ms(each.http.latency_ms, "p99"),
        "bytes of a micro-batch": lambda each: f"{each.micro_batch_bytes:,}",
        "Ray, per call": lambda each: f"{each.ray_per_call:.1f}",
    }
    for name, show in rows.items():
        table.add_row(name, *map(show, modes))
    return table


def _ms(found: dict[str, float], name: str) -> str:
    return f"{found[name]:,.1f} ms" if name in found else ""


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for at, name in enumerate(columns):
        table.add_column(name, justify="right" if at else "left")
    return table
