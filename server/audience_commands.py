"""`headwater audiences`: what audiences cost a deployment, or would cost one."""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from actors.audiences.stated_costs import StatedCosts, joint_costs, stated_costs
from config.audience_definitions import Definitions
from config.errors import ConfigError
from config.load import load_workspaces
from server.platform_client import PlatformApi, with_access

Shard = Mapping[str, Any]  # as GET .../audiences/costs shows one


@click.group()
def audiences() -> None:
    """Audiences of a running deployment, or of a workspace document."""


@audiences.command("explain-cost")
@click.option(
    "--file",
    "files",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Workspace document whose audiences are accounted for; nothing is asked. "
    "Of several workspaces, give each document.",
)
@click.option(
    "--profiles",
    type=click.IntRange(1),
    default=1_000_000,
    show_default=True,
    help="With --file: profiles of a shard.",
)
@click.option(
    "--entries",
    type=click.IntRange(0),
    default=20,
    show_default=True,
    help="With --file: events of a profile that count, once for each stream that takes them.",
)
@partial(with_access, is_required=False)
def explain_cost(
    files: tuple[Path, ...], profiles: int, entries: int, **access: str | None
) -> None:
    """Tell what audiences take of memory: per profile, stream entry and criterion."""
    if files:
        _state(files, profiles, entries)
        return
    for name in ("client_id", "client_secret"):
        if access[name] is None:
            raise click.UsageError(f"Without --file, --{name.replace('_', '-')} is needed.")
    _measure(access)


def _state(files: Sequence[Path], profiles: int, entries: int) -> None:
    """Tell of the active real-time audiences of documents."""
    try:
        documents = load_workspaces(files, os.environ)
    except ConfigError as error:
        for line in error.lines():
            click.echo(line, err=True)
        sys.exit(1)
    for document in documents:
        if len(documents) > 1:
            click.echo(f"workspace {document.workspace.id}:")
        others = [each for each in documents if each is not document]
        _state_document(Definitions(document, others), profiles, entries)


def _state_document(definitions: Definitions, profiles: int, entries: int) -> None:
    names = {number: name for name, number in definitions.numbers.audiences.items()}
    nodes = {each: definitions.nodes[each] for each in sorted(definitions.active)}
    joint = {number: node for number, node in nodes.items() if number in definitions.over}
    single = {number: node for number, node in nodes.items() if number not in joint}
    _show_stated(stated_costs(single, definitions.workspace), names, profiles, entries)
    if joint:
        click.echo("over several workspaces, besides:")
        home, over = definitions.workspace, {each: definitions.over[each] for each in joint}
        numbers = dict.fromkeys([home.number, *(one for each in over.values() for one in each)])
        workspaces = [definitions.places[each].workspace for each in numbers]
        _show_stated(joint_costs(joint, over, workspaces), names, profiles, entries)


def _show_stated(costs: StatedCosts, names: Mapping[int, str], profiles: int, entries: int) -> None:
    click.echo(
        f"{costs.audiences} active audiences, {costs.leaves} different criteria, "
        f"{costs.streams} streams"
    )
    parts = {
        "row and its index": costs.row_bytes,
        "memberships": costs.membership_bytes,
        "columns of user criteria": costs.column_bytes,
        "together": costs.profile_bytes,
    }
    click.echo("each profile:")
    for name, size in parts.items():
        click.echo(f"  {name}: {size:.1f} bytes")
    others = []
    if costs.has_values:
        others.append(f"{costs.plain_bytes + costs.value_bytes} with a value")
    if costs.has_wide:
        others.append(f"{costs.wide_bytes} in some")
    plain = f"{costs.plain_bytes} bytes in each stream that takes it"
    click.echo(f"each event that counts: {', '.join([plain, *others])}")
    held = entries if costs.streams else 0
    _show_criteria(costs, names)
    click.echo(
        f"{profiles} profiles with {held} entries each: "
        f"{costs.bytes_of(profiles, held)} bytes, with room to grow at most "
        f"{costs.most_bytes(profiles, held)}; besides, each distinct value of an attribute once"
    )


def _show_criteria(costs: StatedCosts, names: Mapping[int, str]) -> None:
    shown = None
    for each in costs.criteria:
        if each.audience != shown:
            shown = each.audience
            click.echo(f"audience {names[shown]}:")
        needs = []
        if each.columns:
            needs.append(f"{each.row_bytes:.1f} bytes per profile ({', '.join(each.columns)})")
        if each.entry_bytes:
            sizes = " + ".join(map(str, each.entry_bytes))
            needs.append(f"{sizes} bytes per event that counts")
        shared = f"; shared with {each.shared_with} others" if each.shared_with else ""
        click.echo(f"  criterion {each.id or each.place}: {', '.join(needs) or '0 bytes'}{shared}")


def _measure(access: dict[str, Any]) -> None:
    """Tell of a running deployment."""
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
        "values of user criteria": sum(each["value_bytes"] for each in sources),
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
        f"  stream entries: {entries}, {shard['bytes_per_entry']} bytes each without a value; "
        f"with room to grow {_per(size, entries, 'entry')}"
    )
    for each in sorted(sources, key=lambda each: (-each["array_bytes"], each["source"])):
        values = f"{each['distinct']} distinct values of {each['value_bytes']} bytes"
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
            each["source"], dict.fromkeys(each, 0) | {"source": each["source"]}
        )
        for name in ("array_bytes", "distinct", "value_bytes"):
            total[name] += each[name]
    return list(found.values())
