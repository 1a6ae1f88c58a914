"""The book of what was applied: atomic, sealed, numbered, and the same after a restart."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from actors.clock import ManualClock
from actors.store import revisions
from actors.store.audit_log import Author
from actors.store.environment import Store
from actors.store.revisions import KEPT
from config.book import Book
from config.errors import ConfigError
from config.merging import Data
from config.sealing import Sealer
from config.settings import Settings
from tests.config.documents import Change, setting, shop

MAP_SIZE = 64 * 1024 * 1024
MASTER_KEY = "m" * 32


@contextmanager
def opened(folder: Path, master_key: str = MASTER_KEY) -> Iterator[Book]:
    settings = Settings(data_dir=folder)
    with closing(Store(folder, MAP_SIZE)) as store:
        yield Book(store, Sealer(master_key), settings, ManualClock(1000))


def apply(book: Book, *documents: Data) -> None:
    book.write(book.drafts_of_files(list(documents)), Author("ops"))


def edit(book: Book, data: Data, *, owned: dict[str, frozenset[str]] | None = None) -> None:
    """Make a whole document the next revision, as the Platform API does."""
    book.write([book.draft("acme-shop", data, owned or {}, "api")], Author("ops"))


def store_as_it_is(folder: Path, data: Data) -> None:
    """Put a document in the place of the first revision's, as another version might have."""
    sealed = Sealer(MASTER_KEY).seal(msgspec.msgpack.encode(data))
    with closing(Store(folder, MAP_SIZE)) as store, store.write() as txn:
        revision = revisions.read_revision(txn, "acme-shop", 1)
        assert revision is not None
        revisions.write_revision(txn, "acme-shop", replace(revision, sealed=sealed))


def stored(folder: Path, number: int) -> Data:
    """Return the document of a revision as it lies on disk."""
    with closing(Store(folder, MAP_SIZE)) as store, store.read() as txn:
        revision = revisions.read_revision(txn, "acme-shop", number)
        assert revision is not None
        data: Data = msgspec.msgpack.decode(Sealer(MASTER_KEY).unseal(revision.sealed))
        return data


def other() -> Data:
    """Return a workspace beside the shop's."""
    return {
        "version": 1,
        "account": {"id": "acme", "name": "Acme"},
        "workspace": {"id": "other", "name": "Other"},
    }


def test_what_was_applied_holds_after_a_restart(tmp_path: Path) -> None:
    with opened(tmp_path) as book:
        apply(book, shop(), other())
        before = book.served
    with opened(tmp_path) as book:
        assert list(book.served) == list(before)
        assert [each.revision for each in book.served] == [1, 1]


def test_a_raw_feed_of_a_warehouse_that_an_earlier_version_has_stored_is_off(
    tmp_path: Path,
) -> None:
    """Nothing could be loaded of it."""
    warehouse = {
        "id": "dwh",
        "kind": "data_warehouse",
        "module": "warehouse_duckdb",
        "name": "Warehouse",
        "settings": {"path": str(tmp_path / "w.duckdb")},
        "connection_defaults": {"raw_data_feed": True},
    }
    joined = {"id": "web-dwh", "input": "web", "output": "dwh", "settings": {"raw_data_feed": True}}
    with opened(tmp_path) as book:
        apply(book, shop())
    store_as_it_is(
        tmp_path, shop(setting("outputs.2", warehouse), setting("connections.3", joined))
    )
    with opened(tmp_path) as book:
        _, _, document = book.page("acme-shop")
        assert document.connections[3].settings == document.outputs[2].connection_defaults == {}


@pytest.mark.parametrize("member", ["event_name", "attribute_name"])
@pytest.mark.parametrize("point", ["datapoint", "data_point"])
def test_a_number_that_an_earlier_version_has_stored_in_a_data_point_is_a_text(
    point: str, member: str, tmp_path: Path
) -> None:
    """It meant nothing there, or the name of a screen."""
    definition: Data = {
        "recipe_type": "event",
        point: {"type": "event", "event_type": "screen_view", member: 404},
        "conditions": [],
        "calculation_type": "count",
        "time_period": {"type": "since", "date": "2024-01-01T00:00:00"},
    }
    pages = {"id": "pages", "name": "pages", "active": True, "definition": definition}
    with opened(tmp_path) as book:
        apply(book, shop())
    store_as_it_is(tmp_path, shop(setting("calculated_attributes", [pages])))
    with opened(tmp_path) as book:
        _, _, document = book.page("acme-shop")
        [attribute] = document.calculated_attributes
        assert attribute.definition[point][member] == "404"


