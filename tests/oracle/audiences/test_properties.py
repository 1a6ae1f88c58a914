"""What has to hold of the oracle itself, whatever the definition and the user."""

from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.oracle.audiences.evaluate import holds, is_in_population, is_member
from tests.oracle.audiences.expiration import expiration_timestamp_ms, instants
from tests.oracle.audiences.generators import World, make_world, worlds
from tests.oracle.texts import instant_ms, matches, number, version


@given(worlds(2, 2), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_order_in_which_batches_are_given_does_not_matter(
    world: World, randomness: Random
) -> None:
    """Rule 14: only times and the order of the store count."""
    for person in world.people:
        shuffled = list(person.batches)
        randomness.shuffle(shuffled)
        other = replace(person, batches=tuple(shuffled))
        for node in world.definitions:
            found = is_member(node, person, world.around, world.now_ms)
            assert is_member(node, other, world.around, world.now_ms) == found


@given(st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_nothing_changes_between_the_instants_that_are_looked_at(seed: int) -> None:
    """So the earliest of them at which a definition is false is when it turns false."""
    world = make_world(Random(seed), definitions=2, people=2)
    for person in world.people:
        if not is_in_population(person, world.around, world.now_ms):
            continue
        for node in world.definitions:
            value, now_ms = None, world.now_ms
            candidates = [now_ms, *instants(node, person, world.around, now_ms)][:400]
            for since, until in pairwise(candidates):
                value = holds(node, person, world.around, since, now_ms)
                if until - since > 1:
                    middle = (since + until) // 2
                    assert holds(node, person, world.around, middle, now_ms) == value
                    assert holds(node, person, world.around, until - 1, now_ms) == value


@given(st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_a_member_stays_one_until_it_expires(seed: int) -> None:
    """It holds before, and then or just after it does not."""
    world = make_world(Random(seed), definitions=6, people=3)
    for person in world.people:
        for node in world.definitions:
            now_ms = world.now_ms
            if not is_member(node, person, world.around, now_ms):
                continue
            end_ms = expiration_timestamp_ms(node, person, world.around, now_ms)
            if end_ms is None:
                continue
            assert end_ms >= now_ms
            after = [
                holds(node, person, world.around, end_ms + beside, now_ms) for beside in (0, 1)
            ]
            assert not all(after)
            middle = now_ms + (end_ms - now_ms) // 2
            between = max(now_ms, min(middle, end_ms - 1))  # the end may be now
            assert holds(node, person, world.around, between, now_ms)


def test_generated_worlds_are_neither_empty_nor_full() -> None:
    """Most definitions tell users apart, else nothing would be tested by them."""
    telling = 0
    for seed in range(20):
        world = make_world(Random(seed), definitions=10, people=12)
        for node in world.definitions:
            found = {is_member(node, person, world.around, world.now_ms) for person in world.people}
            telling += len(found) == 2
    assert telling > 80


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[("18", 18), (" 34 ", 34), ("+5", 5), (".5", 0.5), ("7.", 7), ("1e1", 10), ("-3", -3)],
        *[("", None), ("1,5", None), ("NaN", None), ("1e999", None), ("0x10", None), ("1 2", None)],
    ],
)
def test_numbers_are_read_by_rule_4(text: str, value: float | None) -> None:
    """Surrounding blanks, sign, digits, point, exponent."""
    assert number(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1970-01-02", 86_400_000),
        ("1970-01-01T00:00:01", 1_000),
        ("1970-01-01T01:00:00.25+01:00", 250),
        ("1970-01-01T00:00:00Z", 0),
        ("1773147600", 1_773_147_600_000),
        ("1773147600000", 1_773_147_600_000),
        *[("17731476000", None), ("2026-02-30", None), ("2026-3-1", None), ("soon", None)],
    ],
)
def test_dates_are_read_by_rule_4(text: str, value: int | None) -> None:
    """Days, timestamps, epoch seconds and milliseconds."""
    assert instant_ms(text) == value


def test_missing_parts_of_a_version_are_zero() -> None:
    """Rule 4: up to four integers."""
    assert version("17.2") == version("17.2.0.0") == (17, 2, 0, 0)
    assert version("1.2.3.4.5") is version("v1") is version("") is None


def test_patterns_cover_the_whole_text() -> None:
    """Rule 7."""
    assert matches("a*C", "AbbC")
    assert matches("a\\*c", "A*c")
    assert not matches("a?c", "abbc")
    assert not matches("b", "abc")
    assert matches("**", "")
