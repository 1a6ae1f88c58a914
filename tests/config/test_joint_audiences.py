"""Audiences over several workspaces in documents (spec/audiences.md, 2 and 5, rule 12)."""

import copy
from pathlib import Path
from typing import Any

import pytest

from config.audience_catalog import audience_catalog
from config.load import load_workspaces, validate_files
from config.numbers import KeptNumbers, assign_all
from config.workspace import WorkspaceDocument
from tests.config.documents import Change, Data, setting
from tests.config.test_audiences import LTV
from tests.config.test_deployment import of, problems, scope, write

COUNTED = {"type": "event", "event_type": "custom_event", "event_name": "Bought"}
EVERYWHERE = {
    "and": [
        {**COUNTED, "workspace_ids": ["b2b"], "input_ids": ["b2b/web"]},
        {
            "type": "calculated_attribute",
            "name": "lifetime_value",
            "operator": "equals",
            "value": 5,
        },
    ]
}
JOINT: Data = {
    "id": "everywhere",
    "name": "Everywhere",
    "workspaces": ["shop", "b2b"],
    "inputs": ["web", "b2b/web"],
    "definition": EVERYWHERE,
}


BOUGHT = {"event_type": "custom_event", "data": {"event_name": "Bought"}}
TEST = {"name": "t", "expect": "not_member"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that relative paths of a test are in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def joint(*changes: Change, others: list[Data] | None = None) -> Data:
    """Make the document of the workspace that has the audience, in a scope that both share."""
    audiences = [copy.deepcopy(JOINT), *(others or ())]
    return of("shop", scope("people"), setting("audiences", audiences), *changes)


def other(*changes: Change) -> Data:
    """Make the document of the other workspace; its calculated attribute is read too."""
    attributes = setting("calculated_attributes", [copy.deepcopy(LTV)])
    return of("b2b", scope("people"), attributes, *changes)


def test_an_audience_over_several_workspaces_names_what_is_of_each() -> None:
    documents: tuple[WorkspaceDocument, ...] = load_workspaces(write(a=joint(), b=other()), {})
    _, (numbers, _) = assign_all(documents, KeptNumbers())
    [audience] = audience_catalog(documents[0], numbers).audiences
    assert audience.workspaces == (1, 2)
    assert audience.inputs == (1, 4)  # numbers of inputs are of the whole deployment
    [event, _] = audience.definition["and"]
    assert (event["workspace_ids"], event["input_ids"]) == ([2], [4])


CRITERION = "audiences.0.definition.and.0"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            setting("audiences.0.workspaces", ["b2b", "none"]),
            "workspaces: 'shop', in whose document",
        ),
        (setting("audiences.0.workspaces", ["none"]), "workspaces: 'shop', in whose document"),
        (setting("audiences.0.workspaces", ["shop", "b2b", "b2b"]), "workspaces[1]: listed twice"),
        (
            setting("audiences.0.workspaces", ["shop", "b2b", "none"]),
            "workspaces[2]: no workspace with id 'none' in the documents",
        ),
        (setting("audiences.0.inputs", ["web", "b2b/none"]), "inputs[1]: no input with id 'none'"),
        (setting("audiences.0.inputs", ["b2b/web", "wbe"]), "inputs[1]: no input with id 'wbe'"),
        (
            setting("audiences.0.inputs", ["b2b/web", "c/web"]),
            "inputs[1]: 'c' is no workspace of the audience",
        ),
        (setting("audiences.0.inputs", ["b2b/"]), "inputs[0]: must be the id of an input"),
        (setting(f"{CRITERION}.input_ids", ["ios"]), "definition.and[0].input_ids[0]"),
        (setting(f"{CRITERION}.workspace_ids", ["c"]), "definition.and[0].workspace_ids[0]"),
        (setting("audiences.0.definition.and.1.name", "none"), "definition.and[1].name"),
        (
            setting("audiences.0.tests", [TEST | {"workspaces": {"none": {}}}]),
            "tests[0].workspaces.none: 'none' is no other workspace of the audience",
        ),
        (
            setting("audiences.0.tests", [TEST | {"workspaces": {"shop": {}}}]),
            "tests[0].workspaces.shop: 'shop' is no other workspace of the audience",
        ),
        (
            setting("audiences.0.tests", [TEST | {"events": [BOUGHT | {"input": "b2b/none"}]}]),
            "tests[0].events[0].input: no input with id 'none' in workspace 'b2b'",
        ),
        (
            setting("audiences.0.tests", [TEST | {"events": [BOUGHT | {"input": "shop/none"}]}]),
            "tests[0].events[0].input: no input with id 'none'",
        ),
        (
            setting("audiences.0.tests", [TEST | {"events": [BOUGHT | {"input": "c/web"}]}]),
            "tests[0].events[0].input: 'c' is no workspace of the audience",
        ),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(change: Change, problem: str) -> None:
    found = problems(a=joint(change), b=other())
    assert any(each.startswith(f"a.yaml:audiences[0].{problem}") for each in found), found


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (setting("account", {"id": "beta", "name": "Beta"}), "'b2b' is of another account"),
        (scope("others"), "'b2b' has another identity scope, thus other users"),
    ],
)
def test_the_workspaces_are_of_one_account_and_have_the_same_users(
    change: Change, problem: str
) -> None:
    found = problems(a=joint(), b=other(change))
    assert f"a.yaml:audiences[0].workspaces[1]: {problem}" in found


