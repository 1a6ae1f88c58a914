"""Schemas of bodies beside the readers that handlers have of them: they refuse the same."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any, NamedTuple

import jsonschema
import pytest
from jsonschema.protocols import Validator

from actors.audiences.objects import Journey
from actors.errors import AudienceRefused, CalculatedRefused, ConfigurationRefused
from actors.groups.definitions import GroupAttribute, GroupDefinition, KeptDefinition
from server import audience_bodies, audience_connection_bodies, audience_sharing_bodies
from server.audience_views import shown_journey
from server.calculated_bodies import read_preview
from server.dead_letter_filter import selection_of
from server.group_definitions import read_definition, shown_definition
from server.openapi.schemas import referenced
from server.problems import Refused
from server.routes.output_filters import read_targets
from tests.actors.calculated.builders import definition_json
from tests.server.conftest import T

REFUSALS = (AudienceRefused, CalculatedRefused, ConfigurationRefused, Refused)
OTHERS: tuple[Any, ...] = (
    None,
    True,
    1.5,
    -1,
    0,
    1,
    2**63,
    "",
    "word",
    "x" * 5000,
    [],
    [None],
    {},
    {"a": 1},
)
UNKNOWN = "no_member_of_anything"

GROUP = KeptDefinition(
    number=1,
    definition=GroupDefinition("g", "", "plan", (GroupAttribute("age", "sum"),)),
    created_ms=T,
)
SHOWN_GROUP = shown_definition(GROUP)
NEW_GROUP = {name: SHOWN_GROUP[name] for name in ("id", "source_user_attribute", "attributes")}
JOURNEY = shown_journey(
    Journey(
        number=1,
        name="Start",
        inputs=(1, 2),
        milestones=(),
        next_milestone=1,
        created_by="app",
        created_ms=T,
        last_modified_by="app",
        last_modified_ms=T,
    )
) | {"inputs": [1, 2]}
SHARING = {"default_level": "usable", "accounts": [{"account_id": 2, "level": "owner"}]}


class Case(NamedTuple):
    """A schema, the reader of its bodies, and one of them.

    `apart`: members whose values are not compared, as a reader looks up what they name, or leaves
    them to others.
    """

    schema: str
    read: Callable[[dict[str, Any]], object]
    body: dict[str, Any]
    apart: frozenset[str] = frozenset()


def _numbers(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda body: audience_bodies.read_numbers(body, name)


def _subscription(*, is_new: bool) -> Callable[[dict[str, Any]], object]:
    return lambda body: audience_connection_bodies.read_subscription(body, is_new=is_new)


def _milestone(*, is_new: bool) -> Callable[[dict[str, Any]], object]:
    return lambda body: audience_connection_bodies.read_milestone(body, is_new=is_new)


CONNECTED = {"is_active": True, "settings": {"a": 1}, "shared_user_attributes": ["plan"]}
SUBSCRIPTION = {"output_id": 4, "variant": "A", "id": 1, "fault": None, **CONNECTED}
MILESTONE = {"id": 1, "name": "First", "position": 0, "kind": "criteria", "parent_id": 1}
DEFINITION = frozenset({"definition"})
CASES = [
    Case(
        "Audience",
        lambda body: audience_bodies.read_audience(body, is_new=False),
        {
            "id": 1,
            "name": "All",
            "type": "standard",
            "environment": "production",
            "workspaces": [3],
            "inputs": [1],
            "tags": ["a"],
            "range": {"start": "2026-01-01", "end": "latest"},
            "definition": {},
        },
        DEFINITION,
    ),
    Case("AudienceNumbers", _numbers("audience_ids"), {"audience_ids": [1, 2]}),
    Case("SubscriptionNumbers", _numbers("subscription_ids"), {"subscription_ids": [1]}),
    Case(
        "TestVariations",
        audience_bodies.read_test,
        {"variations": [{"name": "A", "percentage": 50}, {"name": "B", "percentage": 0.29}]},
    ),
    Case(
        "DownloadOrder",
        audience_bodies.read_download,
        {"identity_types": ["email"], "variants": ["A"]},
        frozenset({"identity_types"}),
    ),
    Case("NewSubscription", _subscription(is_new=True), SUBSCRIPTION),
    Case("ChangedSubscription", _subscription(is_new=False), SUBSCRIPTION),
    Case(
        "BulkConnection",
        lambda body: audience_connection_bodies.read_bulk(body, 4),
        {"audience_ids": [1], **CONNECTED},
    ),
    Case(
        "Sharing",
        lambda body: audience_sharing_bodies.read_sharing(body, 2, {**SHARING, "requests": []}),
        {**SHARING, "requests": []},
        frozenset({"requests", "account_id"}),
    ),
    Case(
        "AccessRequest",
        lambda body: audience_sharing_bodies.read_access_request(body, "app", T),
        {
            "level": "usable",
            "start": "2026-01-01",
            "end": "2026-02-01",
            "details": "",
            "platforms": ["web"],
        },
    ),
    Case(
        "SharingDefault",
        audience_sharing_bodies.read_sharing_default,
        {
            "default_level": "private",
            "withheld_identities": [{"account_id": 7, "identity_types": ["email"]}],
        },
    ),
    Case("NewJourney", audience_connection_bodies.read_journey, {"name": "A", "inputs": [1]}),
    Case(
        "ChangedJourney",
        lambda body: audience_connection_bodies.read_journey(body, JOURNEY),
        JOURNEY,
        frozenset(JOURNEY) - {"name", "inputs"},
    ),
    Case("NewMilestone", _milestone(is_new=True), {**MILESTONE, "definition": {}}, DEFINITION),
    Case("ChangedMilestone", _milestone(is_new=False), MILESTONE),
    Case("GroupDefinition", read_definition, {**NEW_GROUP, "description": "All of a plan"}),
    Case(
        "ChangedGroupDefinition",
        lambda body: read_definition(body, GROUP),
        SHOWN_GROUP,
        frozenset({"id", "created_on", "last_run_on"}),
    ),
    Case(
        "CalculatedPreview",
        lambda body: read_preview(body, False, T),
        {"definition": definition_json("count"), "mpids": [1, -5], "as_of": "2026-01-01"},
        frozenset({"definition", "as_of"}),
    ),
    Case("FilterTargets", read_targets, {"to": [5, "hook"]}),
    Case("DeadLetterSelection", selection_of, {"all": True}),
    Case("DeadLetterSelection", selection_of, {"ids": ["dl_1"]}),
    Case(
        "DeadLetterSelection",
        selection_of,
        {"filter": {"reason": "rejected", "http_status": 400, "mpid": "12", "from": 1, "to": None}},
        frozenset({"from", "to"}),
    ),
]


def validator_of(name: str) -> Validator:
    """Return what checks bodies by a schema of the document."""
    schemas = {"components": {"schemas": referenced([name])}}
    return jsonschema.Draft202012Validator({"$ref": f"#/components/schemas/{name}", **schemas})


def is_read(case: Case, body: dict[str, Any]) -> bool:
    """Tell whether a reader takes a body; what it raises otherwise has to be a refusal."""
    try:
        case.read(body)
    except REFUSALS:
        return False
    return True


def spoilt(body: Any, apart: frozenset[str]) -> Iterator[Any]:
    """Yield copies of a body: with an unknown member, without one, and with each replaced."""
    places: list[tuple[Any, Any]] = []
    if isinstance(body, dict):
        yield {**body, UNKNOWN: 1}
        places = [(name, each) for name, each in body.items() if name not in apart]
        for name in body:
            yield {key: each for key, each in body.items() if key != name}
    elif isinstance(body, list):
        places = list(enumerate(body))
    for place, each in places:
        for other in (*OTHERS, *spoilt(each, apart)):
            changed = deepcopy(body)
            changed[place] = other
            yield changed


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.schema} {'+'.join(case.body)}")
def test_a_schema_takes_what_its_reader_takes_and_nothing_else(case: Case) -> None:
    check = validator_of(case.schema)
    assert check.is_valid(case.body)
    assert is_read(case, case.body)
    assert not check.is_valid({**case.body, UNKNOWN: 1})
    verdicts = [
        (check.is_valid(body), is_read(case, body), body) for body in spoilt(case.body, case.apart)
    ]
    assert [each for each in verdicts if each[0] != each[1]] == []


@pytest.mark.parametrize(
    ("schema", "required"),
    [
        ("NewSubscription", {"output_id"}),
        ("NewJourney", {"name"}),
        ("NewMilestone", {"name"}),
        ("GroupDefinition", {"id", "source_user_attribute", "attributes"}),
        ("CalculatedPreview", {"definition", "mpids"}),
    ],
)
def test_a_new_object_has_to_have_members_that_a_changed_one_need_not(
    schema: str, required: set[str]
) -> None:
    assert set(referenced([schema])[schema]["required"]) == required


def test_a_filter_is_replaced_by_its_switches_or_by_all_of_them_at_once() -> None:
    check = validator_of("FilterChange")
    for body in ({}, {"all": True}, {"screens": {"disabled": ["Home"]}}):
        assert check.is_valid(body), body
    for wrong in (
        {"all": 1},
        {"all": True, "screens": {}},
        {"screens": ["Home"]},
        {"user_attributes": {"all": "no"}},
        {UNKNOWN: 1},
    ):
        assert not check.is_valid(wrong), wrong


def test_a_part_of_the_document_is_not_what_the_api_takes_of_the_same_name() -> None:
    """An audience of the document has tests and subscriptions; the API has them apart."""
    schemas = referenced(["WorkspaceDocument", "Audience", "DataPlan", "CalculatedAttribute"])
    assert "tests" not in schemas["Audience"]["properties"]
    assert "tests" in schemas["DocumentAudience"]["properties"]
    items = schemas["WorkspaceDocument"]["properties"]["audiences"]["items"]
    assert items == {"$ref": "#/components/schemas/DocumentAudience"}
    assert "data_plan_id" in schemas["DataPlan"]["properties"]
