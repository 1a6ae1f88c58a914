"""Programs that tests drive, installed from Debian's packages where they are missing."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK = Path(tempfile.gettempdir()) / f"headwater-tests-{os.geteuid()}.lock"


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Wait until no other process of the run installs or downloads."""
    with LOCK.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def install(*packages: str) -> bool:
    """Install Debian's packages, as root or with `sudo` without a password; say whether it went."""
    if shutil.which("apt-get") is None:
        return False
    as_root = () if os.geteuid() == 0 else ("sudo", "-n")
    if as_root and shutil.which("sudo") is None:
        return False
    with one_at_a_time():
        subprocess.run((*as_root, "apt-get", "update", "-q"), check=False, capture_output=True)
        command = (*as_root, "apt-get", "install", "-q", "-y", "--no-install-recommends", *packages)
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