def test_events_hidden_in_one_of_the_workspaces_are_not_seen() -> None:
    tiers = setting(
        "workspace.event_tiers", {"overrides": [{"event": "Bought", "tier": "connect"}]}
    )
    [found] = problems(a=joint(), b=other(tiers))
    assert found.startswith(
        "a.yaml:audiences[0].definition.and[0].event_name: names an event of tier connect"
    )


def test_what_is_wrong_with_the_other_document_is_told_alone() -> None:
    broken = other(setting("inputs.0.kind", "fed"))
    assert problems(a=joint(), b=broken) == ["b.yaml:inputs[0].kind: must be 'platform' or 'feed'"]


def test_only_an_audience_over_several_can_ask_for_one_that_is() -> None:
    def asking(**members: Any) -> Data:
        asks = {
            "type": "audience_membership",
            "audience_id": "everywhere",
            "operator": "is_member",
        }
        return {"id": "asks", "name": "Asks", "definition": asks, **members}

    assert problems(a=joint(others=[asking(workspaces=["shop", "b2b"])]), b=other()) == []
    [found] = problems(a=joint(others=[asking()]), b=other())
    assert found.startswith("a.yaml:audiences[1].definition.audience_id: is over several")


# -- Tests of them ---------------------------------------------------------------------------------


def tried(definition: Data, *tests: Data, more: tuple[Data, ...] = ()) -> list[str]:
    """Return what validation says of an audience's tests, beside further audiences."""
    audience = {**JOINT, "inputs": [], "definition": definition, "tests": list(tests)}
    audiences = [audience, *more]
    shop = of("shop", scope("people"), setting("audiences", audiences))
    return validate_files(write(a=shop, b=other()), {})


PREMIUM: Data = {
    "type": "user_attribute",
    "id": "premium",
    "attribute_name": "status",
    "value_type": "string",
    "operator": "equals",
    "value": "premium",
}
TWICE = {**COUNTED, "frequency": {"operator": "greater_or_equal", "value": 2}}
THERE: Data = {"b2b": {"attributes": {"status": "premium"}}}


def is_member(**known: Any) -> Data:
    return {"name": "in", "expect": "member", **known}


def is_none(**known: Any) -> Data:
    return {"name": "out", "expect": "not_member", **known}


def test_a_test_says_what_each_workspace_knows() -> None:
    """A criterion holds if it does in any (rule 12), and `workspace_ids` narrow it."""
    assert tried(PREMIUM, is_member(workspaces=THERE)) == []
    assert tried(PREMIUM, is_member(attributes={"status": "premium"})) == []
    narrow = {**PREMIUM, "workspace_ids": ["shop"]}
    assert tried(narrow, is_none(workspaces=THERE)) == []
    [problem] = tried(narrow, is_member(workspaces=THERE))
    assert problem == (
        "a.yaml:audiences[0].tests[0]: 'in': the user is no member; criteria in their order: "
        "premium is false"
    )


def test_events_of_a_test_are_pooled_over_the_workspaces() -> None:
    here, there = BOUGHT | {"input": "shop/web"}, BOUGHT | {"input": "b2b/web"}
    assert tried(TWICE, is_member(events=[here, there]), is_none(events=[there])) == []
    narrow = {**TWICE, "input_ids": ["b2b/web"]}
    assert tried(narrow, is_none(events=[here, there]), is_member(events=[there, there])) == []


def test_who_was_not_seen_in_a_workspace_lacks_nothing_there() -> None:
    """`not_exists` asks for a section that lacks the attribute; there is only one here."""
    lacking = {key: each for key, each in PREMIUM.items() if key != "value"}
    lacking["operator"] = "not_exists"
    assert tried(lacking, is_none(workspaces=THERE), is_member()) == []


def test_a_calculated_attribute_of_the_other_workspace_counts() -> None:
    spent = {
        "type": "calculated_attribute",
        "name": "lifetime_value",
        "operator": "equals",
        "value": 5,
    }
    bought = {
        "event_type": "commerce_event",
        "input": "b2b/web",
        "data": {
            "custom_attributes": {"Total Amount": "5"},
            "product_action": {"action": "purchase"},
        },
    }
    assert tried(spent, is_member(events=[bought]), is_none()) == []


def test_a_test_asks_for_other_audiences_of_one_workspace_and_of_several() -> None:
    single: Data = {"id": "single", "name": "Single", "definition": PREMIUM}
    several = JOINT | {"id": "several", "name": "Several", "inputs": [], "definition": TWICE}
    for target, known, others in (
        ("single", {"attributes": {"status": "premium"}}, {"workspaces": THERE}),
        ("several", {"events": [BOUGHT, BOUGHT | {"input": "b2b/web"}]}, {"events": [BOUGHT]}),
    ):
        asked = {"type": "audience_membership", "audience_id": target, "operator": "is_member"}
        found = tried(asked, is_member(**known), is_none(**others), more=(single, several))
        assert found == []
