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


def refused(*problems: tuple[str, str | None]) -> ConfigurationRefused:
    return ConfigurationRefused("VALIDATION_ERROR", [Problem(*each) for each in problems])


def test_places_in_the_document_become_places_in_the_body() -> None:
    error = of_object(
        refused(("differs", "inputs[0].name"), ("is wrong", "outputs[2].settings.url")),
        "outputs[2]",
    )
    assert [(each.path, each.message) for each in error.problems] == [
        ("settings.url", "is wrong"),
        ("inputs[0].name", "differs"),
    ]
    assert error.code == "VALIDATION_ERROR"


def test_an_unknown_member_is_a_bad_request() -> None:
    """spec/platform-api.md, 1: rejected in v2, with 400."""
    error = of_object(refused(("unknown key", "inputs[0].colour")), "inputs[0]")
    assert (error.code, error.problems[0].path) == ("UNKNOWN_FIELD", "colour")


def test_what_is_dangerous_stays_as_it_is() -> None:
    error = ConfigurationRefused("DANGEROUS", [Problem("x", "connections/web")])
    assert of_object(error, "connections[0]") is error