def test_of_identities_that_an_earlier_version_has_stored_those_stay_that_exist(
    tmp_path: Path,
) -> None:
    """An output that had no other is off."""

    def files(name: str, identities: list[str]) -> Data:
        settings = {"url": f"file://{tmp_path}", "identities": identities}
        kind = {"kind": "audience", "module": "audience_csv"}
        return {"id": name, "name": name, "settings": settings} | kind

    with opened(tmp_path) as book:
        apply(book, shop())
    some, none = files("some", ["shoe_size", "email"]), files("none", ["shoe_size"])
    store_as_it_is(tmp_path, shop(setting("outputs.2", some), setting("outputs.3", none)))
    with opened(tmp_path) as book:
        _, _, document = book.page("acme-shop")
        kept, off = document.outputs[2:]
        assert kept.settings["identities"] == ["email"]
        assert kept.enabled_environments
        assert not off.enabled_environments


def test_a_credential_rotated_by_an_earlier_version_keeps_its_former_secret(
    tmp_path: Path,
) -> None:
    """It was stored as the only one; the next change stores it as one of several."""
    former = {"client_secret": "s-before", "until_ms": 2000}
    with opened(tmp_path) as book:
        apply(book, shop())
    store_as_it_is(tmp_path, shop(setting("api_credentials.0.former_secret", former)))
    with opened(tmp_path) as book:
        _, data, document = book.page("acme-shop")
        [kept] = document.api_credentials[0].former_secrets
        assert (kept.client_secret.get_secret_value(), kept.until_ms) == ("s-before", 2000)
        found = book.former("acme-shop", 1)
        assert found is not None
        edit(book, {**found[1], "workspace": {**data["workspace"], "name": "Renamed"}})
    assert stored(tmp_path, 2)["api_credentials"] == [
        {**shop()["api_credentials"][0], "former_secrets": [former]}
    ]


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"url": "webhdfs://10.0.0.1:50070/lake"}, "'webhdfs://' is no storage"),
        (
            {"url": "s3://lake", "storage_options": {"endpoint_url": "10.0.0.1"}},
            "endpoint_url must be",
        ),
    ],
)
def test_an_output_with_a_storage_that_an_earlier_version_took_is_off_and_says_why(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, settings: Data, problem: str
) -> None:
    """All else of the deployment is served; the output is refused when it is turned on again."""
    far = {"id": "far", "kind": "event", "module": "file", "name": "Far", "settings": settings}
    with opened(tmp_path) as book:
        apply(book, shop())
    store_as_it_is(tmp_path, shop(lambda data: data["outputs"].append(far)))
    with opened(tmp_path) as book:
        _, data, document = book.page("acme-shop")
        assert document.outputs_by_id["far"].enabled_environments == ()
        assert document.outputs_by_id["far"].settings == settings
        [first, _] = [each for each in caplog.records if each.levelname == "ERROR"]
        assert problem in first.getMessage()
        assert first.__dict__["output"] == "far"
        data["outputs"][-1]["environments"]["production"]["enabled"] = True
        with pytest.raises(ConfigError, match=problem):
            edit(book, data)


