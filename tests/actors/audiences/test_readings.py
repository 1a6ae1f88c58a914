"""Texts and tests of them are read as by the oracle, which was written from the spec alone."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from actors.audiences.criteria import UserAttribute
from actors.audiences.predicates import pair_predicate, timed_predicate
from actors.audiences.values import (
    MISSING,
    StoredValue,
    fold,
    parse_boolean,
    parse_date,
    parse_number,
    parse_version,
    pattern_matcher,
)
from tests.actors.audiences.language.generated import typed_tests
from tests.actors.audiences.language.support import NOW, criterion_of
from tests.oracle import texts as oracle
from tests.oracle.audiences.value_tests import holds

DAY_MS = 86_400_000

near_now = st.integers(NOW - 400 * DAY_MS, NOW + 400 * DAY_MS)
texts = (
    st.text(max_size=5)
    | st.from_regex(r"[ \t]?[+-]?[0-9]{0,3}\.?[0-9]{0,2}([eE][+-]?[0-9])?[ \t]?", fullmatch=True)
    | st.from_regex(r"[0-9]{1,2}(\.[0-9]{1,2}){0,4}", fullmatch=True)
    | st.from_regex(r"20[0-2][0-9]-[01][0-9]-[0-3][0-9]", fullmatch=True)
    | st.from_regex(
        r"20[0-2][0-9]-0[1-9]-[0-2][0-9]T[0-2][0-9]:[0-6][0-9](:[0-6][0-9](\.[0-9]{1,4})?)?"
        r"(Z|[+-][0-2][0-9]:?[0-6][0-9])?",
        fullmatch=True,
    )
    | near_now.map(str)
    | near_now.map(lambda at_ms: str(at_ms // 1000))
    | st.sampled_from(["true", "FALSE", "Paris", "paris", "STRASSE", "ß", "", " ", "1e999", "NaN"])
)
values = texts | st.lists(texts, max_size=3) | st.none() | st.just(MISSING)


@given(texts)
def test_texts_are_read_alike(text: str) -> None:
    """spec/audiences.md, 5, rule 4."""
    assert parse_number(text) == oracle.number(text)
    assert parse_boolean(text) == oracle.boolean(text)
    assert parse_version(text) == oracle.version(text)
    assert parse_date(text) == oracle.instant_ms(text)


@given(st.text("aA*?\\ßs", max_size=8), st.text("aAßsS*\\", max_size=8))
def test_patterns_match_alike(pattern: str, text: str) -> None:
    """spec/audiences.md, 5, rule 7."""
    assert pattern_matcher(pattern)(fold(text)) is oracle.matches(pattern, text)


@given(typed_tests(), values, values)
def test_tests_hold_alike(document: Any, value: StoredValue, other: StoredValue) -> None:
    """spec/audiences.md, 3.3, 4 and 5, rules 2 to 9."""
    subject = {"type": "user_attribute", "attribute_name": "k"}
    criterion = criterion_of({**subject, **document})
    assert isinstance(criterion, UserAttribute)
    test = criterion.test
    expected = holds(test, as_oracle(value), NOW, lambda _: as_oracle(other))
    if test.value_ref is None:
        assert timed_predicate(test)(value, NOW) is expected
    elif not test.operator.startswith("size_"):
        assert pair_predicate(test)(value, other) is expected


def as_oracle(value: StoredValue) -> oracle.Stored:
    return oracle.MISSING if value is MISSING else value
