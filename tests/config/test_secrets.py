"""Secrets are never shown: not by a document, not by an error, not by its cause."""

import os
from pathlib import Path

import pytest

from config.errors import ConfigError
from config.load import validate_files
from tests.config.documents import Data, load, problems, setting, shop

WHSEC = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


def all_secret(data: Data) -> Data:
    """Put the word `hush` into every place of the document that holds a secret."""
    for index, source in enumerate(data["inputs"]):
        source["keys"][0]["secret"] = f"hush-{index}"
    data["workspace"]["dsr_credentials"]["secret"] = "hush-dsr"
    data["api_credentials"][0]["client_secret"] = "hush-api"
    data["outputs"][0]["settings"]["authorization_header"] = "Bearer hush-header"
    data["outputs"][0]["settings"]["headers"] = {"x-key": "hush-custom"}
    data["outputs"][0]["environments"] = {"development": {"settings": {"signing_secret": WHSEC}}}
    return data


def test_no_secret_is_in_the_text_of_a_document(tmp_path: Path) -> None:
    document = load(all_secret(shop()), tmp_path)
    for text in (repr(document), str(document), repr(document.inputs[0].keys)):
        assert "hush" not in text
        assert WHSEC not in text
    assert document.inputs[0].keys[0].secret.get_secret_value() == "hush-0"


@pytest.mark.parametrize(
    "place",
    [
        "inputs.0.keys.0.secret",
        "inputs.0.keys",
        "inputs.0.keys.0",
        "workspace.dsr_credentials",
        "workspace.dsr_credentials.secret",
        "api_credentials.0.client_secret",
        "api_credentials.0",
        "outputs.0.settings.signing_secret",
        "outputs.0.settings.authorization_header",
        "outputs.0.settings.headers",
        "outputs.0.settings.unknown",
        "outputs.0.settings",
        "outputs.0.environments.development.settings.signing_secret",
    ],
)
@pytest.mark.parametrize(
    "value",
    [
        pytest.param("hush\nhush", id="text"),
        pytest.param(["hush"], id="list"),
        pytest.param({"a": "hush"}, id="mapping"),
        pytest.param("${env:NONE}hush", id="not expanded"),
    ],
)
def test_no_secret_is_in_an_error(place: str, value: object, tmp_path: Path) -> None:
    data = all_secret(shop())
    setting(place, value)(data)
    setting("version", 2)(data)  # whatever the value, something is wrong
    lines = problems(data, tmp_path)
    assert lines
    assert "hush" not in "\n".join(lines)


@pytest.mark.parametrize(
    "line",
    [
        "{secret: hush, secret: hush2}",
        "*hush",
        "!hush",
        "!hush'x'",
        "!hush!hush",
        "hush: hush: hush",
        '"hush\\hush',
        "%hush",
        "@hush",
        "[hush, hush: {hush",
    ],
)
def test_no_secret_is_in_an_error_about_yaml(line: str, tmp_path: Path) -> None:
    """An unquoted password can begin with a character that means something to YAML."""
    file = tmp_path / "workspace.yaml"
    file.write_text(f"version: 1\nsecret: {line}\n", "utf-8")
    (problem,) = validate_files([file], {})
    assert problem.startswith("workspace.yaml: line ")
    assert "hush" not in problem


def test_the_cause_of_an_error_does_not_show_what_was_refused(tmp_path: Path) -> None:
    """A traceback is logged with its causes."""
    data = all_secret(shop(setting("inputs.0.keys.0.status", "hush"), setting("version", 2)))
    with pytest.raises(ConfigError) as refused:
        load(data, tmp_path)
    cause: BaseException | None = refused.value
    while cause is not None:
        assert "hush" not in repr(cause)
        cause = cause.__cause__ or cause.__context__


def test_a_secret_can_come_from_a_file_with_restricted_access(tmp_path: Path) -> None:
    secret = tmp_path / "secrets" / "web"
    secret.parent.mkdir()
    secret.write_text("s3cr3t\r\n", "utf-8")
    os.chmod(secret, 0o600)
    data = shop(setting("inputs.0.keys.0.secret", "${file:secrets/web}"))
    assert load(data, tmp_path).inputs[0].keys[0].secret.get_secret_value() == "s3cr3t"
