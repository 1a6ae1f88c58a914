"""What a module registers, and what is wrong with it. Source: spec/connections.md, 4.2."""

from typing import Any

import pytest

from actors.outputs.firehose.registration import (
    Registration,
    RegistrationInvalid,
    parse_registration,
)
from actors.outputs.firehose.setting_values import sent_values, shown_values, value_problems
from tests.actors.outputs.firehose.support import registration

SETTINGS: list[dict[str, Any]] = [
    {"type": "text", "id": "apiKey", "name": "Key", "required": True, "confidential": True},
    {"type": "integer", "id": "size", "name": "Size", "min_value": 1, "max_value": 9},
    {"type": "float", "id": "share", "name": "Share", "default_value": 0.5},
    {"type": "boolean", "id": "double", "name": "Double", "checked": True},
    {"type": "text", "id": "remoteId", "name": "Remote", "required": True, "visible": False},
]


def settings() -> Any:
    takes = {"account_settings": SETTINGS}
    parsed = parse_registration(registration(audience_processing_registration=takes))
    assert parsed.audience_processing_registration is not None
    return parsed.audience_processing_registration.account_settings


def oauth(**changes: Any) -> dict[str, Any]:
    return {
        "type": "oauth2",
        "authorization_url": "https://a.example/auth",
        "token_url": "https://a.example/token",
        "client_id": "headwater",
    } | changes


def test_every_problem_is_listed() -> None:
    bad = registration(
        name="",
        description="x" * 230,
        permissions={
            "user_identities": [{"type": "iban"}],
            "partner_identities": [{"type": "NoUnderscore"}, {"type": "Acme_Id"}],
        },
        event_processing_registration={
            "supported_event_types": ["custom_event", "sneeze"],
            "authentication": oauth(access_token_type="custom_header"),
        },
    )
    with pytest.raises(RegistrationInvalid) as raised:
        parse_registration(bad)
    paths = {problem.partition(":")[0] for problem in raised.value.problems}
    assert paths == {
        "name",
        "description",
        "permissions.user_identities[0].type",
        "permissions.partner_identities[0].type",
        "event_processing_registration.supported_event_types[1]",
        "event_processing_registration.authentication",
    }


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        pytest.param(
            {
                "event_processing_registration": None,
                "audience_processing_registration": None,
                "dsr_processing_registration": None,
            },
            "at least one of the processing registrations is required",
            id="takes nothing",
        ),
        pytest.param(
            {"event_processing_registration": {"supported_event_types": ["push_message_receipt"]}},
            "event_processing_registration: push_message_receipt needs push_messaging_provider_id",
            id="receipts of nobody's pushes",
        ),
        pytest.param(
            {"permissions": {"partner_identities": [{"type": "Acme_Id"}, {"type": "Acme_Other"}]}},
            "permissions.partner_identities: Tuple should have at most 1 item after validation, "
            "not 2",
            id="two partner identities",
        ),
    ],
)
def test_a_rule_is_named(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(RegistrationInvalid) as raised:
        parse_registration(registration(**changes))
    assert raised.value.problems == [problem]


def test_what_is_not_known_is_ignored() -> None:
    assert parse_registration(registration(shiny="new")).name == "Acme"


def test_the_partner_identity_can_never_change() -> None:
    former = parse_registration(registration())
    other = {"partner_identities": [{"type": "Acme_Other"}]}
    with pytest.raises(RegistrationInvalid, match="can never be changed"):
        parse_registration(registration(permissions=other), former)
    with pytest.raises(RegistrationInvalid, match="can never be changed"):
        parse_registration(registration(permissions={}), former)


def test_a_description_is_harmless() -> None:
    text = '<b onclick="x()">Mail</b><script>alert(1)</script><a href="javascript:x">go</a>'
    found = parse_registration(registration(description=text)).description
    assert found == '<b>Mail</b><a rel="noopener noreferrer">go</a>'


def test_registered_lists_can_be_given_in_python_too() -> None:
    assert Registration.model_validate(parse_registration(registration())).version == "1.0"


@pytest.mark.parametrize(
    ("values", "problems"),
    [
        pytest.param({"apiKey": "k"}, [], id="right"),
        pytest.param({"apiKey": "k", "size": "3", "double": "false"}, [], id="as texts"),
        pytest.param({}, [("apiKey", "is required")], id="required, but not the hidden one"),
        pytest.param(
            {"apiKey": "k", "size": 10}, [("size", "must be at most 9")], id="above its bound"
        ),
        pytest.param(
            {"apiKey": "k", "size": 1.5}, [("size", "must be an integer")], id="not whole"
        ),
        pytest.param(
            {"apiKey": 1, "double": 1, "size": True, "share": "nan"},
            [
                ("apiKey", "must be a text"),
                ("size", "must be an integer"),
                ("share", "must be a number"),
                ("double", "must be true or false"),
            ],
            id="of other types",
        ),
        pytest.param(
            {"apiKey": "k", "urll": "x"},
            [("urll", "the module has no such setting")],
            id="unknown",
        ),
    ],
)
def test_values_are_held_against_the_registration(
    values: dict[str, Any], problems: list[tuple[str, str]]
) -> None:
    assert list(value_problems(settings(), values)) == problems


def test_every_value_is_sent_as_a_text() -> None:
    assert sent_values(settings(), {"apiKey": "k", "size": 3, "double": False}) == {
        "apiKey": "k",
        "size": "3",
        "share": "0.5",
        "double": "false",
    }


def test_confidential_values_are_not_shown() -> None:
    long = {"apiKey": "sk-0123456789abcd", "size": 3}
    assert shown_values(settings(), long) == {"apiKey": "***********abcd", "size": 3}
    assert shown_values(settings(), {"apiKey": "short"}) == {"apiKey": None}
