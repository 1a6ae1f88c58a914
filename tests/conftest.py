"""What holds for every test: no Ray unless it asks for it, and which run side by side."""

from pathlib import Path

import pytest
import ray
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

HERE = Path(__file__).parent
# One process runs all of these one after the other: they share a deployment and SDKs.
TOGETHER = "tests/clients/"
# What takes longest begins first, so that no process is left alone with it at the end.
LONGEST = ("clients", "crash", "whole", "actors")


class ByFile(LoadScopeScheduling):  # type: ignore[misc]
    """Gives the tests of a file to one process."""

    def _split_scope(self, nodeid: str) -> str:
        return TOGETHER if nodeid.startswith(TOGETHER) else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    config.option.loadscopereorder = False
    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        package = item.path.relative_to(HERE).parts[0]
        return LONGEST.index(package) if package in LONGEST else len(LONGEST)

    items.sort(key=place)


@pytest.fixture(autouse=True)
def no_ray_unless_marked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests without the mark `ray` cannot start it, so they stay fast and alone."""
    if request.node.get_closest_marker("ray") is not None:
        return

    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("mark the test with pytest.mark.ray to start Ray")

    monkeypatch.setattr(ray, "init", refuse)
