"""Programs that drive SDKs of other languages, installed or built in a folder of their own."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.clients.tools import run, toolchain
from tests.installing import one_at_a_time

SOURCES = Path(__file__).parent
BUILT = ("node_modules", "target")  # by a person who works on a program
PATIENCE_S = 180
RUDDER_IN_GO = {
    "github.com/segmentio/analytics-go/v3": "github.com/rudderlabs/analytics-go/v4",
    "segment": "rudder",
    "segmentTold": "rudderTold",
    "segmentMessage": "rudderMessage",
    "sendBySegment": "sendByRudder",
    "Endpoint": "DataPlaneUrl",
}
RUDDER_IN_JAVA = {
    "com.segment": "com.rudderstack.sdk.java",
    "Analytics": "RudderAnalytics",
    "Segment": "Rudder",
    "endpoint": "setDataPlaneUrl",
}


class Running:
    """A program under way; as a context it is killed in the end, if it has not ended."""

    def __init__(self, command: Sequence[str], environ: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            command,
            cwd=SOURCES.parents[1],
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
    toolchain("node", "nodejs")  # which may bring its npm
    npm = toolchain("npm", "npm")
    target = _copied("node", folder)
    run(npm, "ci", "--no-audit", "--no-fund", "--silent", "--prefer-offline", folder=target)
    return target


def go_tracking_program(folder: Path) -> Program:
    """Build the program in Go, with modules of the versions and sums in `go.sum`."""
    go = toolchain("go", "golang-go")
    project = _copied("go", folder)
    _add_twin(project / "segment.go", "rudder.go", RUDDER_IN_GO)
    target = folder / "sdks-go"
    run(go, "build", "-mod=readonly", "-o", str(target), ".", folder=project)
    return Program((str(target),))


def java_mparticle_program(folder: Path) -> Program:
    """Build the program in Java that uses mParticle's SDK; skips the test if that is not served."""
    return _java_program(_copied("java-mparticle", folder))


def java_tracking_program(folder: Path) -> Program:
    """Build the program in Java that uses Segment's and RudderStack's SDKs."""
    project = _copied("java-tracking", folder)
    _add_twin(project / "src/main/java/Segment.java", "Rudder.java", RUDDER_IN_JAVA)
    return _java_program(project)


def _copied(source: str, folder: Path) -> Path:
    target = folder / source
    shutil.copytree(SOURCES / source, target, ignore=shutil.ignore_patterns(*BUILT))
    return target


def _add_twin(source: Path, twin: str, names: Mapping[str, str]) -> None:
    """Write a file beside another one that differs in names: RudderStack's SDKs are like Segment's.

    `names`: what stands in the place of each name.
    """
    text = source.read_text()
    for name, other in names.items():
        text = re.sub(rf"\b{re.escape(name)}\b", other, text)
    (source.parent / twin).write_text(text)


def _java_program(project: Path) -> Program:
    """Build a program with the artifacts that its `pom.xml` names; skips if one is not served."""
    toolchain("javac", "default-jdk-headless")
    maven = toolchain("mvn", "maven")
    copy = (maven, "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=target/jars")
    with one_at_a_time():
        copied = subprocess.run(copy, cwd=project, capture_output=True, text=True, check=False)
    if "Could not find artifact" in copied.stdout or "was not found in" in copied.stdout:
        pytest.skip(f"Maven does not get an artifact that {project.name}/pom.xml names")
    assert copied.returncode == 0, copied.stdout
    with one_at_a_time():
        run(maven, "-q", "-B", "compile", folder=project)
    target = project / "target"
    return Program(("java", "-cp", f"{target / 'classes'}:{target / 'jars' / '*'}", "Main"))
