"""What a run ends with: a table for people, a JSON file for programs."""

from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from load_tests.stages import RoleUsage
from load_tests.verify import Verification


class Report(Struct, kw_only=True):
    """All results of a run.

    Attributes:
        options: how it was run, without secrets.
        started_ms: when sending began, Unix time; it went on for `seconds`.
        requests: that were due until then.
        throughput: acknowledged requests, batches and events per second, within `seconds`.
        latency_ms: percentiles over all requests, see `Measurements.latency_ms`.
        acknowledged: batches and events, with those acknowledged after the end.
        roles: empty where nothing could be measured.
        by_second: columns for charts.
    """

    scenario: str
    options: dict[str, Any]
    seconds: float
    started_ms: int
    requests: int
    throughput: dict[str, float]
    latency_ms: dict[str, float]
    acknowledged: dict[str, int]
    statuses: dict[str, int]
    retries: dict[str, int]
    unsent: int
    roles: dict[str, RoleUsage]
    verification: Verification | None
    is_exact: bool | None
    by_second: dict[str, list[Any]]


def write_json(report: Struct, path: Path) -> None:
    """Write the report as one indented JSON object."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")


def print_report(report: Report, console: Console) -> None:
    """Print the report as one table per subject."""
    table = Table(title=f"{report.scenario}, {report.seconds:g} s", title_justify="left")
    table.add_column("measure")
    table.add_column("value", justify="right")
    for name, value in report.throughput.items():
        table.add_row(name.replace("_per_second", "/s"), f"{value:,.1f}")
    for name, value in report.latency_ms.items():
        table.add_row(f"latency {name}", f"{value:,.2f} ms")
    table.add_section()
    for name, count in report.acknowledged.items():
        table.add_row(f"acknowledged {name}", f"{count:,}")
    for status, count in report.statuses.items():
        table.add_row(f"status {status}", f"{count:,}")
    for reason, count in report.retries.items():
        table.add_row(f"retries after {reason}", f"{count:,}")
    if report.unsent:
        table.add_row("due but never sent", f"{report.unsent:,}")
    console.print(table)
    if report.roles:
        console.print(_roles(report.roles))
    if report.verification is not None:
        console.print(_verification(report.verification))


def _roles(roles: dict[str, RoleUsage]) -> Table:
    table = Table(title="processes", title_justify="left")
    for name in ("role", "processes", "CPU µs/event", "peak memory"):
        table.add_column(name, justify="left" if name == "role" else "right")
    for role, usage in roles.items():
        memory = f"{usage.peak_rss_bytes / 2**20:,.0f} MiB"
        table.add_row(role, str(usage.processes), f"{usage.cpu_us_per_event:.2f}", memory)
    return table


def _verification(found: Verification) -> Table:
    table = Table(title="verification", title_justify="left")
    table.add_column("events")
    table.add_column("count", justify="right")
    for name in ("acknowledged", "verified", "lost", "doubled", "refused", "misplaced", "unknown"):
        table.add_row(name, f"{getattr(found, name):,}")
    table.add_section()
    table.add_row("users read back", f"{found.users:,} of {found.users_of:,}")
    table.add_row("profiles read, wrong", f"{found.profiles:,}, {found.profiles_wrong:,}")
    table.add_row("result", "exact" if found.is_exact else "NOT EXACT")
    return table
