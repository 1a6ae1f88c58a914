"""Ray's own processes, killed: the deployment ends, and leaves no process."""

import json
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from tests.serving import PATIENCE_S, Served

pytestmark = pytest.mark.ray

FOR_ALL_S = 30.0  # Ray's own processes look for its control service a little longer than we do


@pytest.mark.parametrize("name", ["raylet", "gcs_server"])
def test_a_deployment_without_one_of_rays_processes_ends_with_all_its_own(
    tmp_path: Path, name: str
) -> None:
    """With exit code 1 and a line that says why."""
    served = Served(tmp_path)
    served.start()
    processes = served.process.processes()
    [needed] = [each for each in processes if each.name() == name]
    needed.kill()
    assert served.process.wait(PATIENCE_S) == 1
    [line] = [each for each in served.process.text().splitlines() if '"ray_lost"' in each]
    assert json.loads(line)["ctx"] == {"ended": name}
    _, left = psutil.wait_procs(processes, timeout=FOR_ALL_S)
    assert left == []
