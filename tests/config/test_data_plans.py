"""Data plans in workspace documents: their shape, their files, their quarantine outputs."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest

from actors.clock import ManualClock
from actors.pipeline.connection import ConnectionInfo
from actors.store.audit_log import Author
from actors.store.environment import Store
from config.book import Book
from config.compiled_outputs import output_plans
from config.compiled_workspaces import shard_options
from config.differences import Difference, differences
from config.errors import ConfigError
from config.load import parse_workspace, read_document
from config.numbers import retired
from config.sealing import Sealer
from config.served import ServedDocument
from config.settings import Settings
from tests.actors.plans.plans import Data, document
from tests.config.documents import Change, load, problems, setting, shop

QUARANTINE = "quarantine:web_plan:1:lake"


def plan(*versions: Data, **more: Any) -> Data:
    """Make a plan; by default with one version that is active in development."""
    return {"id": "web_plan", "name": "Web plan", "versions": list(versions or [version()]), **more}


def version(number: int = 1, **more: Any) -> Data:
    """Make a version with its document and the file output for quarantine."""
    return {
        "version": number,
        "activated_environment": "development",
        "document": document(),
        "quarantine_output": "lake",
        **more,
    }


def planned(*changes: Change) -> Data:
    """Return the shop's document with a plan, and with changes made to it."""
    return shop(setting("data_plans", [plan()]), *changes)


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    with closing(Store(tmp_path / "book", 64 * 1024 * 1024)) as store:
        yield Book(store, Sealer("m" * 32), Settings(data_dir=tmp_path), ManualClock(1000))


def apply(book: Book, data: Data, *, prune: bool = False) -> ServedDocument:
    """Apply a document as its file; return what is served then."""
    draft = book.draft_of_file(data, prune=prune)
    book.check([draft], is_running=book.served != [])
    book.write([draft], Author("ops"))
    return book.served[0]


def quarantines(served: ServedDocument) -> list[ConnectionInfo]:
    """Return the connections to quarantine outputs, as forwarders have them."""
    plans = output_plans(served.document, served.numbers)
    return [
        each for plan in plans for each in plan.connections if each.id.startswith("quarantine:")
    ]


def test_a_plan_is_part_of_a_document(tmp_path: Path) -> None:
    loaded = load(planned(), tmp_path)
    [found] = loaded.data_plans
    assert found.versions[0].document == document()


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("id", "Web plan", "id: must be 1 to 255 characters of a-z, 0-9, _ and -, the first not -"),
        ("name", "", "name: must not be empty or begin or end with a space"),
        ("versions", [], "versions: must not be empty"),
        ("versions.0.version", 0, "versions[0].version: must be between 1 and 2147483647"),
        (
            "versions.0.activated_environment",
            "prod",
            "versions[0].activated_environment: must be 'none', 'development' or 'production'",
        ),
        (
            "versions.0.quarantine_output",
            "nowhere",
            "versions[0].quarantine_output: no output with id 'nowhere'",
        ),
        (
            "versions.0.document.data_points.0.match.type",
            "event",
            "versions[0].document.data_points[0].match.type: must be one of custom_event, "
            "screen_view, product_action, promotion_action, product_impression, user_attributes, "
            "user_identities",
        ),
        (
            "versions.0.document.data_points.1.validator.definition",
            {"anyOf": []},
            "versions[0].document.data_points[1].validator.definition.anyOf: the keyword 'anyOf' "
            "is not supported",
        ),
        ("versions.0.document.points", [], "versions[0].document.points: unknown key"),
    ],
)
def test_what_is_wrong_is_placed(path: str, value: Any, problem: str, tmp_path: Path) -> None:
    data = planned(setting(f"data_plans.0.{path}", value))
    assert problems(data, tmp_path) == [f"data_plans[0].{problem}"]


