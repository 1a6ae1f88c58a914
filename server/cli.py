"""The command line: `headwater serve`, `config ...`, `data ...`, `dead-letters ...`, ..."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from actors.errors import DataFolderError, ShardUnavailable, StoreDamaged, StoreFull
from actors.outputs.egress import EgressRules
from config.errors import ConfigError
from config.load import refused_by, validate_files
from config.settings import load_settings
from server.audience_commands import audiences
from server.cluster_commands import cluster
from server.config_commands import apply_, export, ids, plan
from server.data_commands import data
from server.dead_letter_commands import dead_letters
from server.demo.settings import demo_environ, demo_flags
from server.planning_commands import COMMANDS as PLANNING
from server.version import program_version

_PATH = click.Path(path_type=Path)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(program_version(), prog_name="headwater")
def main() -> None:
    """Headwater: a self-hosted customer data platform that speaks mParticle's protocols."""


@main.command()
@click.option(
    "--workspace",
    type=_PATH,
    multiple=True,
    help="Workspace document, once for each workspace; without any, what the data folder has "
    "served last, or the example if it is new.",
)
@click.option("--data-dir", type=_PATH, help="Folder of the stores [./data].")
@click.option("--host", help="Address that edges listen on [127.0.0.1].")
@click.option("--port", type=int, help="Port of the edges [8080]; 0: any free one.")
@click.option("--admin-port", type=int, help="Port of metrics and health [9090].")
@click.option("--edges", type=int, help="Edge processes [1].")
@click.option("--shards", type=int, help="Shards, each with a store of its own [2].")
@click.option("--address", help="Address of a Ray cluster; without one, Ray is started inside.")
@click.option("--settings", type=_PATH, help="YAML file of settings.")
def serve(**flags: Any) -> None:
    """Serve workspaces until Ctrl-C or SIGTERM."""
    flags["workspace"] = flags["workspace"] or None  # as with other flags: not given
    _serve(flags, os.environ)


@main.command()
@click.option(
    "--web-sdk-file",
    type=_PATH,
    required=True,
    help="dist/mparticle.js of the npm package @mparticle/web-sdk.",
)
@click.option("--data-dir", type=_PATH, help="Folder of the stores [./data].")
@click.option("--port", type=click.IntRange(1, 65535), default=8080, help="Port [8080].")
@click.option("--admin-port", type=int, help="Port of metrics and health [9090].")
def demo_web(port: int, **flags: Any) -> None:
    """Serve a demo shop, to this machine only, until Ctrl-C or SIGTERM."""
    _serve(flags | demo_flags(port), demo_environ(os.environ, port))


def _serve(flags: Mapping[str, Any], environ: Mapping[str, str]) -> None:
    # Imported here: the other commands need none of what it brings.
    from server.serve import serve as run

    try:
        run(load_settings(flags, environ), environ, click.echo)
    except ConfigError as error:
        _fail(error.lines())
    except (DataFolderError, ShardUnavailable, StoreDamaged, StoreFull, OSError) as error:
        _fail([str(error)])


@main.group()
def config() -> None:
    """Workspace documents."""


@config.command()
@click.argument("files", type=_PATH, nargs=-1, required=True, metavar="FILE...")
def validate(files: tuple[Path, ...]) -> None:
    """Check workspace documents; list everything that is wrong with them.

    Several are checked as the workspaces of one deployment as well. Targets of outputs that
    HEADWATER_EGRESS_ALLOW would have to name, as it is set here, are warned of.
    """
    problems = validate_files(files, os.environ)
    if problems:
        _fail(problems)
    try:
        egress = EgressRules(load_settings({}, os.environ).egress_allow)
    except ConfigError as error:
        _fail(error.lines())
    # The settings of the service may be others than those that are known here.
    for line in refused_by(egress, files, os.environ):
        click.echo(f"warning: {line}", err=True)
    *others, last = map(str, files)
    click.echo(f"{', '.join(others)} and {last} are valid." if others else f"{last} is valid.")


config.add_command(plan)
config.add_command(apply_)
config.add_command(export)
config.add_command(ids)
main.add_command(audiences)
main.add_command(dead_letters)
main.add_command(data)
for planning in PLANNING:
    main.add_command(planning)
main.add_command(cluster)


def _fail(lines: list[str]) -> None:
    for line in lines:
        click.echo(line, err=True)
    sys.exit(1)