@pytest.mark.parametrize(
    ("module", "kind", "settings", "problem"),
    [
        pytest.param(
            "webhook", "event", {"url": "https://example.com:99999/"}, "have a port", id="webhook"
        ),
        pytest.param(
            "segment_relay",
            "event",
            {"url": "https://example.com:0", "write_key": "k"},
            "have a port",
            id="segment_relay",
        ),
        pytest.param(
            "firehose",
            "dsr",
            {"registration_url": "https://example.com", "dsr_url": "https://example.com:0"},
            "have a port",
            id="firehose",
        ),
        pytest.param(
            "pixel",
            "cookie_sync",
            {"pixel_url": "https://example.com:99999/"},
            "have a port",
            id="pixel",
        ),
        pytest.param(
            "warehouse_postgres",
            "data_warehouse",
            {"dsn": "postgresql://a:hidden@b/c?sslkeylogfile=/tmp/keys"},
            "not have sslkeylogfile",
            id="warehouse_postgres",
        ),
    ],
)
def test_an_output_with_settings_that_an_earlier_version_took_is_off_and_says_why(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    module: str,
    kind: str,
    settings: Data,
    problem: str,
) -> None:
    far = {"id": "far", "kind": kind, "module": module, "name": "Far", "settings": settings}
    with opened(tmp_path) as book:
        apply(book, shop())
    store_as_it_is(tmp_path, shop(lambda data: data["outputs"].append(far)))
    with opened(tmp_path) as book:
        _, data, document = book.page("acme-shop")
        assert document.outputs_by_id["far"].enabled_environments == ()
        [first, _] = [each for each in caplog.records if each.levelname == "ERROR"]
        assert problem in first.getMessage()
        assert "hidden" not in first.getMessage()
        data["outputs"][-1]["environments"]["production"]["enabled"] = True
        with pytest.raises(ConfigError, match=problem):
            edit(book, data)


def test_nothing_of_a_secret_lies_on_disk(tmp_path: Path) -> None:
    with opened(tmp_path) as book:
        apply(book, shop(setting("inputs.0.keys.0.secret", "very-secret-secret")))
        assert "very-secret-secret" not in repr(book.page("acme-shop")[0])
    assert b"very-secret-secret" not in (tmp_path / "data.mdb").read_bytes()


def test_another_master_key_is_refused_by_name(tmp_path: Path) -> None:
    with opened(tmp_path) as book:
        apply(book, shop())
    with pytest.raises(ConfigError, match="master_key"), opened(tmp_path, "x" * 32):
        pass


def test_applying_the_same_again_makes_no_revision(tmp_path: Path) -> None:
    with opened(tmp_path) as book:
        for _ in range(2):
            apply(book, shop())
        assert [each.number for each in book.revisions("acme-shop")] == [1]


def test_documents_change_together_or_not_at_all(tmp_path: Path) -> None:
    """spec/connections.md, worked case 39: not even the valid parts."""
    with opened(tmp_path) as book:
        apply(book, shop(), other())
        clashing = {**other(), "inputs": [{**shop()["inputs"][0], "id": "mine"}]}
        renamed = shop(setting("workspace.name", "Renamed"))
        with pytest.raises(ConfigError, match="already used by"):
            apply(book, renamed, clashing)
        unknown = shop(setting("workspace.name", "Renamed"), setting("connections.2.output", "bsu"))
        with pytest.raises(ConfigError) as error:
            apply(book, unknown)
        assert error.value.lines() == ["connections[2].output: no output with id 'bsu'"]
        assert [each.revision for each in book.served] == [1, 1]
        assert book.served[0].document.workspace.name == "Acme Shop"


def test_what_a_file_does_not_have_stays_and_is_nobodys(tmp_path: Path) -> None:
    """spec/connections.md, worked case 40: only with `prune` it goes."""
    with opened(tmp_path) as book:
        apply(book, shop())
        less = shop(lambda data: data["connections"].pop(1))
        assert book.draft_of_file(less, prune=False).differences == ()
        pruned = book.draft_of_file(less, prune=True)
        assert [each.line() for each in pruned.differences] == ["- connection web-lake"]
        apply(book, less)
        [served] = book.served
        assert [each.id for each in served.document.connections] == [
            "web-hook",
            "crm-lake",
            "web-lake",
        ]
        assert served.owned["connections"] == {"web-hook", "crm-lake"}


def add_lake(data: Data) -> None:
    data["connections"].append({"id": "ios-lake", "input": "ios", "output": "lake"})


def without(*names: str) -> Change:
    """Make the change that takes connections out of a document."""

    def change(data: Data) -> None:
        data["connections"] = [each for each in data["connections"] if each["id"] not in names]

    return change


def pruned(book: Book, data: Data) -> list[str]:
    """Return what an apply with `prune` would do."""
    return [each.line() for each in book.draft_of_file(data, prune=True).differences]


