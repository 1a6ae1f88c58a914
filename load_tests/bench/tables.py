"""A bench as tables for people."""

from rich.table import Table

from load_tests.bench.report import BenchReport, Capacity


def tables_of(report: BenchReport) -> list[Table]:
    """Show the result to a person."""
    tables = [_of_capacity(report.capacity)] if report.capacity else []
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
        names = ("profiles", "shards", "CPU µs/event", "memory B", "disk B", "opened in CPU s")
        table = _table("growth, memory and disk per profile", *names)
        for each in report.growth:
            table.add_row(
                f"{each.profiles:,}",
                str(each.shards),
                f"{each.cpu_us_per_event:.1f}",
                f"{each.memory_per_profile:,.0f}",
                f"{each.disk_per_profile:,.0f}",
                f"{each.open_s:.1f}",
            )
        tables.append(table)
    table = _table("bars", "what", "value", "bar", "")
    for bar in report.bars:
        sign = "≥" if bar.is_at_least else "≤"
        verdict = "met" if bar.is_met else "NOT MET"
        value = f"{bar.value:,.2f}" if bar.unit in ("×", "ms") else f"{bar.value:,.0f}"
        table.add_row(bar.what, f"{value} {bar.unit}", f"{sign} {bar.bound:,g}", verdict)
    tables.append(table)
    return tables


def _of_capacity(capacity: list[Capacity]) -> Table:
    table = _table("a deployment with everything", "measure", *(each.mode for each in capacity))

    def add(name: str, values: list[str]) -> None:
        table.add_row(name, *values)

    add("events/s", [f"{each.events_per_second:,.0f}" for each in capacity])
    add("requests/s", [f"{each.requests_per_second:,.1f}" for each in capacity])
    add("events per micro-batch", [f"{each.events_per_micro_batch:,.0f}" for each in capacity])
    add("CPU µs/event", [f"{each.cpu_us:.1f}" for each in capacity])
    for kind, title in (("cpu_us_per_event", ""), ("stages_us_per_event", "shard's time, ")):
        names = dict.fromkeys(name for each in capacity for name in getattr(each, kind))
        for name in names:
            add(
                f"  {title}{name}", [f"{getattr(each, kind).get(name, 0):.1f}" for each in capacity]
            )
    for at, point in enumerate(capacity[0].points):
        found = [each.points[at].latency_ms for each in capacity]
        for name in ("p50", "p99"):
            add(f"{name} at {point.share:.0%}", [f"{each[name]:,.1f} ms" for each in found])
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for at, name in enumerate(columns):
        table.add_column(name, justify="right" if at else "left")
    return table
