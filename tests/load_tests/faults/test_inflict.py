"""Whom faults befall, and by which name."""

import os
import signal
from pathlib import Path
from typing import Any, cast

import pytest

from actors.clock import SystemClock
from load_tests.faults.inflict import Inflictor
from load_tests.faults.kept import EDGES, KeptDeployment
from load_tests.faults.plan import Fault
from load_tests.faults.ray_logs import RayLogs


class Victim:
    """A process that notes what it is sent."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.got: list[int] = []

    def send_signal(self, number: int) -> None:
        self.got.append(number)


def log_of(ray_dir: Path, pid: int, *names: str, session: str = "session_1") -> Path:
    """Write what Ray writes of an actor's process."""
    logs = ray_dir / "ray" / session / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    file = logs / f"worker-abc-01000000-{pid}.out"
    file.write_text(
        "".join(f":{key}\n" for key in ("job_id:1", *(f"actor_name:{n}" for n in names)))
    )
    return file


@pytest.mark.parametrize("pids", [(7, 8, 9), (9, 7, 8)])
async def test_a_pick_hits_the_actor_of_the_same_name_whatever_its_process(
    pids: tuple[int, ...], tmp_path: Path
) -> None:
    names = ("edge-0", "edge-1")
    for pid, name in zip(pids, names, strict=False):
        log_of(tmp_path / "ray", pid, "Edge", name)
    victims = [Victim(pid) for pid in sorted(pids)]

    class Kept:
        """Two edges, and one of which nothing is known yet."""

        logs = RayLogs(tmp_path / "ray", tmp_path / "kept")

        def actors(self, role: str) -> list[Victim]:
            return victims if role == "Edge" else []

    async def when_full() -> None: ...

    inflictor = Inflictor(cast(Any, Kept()), [], SystemClock(), when_full)
    by_pid = {each.pid: each for each in victims}
    for pick in range(3):
        await inflictor.run([Fault(at_s=0.0, kind="kill", target="Edge", pick=pick)])
        assert [by_pid[pid].got for pid in pids] == [
            [signal.SIGKILL] * (place <= pick) for place in range(3)
        ]
    missing = Fault(at_s=0.0, kind="kill", target="Shard")
    await inflictor.run([missing])
    assert inflictor.missed == [missing]


def test_logs_of_deployments_that_have_ended_are_kept_and_nothing_else(tmp_path: Path) -> None:
    ray_dir = tmp_path / "ray"
    log_of(ray_dir, 5, "Shard", "shard-1")
    (ray_dir / "ray" / "session_latest").symlink_to(ray_dir / "ray" / "session_1")
    (ray_dir / "ray" / "session_1" / "sockets").mkdir()
    logs = RayLogs(ray_dir, tmp_path / "kept")
    assert (logs.name_of(5), logs.name_of(55), logs.name_of(6)) == ("shard-1", "", "")
    logs.set_aside()
    assert not ray_dir.exists()
    log_of(ray_dir, 6, "Edge", session="session_2")
    logs.set_aside()
    found = dict(logs.texts())
    assert sorted(found) == [
        "session_1/worker-abc-01000000-5.out",
        "session_2/worker-abc-01000000-6.out",
    ]
    assert found["session_1/worker-abc-01000000-5.out"].endswith(":actor_name:shard-1\n")


def test_a_deployment_has_two_edges(tmp_path: Path) -> None:
    kept = KeptDeployment(tmp_path, tmp_path / "workspace.yaml", SystemClock())
    command = kept.server._command
    assert (EDGES, command[command.index("--edges") + 1]) == (2, "2")
    assert kept.actors("Edge") == []
    assert os.listdir(tmp_path) == ["clock"]
