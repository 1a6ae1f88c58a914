"""A Ray cluster of several nodes on this machine, each with a data folder of its own.

They are started by the commands of the launcher file, as `ray up` has them run on machines.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from secrets import token_hex
from typing import Any

import psutil  # type: ignore[import-untyped]
from ruamel.yaml import YAML

from actors.store.placement import NODE_DATA_DIR
from tests.clients.tools import free_port

LAUNCHER = files("config") / "cluster" / "launcher.yaml"
INSTALLED = "/opt/headwater"
_START_S = 120.0
_END_S = 30.0


def launcher() -> dict[str, Any]:
    """Return the launcher file."""
    document: dict[str, Any] = YAML(typ="safe").load(LAUNCHER.read_text())
    return document


class RayCluster:
    """Nodes by the names of their hosts; each has a resource of its name."""

    def __init__(self, folder: Path) -> None:
        """Args: `folder`: below it, `node-<name>` is each node's data folder."""
        self._folder = folder
        self._port = free_port()
        self._data_dirs: dict[str, Path] = {}
        # As serve and all nodes find it; instead of the file of this machine's user.
        self.environ = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token_hex(32)}
        self.address = f"127.0.0.1:{self._port}"

    def data_dir(self, name: str) -> Path:
        """Return the data folder of a node."""
        return self._folder / f"node-{name}"

    def add(self, name: str, data_dir: Path | None = None, *, is_head: bool = False) -> None:
        """Start a node, or one that was lost again."""
        self._data_dirs[name] = data_dir or self.data_dir(name)
        commands = launcher()["head_start_ray_commands" if is_head else "worker_start_ray_commands"]
        for command in commands:
            if command.endswith("/ray stop"):  # it would end other clusters of this machine
                continue
            here = (
                command.replace(f"{INSTALLED}/.venv/bin", str(Path(sys.executable).parent))
                .replace(INSTALLED, str(Path(__file__).parents[1]))
                .replace("6379", str(self._port))
                .removesuffix("--autoscaling-config=~/ray_bootstrap_config.yaml")
            )
            subprocess.run(here, shell=True, check=True, timeout=_START_S, env=self._environ(name))

    def lose(self, name: str) -> None:
        """Kill all processes of a node at once, as a power cut would."""
        victims = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get(NODE_DATA_DIR) == str(self._data_dirs[name]):
                    victims.append(process)
        for victim in victims:
            with contextlib.suppress(psutil.NoSuchProcess):
                victim.kill()
        psutil.wait_procs(victims, timeout=_END_S)
        del self._data_dirs[name]

    def end(self) -> None:
        """Kill all nodes."""
        for name in list(self._data_dirs):
            self.lose(name)

    def _environ(self, name: str) -> dict[str, str]:
        """Return what the commands find: as on a machine of this name."""
        programs = self._folder / f"programs-{name}"
        programs.mkdir(exist_ok=True)
        (programs / "hostname").write_text(f"#!/bin/sh\necho {name}\n")
        (programs / "hostname").chmod(0o700)
        return {
            **os.environ,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "RAY_HEAD_IP": "127.0.0.1",
            **self.environ,
            NODE_DATA_DIR: str(self._data_dirs[name]),
        }


@contextmanager
def ray_cluster(folder: Path, head: str, *others: str) -> Iterator[RayCluster]:
    """Run a cluster of nodes of these names."""
    cluster = RayCluster(folder)
    try:
        cluster.add(head, is_head=True)
        for name in others:
            cluster.add(name)
        yield cluster
    finally:
        cluster.end()