def test_pruning_deletes_what_came_with_a_file_and_nothing_else(tmp_path: Path) -> None:
    """spec/connections.md, 10: also what has left it before, and after a restart."""
    with opened(tmp_path) as book:
        apply(book, shop())
        edit(book, shop(add_lake), owned=book.served[0].owned)
        assert pruned(book, shop()) == []
        assert pruned(book, shop(without("web-lake"))) == ["- connection web-lake"]
        apply(book, shop(without("web-lake")))
    with opened(tmp_path) as book:
        assert pruned(book, shop(without("web-lake"))) == ["- connection web-lake"]
        assert pruned(book, shop(without("web-lake", "crm-lake"))) == [
            "- connection crm-lake",
            "- connection web-lake",
        ]
        book.write([book.draft_of_file(shop(without("web-lake")), prune=True)], Author("ops"))
        names = [each.id for each in book.served[0].document.connections]
        assert names == ["web-hook", "crm-lake", "ios-lake"]


def test_what_the_api_makes_anew_is_not_what_a_file_had(tmp_path: Path) -> None:
    with opened(tmp_path) as book:
        apply(book, shop())
        for change in (without("web-lake"), without()):
            edit(book, shop(change), owned=book.served[0].owned)
        assert pruned(book, shop(without("web-lake"))) == []


def test_what_both_a_file_and_the_api_have_had_a_file_had(tmp_path: Path) -> None:
    """Once a file has it, it is the file's."""
    with opened(tmp_path) as book:
        apply(book, shop())
        edit(book, shop(add_lake), owned=book.served[0].owned)
        apply(book, shop(add_lake))
        assert pruned(book, shop()) == ["- connection ios-lake"]


def test_what_came_with_the_example_is_no_files_and_can_be_pruned(tmp_path: Path) -> None:
    with opened(tmp_path) as book:
        book.write(book.drafts_of_files([shop()], "example"), Author("ops"))
        assert "connections" not in book.served[0].owned
        assert pruned(book, shop(without("web-lake"))) == ["- connection web-lake"]


def laid_over(book: Book, data: Data) -> list[str]:
    """Return what an operator's file would do."""
    return [each.line() for [draft] in [book.drafts_of_files([data])] for each in draft.differences]


def test_the_first_file_replaces_the_example_and_a_second_one_nothing(tmp_path: Path) -> None:
    with opened(tmp_path) as book:
        book.write(book.drafts_of_files([shop()], "example"), Author("ops"))
        assert laid_over(book, shop(without("web-lake"))) == ["- connection web-lake"]
        apply(book, shop())  # the same: a file has it from now on, in the same revision
        assert (book.served[0].revision, laid_over(book, shop(without("web-lake")))) == (1, [])


def test_an_example_that_was_edited_stays_when_a_file_is_laid_over_it(tmp_path: Path) -> None:
    """Somebody works with it: only a prune takes it away."""
    with opened(tmp_path) as book:
        book.write(book.drafts_of_files([shop()], "example"), Author("ops"))
        edit(book, shop(add_lake), owned=book.served[0].owned)
        assert laid_over(book, shop(without("web-lake"))) == []


def test_what_an_earlier_version_stored_is_pruned_by_its_last_file(tmp_path: Path) -> None:
    """It did not keep what came with files before; that stays."""
    with opened(tmp_path) as book:
        apply(book, shop())
        apply(book, shop(without("web-lake")))
    with closing(Store(tmp_path, MAP_SIZE)) as store, store.write() as txn:
        *_, (key, encoded) = txn.scan("revisions", prefix=b"acme-shop")
        *members, _ = msgspec.msgpack.decode(encoded)
        txn.put("revisions", key, msgspec.msgpack.encode(members))
    with opened(tmp_path) as book:
        assert pruned(book, shop(without("web-lake", "crm-lake"))) == ["- connection crm-lake"]


def test_numbers_stay_and_those_of_deleted_connections_are_nobodys(tmp_path: Path) -> None:
    with opened(tmp_path) as book:
        apply(book, shop())
        edit(book, shop(lambda data: data["connections"].pop(0)))
        assert book.served[0].numbers.connections["web-lake"] == 2
        edit(book, shop())
        numbers = book.served[0].numbers
        assert numbers.connections["web-hook"] == 4
        assert numbers.inputs == {"web": 1, "ios": 2, "crm": 3}


def test_the_last_hundred_revisions_are_kept(tmp_path: Path) -> None:
    with opened(tmp_path) as book:
        apply(book, shop())
        for number in range(KEPT + 1):
            edit(book, shop(setting("workspace.name", f"Shop {number}")))
        kept = book.revisions("acme-shop")
        assert [each.number for each in kept] == list(range(3, KEPT + 3))
        assert book.former("acme-shop", 2) is None
        found = book.former("acme-shop", 50)
        assert found is not None
        assert found[1]["workspace"]["name"] == "Shop 48"


