"""What `make` says where something is missing."""

import subprocess
from pathlib import Path

MAKEFILE = Path(__file__).parents[1] / "Makefile"
# As Debian's without python3-venv: it begins a folder, and then fails for want of pip.
HALF_A_PYTHON = """#!/bin/sh
[ "$1" = -c ] && exit 0
mkdir -p "$3/bin" && touch "$3/bin/python"
exit 1
"""


def test_a_missing_venv_module_is_told_each_time(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(HALF_A_PYTHON)
    python.chmod(0o700)
    command = ["make", "-f", str(MAKEFILE), f"PYTHON={python}", ".venv/bin/python"]
    for _ in range(2):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode != 0
        assert "apt-get install python3-venv" in done.stdout
        assert not (tmp_path / ".venv").exists()
