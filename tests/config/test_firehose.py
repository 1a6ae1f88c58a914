"""Outputs of the module `firehose` in a document (spec/connections.md, 4.2 and 10)."""

from pathlib import Path
from typing import Any

import pytest

from actors.steps.payload import WHOLE
from config.compiled_outputs import output_plans
from config.numbers import Numbers, assign_numbers
from tests.config.documents import load, problems, setting, shop

REGISTRATION = {
    "name": "Mailer",
    "version": "1.0",
    "permissions": {"device_identities": [{"type": "ios_advertising_id", "required": True}]},
    "event_processing_registration": {
        "supported_event_types": ["custom_event", "error"],
        "supported_runtime_environments": ["ios", "mobileweb"],
        "account_settings": [
            {"type": "text", "id": "apiKey", "name": "Key", "required": True, "confidential": True},
            {"type": "integer", "id": "size", "name": "Size", "max_value": 9},
        ],
    },
}


def mailer(**changes: Any) -> dict[str, Any]:
    """Return an output; `changes` replace its members."""
    return {
        "id": "mailer",
        "kind": "event",
        "module": "firehose",
        "name": "Mailer",
        "settings": {"event_url": "https://mailer.example.com/fh", "registration": REGISTRATION},
        "account_settings": {"apiKey": "sk-1", "size": 3},
    } | changes


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        pytest.param(mailer(), [], id="right"),
        pytest.param(
            mailer(account_settings={"size": 10, "urll": "x"}),
            [
                "outputs[2].account_settings.apiKey: is required",
                "outputs[2].account_settings.size: must be at most 9",
                "outputs[2].account_settings.urll: the module has no such setting",
            ],
            id="account settings that the registration does not allow",
        ),
        pytest.param(
            mailer(kind="audience"),
            [
                "outputs[2].settings.audience_url: is required",
                "outputs[2].settings.registration: the module takes no output of kind audience",
            ],
            id="a kind that the module does not take",
        ),
        pytest.param(
            mailer(settings={"registration_url": "http://mailer.example.com/fh"}),
            ["outputs[2].settings: registration_url must be https, unless allow_insecure is set"],
            id="plain http",
        ),
        pytest.param(
            mailer(settings={"registration_url": "http://127.0.0.1:9/fh"}), [], id="loopback"
        ),
        pytest.param(
            mailer(settings={"token": "x"}),
            ["outputs[2].settings: registration_url or registration is required"],
            id="nobody to ask",
        ),
        pytest.param(
            mailer(module="webhook", settings={"url": "https://a.example"}),
            ["outputs[2].account_settings: module 'webhook' registers none"],
            id="account settings of a module without",
        ),
    ],
)
def test_what_is_wrong_is_named(
    output: dict[str, Any], expected: list[str], tmp_path: Path
) -> None:
    data = shop(lambda data: data["outputs"].append(output))
    assert sorted(problems(data, tmp_path)) == expected


def test_a_platform_that_the_module_does_not_take_cannot_be_connected(tmp_path: Path) -> None:
    data = shop(
        lambda data: data["outputs"].append(mailer()),
        setting("connections.2", {"id": "crm-mailer", "input": "crm", "output": "mailer"}),
    )
    problem = "connections[2]: module 'firehose' does not accept unbound feeds"
    assert problems(data, tmp_path) == [problem]


def test_its_connections_get_whole_batches_of_what_it_takes(tmp_path: Path) -> None:
    connection = {"id": "web-mailer", "input": "web", "output": "mailer", "settings": {"list": 7}}
    document = load(
        shop(
            lambda data: data["outputs"].append(mailer()),
            lambda data: data["connections"].append(connection),
        ),
        tmp_path,
    )
    numbers = assign_numbers(document, Numbers())
    plan = output_plans(document, numbers)[-1]
    [info] = plan.connections
    assert info.settings == WHOLE
    assert info.send_as_batch
    takes = info.pipeline.takes
    assert takes.event_types == frozenset({"custom_event", "crash_report"})
    assert takes.max_data_age_hours == 24
    assert takes.required_identities == frozenset({"ios_advertising_id"})
    assert plan.place.kind == "event"
    terms = plan.place.connections[info.number]
    assert (terms.input_name, terms.settings) == ("Acme web", {"list": 7})
    assert "sk-1" not in repr(plan)
    assert "list" not in repr(terms)
