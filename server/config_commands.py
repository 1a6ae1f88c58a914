"""`headwater config plan`, `apply`, `export`, `ids`: what a running deployment is configured by.

Files are read here, with the placeholders that they have here; what is served is changed through
the Platform API (spec/connections.md, 10).
"""

import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import click

from config.errors import ConfigError
from config.exporting import as_yaml, escaped
from config.load import read_document
from server.platform_client import ApiRefused, PlatformApi, with_credentials

_FILE = click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
_PRUNE = click.option(
    "--prune", is_flag=True, help="Delete objects that came with a file, and that it has no more."
)


class _NotPlanned(click.UsageError):
    """A plan was asked for wrongly."""

    exit_code = 1


class _Plan(click.Command):
    """A command that ends with 2 for something else than for being called wrongly."""

    def parse_args(self, context: click.Context, /, args: list[str]) -> list[str]:
        try:
            return super().parse_args(context, args)
        except click.UsageError as error:
            raise _NotPlanned(error.format_message(), error.ctx) from None


@click.command(cls=_Plan)
@_FILE
@_PRUNE
@with_credentials
def plan(file: Path, prune: bool, **access: str) -> None:
    """Tell what applying FILE would change: exit code 0 for nothing, 2 for changes, 1 for errors.

    `+` is created, `~` updated, `-` deleted; `!` is dangerous.
    """
    changes = _send(file, access, dry_run=True, prune=prune)["changes"]
    for each in changes:
        click.echo(each["line"])
    sys.exit(2 if changes else 0)


@click.command("apply")
@_FILE
@_PRUNE
@click.option(
    "--allow-dangerous", is_flag=True, help="Also what takes keys away or deletes what waits."
)
@with_credentials
def apply_(file: Path, prune: bool, allow_dangerous: bool, **access: str) -> None:
    """Apply FILE, all of it or nothing. What it does not have stays, unless --prune is given."""
    done = _send(file, access, prune=prune, allow_dangerous=allow_dangerous)
    for each in done["changes"]:
        click.echo(each["line"])
    click.echo(f"revision {done['revision']}")


@click.command()
@click.argument("workspace")
@with_credentials
def export(workspace: str, **access: str) -> None:
    """Print what holds for WORKSPACE, its id or number, as YAML; secrets become placeholders."""
    click.echo(PlatformApi(**(access | {"workspace": workspace})).get_text("/config"), nl=False)


@click.command()
@click.argument("workspace")
@with_credentials
def ids(workspace: str, **access: str) -> None:
    """Print the integer ids of WORKSPACE (its id or number) and of its objects, one a line."""
    found = PlatformApi(**(access | {"workspace": workspace})).get("/config/ids")
    for section, numbers in found.items():
        for name, number in numbers.items():
            click.echo(f"{section.removesuffix('s').replace('_', ' ')} {name}: {number}")


def _send(file: Path, access: dict[str, str], **flags: bool) -> Any:
    try:
        data = read_document(file, os.environ)
    except ConfigError as error:
        _fail(error.lines())
    workspace = data.get("workspace")
    name = workspace.get("id") if isinstance(workspace, dict) else None
    if not isinstance(name, str):
        _fail(["workspace.id: required"])
    api = PlatformApi(**(access | {"workspace": name}))
    query = {name: "true" for name, is_set in flags.items() if is_set}
    try:
        return api.put_text("/config", as_yaml(escaped(data)), "text/yaml", **query)
    except ApiRefused as error:
        _fail(error.lines)


def _fail(lines: list[str]) -> NoReturn:
    for line in lines:
        click.echo(line, err=True)
    sys.exit(1)
