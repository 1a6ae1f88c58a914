"""What Ray writes of the processes of a deployment: whose they are, and what they printed."""

import shutil
from collections.abc import Iterator
from pathlib import Path

_NAME = ":actor_name:"  # and then the actor's class at first, and once it is made its name
_SESSIONS = "ray/session_*"


class RayLogs:
    """The files of logs below a temporary folder of Ray's.

    Attributes:
        ray_dir: that folder, which can be removed when a deployment has ended.
    """

    def __init__(self, ray_dir: Path, kept: Path) -> None:
        """Args: `kept`: a folder on the same disk, where logs are that were set aside."""
        self.ray_dir = ray_dir
        self._kept = kept

    def name_of(self, pid: int) -> str:
        """Return the name of a process's actor (`edge-0`), `""` if it is not known yet."""
        name = ""
        for file in self.ray_dir.glob(f"{_SESSIONS}/logs/worker-*-{pid}.out"):
            for line in file.read_text(errors="replace").splitlines():
                if line.startswith(_NAME):
                    name = line.removeprefix(_NAME)
        return name

    def set_aside(self) -> None:
        """Keep the logs of sessions that have ended; nothing else of them stays."""
        self._kept.mkdir(exist_ok=True)
        for session in self.ray_dir.glob(_SESSIONS):
            if not session.is_symlink() and (session / "logs").is_dir():
                (session / "logs").rename(self._kept / session.name)
        shutil.rmtree(self.ray_dir, ignore_errors=True)

    def texts(self) -> Iterator[tuple[str, str]]:
        """Yield each file that was set aside: its name, and what is in it."""
        for file in sorted(self._kept.rglob("*")):
            if file.is_file():
                yield str(file.relative_to(self._kept)), file.read_text(errors="replace")
