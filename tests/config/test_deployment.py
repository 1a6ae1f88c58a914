"""Several documents served together: each is right by itself, and they have to fit together."""

import json
from pathlib import Path

import pytest

from config.errors import ConfigError
from config.identity import SCOPE_KEYS, IdentitySettings
from config.load import load_workspace, load_workspaces, validate_files
from tests.config.documents import Change, Data, setting, shop


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that relative paths of a test are in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def of(workspace: str, *changes: Change) -> Data:
    """A document with an id, keys and a client of its own."""
    data = shop(
        setting("workspace", {"id": workspace, "name": workspace}),
        setting("api_credentials.0.client_id", f"ops-{workspace}"),
    )
    for source in data["inputs"]:
        source["keys"][0]["key"] += f"-{workspace}"
    for section in ("outputs", "connections"):
        for each in data[section]:
            each["id"] += f"-{workspace}"
    for each in data["connections"]:
        each["output"] += f"-{workspace}"
    for change in changes:
        change(data)
    return data


def write(**documents: Data) -> list[Path]:
    """Write documents to files of these names; return the paths as an author gives them."""
    paths = [Path(f"{name}.yaml") for name in documents]
    for path, data in zip(paths, documents.values(), strict=True):
        path.write_text(json.dumps(data), "utf-8")
    return paths


def problems(**documents: Data) -> list[str]:
    """What is wrong with a deployment; it is the same whether it is served or validated."""
    paths = write(**documents)
    found = validate_files(paths, {})
    if found:
        with pytest.raises(ConfigError) as refused:
            load_workspaces(paths, {})
        assert refused.value.lines() == found
    return found


def scope(name: str) -> Change:
    return setting("workspace.identity_scope", name)


def test_documents_come_in_the_order_of_their_paths() -> None:
    paths = write(b=of("b2b"), a=of("shop"))
    documents = load_workspaces(paths, {})
    assert [each.workspace.id for each in documents] == ["b2b", "shop"]
    assert documents == tuple(load_workspace(path, {}) for path in paths)
    assert validate_files(paths, {}) == []


# -- Where a problem is ---------------------------------------------------------------------------


def test_a_problem_is_told_with_the_path_of_its_document() -> None:
    """As it was given: documents of several folders may have one name."""
    wrong = of("shop", setting("inputs.0.kind", "fed"), setting("outputs.0.name", "${env:NAME}"))
    Path("eu").mkdir()
    Path("us").mkdir()
    paths = [Path("eu/shop.yaml"), Path("us/shop.yaml")]
    paths[0].write_text(json.dumps(wrong), "utf-8")
    paths[1].write_text("[]", "utf-8")
    assert validate_files([*paths, Path("asia/shop.yaml")], {}) == [
        "eu/shop.yaml:outputs[0].name: environment variable NAME is not set",
        "eu/shop.yaml:inputs[0].kind: must be 'platform' or 'feed'",
        "us/shop.yaml: must be a mapping",
        "asia/shop.yaml: cannot be read: No such file or directory",
    ]


def test_a_document_that_is_a_folder_is_told_with_the_file() -> None:
    data = of("shop", setting("inputs.0.kind", "fed"), setting("version", 2))
    folder = Path("eu")
    folder.mkdir()
    inputs = {"inputs": data.pop("inputs")}
    del data["account"]
    (folder / "base.yaml").write_text(json.dumps(data), "utf-8")
    (folder / "inputs.yaml").write_text(json.dumps(inputs), "utf-8")
    Path("none").mkdir()
    assert validate_files([folder, Path("none"), *write(b=of("b2b"))], {}) == [
        "eu/base.yaml:version: must be 1",
        "eu:account: required",
        "eu/inputs.yaml:inputs[0].kind: must be 'platform' or 'feed'",
        "none: has no *.yaml or *.yml file",
    ]


def test_names_of_audiences_are_unique_in_an_account() -> None:
    """spec/audiences.md, 2."""

    def called(name: str) -> Change:
        return setting("audiences", [{"id": "gold", "name": name, "type": "static"}])

    assert problems(a=of("shop", called("Gold")), b=of("b2b", called("GOLD"))) == [
        "a.yaml:audiences[0].name: already used by audience 'gold' of b.yaml",
        "b.yaml:audiences[0].name: already used by audience 'gold' of a.yaml",
    ]
    assert problems(a=of("shop", called("Gold")), b=of("b2b", called("Silver"))) == []
    beta = setting("account", {"id": "beta", "name": "Beta"})
    assert problems(a=of("shop", called("Gold")), b=of("b2b", called("Gold"), beta)) == []


def test_two_workspaces_fix_no_number_for_both() -> None:
    """Audiences are numbered across the deployment; tests of them are run only if that works."""

    def numbered(workspace: str, name: str) -> Data:
        wide = {"type": "first_seen", "operator": "exists"}
        test = {"name": "anybody", "expect": "member"}
        one = {"id": "one", "name": name, "number": 5, "definition": wide, "tests": [test]}
        return of(workspace, setting("audiences", [one]))

    assert validate_files(write(a=numbered("shop", "A"), b=numbered("b2b", "B")), {}) == [
        "b2b:audiences[0].number: number 5 belongs to 'one' of workspace 'shop'"
    ]


