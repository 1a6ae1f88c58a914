"""The first API credential of a deployment (spec/platform-api.md, 3)."""

import re
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from ruamel.yaml import YAML

from actors.clock import ManualClock
from actors.store.folder import DataFolder
from config.desk_options import ConfigDeskOptions
from config.errors import ConfigError
from config.load import EXAMPLE
from config.settings import Settings
from server.beginning import begin
from tests.whole.world import DOCUMENT, changed, named

BARE = changed(DOCUMENT, api_credentials=[])
SECRET = "a-secret-of-more-than-32-characters"
GIVEN: dict[str, Any] = {
    "bootstrap_client_id": "first",
    "bootstrap_client_secret": SecretStr(SECRET),
}
MAP_SIZE = 16 * 1024 * 1024


class Started:
    """What a start served, and what it printed."""

    def __init__(self, folder: Path, *documents: dict[str, Any], **given: Any) -> None:
        paths = []
        for place, document in enumerate(documents):
            paths.append(folder / f"{place}.yaml")
            YAML().dump(document, paths[-1])
        settings = Settings(
            data_dir=folder / "data",
            workspace=tuple(paths),
            shards=1,
            map_size_bytes=MAP_SIZE,
            **given,
        )
        configuration = ConfigDeskOptions(settings, SecretStr("m" * 32))
        shown: list[str] = []
        data = DataFolder(settings.data_dir, 1, MAP_SIZE, ManualClock())
        with closing(data):
            environ = {"HEADWATER_DATA_DIR": str(settings.data_dir)}
            self.served = begin(configuration, environ, settings, data, shown.append)
        self.text = "\n".join(shown)

    def credentials(self, place: int = 0) -> dict[str, str]:
        """Return client ids of a workspace, and their secrets."""
        return {
            each.client_id: each.client_secret.get_secret_value()
            for each in self.served[place].document.api_credentials
        }


def shown_in(text: str) -> dict[str, str]:
    ids = re.findall(r"client id +(\S+)", text)
    return dict(zip(ids, re.findall(r"client secret +(\S+)", text), strict=True))


def test_a_workspace_without_an_administrator_gets_one_that_is_shown_once(tmp_path: Path) -> None:
    first = Started(tmp_path, BARE)
    [(client_id, secret)] = shown_in(first.text).items()
    assert first.credentials() == {client_id: secret}
    assert len(secret) == 64
    [made] = first.served[0].document.api_credentials
    assert (made.role, made.apis) == ("admin", ("platform", "profile"))
    again = Started(tmp_path, BARE)
    assert (again.text, again.credentials()) == ("", first.credentials())


def test_a_document_that_replaces_the_example_gets_one_as_well(tmp_path: Path) -> None:
    """That of the example goes with it."""
    Started(tmp_path)
    document = YAML(typ="safe").load(EXAMPLE.read_text()) | {"api_credentials": []}
    first = Started(tmp_path, document)
    assert first.credentials() == shown_in(first.text)
    assert len(first.credentials()) == 1
    assert Started(tmp_path, document).credentials() == first.credentials()


def test_the_document_or_the_settings_may_have_it(tmp_path: Path) -> None:
    started = Started(tmp_path, DOCUMENT)
    assert (started.text, sorted(started.credentials())) == ("", ["ops", "viewer"])


def test_that_of_the_settings_is_made_in_an_empty_store_alone(tmp_path: Path) -> None:
    first = Started(tmp_path, BARE, **GIVEN)
    assert (first.text, first.credentials()) == ("", {"first": SECRET})
    other = GIVEN | {"bootstrap_client_id": "second"}
    assert Started(tmp_path, BARE, **other).credentials() == {"first": SECRET}


def test_it_is_made_beside_those_of_the_document(tmp_path: Path) -> None:
    started = Started(tmp_path, DOCUMENT, **GIVEN)
    assert sorted(started.credentials()) == ["first", "ops", "viewer"]


def test_the_documents_own_of_the_same_name_is_left_alone(tmp_path: Path) -> None:
    given = GIVEN | {"bootstrap_client_id": "ops"}
    assert Started(tmp_path, DOCUMENT, **given).credentials()["ops"] == "ops-secret"


def test_it_is_nobodys_file(tmp_path: Path) -> None:
    """So that it can be rotated and deleted through the API."""
    [served] = Started(tmp_path, DOCUMENT, **GIVEN).served
    assert served.owned["api_credentials"] == {"ops", "viewer"}


def test_every_new_workspace_gets_its_own(tmp_path: Path) -> None:
    other = changed(named("w2"), api_credentials=[])
    first = Started(tmp_path, BARE, other, **GIVEN)
    assert first.credentials() == {"first": SECRET}
    assert shown_in(first.text) == first.credentials(1)
    third = Started(tmp_path, BARE, other, changed(named("w3"), api_credentials=[]))
    assert third.credentials(1) == first.credentials(1)
    assert shown_in(third.text) == third.credentials(2)


def test_the_example_has_one(tmp_path: Path) -> None:
    started = Started(tmp_path)
    assert (started.text, list(started.credentials())) == ("", ["demo-client"])


@pytest.mark.parametrize("client_id", ["first", "demo-client"])
def test_that_of_the_settings_takes_the_place_of_the_examples(
    tmp_path: Path, client_id: str
) -> None:
    """Whose secret is public."""
    given = GIVEN | {"bootstrap_client_id": client_id}
    assert Started(tmp_path, **given).credentials() == {client_id: SECRET}
    assert Started(tmp_path).credentials() == {client_id: SECRET}


@pytest.mark.parametrize("name", sorted(GIVEN))
def test_half_of_it_is_refused_and_nothing_is_kept(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="go together"):
        Started(tmp_path, BARE, **{name: GIVEN[name]})
    assert shown_in(Started(tmp_path, BARE).text)  # still the first start


def test_the_secret_is_nowhere_on_disk(tmp_path: Path) -> None:
    [secret] = shown_in(Started(tmp_path, BARE).text).values()
    kept = b"".join(each.read_bytes() for each in tmp_path.rglob("*") if each.is_file())
    assert secret.encode() not in kept
