"""Outputs of kind `dsr` and the privacy settings in the workspace document."""

from typing import Any

import pytest

from config.errors import ConfigError
from config.load import parse_workspace
from tests.whole.subject_requests import document
from tests.whole.world import changed

HOOK = {
    "id": "erase",
    "kind": "dsr",
    "module": "webhook",
    "name": "Erase",
    "settings": {"url": "https://hooks.example.com/erase"},
}


def made(connection: dict[str, Any], **sections: Any) -> dict[str, Any]:
    own = document()
    return changed(
        document(outputs=[*own["outputs"], HOOK], connections=[*own["connections"], connection]),
        **sections,
    )


def problems(data: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(ConfigError) as caught:
        parse_workspace(data)
    return list(caught.value.problems)


def test_a_connection_of_kind_dsr_has_no_input() -> None:
    parse_workspace(made({"id": "to-erase", "output": "erase"}))
    assert problems(made({"id": "to-erase", "output": "erase", "input": "backend"})) == [
        ("connections[4].input", "an output of kind dsr takes no input")
    ]
    assert problems(made({"id": "other", "output": "hook"})) == [
        ("connections[4].input", "required")
    ]


def test_a_connection_of_kind_dsr_knows_nothing_of_batches() -> None:
    odd = {"id": "to-erase", "output": "erase", "sampling": {"percentage": 5}}
    assert problems(made(odd)) == [
        ("connections[4].sampling", "an output of kind dsr takes no batches")
    ]


@pytest.mark.parametrize(
    ("dsr", "path"),
    [
        ({"erasure_run_cron": "0 0 * *"}, "erasure_run_cron"),
        ({"access_run_cron": "0 0 31 2 *"}, "access_run_cron"),
        ({"run_interval_seconds": 0}, "run_interval_seconds"),
        ({"erasure_waiting_seconds": -1}, "erasure_waiting_seconds"),
        ({"erasure_waiting_seconds": 10**12}, "erasure_waiting_seconds"),
    ],
)
def test_settings_that_could_never_run_are_refused(dsr: dict[str, Any], path: str) -> None:
    [(where, _)] = problems(document(workspace={"privacy": {"dsr": dsr}}))
    assert where == f"workspace.privacy.dsr.{path}"
