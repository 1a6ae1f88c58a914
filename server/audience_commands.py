"""`headwater audiences`: what audiences cost a running deployment."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from server.platform_client import PlatformApi, with_access

Shard = Mapping[str, Any]  # as GET .../audiences/costs shows one


@click.group()
@with_access
@click.pass_context
def audiences(context: click.Context, /, **access: str) -> None:
    """Audiences of a running deployment."""
    context.obj = access


@audiences.command("explain-cost")
@click.pass_obj
def explain_cost(access: dict[str, str]) -> None:
    """Tell what audiences take of memory: per profile, stream entry and source of criteria."""
    shards: list[Shard] = PlatformApi(**access).get("/audiences/costs")["shards"]
    for number, shard in enumerate(shards):
        _show(f"shard {number}", shard)
    if len(shards) > 1:
        _show("total", _total(shards))


def _show(title: str, shard: Shard) -> None:
    rows, sources = shard["rows"], shard["sources"]
    columns = sum(each["array_bytes"] for each in sources)
    parts = {
        "rows and their index": shard["row_bytes"],
        "memberships": shard["membership_bytes"],
        "columns of user criteria": columns,
        "entries of event criteria": shard["entry_bytes"],
    }
    click.echo(
        f"{title}: {rows} profiles, {shard['audiences']} audiences, {shard['criteria']} different "
        f"criteria, {shard['streams']} streams"
    )
    for name, size in {**parts, "together": sum(parts.values())}.items():
        click.echo(f"  {name}: {_per(size, rows, 'profile')}")
    entries, size = shard["entries"], shard["entry_bytes"]
    click.echo(
        f"  stream entries: {entries}, {shard['bytes_per_entry']} bytes each; "
        f"with room to grow {_per(size, entries, 'entry')}"
    )
    for each in sorted(sources, key=lambda each: (-each["array_bytes"], each["source"])):
        values = f"{each['distinct']} distinct values"
        click.echo(f"    {each['source']}: {_per(each['array_bytes'], rows, 'profile')}, {values}")


def _per(size: int, units: int, unit: str) -> str:
    return f"{size} bytes" + (f", {size / units:.1f} per {unit}" if units else "")


def _total(shards: Sequence[Shard]) -> Shard:
    """Add up the shards; what is the same on all of them counts once."""
    added = ("rows", "row_bytes", "membership_bytes", "entries", "entry_bytes")
    alike = ("audiences", "criteria", "streams", "bytes_per_entry")
    return {
        **{name: sum(each[name] for each in shards) for name in added},
        **{name: max(each[name] for each in shards) for name in alike},
        "sources": _sources(source for each in shards for source in each["sources"]),
    }


def _sources(parts: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Add up the parts of each source; a value that several shards have counts on each."""
    found: dict[str, dict[str, Any]] = {}
    for each in parts:
        total = found.setdefault(
            each["source"], {"source": each["source"], "array_bytes": 0, "distinct": 0}
        )
        total["array_bytes"] += each["array_bytes"]
        total["distinct"] += each["distinct"]
    return list(found.values())
