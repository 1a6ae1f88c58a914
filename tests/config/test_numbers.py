"""Integer ids: given once, in the order of the document, and never to anything else."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import ConfigError
from config.numbers import Numbers, assign_numbers, decode_numbers, encode_numbers
from config.workspace import WorkspaceDocument
from tests.config.documents import load, setting, shop


def with_inputs(*ids: str, **fixed: int) -> WorkspaceDocument:
    """A document with these inputs, some of them with a number of their own."""
    inputs = [
        {
            "id": each,
            "kind": "feed",
            "name": each,
            "keys": [{"key": f"us1-key-{each}", "secret": "x"}],
            **({"number": fixed[each]} if each in fixed else {}),
        }
        for each in ids
    ]
    return WorkspaceDocument.model_validate(
        shop(setting("inputs", inputs), setting("outputs", []), setting("connections", []))
    )


def test_numbers_follow_the_order_of_the_document(tmp_path: Path) -> None:
    """spec/connections.md, 10."""
    assert assign_numbers(load(shop(), tmp_path), Numbers()) == Numbers(
        accounts={"acme": 1},
        workspaces={"acme-shop": 1},
        inputs={"web": 1, "ios": 2, "crm": 3},
        outputs={"hook": 1, "lake": 2},
        connections={"web-hook": 1, "web-lake": 2, "crm-lake": 3},
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
    numbers = assign_numbers(with_inputs("a", "b"), Numbers())
    assert decode_numbers(encode_numbers(numbers)) == numbers


@pytest.mark.parametrize("damaged", [b"", b"[]", b'{"inputs": {"a": "x"}}', b'{"inptus": {}}'])
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
