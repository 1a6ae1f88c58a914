"""The process of an edge: what it reads before it is back after its death."""

import subprocess
import sys


def test_an_edge_reads_nothing_that_only_shards_have_a_use_for() -> None:
    """Each of them takes its time, in which nobody is served."""
    script = "import sys, server.hosted_edge; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    modules = set(done.stdout.split())
    assert "server.edge" in modules
    assert modules.isdisjoint({"numpy", "pyarrow", "actors.shard", "actors.audiences.engine"})
