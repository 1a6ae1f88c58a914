"""Integer ids: given once, in the order of the document, and never to anything else."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import ConfigError
from config.numbers import (
    KeptNumbers,
    Numbers,
    ObjectNumbers,
    assign_all,
    assign_numbers,
    decode_numbers,
    encode_numbers,
)
from config.workspace import WorkspaceDocument
from tests.config.documents import load, setting, shop


def with_inputs(*ids: str, **fixed: int) -> WorkspaceDocument:
    """A document with these inputs, some of them with a number of their own."""
    return workspace("shop", *ids, fixed=fixed)


def workspace(
    name: str, *ids: str, scope: str | None = None, fixed: Mapping[str, int] | None = None
) -> WorkspaceDocument:
    """A document of this workspace with these inputs."""
    fixed = fixed or {}
    inputs = [
        {
            "id": each,
            "kind": "feed",
            "name": each,
            "keys": [{"key": f"us1-key-{name}-{each}", "secret": "x"}],
            **({"number": fixed[each]} if each in fixed else {}),
        }
        for each in ids
    ]
    return WorkspaceDocument.model_validate(
        shop(
            setting("workspace", {"id": name, "name": name, "identity_scope": scope}),
            setting("inputs", inputs),
            setting("outputs", []),
            setting("connections", []),
        )
    )


def test_numbers_follow_the_order_of_the_document(tmp_path: Path) -> None:
    """spec/connections.md, 10."""
    assert assign_numbers(load(shop(), tmp_path), Numbers()) == Numbers(
        accounts={"acme": 1},
        workspaces={"acme-shop": 1},
        scopes={"acme-shop": 1},
        inputs={"web": 1, "ios": 2, "crm": 3},
        outputs={"hook": 1, "lake": 2},
        connections={"web-hook": 1, "web-lake": 2, "crm-lake": 3},
        all_inputs={"acme-shop/web": 1, "acme-shop/ios": 2, "acme-shop/crm": 3},
    )


def test_a_number_in_the_document_is_taken_and_the_others_go_around_it() -> None:
    numbers = assign_numbers(with_inputs("a", "b", "c", c=1), Numbers())
    assert numbers.inputs == {"c": 1, "a": 2, "b": 3}


def test_what_has_a_number_keeps_it_wherever_it_stands() -> None:
    known = assign_numbers(with_inputs("a", "b"), Numbers())
    assert assign_numbers(with_inputs("c", "b", "a"), known).inputs == {"a": 1, "b": 2, "c": 3}


def test_the_number_of_what_was_removed_is_given_to_nothing_else() -> None:
    known = assign_numbers(with_inputs("a", "b"), Numbers())
    later = assign_numbers(with_inputs("c"), known)
    assert later.inputs == {"a": 1, "b": 2, "c": 3}
    assert assign_numbers(with_inputs("a"), later).inputs["a"] == 1


@pytest.mark.parametrize(
    ("fixed", "expected"),
    [
        pytest.param(
            {"b": 5}, "inputs[1].number: 'b' already has number 2", id="differs from its own"
        ),
        pytest.param({"c": 1}, "inputs[2].number: number 1 belongs to 'a'", id="is another's"),
    ],
)
def test_a_number_that_cannot_be_taken_is_refused(fixed: dict[str, int], expected: str) -> None:
    known = assign_numbers(with_inputs("a", "b"), Numbers())
    with pytest.raises(ConfigError) as refused:
        assign_numbers(with_inputs("a", "b", "c", **fixed), known)
    assert str(refused.value) == expected


def test_the_account_and_the_workspace_have_numbers_too(tmp_path: Path) -> None:
    data = shop(setting("account.number", 10), setting("workspace.number", 20))
    numbers = assign_numbers(load(data, tmp_path), Numbers())
    assert (numbers.accounts, numbers.workspaces) == ({"acme": 10}, {"acme-shop": 20})


def test_kept_numbers_are_read_back() -> None:
    kept, _ = assign_all((with_inputs("a", "b"), workspace("b2b")), KeptNumbers())
    assert decode_numbers(encode_numbers(kept)) == kept


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"[]",
        b'{"scopes": {"a": "x"}}',
        b'{"inputs": {}}',
        b'{"objects": {"shop": {"inptus": {}}}}',
    ],
)
def test_damaged_numbers_are_an_error(damaged: bytes) -> None:
    with pytest.raises(ConfigError, match="the kept numbers are damaged"):
        decode_numbers(damaged)


ids = st.lists(st.sampled_from("abcdef"), unique=True)


@given(st.lists(ids, min_size=1, max_size=5))
def test_whatever_comes_and_goes_a_number_means_one_thing(history: list[list[str]]) -> None:
    numbers = Numbers()
    for document in history:
        before = numbers.inputs
        numbers = assign_numbers(with_inputs(*document), numbers)
        assert before.items() <= numbers.inputs.items()
        assert set(document) <= set(numbers.inputs)
        assert sorted(numbers.inputs.values()) == list(range(1, len(numbers.inputs) + 1))


# -- Several workspaces ---------------------------------------------------------------------------


def test_workspaces_are_numbered_together_and_so_are_their_inputs() -> None:
    """spec/audiences.md, 2: an audience can be about inputs of several workspaces."""
    _, (shop_numbers, b2b_numbers) = assign_all(
        (with_inputs("a", "b"), workspace("b2b", "b")), KeptNumbers()
    )
    for numbers in (shop_numbers, b2b_numbers):
        assert numbers.accounts == {"acme": 1}
        assert numbers.workspaces == numbers.scopes == {"shop": 1, "b2b": 2}
    assert (shop_numbers.inputs, b2b_numbers.inputs) == ({"a": 1, "b": 2}, {"b": 3})


def test_audiences_and_calculated_attributes_are_unique_in_the_organization() -> None:
    """spec/audiences.md, 2; spec/calculated-attributes.md, 1. Outputs are a workspace's own."""
    documents = [shop(setting("workspace.id", name)) for name in ("shop", "b2b")]
    for each in documents:
        each["audiences"] = [{"id": "gold", "name": "Gold", "type": "static"}]
        each["calculated_attributes"] = [{"id": "ltv", "name": "LTV", "definition": {}}]
    parsed = [WorkspaceDocument.model_validate(each) for each in documents]
    _, (first, second) = assign_all(parsed, KeptNumbers())
    assert (first.audiences, second.audiences) == ({"gold": 1}, {"gold": 2})
    assert (first.calculated_attributes, second.calculated_attributes) == ({"ltv": 1}, {"ltv": 2})
    assert first.outputs == second.outputs


