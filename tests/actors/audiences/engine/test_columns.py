"""Columns: codes and the answers kept by code; numbers."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from actors.audiences.criteria import Test as CriterionTest
from actors.audiences.engine.dictionary import CodedColumn, Predicate
from actors.audiences.engine.numbers import NumberColumn, number_of
from actors.audiences.predicates import predicate
from actors.audiences.values import MISSING, StoredValue

values = st.one_of(
    st.just(MISSING),
    st.none(),
    st.sampled_from(["", "a", "A", "b", "5", "5.0"]),
    st.lists(st.sampled_from(["a", "b", "5"]), max_size=3),
    st.integers(0, 300).map(str),
)
PREDICATES: list[Predicate] = [
    predicate(CriterionTest("string", "equals", "a")),
    predicate(CriterionTest("string", "not_exists")),
    predicate(CriterionTest("number", "greater_than", 4.0)),
    predicate(CriterionTest("list", "includes", "b")),
]


@given(st.lists(st.tuples(st.integers(0, 19), values), max_size=200), st.integers(0, 199))
def test_answers_are_those_of_the_values(
    puts: list[tuple[int, StoredValue]], asked_after: int
) -> None:
    """Before and after a value is known, and whatever the dictionary forgets."""
    column = CodedColumn(20)
    now: dict[int, StoredValue] = {}
    slots = [column.add(each) for each in PREDICATES[:2]]
    for at, (row, value) in enumerate(puts):
        if at == asked_after:
            slots += [column.add(each) for each in PREDICATES[2:]]
        column.put(row, value)
        now[row] = value
    rows = np.arange(20)
    answers = np.zeros((len(column.table), 20), np.uint8)
    column.look_up(rows, None, answers)
    for slot, holds in zip(slots, PREDICATES, strict=False):
        found = answers[slot // 8] >> slot % 8 & 1
        assert found.tolist() == [int(holds(now.get(row, MISSING))) for row in range(20)]


def test_values_that_nobody_has_any_more_are_forgotten() -> None:
    """A value that is another each time does not fill the memory."""
    column = CodedColumn(10)
    slot = column.add(PREDICATES[2])
    for number in range(10_000):
        column.put(number % 10, str(number % 7000))
    assert column.distinct < 200
    answers = np.zeros((1, 10), np.uint8)
    column.look_up(np.arange(10), None, answers)
    assert (answers[0] >> slot & 1).all()


def test_a_slot_that_is_given_up_is_used_again() -> None:
    """What was asked before leaves no answers."""
    column = CodedColumn(3)
    column.put(0, "a")
    first = column.add(PREDICATES[0])
    column.remove(first)
    assert column.add(PREDICATES[1]) == first
    answers = np.zeros((1, 3), np.uint8)
    column.look_up(np.arange(3), None, answers)
    assert answers[0].tolist() == [0, 1, 1]


def test_a_number_column_keeps_several_values_apart() -> None:
    """One of them counts as the number of the row; several are texts."""
    column = NumberColumn(4, number_of)
    column.put(0, " 5.50 ")
    column.put(1, ["7"])
    column.put(2, ["1", "x", "3"])
    column.put(3, "x")
    assert column.values[:2].tolist() == [5.5, 7.0]
    assert np.isnan(column.values[2:]).all()
    assert column.several == {2: ["1", "x", "3"]}
    column.put(2, "4")
    assert column.several == {}
    assert column.values[2] == 4.0