def test_ids_names_and_versions_are_there_once(tmp_path: Path) -> None:
    twice = [plan(version(), version()), plan(name="web PLAN")]
    assert problems(shop(setting("data_plans", twice)), tmp_path) == [
        "data_plans[0].id: already used by another data plan",
        "data_plans[1].id: already used by another data plan",
        "data_plans[0].name: already used by data plan 'web_plan'",
        "data_plans[1].name: already used by data plan 'web_plan'",
        "data_plans[0].versions[1].version: another version has number 1",
    ]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"module": "log", "settings": {}}, "takes no raw batches"),
        ({"kind": "audience", "settings": {"url": "file:///x"}}, "takes no raw batches"),
        (
            {"settings": {"url": "file:///srv/lake", "format": "parquet"}},
            "does not keep batches whole: format must be ndjson",
        ),
        (
            {
                "module": "kafka",
                "settings": {"bootstrap_servers": "k:9093", "topic": "t", "value": "event_json"},
            },
            "does not keep batches whole: value must be batch_json",
        ),
        (
            {
                "module": "kafka",
                "settings": {"bootstrap_servers": "k:9093", "topic": "t.{event_type}"},
            },
            "does not keep batches whole: topic must not depend on the event type",
        ),
    ],
)
def test_quarantine_takes_outputs_of_whole_batches_alone(
    changes: Data, problem: str, tmp_path: Path
) -> None:
    output = {"id": "held", "kind": "event", "module": "file", "name": "Held", **changes}
    data = planned(
        setting("outputs.2", output), setting("data_plans.0.versions.0.quarantine_output", "held")
    )
    [line] = problems(data, tmp_path)
    assert line.startswith("data_plans[0].versions[0].quarantine_output: output 'held' ")
    assert problem in line


def test_a_document_may_be_in_a_file_of_its_own(tmp_path: Path) -> None:
    whole = {"version": 7, "data_plan_id": "web_plan", "version_document": document()}
    (tmp_path / "plans").mkdir()
    (tmp_path / "plans" / "v1.json").write_bytes(orjson.dumps(document()))
    (tmp_path / "plans" / "v2.json").write_bytes(orjson.dumps(whole))
    versions = [
        {"version": 1, "file": "plans/v1.json"},
        {"version": 2, "file": "plans/v2.json"},
    ]
    loaded = load(shop(setting("data_plans", [plan(*versions)])), tmp_path)
    assert [each.document for each in loaded.data_plans[0].versions] == [document()] * 2
    read = read_document(tmp_path / "workspace.yaml", {})
    assert read["data_plans"][0]["versions"][0] == {"version": 1, "document": document()}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "v1.json cannot be read: No such file or directory"),
        ("{", "v1.json is not JSON: line 1, column 2"),
        ("[]", "v1.json must hold an object"),
    ],
)
def test_files_that_are_wrong_are_named(content: str | None, problem: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "v1.json").write_text(content)
    data = shop(setting("data_plans", [plan({"version": 1, "file": "v1.json"})]))
    assert problems(data, tmp_path) == [f"data_plans[0].versions[0].file: {problem}"]


def test_a_file_is_looked_for_where_the_document_is_alone(tmp_path: Path) -> None:
    data = shop(setting("data_plans", [plan({"version": 1, "file": "/etc/passwd"})]))
    with pytest.raises(ConfigError) as caught:
        parse_workspace(data)
    [line] = caught.value.lines()
    assert line.startswith("data_plans[0].versions[0]: file: placeholders are put in by")
    both = plan({"version": 1, "file": "v1.json", "document": {}})
    assert problems(shop(setting("data_plans", [both])), tmp_path) == [
        "data_plans[0].versions[0].file: there is a document, too"
    ]


def test_active_versions_of_an_account_have_a_quota(tmp_path: Path) -> None:
    size = len(orjson.dumps(document()))
    two = [version(1), version(2), version(3, activated_environment="none")]
    data = shop(setting("data_plans", [plan(*two)]))
    for quota, expected in (
        (2 * size, []),
        (
            2 * size - 1,
            ["data_plans[0].versions[1].activated_environment: Data plan memory quota exceeded."],
        ),
    ):
        data["workspace"]["limits"] = {"data_plan_bytes": quota}
        assert problems(data, tmp_path) == expected


