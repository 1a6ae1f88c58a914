"""A deployment that is killed right after it has answered a change of a data plan."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.actors.plans.plans import HOME, document
from tests.serving import WORKSPACE, Served, eventually, serving

pytestmark = pytest.mark.ray

PLANNING = WORKSPACE.replace(
    "apis: [platform, profile]", "apis: [platform, profile, data_planning]"
)
PLANS = "/platform/v2/workspaces/1/plans"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    yield from serving(tmp_path, workspace=PLANNING)


def test_case_28_a_change_that_was_answered_is_there_after_a_restart(served: Served) -> None:
    """spec/data-plans.md, worked case 28: all processes are killed, after each change."""
    plan = {
        "data_plan_id": "web_plan",
        "data_plan_name": "Web plan",
        "data_plan_versions": [
            {"activated_environment": "development", "version_document": document()}
        ],
    }
    status, made = served.manage("POST", PLANS, plan)
    assert status == 200, made
    path = f"{PLANS}/web_plan/versions/1"
    for written in (
        {"version_description": "Edited"},
        {"version_document": {"data_points": [HOME]}},
    ):
        status, changed = served.manage("PATCH", path, written)
        served.process.kill()
        assert status == 200, changed
        served.start()
        _, found = eventually(lambda: served.get(path), lambda answer: answer[0] == 200)
        assert found == changed
        assert found | written == found
