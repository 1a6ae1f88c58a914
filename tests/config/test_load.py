"""Reading a document: files, folders, placeholders."""

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.errors import ConfigError
from config.exporting import read_sent
from config.load import load_workspace, validate_files
from tests.config.documents import SHOP, Data, load, problems, setting, shop

SIGNING = "outputs.0.settings.signing_secret"
SIGNING_PATH = "outputs[0].settings.signing_secret"


def yaml_problems(text: str, folder: Path) -> list[str]:
    file = folder / "workspace.yaml"
    file.write_text(text, "utf-8")
    return validate_files([file], {})


# -- Placeholders ---------------------------------------------------------------------------------


def test_worked_case_41(tmp_path: Path) -> None:
    """spec/connections.md, worked case 41."""
    assert problems(shop(setting(SIGNING, "${env:HOOK_SECRET}")), tmp_path) == [
        f"{SIGNING_PATH}: environment variable HOOK_SECRET is not set"
    ]


def test_an_empty_variable_is_as_bad_as_none(tmp_path: Path) -> None:
    data = shop(setting(SIGNING, "${env:HOOK_SECRET}"))
    assert problems(data, tmp_path, {"HOOK_SECRET": ""}) == [
        f"{SIGNING_PATH}: environment variable HOOK_SECRET is empty"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("${env:HOST}", "crm", id="all of a string"),
        pytest.param("https://${env:HOST}.test/${env:HOST}", "https://crm.test/crm", id="parts"),
        pytest.param("${env:HOST:-other}", "crm", id="set, with a default"),
        pytest.param("${env:NONE:-other}", "other", id="default"),
        pytest.param("${env:EMPTY:-other}", "other", id="default for an empty variable"),
        pytest.param("x${env:NONE:-}", "x", id="default of nothing"),
        pytest.param("${env:NONE:-a:-b}", "a:-b", id="default with the sign in it"),
        pytest.param("${file:name.txt}", "from a file", id="file"),
        pytest.param("${env:NESTED}", "${env:HOST}", id="what is put in is not expanded again"),
        pytest.param("$${env:HOST}", "${env:HOST}", id="literal"),
        pytest.param("costs $5 {net}", "costs $5 {net}", id="no placeholder"),
    ],
)
def test_placeholders_are_expanded_in_any_string(text: str, expected: str, tmp_path: Path) -> None:
    """spec/connections.md, 10."""
    (tmp_path / "name.txt").write_text("from a file\n", "utf-8")
    environ = {"HOST": "crm", "EMPTY": "", "NESTED": "${env:HOST}"}
    assert load(shop(setting("account.name", text)), tmp_path, environ).account.name == expected


def test_every_placeholder_that_cannot_be_replaced_is_named(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    data = shop(
        setting("account.name", "${env:A} ${env:B}"),
        setting("inputs.0.keys.0.secret", "${file:missing.txt}"),
        setting("inputs.1.keys.0.secret", "${file:binary}"),
        setting("outputs.0.name", "${vault:x}"),
        setting("outputs.0.settings.urll", "x"),
    )
    assert problems(data, tmp_path) == [
        "account.name: environment variable A is not set",
        "account.name: environment variable B is not set",
        "inputs[0].keys[0].secret: file missing.txt cannot be read: No such file or directory",
        "inputs[1].keys[0].secret: file binary is not UTF-8 text",
        "outputs[0].name: unknown placeholder; "
        "there are ${env:NAME}, ${env:NAME:-default} and ${file:path}",
        "outputs[0].settings.urll: unknown key",
    ]


def test_what_could_not_be_expanded_is_not_told_twice(tmp_path: Path) -> None:
    """The placeholder itself would be no key, no URL and no known id."""
    data = shop(
        setting("inputs.0.keys.0.key", "${env:WEB_KEY}"),
        setting("outputs.0.settings.url", "${env:URL}"),
        setting("connections.2.output", "${env:OUTPUT}"),
    )
    assert problems(data, tmp_path) == [
        "inputs[0].keys[0].key: environment variable WEB_KEY is not set",
        "outputs[0].settings.url: environment variable URL is not set",
        "connections[2].output: environment variable OUTPUT is not set",
    ]


# -- Files and folders ----------------------------------------------------------------------------


def test_the_switches_of_yaml_1_1_are_strings(tmp_path: Path) -> None:
    text = json.dumps(shop(setting("workspace.client_audience_api", "SWITCH")))
    assert yaml_problems(text.replace('"SWITCH"', "on"), tmp_path) == [
        "workspace.client_audience_api: must be true or false"
    ]
    assert yaml_problems(text.replace('"SWITCH"', "true"), tmp_path) == []


def test_a_number_is_not_made_a_string(tmp_path: Path) -> None:
    assert problems(shop(setting("account.name", 4.10)), tmp_path) == [
        "account.name: must be a string"
    ]


def test_a_key_that_is_no_string_is_named(tmp_path: Path) -> None:
    text = json.dumps(shop()).removesuffix("}") + ", null: 1, 1.5: {true: 2}}"
    assert yaml_problems(text, tmp_path) == [
        "None: a key must be a string",
        "1.5: a key must be a string",
        "1.5.True: a key must be a string",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "version: 1\noutputs: [a\nb: 2\n",
            "workspace.yaml: line 3, column 2: expected ',' or ']', but got ':'",
            id="syntax",
        ),
        pytest.param(
            "version: 1\na: {secret: hush-1,\n secret: hush-2}\n",
            "workspace.yaml: line 3, column 2: found duplicate key",
            id="a key twice",
        ),
        pytest.param(
            "version:\n\t1: 2\n",
            r"workspace.yaml: line 2, column 1: found character '\t' that cannot start any token",
            id="a tab",
        ),
        pytest.param(
            'version: "\\é"\n',
            "workspace.yaml: line 1, column 12: found unknown escape character 'é'",
            id="an escape",
        ),
        pytest.param(
            'version: "\\\u200b"\n',
            r"workspace.yaml: line 1, column 12: found unknown escape character '\u200b'",
            id="an escape of what cannot be seen",
        ),
        pytest.param("- version\n", "workspace.yaml: must be a mapping", id="a list"),
        pytest.param("", "workspace.yaml: must be a mapping", id="nothing"),
        pytest.param(
            "version: 1\n---\nversion: 1\n",
            "workspace.yaml: line 2, column 1: but found another document",
            id="two documents",
        ),
        pytest.param(
            "version: \x01\n",
            "workspace.yaml: holds a character that YAML does not allow",
            id="control character",
        ),
        pytest.param(
            "version: 2026-02-30\n",
            "workspace.yaml: holds a value that cannot be read",
            id="a date that is none",
        ),
        pytest.param(
            "version: &a [*a]\n", "workspace.yaml: is nested too deeply", id="endless nesting"
        ),
        pytest.param("[" * 5000, "workspace.yaml: is nested too deeply", id="deep nesting"),
    ],
)
def test_a_file_that_is_no_document_is_refused_with_the_line(
    text: str, expected: str, tmp_path: Path
) -> None:
    assert yaml_problems(text, tmp_path) == [expected]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert validate_files([tmp_path / "none.yaml"], {}) == [
        "none.yaml: cannot be read: No such file or directory"
    ]


