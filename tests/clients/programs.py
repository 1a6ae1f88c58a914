"""Programs that drive SDKs of other languages, installed or built in a folder of their own."""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.clients.tools import run, toolchain

SOURCES = Path(__file__).parent
PATIENCE_S = 180


class Running:
    """A program under way; as a context it is killed in the end, if it has not ended."""

    def __init__(self, command: Sequence[str], environ: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            command,
            env={**os.environ, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def result(self) -> Any:
        """Wait for its end; return the JSON of its last line. Fails with what it printed."""
        printed, _ = self._process.communicate(timeout=PATIENCE_S)
        assert self._process.returncode == 0, printed
        return json.loads(printed.splitlines()[-1])


@dataclass(frozen=True)
class Program:
    """A command, to which a caller adds arguments."""

    command: tuple[str, ...]

    def start(self, *arguments: str, **environ: str) -> Running:
        return Running((*self.command, *arguments), environ)

    def run(self, *arguments: str, **environ: str) -> Any:
        with self.start(*arguments, **environ) as running:
            return running.result()


def node_folder(folder: Path) -> Path:
    """Install the SDKs of Node as the lock file names them; return where the programs are."""
    npm = toolchain("npm", "nodejs", "npm")
    target = folder / "node"
    shutil.copytree(SOURCES / "node", target, ignore=shutil.ignore_patterns("node_modules"))
    run(npm, "ci", "--no-audit", "--no-fund", "--silent", "--prefer-offline", folder=target)
    return target


def go_program(folder: Path) -> Program:
    """Build the program in Go, with modules of the versions and sums in `go.sum`."""
    go = toolchain("go", "golang-go")
    target = folder / "sdks-go"
    run(go, "build", "-mod=readonly", "-o", str(target), ".", folder=SOURCES / "go")
    return Program((str(target),))


def java_program(folder: Path, source: str) -> Program:
    """Build a program in Java, with the artifacts that its `pom.xml` names.

    Skips the test where one of them cannot be had.
    """
    toolchain("javac", "default-jdk-headless")
    maven = toolchain("mvn", "maven")
    project = folder / source
    shutil.copytree(SOURCES / source, project, ignore=shutil.ignore_patterns("target"))
    copy = (maven, "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=target/jars")
    copied = subprocess.run(copy, cwd=project, capture_output=True, text=True, check=False)
    if "Could not find artifact" in copied.stdout or "was not found in" in copied.stdout:
        pytest.skip(f"Maven does not get an artifact that {source}/pom.xml names")
    assert copied.returncode == 0, copied.stdout
    run(maven, "-q", "-B", "compile", folder=project)
    target = project / "target"
    return Program(("java", "-cp", f"{target / 'classes'}:{target / 'jars' / '*'}", "Main"))
