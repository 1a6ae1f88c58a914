"""`headwater cluster`: shows which shard has which slots, and moves some while it serves."""

import time
from collections.abc import Callable
from typing import Any

import click
import msgspec

from actors.store.keys import SLOTS
from actors.store.slots import SlotMap
from server.platform_client import (
    ApiRefused,
    PlatformApi,
    Unanswered,
    checked_url,
    with_credentials,
)
from server.rebalance import Move, PlanRefused, evening, left, read_shown

PASS_TIMEOUT_S = 120.0
PAUSE_S = 1.0  # between two passes, for what had to wait
PATIENCE_S = 60.0  # without any progress: a shard, or all, may be starting again

_admin_url = click.option(
    "--admin-url",
    default="http://127.0.0.1:9090",
    show_default=True,
    callback=checked_url,
    help="The admin port.",
)


@click.group()
def cluster() -> None:
    """The shards of a deployment: who has which slots, and moves between them."""


@cluster.command()
@with_credentials
@_admin_url
def status(admin_url: str, **access: str) -> None:
    """Show which slots each shard has, and what is moving."""
    now = _admin(admin_url, access).ask("/admin/slots")
    for run in now["runs"]:
        click.echo(f"slots {run['first']} to {run['last']}: shard {run['shard']}")
    moving = now["moving"]
    click.echo(
        "nothing is moving"
        if moving is None
        else f"slots {moving['first']} to {moving['last']} are moving to shard {moving['to']}"
    )
    _echo_counts(now)


@cluster.command()
@with_credentials
@_admin_url
@click.option(
    "--empty",
    type=int,
    multiple=True,
    metavar="SHARD",
    help="A shard that is to have no slots, such as before its node goes.",
)
@click.option(
    "--move",
    "wanted",
    type=(int, int, int),
    metavar="FIRST LAST SHARD",
    help="Move these slots to a shard, instead of evening out.",
)
@click.option("--dry-run", is_flag=True, help="Show what would move.")
def rebalance(
    admin_url: str,
    empty: tuple[int, ...],
    wanted: tuple[int, int, int] | None,
    dry_run: bool,
    **access: str,
) -> None:
    """Move slots between shards until all have as many.

    May be broken off and called again: what has moved stays where it is.
    """
    if wanted is not None and empty:
        raise click.UsageError("--move says where slots go; --empty has no say then")
    api = _admin(admin_url, access)
    now = api.ask("/admin/slots")
    moves = _planned(read_shown(now), wanted, empty)
    for each in moves:
        click.echo(f"slots {each.first} to {each.last} go to shard {each.to}")
    if not moves:
        click.echo("nothing has to move")
    elif not dry_run:
        for each in moves:
            _move(api, each, time.monotonic, time.sleep)
        now = api.ask("/admin/slots")
    _echo_counts(now)


def _admin(admin_url: str, access: dict[str, str]) -> PlatformApi:
    return PlatformApi(workspace=None, **access).at(admin_url, PASS_TIMEOUT_S)


def _planned(
    slots: SlotMap, wanted: tuple[int, int, int] | None, empty: tuple[int, ...]
) -> list[Move]:
    if wanted is None:
        try:
            return evening(slots, empty)
        except PlanRefused as error:
            raise click.ClickException(str(error)) from None
    move = Move(*wanted)
    if not 0 <= move.first <= move.last < SLOTS:
        raise click.ClickException(f"there are slots 0 to {SLOTS - 1}")
    if not 0 <= move.to < slots.shards:
        raise click.ClickException(f"there are shards 0 to {slots.shards - 1}")
    return left(slots, move)


def _move(
    api: PlatformApi,
    wanted: Move,
    monotonic: Callable[[], float],
    sleep: Callable[[float], None],
) -> None:
    """Have slots moved, pass by pass; a refusal that may pass is waited out for a while."""
    size = wanted.last - wanted.first + 1
    progress_s = monotonic()
    while True:
        try:
            now = api.ask("/admin/slots")
            parts = left(read_shown(now), wanted)
            if not parts:
                return
            now = api.ask("/admin/slots", msgspec.to_builtins(parts[0]))
        except (ApiRefused, Unanswered) as error:
            is_passing = isinstance(error, Unanswered) or error.status in (409, 503)
            if not is_passing or monotonic() - progress_s > PATIENCE_S:
                raise
            click.echo(f"waiting: {error.message}", err=True)
        else:
            progress_s = monotonic()
            rest = sum(each.last - each.first + 1 for each in left(read_shown(now), wanted))
            click.echo(f"{(size - rest) * 100 // size} % of them are on shard {wanted.to}")
        sleep(PAUSE_S)


def _echo_counts(now: dict[str, Any]) -> None:
    counts = ", ".join(f"{number}: {count}" for number, count in enumerate(now["shards"]))
    click.echo(f"slots by shard: {counts}")
