"""What a group attribute becomes of its members' values (spec/identity.md, 13)."""

from collections.abc import Sequence
from functools import reduce
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.groups.aggregates import AGGREGATIONS, MAX_UNION_ENTRIES
from actors.model.batches import AttributeText
from actors.model.profiles import AttributeValue


def aggregate(kind: str, values: Sequence[AttributeText], order: Sequence[int] = ()) -> Any:
    """Aggregate values that were updated one after the other; `None` if none counts."""
    aggregation = AGGREGATIONS[kind]
    states = [
        aggregation.start(AttributeValue(value, place, 1), 100 + place)
        for place, value in enumerate(values)
    ]
    counting = [states[place] for place in order or range(len(states)) if states[place] is not None]
    return aggregation.result(reduce(aggregation.merge, counting)) if counting else None


@pytest.mark.parametrize(
    ("kind", "values", "result"),
    [
        ("boolean_or", ["false", "TRUE"], "true"),
        ("boolean_or", ["false", "1", None, ["true"]], "false"),
        ("boolean_and", ["true", "True"], "true"),
        ("boolean_and", ["true", "no"], "false"),
        ("boolean_and", ["true", None], "false"),
        ("sum", ["1", "2", "x", None, ["3"]], "3"),
        ("sum", ["0.1", "0.2"], "0.3"),
        ("sum", [" 1 ", "-1.5e1"], "-14"),
        ("sum", ["9007199254740993", "1"], "9007199254740994"),
        ("sum", ["1e300", "1", "-1e300"], "1"),
        ("sum", ["nan", "inf", "1e999999999", "0x10", "1_000", ""], None),
        ("max", ["2", "10", "x"], "10"),
        ("min", ["2", "10", "-0.5"], "-0.5"),
        ("min", ["x"], None),
        ("latest", ["a", "b"], "b"),
        ("latest", ["a", ["b"]], ["b"]),
        ("latest", ["a", None], None),
        ("list_union", ["b", ["a", "b", "c"], None, "a"], ["b", "a", "c"]),
        ("list_union", [[]], []),
    ],
)
def test_values_are_aggregated(kind: str, values: list[AttributeText], result: Any) -> None:
    assert aggregate(kind, values) == result


def test_values_of_one_moment_are_those_of_the_greatest_mpid() -> None:
    latest = AGGREGATIONS["latest"]
    states = [latest.start(AttributeValue(str(mpid), 5, 1), mpid) for mpid in (-3, 7, 2)]
    assert latest.result(reduce(latest.merge, states)) == "7"


def test_a_union_keeps_the_first_1000_values() -> None:
    values = [f"v{number}" for number in range(MAX_UNION_ENTRIES + 1)]
    assert aggregate("list_union", values[:-1]) == values[:-1]
    assert aggregate("list_union", values) == values[:-1]
    assert aggregate("list_union", values, order=range(MAX_UNION_ENTRIES, -1, -1)) == values[:-1]


numbers = st.one_of(st.integers(-(10**20), 10**20), st.floats(allow_nan=False)).map(str)
texts = st.one_of(numbers, st.sampled_from(["true", "false", "", "x", "0.1"]))
own_values = st.lists(st.one_of(texts, st.none(), st.lists(texts, max_size=3)), max_size=8)


@pytest.mark.parametrize("kind", AGGREGATIONS)
@given(values=own_values, randomness=st.randoms())
def test_the_order_of_the_members_does_not_matter(
    kind: str, values: list[AttributeText], randomness: Random
) -> None:
    order = list(range(len(values)))
    randomness.shuffle(order)
    assert aggregate(kind, values, order) == aggregate(kind, values)
