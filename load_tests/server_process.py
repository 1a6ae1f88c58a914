"""A deployment of one's own: `headwater serve` as a child process."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from queue import Empty, Queue
from urllib.request import urlopen

import psutil  # type: ignore[import-untyped]

from actors.clock import Clock
from load_tests.reader import Access

WORKSPACE = Path(__file__).with_name("workspace.yaml")
# Flags of scenarios, for that workspace.
KEY = ("--key", "us1-load-backend-key", "--secret", "load-secret")
CREDENTIALS = (*KEY, "--client-id", "load-client", "--client-secret", "load-secret")
START_S = 120.0
STOP_S = 30.0
POLL_S = 0.2


def own_access() -> Access:
    """Return who reads that workspace."""
    given = dict(zip(CREDENTIALS[::2], CREDENTIALS[1::2], strict=True))
    return Access(
        client_id=given["--client-id"],
        client_secret=given["--client-secret"],
        org=1,
        account=1,
        workspace="1",
    )


class ServerProcess:
    """Starts, stops and kills a server; `url` and `admin_url` hold once it has started."""

    def __init__(
        self,
        data_dir: Path,
        clock: Clock,
        *flags: str,
        environ: Mapping[str, str] | None = None,
        command: str = "serve",
    ) -> None:
        """Args: `flags` of the command, which is one that serves, beside the folder and the ports,
        which are free ones; `environ` is added to this process's environment."""
        self._command = [sys.executable, "-m", "server", command, "--data-dir", str(data_dir)]
        self._command += ["--port", "0", "--admin-port", "0", *flags]
        self._environ = {**os.environ, **(environ or {})}
        self._clock = clock
        self._process: subprocess.Popen[str] | None = None
        self._lines: Queue[str | None] = Queue()
        self.output: list[str] = []
        self.url = ""
        self.admin_url = ""

    @property
    def pid(self) -> int:
        """The process at the top."""
        assert self._process is not None, "it has not been started"
        return int(self._process.pid)

    @property
    def is_running(self) -> bool:
        """Whether it has been started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self, *, is_ready: bool = True) -> None:
        """Start and return once it serves.

        Args: `is_ready`: with all of its shards.

        Raises:
            RuntimeError: it ended, or did not get ready in time; holds what it printed.
        """
        self.text()  # what it printed before it ended last
        self._lines = Queue()
        self.url = self.admin_url = ""
        self._process = subprocess.Popen(  # noqa: S603
            self._command,
            env=self._environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        threading.Thread(target=self._read, args=(self._process, self._lines), daemon=True).start()
        self._await_banner(is_ready)

    def stop(self, with_signal: int = signal.SIGTERM) -> int:
        """Ask it to stop; return its exit code. Raises subprocess.TimeoutExpired."""
        assert self._process is not None, "it has not been started"
        self._process.send_signal(with_signal)
        return self._process.wait(STOP_S)

    def wait(self, timeout_s: float) -> int:
        """Wait for it to end by itself; return its exit code. Raises subprocess.TimeoutExpired."""
        assert self._process is not None, "it has not been started"
        return self._process.wait(timeout_s)

    def processes(self) -> list[psutil.Process]:
        """Return every process of it."""
        top = psutil.Process(self.pid)
        return [top, *top.children(recursive=True)]

    def kill(self, victims: Sequence[psutil.Process] | None = None) -> None:
        """Kill every process of it at once, as a power cut would.

        Args: `victims`: all of them, for whom the search would take too long now.
        """
        assert self._process is not None, "it has not been started"
        if victims is None:
            victims = self.processes()
        for victim in victims:  # stopped first, so that none sees another one go
            _signal(victim, signal.SIGSTOP)
        for victim in victims:
            _signal(victim, signal.SIGKILL)
        psutil.wait_procs(victims, timeout=STOP_S)
        self._process.wait(STOP_S)

    def actors(self, role: str) -> list[psutil.Process]:
        """Return the processes of the actors of a role (`Shard`, `Edge`, ...)."""
        children = psutil.Process(self.pid).children(recursive=True)
        return [each for each in children if f"ray::{role}" in " ".join(_command_line(each))]

    def _await_banner(self, is_ready: bool) -> None:
        deadline = self._clock.monotonic() + START_S
        path = "readyz" if is_ready else "healthz"
        while not (self.url and self.admin_url and self._is_serving(path)):
            try:
                line = self._lines.get(timeout=POLL_S)
            except Empty:
                if self._clock.monotonic() < deadline:
                    continue
                self.kill()
                raise RuntimeError("it was not ready in time:\n" + self.text()) from None
            if line is None:
                try:
                    self.wait(STOP_S)
                except subprocess.TimeoutExpired:
                    self.kill()
                raise RuntimeError("it ended:\n" + self.text())
            self.output.append(line)
            words = line.split()
            if line.startswith("  events, profiles"):
                self.url = words[-1]
            elif line.startswith("  metrics, health"):
                self.admin_url = words[-1].removesuffix("/readyz")

    def _is_serving(self, path: str) -> bool:
        try:
            with urlopen(f"{self.url}/{path}", timeout=5) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except OSError:
            return False

    def text(self) -> str:
        """Return what it has printed so far."""
        while True:
            try:
                line = self._lines.get_nowait()
            except Empty:
                return "".join(self.output)
            if line is not None:
                self.output.append(line)

    @staticmethod
    def _read(process: "subprocess.Popen[str]", lines: "Queue[str | None]") -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                lines.put(line)
        lines.put(None)


def _signal(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return []
