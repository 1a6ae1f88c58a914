"""What holds for every test: no Ray unless it asks for it."""

import pytest
import ray


@pytest.fixture(autouse=True)
def no_ray_unless_marked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests without the mark `ray` cannot start it, so they stay fast and alone."""
    if request.node.get_closest_marker("ray") is not None:
        return

    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("mark the test with pytest.mark.ray to start Ray")

    monkeypatch.setattr(ray, "init", refuse)