def write_folder(folder: Path, **files: Data) -> Path:
    folder.mkdir(exist_ok=True)
    for name, data in files.items():
        (folder / f"{name}.yaml").write_text(json.dumps(data), "utf-8")
    return folder


def parts(*sections: str) -> Data:
    return {section: SHOP[section] for section in sections}


def test_a_folder_is_read_as_one_document(tmp_path: Path) -> None:
    folder = write_folder(
        tmp_path / "shop",
        base=parts("version", "account", "workspace", "api_credentials"),
        inputs_1={"version": 1, "inputs": SHOP["inputs"][:1]},
        inputs_2={"inputs": SHOP["inputs"][1:]},
        outputs=parts("outputs", "connections"),
    )
    (folder / "notes.txt").write_text("not: read", "utf-8")
    assert load_workspace(folder, {}) == load(SHOP, tmp_path)


def test_an_id_twice_in_a_folder_is_an_error_with_both_places(tmp_path: Path) -> None:
    folder = write_folder(
        tmp_path / "shop",
        base=parts("version", "account", "workspace", "inputs"),
        more={"inputs": [SHOP["inputs"][2] | {"name": "Again", "keys": [{"key": "us1-again"}]}]},
    )
    assert validate_files([folder], {}) == ["more.yaml:inputs[0].keys[0].secret: required"]
    again = {**SHOP["inputs"][2], "name": "Again", "keys": [{"key": "us1-again", "secret": "x"}]}
    write_folder(folder, more={"inputs": [again]})
    assert validate_files([folder], {}) == [
        "base.yaml:inputs[2].id: already used by another input",
        "more.yaml:inputs[0].id: already used by another input",
    ]


def test_two_files_of_a_folder_may_not_differ_on_one_thing(tmp_path: Path) -> None:
    folder = write_folder(
        tmp_path / "shop", a=shop(), b={"account": {"id": "other", "name": "Other"}}
    )
    assert validate_files([folder], {}) == ["b.yaml:account: differs between files"]


def test_a_folder_without_yaml_is_refused(tmp_path: Path) -> None:
    assert validate_files([tmp_path], {}) == [f"{tmp_path.name}: has no *.yaml or *.yml file"]


# -- All or nothing -------------------------------------------------------------------------------


def test_a_document_with_one_unknown_output_gives_nothing(tmp_path: Path) -> None:
    """spec/connections.md, worked case 39, as far as validation goes."""
    with pytest.raises(ConfigError) as refused:
        load(shop(setting("connections.0.output", "nowhere")), tmp_path)
    assert str(refused.value) == "connections[0].output: no output with id 'nowhere'"


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
places = st.sampled_from(
    [
        "version",
        "workspace",
        "workspace.limits",
        "identity",
        "inputs",
        "inputs.0",
        "inputs.0.keys",
        "outputs.0.settings",
        "outputs.0.environments",
        "outputs.0.retry",
        "outputs.0.connection_defaults",
        "connections",
        "connections.0.settings",
        "connections.0.id",
        "api_credentials",
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(places, values, min_size=1, max_size=2))
def test_whatever_is_written_is_loaded_or_explained(
    tmp_path_factory: pytest.TempPathFactory, changes: dict[str, Any]
) -> None:
    """No value at any place ends in anything but a document or a ConfigError."""
    data = shop()
    for place in sorted(changes, key=len, reverse=True):
        setting(place, changes[place])(data)
    folder = tmp_path_factory.getbasetemp()
    found = problems(data, folder)
    if found:
        assert all(not line.endswith(": ") for line in found)
    else:
        loaded = load(data, folder)
        assert pickle.loads(pickle.dumps(loaded)) == loaded


@pytest.mark.parametrize("text", ['{"a\\ud800": 1}', '{"a": ["\\ud800"]}', 'a: {b: "\\udc00"}'])
def test_half_of_a_surrogate_pair_is_named_in_words_that_can_be_written(text: str) -> None:
    with pytest.raises(ConfigError) as error:
        read_sent(text)
    lines = "\n".join(error.value.lines())
    assert "surrogate pair" in lines
    lines.encode()