def test_the_active_audiences_of_an_account_are_counted_together() -> None:
    """spec/audiences.md, 15."""

    def limited(name: str, *changes: Change) -> Data:
        wide = {"type": "user_attribute", "attribute_name": "a", "operator": "exists"}
        one = {"id": "one", "name": name, "definition": wide | {"value_type": "string"}}
        limits = setting("workspace.limits", {"active_audiences": 1})
        return of(name, limits, setting("audiences", [one]), *changes)

    assert problems(a=limited("shop"), b=limited("b2b")) == [
        "b.yaml:audiences[0].active: at most 1 audiences of an account can be active"
    ]
    beta = setting("account", {"id": "beta", "name": "Beta"})
    assert problems(a=limited("shop"), b=limited("b2b", beta)) == []


def test_an_audience_test_that_fails_is_told_with_its_document() -> None:
    audience = {
        "id": "all",
        "name": "All",
        "active": True,
        "definition": {
            "version": 1,
            "criteria": {"type": "event", "event_type": "custom_event", "event_name": "Hello"},
        },
        "tests": [{"name": "silent", "expect": "member"}],
    }
    paths = write(a=of("shop"), b=of("b2b", setting("audiences", [audience])))
    [line] = validate_files(paths, {})
    assert line.startswith("b.yaml:audiences[0].tests[0]: 'silent': the user is no member")


def test_documents_that_are_right_are_checked_together_even_if_another_is_wrong() -> None:
    wrong = of("c", setting("version", 2))
    assert problems(a=of("shop"), b=of("b2b", setting("workspace.id", "shop")), c=wrong) == [
        "c.yaml:version: must be 1",
        "a.yaml:workspace.id: already used by the workspace of b.yaml",
        "b.yaml:workspace.id: already used by the workspace of a.yaml",
    ]


def test_a_document_that_is_given_twice_is_told_once() -> None:
    [path] = write(a=of("shop"))
    assert validate_files([path, Path(f"./{path}")], {}) == ["a.yaml: is given twice"]


# -- What has to be told apart --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "value", "owner"),
    [
        pytest.param("workspace.id", "shop", "the workspace of {}", id="id"),
        pytest.param("workspace.number", 7, "workspace '{id}' of {}", id="number"),
        pytest.param("api_credentials[0].client_id", "ops", "a credential of {}", id="client"),
        pytest.param("connections[0].id", "one", "connection 'one' of {}", id="connection"),
        pytest.param("inputs[2].keys[0].key", "us1-same-key", "input 'crm' of {}", id="key"),
        pytest.param(
            "workspace.dsr_credentials.key", "us1-same-key", "dsr_credentials of {}", id="own key"
        ),
    ],
)
def test_what_names_one_thing_cannot_name_another(path: str, value: object, owner: str) -> None:
    def same(data: Data) -> None:
        if "dsr" in path:
            setting("workspace.dsr_credentials", {"key": "", "secret": "hush"})(data)
        setting(path.replace("[", ".").replace("]", ""), value)(data)

    ids = {"a": "shop", "b": "shop" if path == "workspace.id" else "b2b"}
    assert problems(a=of("shop", same), b=of("b2b", same)) == [
        f"{here}.yaml:{path}: already used by {owner.format(f'{other}.yaml', id=ids[other])}"
        for here, other in ("ab", "ba")
    ]


def test_a_key_of_one_workspaces_input_cannot_be_the_own_key_of_another() -> None:
    own = setting("workspace.dsr_credentials", {"key": "us1-crm-key-shop", "secret": "hush"})
    assert problems(a=of("shop"), b=of("b2b", own)) == [
        "a.yaml:inputs[2].keys[0].key: already used by dsr_credentials of b.yaml",
        "b.yaml:workspace.dsr_credentials.key: already used by input 'crm' of a.yaml",
    ]


def test_a_key_may_not_be_used_again_after_it_was_revoked() -> None:
    """Whose it was would not be clear in what is already stored and sent."""
    revoked = {"key": "us1-web-key-shop", "secret": "hush", "status": "revoked"}
    lines = problems(a=of("shop"), b=of("b2b", setting("inputs.0.keys.1", revoked)))
    assert lines == [
        "a.yaml:inputs[0].keys[0].key: already used by input 'web' of b.yaml",
        "b.yaml:inputs[0].keys[1].key: already used by input 'web' of a.yaml",
    ]
    assert "hush" not in "".join(lines)


def test_ids_within_a_workspace_may_be_those_of_another() -> None:
    """Both documents have an input `web` and an output `hook`."""
    assert problems(a=of("shop"), b=of("b2b")) == []


