"""`headwater data`: check, back up, restore and repair a data folder."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import lmdb

from actors.errors import DataFolderError
from actors.store import backups
from actors.store.folder import place_shard
from actors.store.repairs import repair_store
from config.errors import ConfigError
from config.settings import load_settings

_FOLDER = click.Path(path_type=Path, file_okay=False)
_data_dir = click.option("--data-dir", type=_FOLDER, help="Folder of the stores [./data].")


@click.group("data")
def data() -> None:
    """The data folder: check it, copy it while it is served, bring a copy back."""


@data.command()
@_data_dir
def check(data_dir: Path | None) -> None:
    """Read every entry of every store; end with 1 if one is damaged. May be served meanwhile."""
    is_damaged = False
    with _told():
        for store, damage in backups.check(_folder(data_dir)):
            click.echo(f"{store}: {'ok' if damage is None else damage}")
            is_damaged |= damage is not None
    sys.exit(1 if is_damaged else 0)


@data.command()
@click.argument("target", type=_FOLDER)
@_data_dir
def backup(target: Path, data_dir: Path | None) -> None:
    """Copy the data folder, as it is at one instant, to TARGET. May be served meanwhile.

    The copy has the keys that seal and sign: keep it as safe as the folder.
    """
    with _told():
        size = backups.back_up(_folder(data_dir), target)
    click.echo(f"{target}: {size / 2**20:,.1f} MiB")


@data.command()
@click.argument("source", metavar="BACKUP", type=_FOLDER)
@_data_dir
def restore(source: Path, data_dir: Path | None) -> None:
    """Make a data folder, which must not exist yet, of a BACKUP."""
    folder = _folder(data_dir)
    with _told():
        backups.restore(source, folder)
    click.echo(f"{folder} is restored; serve it with --data-dir")


@data.command()
@_data_dir
def repair(data_dir: Path | None) -> None:
    """Keep what can be read of damaged stores. A backup is better: something is lost here.

    A damaged store is set aside, not deleted. Nobody may serve the folder.
    """
    folder = _folder(data_dir)
    with _told():
        found = [store for store, damage in backups.check(folder) if damage is not None]
        for store in found:
            for line in repair_store(folder, store):
                click.echo(line)
    if not found:
        click.echo("nothing is damaged")


@data.command()
@click.argument("shard", type=click.IntRange(min=0))
@click.argument("node")
@_data_dir
def place(shard: int, node: str, data_dir: Path | None) -> None:
    """Note that the folder of SHARD has been copied to another NODE of the cluster.

    In the data folder of `serve`, while nobody serves it. The node that had it no longer needs it.
    """
    with _told():
        place_shard(_folder(data_dir), shard, node)
    click.echo(f"shard {shard} is on {node}")


def _folder(data_dir: Path | None) -> Path:
    try:
        return load_settings({"data_dir": data_dir}, os.environ).data_dir.absolute()
    except ConfigError as error:
        raise click.ClickException("\n".join(error.lines())) from error


@contextmanager
def _told() -> Iterator[None]:
    """End with a line that says why a data folder cannot be used, or not by this user."""
    try:
        yield
    except (DataFolderError, lmdb.Error) as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        where = "" if error.filename is None else f"{error.filename}: "
        raise click.ClickException(f"{where}{error.strerror}") from error
