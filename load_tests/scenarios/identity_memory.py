"""Memory and disk that identities take, in this process."""

import asyncio
import tempfile
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from actors.clock import SystemClock
from load_tests.footprint import IDENTITIES_PER_USER, MILLION, Footprint, fill
from load_tests.in_process import InProcess, document

MIB = 1024 * 1024


def tables_of(found: Footprint) -> tuple[Table, Table]:
    """Show the results to a person."""
    growth = Table(title=f"identities of {found.users:,} users", title_justify="left")
    for name in ("identities", "private memory", "mapped", "disk"):
        growth.add_column(name, justify="right")
    for each in found.samples:
        sizes = (each.private, each.mapped, each.disk)
        growth.add_row(f"{each.identities:,}", *(f"{size / MIB:,.0f} MiB" for size in sizes))
    growth.caption = (
        f"per million more: {found.private_per_million / MIB:,.0f} MiB of private memory, "
        f"{found.disk_per_million / MIB:,.0f} MiB on disk"
    )
    disk = Table(title="on disk", title_justify="left")
    disk.add_column("table")
    disk.add_column("bytes per identity", justify="right")
    for table, size in found.tables.items():
        disk.add_row(table, f"{size / found.identities:,.0f}")
    return growth, disk


_FILE = click.Path(dir_okay=False, writable=True, path_type=Path)


@click.command("identity-memory")
@click.option(
    "--identities",
    type=click.IntRange(30),
    default=MILLION,
    show_default=True,
    help=f"How many; a user has {IDENTITIES_PER_USER}.",
)
@click.option("--shards", type=click.IntRange(1, 64), default=2, show_default=True)
@click.option(
    "--profile-cache-mib",
    type=click.IntRange(1),
    default=256,
    show_default=True,
    help="Memory for hot profiles, per shard.",
)
@click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where the temporary stores are made.",
)
@click.option("--json", "json_file", type=_FILE, help="Write all results to this file.")
def command(
    identities: int,
    shards: int,
    profile_cache_mib: int,
    folder: Path | None,
    json_file: Path | None,
) -> None:
    """Make identities, as batches of new users do, and tell what they take.

    Everything runs in this process, on temporary stores: no server is needed.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    messages = Console(stderr=True)
    with (
        tempfile.TemporaryDirectory(prefix="headwater-identity-", dir=folder) as made,
        Progress(*columns, console=messages, transient=True, disable=not messages.is_terminal)
        as progress,
    ):  # fmt: skip
        cache_bytes = profile_cache_mib * MIB
        deployment = InProcess(
            Path(made),
            document(strategy="profile_conversion"),
            shards,
            SystemClock(),
            profile_cache_bytes=cache_bytes,
        )
        task = progress.add_task("users", total=identities // IDENTITIES_PER_USER)

        def show(users: int) -> None:
            progress.update(task, completed=users)

        try:
            found = asyncio.run(fill(deployment, identities, cache_bytes, 10, show))
        finally:
            deployment.close()
    console = Console(width=100)
    for table in tables_of(found):
        console.print(table)
    if json_file is not None:
        json_file.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
