"""What the processes of actors have in common."""

import signal
import subprocess
import sys
from pathlib import Path

ENTERING = """
import signal, sys, threading
from pathlib import Path
from config.settings import Settings
from server.host import ServeHost

signal.signal(signal.SIGTERM, lambda *_: None)
host = ServeHost(Settings(), "1.0", Path(sys.argv[1]))
entering = threading.Thread(target=host.enter, args=("coordinator", "0"))
entering.start()
entering.join()
print("entered", flush=True)
threading.Event().wait()
"""


def test_a_process_that_is_told_to_end_does_so_at_once(tmp_path: Path) -> None:
    """Whatever handler it has, as Ray's have one that waits for calls that are under way."""
    command = [sys.executable, "-c", ENTERING, str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "entered\n"
        process.terminate()
        assert process.wait(timeout=60) == -signal.SIGTERM
