"""A Ray cluster of several nodes on this machine, each with a data folder of its own."""

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
from ray.cluster_utils import Cluster

from actors.store.placement import NODE_DATA_DIR

_LEAST_BYTES = 80 * 1024 * 1024  # Ray takes no smaller object store


class RayCluster:
    """Nodes by name: each has a resource of its name. The first is the head."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        """Args: `folder`: below it, `node-<name>` is each node's data folder."""
        self._folder = folder
        self._cluster = Cluster()
        self._nodes: dict[str, Any] = {}
        for name in names:
            self.add(name)

    @property
    def address(self) -> str:
        """What drivers join it by."""
        return str(self._cluster.address)

    def data_dir(self, name: str) -> Path:
        """Return the data folder of a node."""
        return self._folder / f"node-{name}"

    def add(self, name: str, data_dir: Path | None = None) -> None:
        """Start a node, or one that was lost again."""
        self._nodes[name] = self._cluster.add_node(
            num_cpus=1,
            resources={name: 1},
            include_dashboard=False,
            object_store_memory=_LEAST_BYTES,
            env_vars={NODE_DATA_DIR: str(data_dir or self.data_dir(name))},
        )

    def lose(self, name: str) -> None:
        """Kill all processes of a node at once, as a power cut would."""
        node = self._nodes.pop(name)
        started = [each.process for kind in node.all_processes.values() for each in kind]
        victims = [psutil.Process(each.pid) for each in started]
        for victim in list(victims):
            victims += victim.children(recursive=True)
        for victim in victims:
            with contextlib.suppress(psutil.NoSuchProcess):
                victim.kill()
        self._cluster.remove_node(node, allow_graceful=False)

    def end(self) -> None:
        """Kill all nodes."""
        self._cluster.shutdown()  # type: ignore[no-untyped-call]


@contextmanager
def ray_cluster(folder: Path, *names: str) -> Iterator[RayCluster]:
    """Run a cluster; the first name is of the head."""
    cluster = RayCluster(folder, names)
    try:
        yield cluster
    finally:
        cluster.end()
