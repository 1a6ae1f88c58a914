"""Which processes are a deployment's, and how long they may take to end."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from actors.clock import SystemClock
from load_tests.faults import kept as kept_module
from load_tests.faults.kept import KeptDeployment


@contextmanager
def running(kept: KeptDeployment, title: str) -> Iterator[subprocess.Popen[str]]:
    """Run a process of a deployment's, whose title lies over its environment, as agents' do."""
    program = (
        "import ctypes, os, sys\n"
        "area = open('/proc/self/stat').read().rpartition(')')[2].split()\n"
        "first, last = int(area[45]), int(area[48])\n"  # from arguments to the environment's end
        f"title = {title!r}.encode()\n"
        "ctypes.memset(first, 0, last - first)\n"
        "ctypes.memmove(first, title, len(title))\n"
        "open('/proc/self/comm', 'w').write(title.decode()[:15])\n"
        "print('ready', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        env=kept.server._environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def deployment(folder: Path) -> KeptDeployment:
    folder.mkdir()
    return KeptDeployment(folder, folder / "workspace.yaml", SystemClock())


def test_a_process_whose_title_hides_its_environment_is_known(tmp_path: Path) -> None:
    own, other = deployment(tmp_path / "own"), deployment(tmp_path / "other")
    with running(own, "ray::DashboardAgent") as process:
        assert [each.pid for each in own.processes("")] == [process.pid]
        assert [each.pid for each in own.processes("ray::")] == [process.pid]
        assert own.processes("raylet") == other.processes("") == []
    assert own.processes("") == []


@pytest.mark.parametrize("title", ["ray::DashboardAgent", "ray::Shard"])
async def test_an_agent_may_take_longer_than_others_and_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, title: str
) -> None:
    monkeypatch.setattr(kept_module, "ORPHANS_S", 0.0)
    monkeypatch.setattr(kept_module, "AGENTS_S", 0.0)
    own = deployment(tmp_path / "own")
    is_agent = title != "ray::Shard"
    with running(own, title) as process:
        await own._bury()  # as before every start
        assert own.orphans == ([] if is_agent else [title])
        await own.end()
        assert own.orphans == [title]
        assert await asyncio.to_thread(process.wait, 10) < 0
