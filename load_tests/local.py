"""`make load`: runs `ingest` against a deployment that is started for it and thrown away."""

import signal
import sys
import tempfile
from pathlib import Path

from actors.clock import SystemClock
from load_tests.__main__ import main
from load_tests.server_process import CREDENTIALS, WORKSPACE, ServerProcess


def run(arguments: list[str]) -> None:
    """Run `ingest` with more arguments on a new deployment."""
    with tempfile.TemporaryDirectory(prefix="headwater-load-") as folder:
        server = ServerProcess(
            Path(folder),
            SystemClock(),
            *("--workspace", str(WORKSPACE)),
            environ={"HEADWATER_LOG_LEVEL": "warning"},
        )
        server.start()
        try:
            flags = ["--url", server.url, "--pid", str(server.pid), *CREDENTIALS, *arguments]
            main(["ingest", *flags], prog_name="python -m load_tests")
        finally:
            server.stop()


if __name__ == "__main__":
    # Else the server would go on without it.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    run(sys.argv[1:])
