"""What the tests of several SDKs share: their programs, built once a run."""

from pathlib import Path

import pytest

from tests.clients.programs import node_folder


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return node_folder(tmp_path_factory.mktemp("sdks"))