def test_objects_know_who_made_and_changed_them(tmp_path: Path) -> None:
    with opened(tmp_path) as book:
        apply(book, shop())
        draft = book.draft("acme-shop", shop(setting("connections.0.active", False)), {}, "api")
        book.write([draft], Author("ann"))
        stamps = book.page("acme-shop")[0].stamps
        changed, same = stamps["connections/web-hook"], stamps["connections/web-lake"]
        assert (changed.created_by, changed.modified_by, changed.revision) == ("ops", "ann", 2)
        assert (same.modified_by, same.revision) == ("ops", 1)


def test_a_new_workspace_and_another_strategy_need_a_start(tmp_path: Path) -> None:
    with opened(tmp_path) as book:
        apply(book, shop())
        for document in (other(), shop(setting("identity.strategy", "profile_conversion"))):
            drafts = book.drafts_of_files([document])
            book.check(drafts, is_running=False)
            with pytest.raises(ConfigError, match="start"):
                book.check(drafts, is_running=True)


PURPOSES = "workspace.regulations.gdpr.purposes"


@pytest.mark.parametrize(
    ("gdpr", "left_out"),
    [
        pytest.param({"enabled": True, "purposes": ["ads"]}, ["mail"], id="removed"),
        pytest.param({"enabled": True, "purposes": ["ads", "post"]}, ["mail"], id="renamed"),
        pytest.param({"enabled": False}, ["ads", "mail"], id="removed while it is off"),
        pytest.param({"enabled": False, "purposes": ["mail", "ads"]}, [], id="switched off"),
        pytest.param({"enabled": True, "purposes": ["ads", " Mail", "x"]}, [], id="added to"),
        pytest.param(None, ["ads", "mail"], id="not spoken of"),
    ],
)
@pytest.mark.parametrize("is_running", [True, False])
def test_a_purpose_is_never_removed(
    gdpr: Data | None, left_out: list[str], is_running: bool, tmp_path: Path
) -> None:
    """spec/privacy.md, 1: an edit that removes one is refused, and a file leaves it as it is."""
    had = setting("workspace.regulations", {"gdpr": {"enabled": True, "purposes": ["ads", "mail"]}})
    with opened(tmp_path) as book:
        apply(book, shop(had))
        data = shop(setting("workspace.regulations", {} if gdpr is None else {"gdpr": gdpr}))
        problems: list[tuple[str, str]] = []
        try:
            book.check([book.draft("acme-shop", data, {}, "api")], is_running=is_running)
        except ConfigError as error:
            problems = error.problems
        assert problems == [(PURPOSES, "Purposes cannot be removed.")] * bool(left_out)

        [draft] = book.drafts_of_files([data])
        book.check([draft], is_running=is_running)
        given = [each.strip().lower() for each in (gdpr or {}).get("purposes", [])]
        found = draft.document.workspace.regulations.gdpr
        assert list(found.purposes) == [*given, *left_out]
        assert found.enabled is bool(gdpr and gdpr["enabled"])


@pytest.mark.parametrize("gdpr", ["on", {"purposes": "ads"}, {"purposes": [7]}])
def test_purposes_that_are_none_are_refused_in_a_file_too(gdpr: Any, tmp_path: Path) -> None:
    had = setting("workspace.regulations", {"gdpr": {"enabled": True, "purposes": ["ads"]}})
    with opened(tmp_path) as book:
        apply(book, shop(had))
        with pytest.raises(ConfigError, match="gdpr"):
            book.drafts_of_files([shop(setting("workspace.regulations", {"gdpr": gdpr}))])


def test_a_workspace_that_was_left_out_comes_back_as_it_was(tmp_path: Path) -> None:
    with opened(tmp_path) as book:
        apply(book, shop(), other())
        book.serve(["acme-shop"])
        apply(book, shop())
        assert [each.info.id for each in book.served] == ["acme-shop"]
        book.serve(["acme-shop", "other"])
        apply(book, other())
        assert [each.info.number for each in book.served] == [1, 2]
        assert [each.revision for each in book.served] == [1, 1]