# -- Accounts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value"), [("name", "Another"), ("number", 7)], ids=["name", "number"]
)
def test_workspaces_of_one_account_describe_it_alike(key: str, value: object) -> None:
    changed = setting(f"account.{key}", value)
    assert problems(a=of("shop"), b=of("b2b", changed)) == [
        f"b.yaml:account.{key}: differs from a.yaml, which has the same account 'acme'"
    ]
    assert problems(a=of("shop", changed), b=of("b2b", changed)) == []


@pytest.mark.parametrize(
    ("name", "limit", "owner"),
    [
        ("account", {"batches_per_second": 9}, "account 'acme'"),
        ("profile_requests_per_second", 9, "account 'acme'"),
        ("platform_requests_per_minute", 9, "account 'acme'"),
        ("org", {"batches_per_second": 9}, "organization"),
        ("system", {"acceleration": 100}, "organization"),
    ],
)
def test_a_counter_that_workspaces_share_has_one_limit(
    name: str, limit: object, owner: str
) -> None:
    """Those of an account have its counters, all have those above."""
    changed = setting("workspace.limits", {name: limit})
    assert problems(a=of("shop"), b=of("b2b", changed)) == [
        f"b.yaml:workspace.limits.{name}: differs from a.yaml, which has the same {owner}"
    ]
    assert problems(a=of("shop", changed), b=of("b2b", changed)) == []
    other = setting("account", {"id": "other", "name": "Other"})
    is_for_account = owner != "organization"
    assert (problems(a=of("shop"), b=of("b2b", changed, other)) == []) == is_for_account


def test_two_accounts_cannot_have_one_number() -> None:
    """One account may have it in several documents."""

    def account(name: str) -> Change:
        return setting("account", {"id": name, "name": name, "number": 5})

    acme, bolt = account("acme"), account("bolt")
    assert problems(a=of("shop", acme), b=of("b2b", bolt), c=of("outlet", acme)) == [
        "a.yaml:account.number: already used by account 'bolt' of b.yaml",
        "b.yaml:account.number: already used by account 'acme' of a.yaml",
    ]


# -- Identity scopes ------------------------------------------------------------------------------

LINK = setting("identity", {"strategy": "profile_link"})


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param([scope("users")], [scope("users")], id="a name of its own"),
        pytest.param([], [scope("shop")], id="the first workspace's"),
        pytest.param([scope("b2b")], [], id="the second workspace's"),
    ],
)
def test_workspaces_of_one_scope_have_one_identity_section(
    first: list[Change], second: list[Change]
) -> None:
    """spec/identity.md, 1: strategy and all identity settings belong to the scope."""
    assert problems(a=of("shop", *first, LINK), b=of("b2b", *second, LINK)) == []
    one, two = load_workspaces([Path("a.yaml"), Path("b.yaml")], {})
    name = one.workspace.scope_name
    assert name == two.workspace.scope_name
    assert problems(a=of("shop", *first, LINK), b=of("b2b", *second)) == [
        f"b.yaml:identity.strategy: differs from a.yaml, which has the same identity scope '{name}'"
    ]


def test_workspaces_have_scopes_of_their_own_unless_they_say_otherwise() -> None:
    """spec/identity.md, 1."""
    assert problems(a=of("shop", LINK), b=of("b2b")) == []
    one, two = load_workspaces([Path("a.yaml"), Path("b.yaml")], {})
    assert (one.workspace.scope_name, two.workspace.scope_name) == ("shop", "b2b")


def test_the_first_setting_that_differs_is_named_and_compared_with_the_first_document() -> None:
    def identity(*login_ids: str, delay: int) -> Change:
        settings = {"strategy": "profile_conversion", "login_ids": login_ids}
        ids = ["customerid", "email"]
        return setting("identity", settings | {"unique_ids": ids, "alias_delay_hours": delay})

    assert problems(
        a=of("shop", identity("customerid", delay=24)),
        b=of("b2b", scope("shop"), identity("customerid", delay=0)),
        c=of("outlet", scope("shop"), identity("customerid", "email", delay=0)),
    ) == [
        "b.yaml:identity.alias_delay_hours: "
        "differs from a.yaml, which has the same identity scope 'shop'",
        "c.yaml:identity.login_ids: differs from a.yaml, which has the same identity scope 'shop'",
    ]


def test_what_one_document_writes_and_the_other_leaves_to_the_strategy_is_the_same() -> None:
    written = setting(
        "identity", {"strategy": "profile_link", "login_ids": ["customerid", "email"]}
    )
    assert problems(a=of("shop", LINK), b=of("b2b", scope("shop"), written)) == []


def test_each_workspace_of_a_scope_can_turn_identity_calls_off() -> None:
    """spec/identity.md, 3: of all keys, `idsync_enabled` alone is per workspace."""
    off = setting("identity", {"idsync_enabled": False})
    assert problems(a=of("shop"), b=of("b2b", scope("shop"), off)) == []
    assert {*SCOPE_KEYS, "idsync_enabled"} == set(IdentitySettings.model_fields)


def test_the_name_of_a_scope_is_a_slug() -> None:
    [line] = problems(a=of("shop", scope("Users")))
    assert line.startswith("workspace.identity_scope: must be 1 to 64 characters of a-z")