def test_shards_get_active_versions_with_their_quarantine(book: Book) -> None:
    versions = [version(1), version(2, activated_environment="none"), version(3)]
    versions[2].pop("quarantine_output")
    served = apply(book, shop(setting("data_plans", [plan(*versions)])))
    options = shard_options(served, 2)
    [found] = options.plans
    assert [(each.version, each.environment) for each in found.versions] == [
        (1, "development"),
        (3, "development"),
    ]
    first, third = found.versions
    assert orjson.loads(first.document) == document()
    assert third.quarantine is None
    assert first.quarantine is not None
    assert first.quarantine.id == QUARANTINE
    assert first.quarantine.number == served.numbers.connections[QUARANTINE]
    assert options.queue_limits[first.quarantine.number] == 4 * 1024**3 // 2
    assert first.quarantine not in options.connections
    # What waits for a version that is not active any more is held.
    assert [(each.id, each.is_active) for each in quarantines(served)] == [
        (QUARANTINE, True),
        ("quarantine:web_plan:2:lake", False),
    ]


def test_numbers_of_quarantines_are_nobody_elses(book: Book) -> None:
    served = apply(book, planned())
    numbers = served.numbers.connections
    assert numbers == {"web-hook": 1, "web-lake": 2, "crm-lake": 3, QUARANTINE: 4}
    assert served.numbers.data_plans == {"web_plan": 1}
    more = {"id": "ios-lake", "input": "ios", "output": "lake"}
    served = apply(book, planned(setting("connections.3", more)))
    assert served.numbers.connections["ios-lake"] == 5


@pytest.mark.parametrize(
    "versions",
    [[version(2)], [version(quarantine_output="hook")], [version(quarantine_output=None)]],
    ids=["another version", "another output", "no output"],
)
def test_a_quarantine_that_is_gone_is_never_anothers(versions: list[Data], book: Book) -> None:
    number = apply(book, planned()).numbers.connections[QUARANTINE]
    served = apply(book, planned(setting("data_plans.0.versions", versions)))
    assert QUARANTINE not in served.numbers.connections
    assert number in retired(served.numbers.connections)
    assert number in shard_options(served, 1).dropped
    again = apply(book, planned())
    assert again.numbers.connections[QUARANTINE] not in (0, number)


def test_case_21_a_version_in_production_is_locked(book: Book) -> None:
    """Until the change that takes it out of production."""
    apply(book, planned(setting("data_plans.0.versions.0.activated_environment", "production")))
    other = document(event="drop_event")
    changed = version(document=other, activated_environment="production")
    with pytest.raises(ConfigError) as caught:
        apply(book, planned(setting("data_plans.0.versions.0", changed)))
    assert caught.value.lines() == [
        "data_plans[0].versions[0].document: Version 1 of plan ID web_plan is active in prod and "
        "cannot be changed."
    ]
    served = apply(book, planned(setting("data_plans.0.versions.0.document", other)))
    assert served.document.data_plans[0].versions[0].document == other


def test_deleting_what_is_in_production_is_dangerous(tmp_path: Path) -> None:
    before = load(
        planned(setting("data_plans.0.versions.0.activated_environment", "production")), tmp_path
    )
    without = load(shop(setting("data_plans", [plan(version(2))])), tmp_path)
    danger = "deletes what is active in prod: 1"
    assert differences(before, without) == [
        Difference("update", "data_plans", "web_plan", ("versions",), danger)
    ]
    assert differences(before, load(shop(), tmp_path)) == [
        Difference("delete", "data_plans", "web_plan", (), danger)
    ]


def test_a_document_survives_a_restart_and_shows_no_secret(tmp_path: Path) -> None:
    written = document()
    written["data_points"][0]["validator"]["definition"]["properties"]["token"] = {"const": "x"}
    data = planned(setting("data_plans.0.versions.0.document", written))
    with closing(Store(tmp_path / "book", 64 * 1024 * 1024)) as store:
        first = Book(store, Sealer("m" * 32), Settings(data_dir=tmp_path), ManualClock(1000))
        apply(first, data)
        again = Book(store, Sealer("m" * 32), Settings(data_dir=tmp_path), ManualClock(1000))
        assert again.served[0].document.data_plans == first.served[0].document.data_plans
    assert (
        json.loads(json.dumps(written))
        == again.served[0].document.data_plans[0].versions[0].document
    )
