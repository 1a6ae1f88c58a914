"""A bench as tables for people."""

from rich.table import Table

from load_tests.bench.report import BenchReport, Capacity


def tables_of(report: BenchReport) -> list[Table]:
    """Show the result to a person."""
    capacity = {each.mode: each for each in report.capacity}
    if report.bare is not None:
        capacity[f"{report.bare.mode}, without attributes and audiences"] = report.bare
    tables = [_of_capacity(capacity)] if capacity else []
    if (floors := report.floors) is not None:
        table = _table("floors, CPU µs", "floor", "value")
        table.add_row("parse, per event", f"{floors.parse_per_event:.2f}")
        table.add_row("store, per event", f"{floors.store_per_event:.2f}")
        for mode, taken in floors.http_per_request.items():
            table.add_row(f"HTTP, per {mode} request", f"{taken:.1f}")
        table.add_row(
            f"Ray, per call of {floors.micro_batch_bytes:,} B", f"{floors.ray_per_call:.1f}"
        )
        tables.append(table)
    if report.growth:
        names = [
            "profiles",
            "shards",
            "CPU µs/event",
            "× parse",
            "memory B",
            "disk B",
            "opened in CPU s",
        ]
        table = _table("growth, memory and disk per profile", *names)
        for each in report.growth:
            table.add_row(
                f"{each.profiles:,}",
                str(each.shards),
                f"{each.cpu_us_per_event:.1f}",
                f"{each.to_parsing:.1f}",
                f"{each.memory_per_profile:,.0f}",
                f"{each.disk_per_profile:,.0f}",
                f"{each.open_s:.1f}",
            )
        tables.append(table)
        calls = report.growth[0].longest_s
        table = _table("longest call of a shard, CPU ms", "profiles", "shards", *calls)
        for each in report.growth:
            longest = (f"{seconds * 1000:.1f}" for seconds in each.longest_s.values())
            table.add_row(f"{each.profiles:,}", str(each.shards), *longest)
        tables.append(table)
    table = _table("bars", "what", "value", "bar", "")
    for bar in report.bars:
        sign = "≥" if bar.is_at_least else "≤"
        verdict = "met" if bar.is_met else "NOT MET"
        value = f"{bar.value:,.2f}" if bar.unit in ("×", "ms", "s") else f"{bar.value:,.0f}"
        table.add_row(bar.what, f"{value} {bar.unit}", f"{sign} {bar.bound:,g}", verdict)
    tables.append(table)
    return tables


def _of_capacity(capacity: dict[str, Capacity]) -> Table:
    table = _table("a deployment with everything", "measure", *capacity)
    measured = capacity.values()

    def add(name: str, values: list[str]) -> None:
        table.add_row(name, *values)

    add("events/s", [f"{each.events_per_second:,.0f}" for each in measured])
    add("requests/s", [f"{each.requests_per_second:,.1f}" for each in measured])
    add("events per micro-batch", [f"{each.events_per_micro_batch:,.0f}" for each in measured])
    add("CPU µs/event", [f"{each.cpu_us:.1f}" for each in measured])
    for kind, title in (("cpu_us_per_event", ""), ("stages_us_per_event", "shard's time, ")):
        names = dict.fromkeys(name for each in measured for name in getattr(each, kind))
        for name in names:
            add(
                f"  {title}{name}", [f"{getattr(each, kind).get(name, 0):.1f}" for each in measured]
            )
    for name in ("p50", "p99"):
        add(f"read of a profile, {name}", [_ms(each.reads_ms, name) for each in measured])
    shares = dict.fromkeys(point.share for each in measured for point in each.points)
    for share in shares:
        found = [each.latency_at(share) for each in measured]
        for name in ("p50", "p99"):
            add(f"{name} at {share:.0%}", [_ms(each, name) for each in found])
    return table


def _ms(found: dict[str, float], name: str) -> str:
    return f"{found[name]:,.1f} ms" if name in found else ""


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for at, name in enumerate(columns):
        table.add_column(name, justify="right" if at else "left")
    return table
