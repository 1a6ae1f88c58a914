"""What the tests of server SDKs share: one deployment, and programs that are built once a run."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.programs import SOURCES, Program, go_program, java_program, node_folder
from tests.serving import WORKSPACE, Served

WRITE_KEY = "us1-test-tracking-key"
FEED = (
    "inputs:\n  - {id: tracking, kind: feed, module: segment, name: Tracking, "
    f"keys: [{{key: {WRITE_KEY}, secret: test-secret}}]}}"
)
CONNECTION = "  - {id: tracking-files, input: tracking, output: files}\n"


@pytest.fixture(scope="package")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    document = WORKSPACE.replace("inputs:", FEED) + CONNECTION
    served = Served(tmp_path_factory.mktemp("sdks"), workspace=document)
    served.start()
    yield served
    served.process.kill()


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return node_folder(tmp_path_factory.mktemp("sdks"))


@pytest.fixture(scope="session")
def python_tracker() -> Program:
    return Program((sys.executable, str(SOURCES / "python_tracking.py")))


@pytest.fixture(scope="session")
def node_tracker(node: Path) -> Program:
    return Program(("node", str(node / "tracking.mjs")))


@pytest.fixture(scope="session")
def python_caller() -> Program:
    return Program((sys.executable, str(SOURCES / "python_mparticle.py")))


@pytest.fixture(scope="session")
def node_caller(node: Path) -> Program:
    return Program(("node", str(node / "mparticle.js")))


@pytest.fixture(scope="session")
def java_caller(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return java_program(tmp_path_factory.mktemp("java"), "java-mparticle")


@pytest.fixture(scope="session")
def go_tracker(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return go_program(tmp_path_factory.mktemp("go"))


@pytest.fixture(scope="session")
def java_tracker(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return java_program(tmp_path_factory.mktemp("java"), "java-tracking")
