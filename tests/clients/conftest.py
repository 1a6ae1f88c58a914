"""What the tests of server SDKs share: one deployment, and programs that are built once a run."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.messages import WRITE_KEY
from tests.clients.programs import (
    Program,
    go_tracking_program,
    java_mparticle_program,
    java_tracking_program,
    node_folder,
)
from tests.serving import WORKSPACE, Served

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
    return Program((sys.executable, "-m", "tests.clients.python_tracking"))


@pytest.fixture(scope="session")
def node_tracker(node: Path) -> Program:
    return Program(("node", str(node / "tracking.mjs")))


@pytest.fixture(scope="session")
def python_caller() -> Program:
    return Program((sys.executable, "-m", "tests.clients.python_mparticle"))


@pytest.fixture(scope="session")
def node_caller(node: Path) -> Program:
    return Program(("node", str(node / "mparticle.js")))


@pytest.fixture(scope="session")
def java_caller(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return java_mparticle_program(tmp_path_factory.mktemp("java"))


@pytest.fixture(scope="session")
def go_tracker(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return go_tracking_program(tmp_path_factory.mktemp("go"))


@pytest.fixture(scope="session")
def java_tracker(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return java_tracking_program(tmp_path_factory.mktemp("java"))