def test_numbers_that_two_workspaces_have_from_before_are_kept() -> None:
    both = {name: ObjectNumbers(inputs={"a": 1}) for name in ("shop", "b2b")}
    documents = (with_inputs("a", "b", a=1), workspace("b2b", "a", fixed={"a": 1}))
    kept, _ = assign_all(documents, KeptNumbers(objects=both))
    assert kept.objects["shop"].inputs == {"a": 1, "b": 2}
    assert kept.objects["b2b"].inputs == {"a": 1}


def test_a_scope_has_one_number_whoever_is_in_it() -> None:
    """By the name that they share: one of them may be the scope's namesake."""
    documents = (
        workspace("app", scope="shop"),
        workspace("shop"),
        workspace("b2b", scope="partners"),
    )
    kept, (numbers, *_) = assign_all(documents, KeptNumbers())
    assert numbers.scopes == kept.scopes == {"shop": 1, "partners": 2}


def test_a_workspace_that_comes_later_takes_nothing_from_the_first() -> None:
    kept, _ = assign_all((with_inputs("a"),), KeptNumbers())
    later, _ = assign_all((workspace("b2b", "b"), with_inputs("a")), kept)
    assert later.workspaces == later.scopes == {"shop": 1, "b2b": 2}
    alone, (numbers,) = assign_all((workspace("b2b", "c"),), later)
    assert numbers.inputs == {"b": 2, "c": 3}
    assert alone.objects["shop"] == kept.objects["shop"]


def test_a_number_that_cannot_be_taken_is_refused_with_the_workspace() -> None:
    documents = (with_inputs("a"), workspace("b2b", "a"))
    kept, _ = assign_all(documents, KeptNumbers())
    with pytest.raises(ConfigError) as refused:
        assign_all((documents[0], workspace("b2b", "a", fixed={"a": 7})), kept)
    assert str(refused.value) == "b2b:inputs[0].number: 'a' already has number 2"
    with pytest.raises(ConfigError) as refused:
        assign_all((documents[0], workspace("b2b", "a", "c", fixed={"c": 1})), kept)
    assert str(refused.value) == "b2b:inputs[1].number: number 1 belongs to 'a' of workspace 'shop'"


workspaces = st.fixed_dictionaries(
    {"scope": st.none() | st.sampled_from("abcxy"), "inputs": st.lists(st.sampled_from("ijk"))}
)
deployments = st.dictionaries(st.sampled_from("abcd"), workspaces, min_size=1).flatmap(
    lambda found: st.permutations(list(found.items()))
)


@given(st.lists(deployments, min_size=1, max_size=5))
def test_whatever_workspaces_come_and_go_a_number_means_one_thing(
    history: list[list[tuple[str, dict[str, Any]]]],
) -> None:
    """Documents are added, removed, reordered, and move to another scope, between two starts."""
    kept = KeptNumbers()
    for deployment in history:
        documents = tuple(
            workspace(name, *dict.fromkeys(each["inputs"]), scope=each["scope"])
            for name, each in deployment
        )
        before = kept
        kept, views = assign_all(documents, decode_numbers(encode_numbers(kept)))
        for kind in ("accounts", "workspaces", "scopes"):
            numbers = getattr(kept, kind)
            assert getattr(before, kind).items() <= numbers.items()
            assert sorted(numbers.values()) == list(range(1, len(numbers) + 1))
            assert all(getattr(view, kind) == numbers for view in views)
        for name, objects in before.objects.items():
            assert objects.inputs.items() <= kept.objects[name].inputs.items()
        every = [number for each in kept.objects.values() for number in each.inputs.values()]
        assert sorted(every) == list(range(1, len(every) + 1))
        for document, view in zip(documents, views, strict=True):
            inputs = view.inputs
            assert inputs == kept.objects[document.workspace.id].inputs
            assert {each.id for each in document.inputs} <= set(inputs)
            assert document.workspace.id in view.workspaces
            assert document.workspace.scope_name in view.scopes
