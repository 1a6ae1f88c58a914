"""How problems of the configuration are told to whoever edits one object."""

import pytest

from actors.errors import ConfigurationRefused, Problem
from server.config_problems import of_object


@pytest.mark.parametrize(
    "problem",
    [
        "module 'kit_x' does not accept unbound feeds",
        "module 'kit_x' does not support platform 'MobileWeb'",
    ],
)
def test_case_34_of_connections_a_platform_that_a_module_does_not_take(problem: str) -> None:
    refused = ConfigurationRefused("VALIDATION_ERROR", [Problem(problem, "connections[2]")])
    told = of_object(refused, "connections[2]")
    assert told.code == "VALIDATION_ERROR"
    assert [each.message for each in told.problems] == ["Service does not support app platform."]
