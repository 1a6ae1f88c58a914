"""`headwater dead-letters`: list, show, replay, export and purge what could not be delivered.

Talks to a running deployment through the Platform API (spec/platform-api.md, 15).
"""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import click

from server.platform_client import PlatformApi, with_access


@click.group("dead-letters")
def dead_letters() -> None:
    """Deliveries that failed for good: list them, read one, send them again."""


@dead_letters.command("list")
@click.argument("connection")
@click.option("--reason", help="Only those of one reason.")
@with_access
def list_(connection: str, reason: str | None, **access: str) -> None:
    """List the dead letters of a CONNECTION, oldest first, a JSON object per line."""
    for letter in _all(PlatformApi(**access), connection, reason):
        click.echo(json.dumps(letter))


@dead_letters.command()
@click.argument("connection")
@click.argument("delivery_id")
@with_access
def show(connection: str, delivery_id: str, **access: str) -> None:
    """Show one dead letter with its payload."""
    letter = PlatformApi(**access).get(f"{_path(connection)}/{quote(delivery_id, safe='')}")
    click.echo(json.dumps(letter, indent=2))


@dead_letters.command()
@click.argument("connection")
@click.argument("delivery_ids", nargs=-1)
@click.option("--all", "is_all", is_flag=True, help="All of the connection.")
@with_access
def replay(connection: str, delivery_ids: tuple[str, ...], is_all: bool, **access: str) -> None:
    """Put dead letters of a CONNECTION into its queue again, by their DELIVERY_IDS or --all."""
    if is_all == bool(delivery_ids):
        raise click.UsageError("give delivery ids, or --all")
    body: dict[str, Any] = {"all": True} if is_all else {"ids": list(delivery_ids)}
    answer = PlatformApi(**access).post(f"{_path(connection)}/replay", body)
    click.echo(f"{answer['replayed']} replayed")


@dead_letters.command()
@click.argument("connection")
@click.option("--reason", help="Only those of one reason.")
@with_access
def export(connection: str, reason: str | None, **access: str) -> None:
    """Write the dead letters of a CONNECTION with their payloads, a JSON object per line."""
    query = {} if reason is None else {"reason": reason}
    for line in PlatformApi(**access).lines(f"{_path(connection)}/export", **query):
        click.echo(line)


@dead_letters.command()
@click.argument("connection")
@click.argument("delivery_ids", nargs=-1)
@click.option("--reason", help="All of one reason.")
@click.option("--all", "is_all", is_flag=True, help="All of the connection.")
@with_access
def purge(
    connection: str,
    delivery_ids: tuple[str, ...],
    reason: str | None,
    is_all: bool,
    **access: str,
) -> None:
    """Delete dead letters of a CONNECTION for good, by DELIVERY_IDS, --reason or --all."""
    if [bool(delivery_ids), reason is not None, is_all].count(True) != 1:
        raise click.UsageError("give delivery ids, or --reason, or --all")
    api = PlatformApi(**access)
    for delivery_id in delivery_ids:
        api.delete(f"{_path(connection)}/{quote(delivery_id, safe='')}")
    purged = len(delivery_ids)
    if not delivery_ids:
        query = {} if reason is None else {"reason": reason}
        purged = api.delete(_path(connection), **query)["purged"]
    click.echo(f"{purged} purged")


def _path(connection: str) -> str:
    return f"/output-connections/{quote(connection, safe='')}/dlq"


def _all(api: PlatformApi, connection: str, reason: str | None) -> Iterator[dict[str, Any]]:
    query = {} if reason is None else {"reason": reason}
    while True:
        page = api.get(_path(connection), **query)
        yield from page["items"]
        if page["next_cursor"] is None:
            return
        query["cursor"] = page["next_cursor"]
