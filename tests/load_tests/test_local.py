"""`make load` with a deployment of its own: what was acknowledged is there exactly once."""

import json
from pathlib import Path

import pytest

from load_tests.local import run

pytestmark = pytest.mark.ray


@pytest.mark.parametrize("mode", ["bulk", "single"])
def test_everything_acknowledged_under_load_is_stored_exactly_once(
    mode: str, tmp_path: Path
) -> None:
    """As fast as it can for some seconds, then all users are read back."""
    results = tmp_path / "results.json"
    flags = ["--mode", mode, "--rate", "max", "--seconds", "4", "--users", "200", "--verify"]
    with pytest.raises(SystemExit) as ended:
        run([*flags, "--json", str(results)])
    assert ended.value.code == 0
    report = json.loads(results.read_bytes())
    assert report["is_exact"] is True
    assert report["verification"]["verified"] == report["acknowledged"]["events"] > 0
    assert {"edge", "shard", "forwarder"} <= set(report["roles"])
