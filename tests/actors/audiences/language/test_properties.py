from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from actors.audiences.conditions import row_predicate
from actors.audiences.criteria import (
    Aggregate,
    CartAbandonment,
    Criterion,
    EventCriterion,
    Sequence,
)
from actors.audiences.criteria import Test as ValueTest
from actors.audiences.intervals import frequency_intervals, number_intervals
from actors.audiences.language.definition import DefinitionInvalid, read_definition
from actors.audiences.language.dependencies import criteria_of, dependencies_of
from actors.audiences.predicates import pair_predicate, timed_predicate
from actors.audiences.windows import recency_window
from tests.actors.audiences.language.generated import definitions
from tests.actors.audiences.language.mutations import mutated, points_into, values
from tests.actors.audiences.language.support import REFERENCES, read
from tests.actors.audiences.language.test_sdk import (
    WATCHED,
    binary,
    both,
    either,
    event,
    is_named,
    relative,
    sdk,
    step,
    then,
    user,
)

SDK_DOCUMENTS = st.sampled_from(
    [
        sdk(WATCHED),
        sdk(either(binary("equals", user("k"), "a"), both(is_named("A"), WATCHED))),
        sdk(then(step("a", is_named("A")), step("b", binary("equals", event("product.id"), 1)))),
        sdk(binary("less_than", user("first_seen"), relative(-1, "month"))),
        sdk(binary("in", {"model": "user"}, {"audience": "11"})),
    ]
)


@given(definitions)
def test_the_canonical_form_is_the_same_read_again(document: Any) -> None:
    """spec/audiences.md, 3.2, shorthands."""
    definition = read(document)
    assert definition.problems == []
    again = read(definition.canonical)
    assert again.canonical == definition.canonical
    assert again.node == definition.node
    assert dependencies_of(again.node) == dependencies_of(definition.node)


@given(definitions)
def test_whatever_is_read_can_be_evaluated(document: Any) -> None:
    """Whoever is given a criterion need not check it again (actors/audiences/criteria.py)."""
    for named in criteria_of(read(document).node):
        compile_criterion(named.criterion)


def compile_criterion(criterion: Criterion) -> None:
    match criterion:
        case EventCriterion():
            recency_window(criterion.recency).at(REFERENCES.now_ms)
            frequency_intervals(criterion.frequency)
            if isinstance(criterion.aggregate, Aggregate):
                number_intervals(criterion.aggregate.test)
            if criterion.filter.where is not None:
                row_predicate(criterion.filter.where)
        case CartAbandonment():
            recency_window(criterion.recency).at(REFERENCES.now_ms)
        case Sequence():
            for each in criterion.steps:
                if each.filter.where is not None:
                    row_predicate(each.filter.where)
    test = getattr(criterion, "test", None)
    if isinstance(test, ValueTest):
        for value in (None, "", "5", "2026-03-10", ["a"], []):
            if test.value_ref is None:
                timed_predicate(test)(value, REFERENCES.now_ms)
            else:
                pair_predicate(test)(value, "5")


@given(mutated(definitions))
def test_a_changed_definition_is_read_or_refused_at_a_place_in_it(document: Any) -> None:
    check_places(document)


@given(mutated(SDK_DOCUMENTS))
def test_a_changed_document_of_the_sdk_is_read_or_refused_at_a_place_in_it(document: Any) -> None:
    check_places(document)


@given(values)
def test_anything_is_read_or_refused_at_a_place_in_it(document: Any) -> None:
    check_places(document)


def check_places(document: Any) -> None:
    try:
        definition = read_definition(document, REFERENCES, "")
    except DefinitionInvalid as refusal:
        problems = refusal.problems
        assert problems != []
    else:
        problems = definition.problems
        again = read_definition(definition.canonical, REFERENCES, "")
        assert again.canonical == definition.canonical
        assert again.node == definition.node
    for problem in problems:
        assert points_into(problem.path, document), problem
