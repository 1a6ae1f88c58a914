"""A PostgreSQL of the tests' own, installed if it is missing; one for all tests of a process."""

import atexit
import functools
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import psycopg

from tests.installing import install

ROOT = Path("/usr/lib/postgresql")
USER = "admin"


def _programs() -> Path:
    """Return the folder of the newest version's programs."""
    if not list(ROOT.glob("*/bin/initdb")):
        assert install("postgresql"), "there is no PostgreSQL, and it cannot be installed"
    return max(ROOT.glob("*/bin"), key=lambda each: float(each.parent.name))


class PostgresServer:
    """A server on a free port, with its data in a temporary folder."""

    def __init__(self) -> None:
        self._programs = _programs()
        self._folder = Path(tempfile.mkdtemp(prefix="headwater-postgres-"))
        # The server refuses to run as root.
        self._owner = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
        if self._owner is not None:
            os.chown(self._folder, self._owner.pw_uid, self._owner.pw_gid)
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self.port = taken.getsockname()[1]
        self._run("initdb", "-U", USER, "--auth=trust", "-E", "UTF8", "--locale=C", "-N")
        self.start()

    @property
    def dsn(self) -> str:
        """Where to log in, as somebody who may do everything."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/postgres?sslmode=disable"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''"
        log = str(self._folder / "log")
        self._run("pg_ctl", "start", "-w", "-s", "-l", log, "-o", f"{options} -c fsync=off")

    def stop(self) -> None:
        """End it as a crash would."""
        self._run("pg_ctl", "stop", "-w", "-s", "-m", "immediate")

    def remove(self) -> None:
        """End it for good."""
        self.stop()
        shutil.rmtree(self._folder)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Execute a statement; return its rows."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return [] if cursor.description is None else cursor.fetchall()

    def _run(self, program: str, *arguments: str) -> None:
        owner = self._owner
        subprocess.run(
            [str(self._programs / program), "-D", str(self._folder / "data"), *arguments],
            check=True,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # a pipe would be held open by the server
            stderr=subprocess.DEVNULL,
            user=None if owner is None else owner.pw_uid,
            group=None if owner is None else owner.pw_gid,
            extra_groups=None if owner is None else [],
        )


@functools.cache
def postgres() -> PostgresServer:
    """Return the server, started when it is first asked for."""
    server = PostgresServer()
    atexit.register(server.remove)
    return server
