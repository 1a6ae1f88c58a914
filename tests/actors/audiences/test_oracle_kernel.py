"""The kernel of tests, windows and rows agrees with the oracle (spec/audiences.md, 3 to 5).

Thousands of random tests and events, always the same ones.
"""

from random import Random

from actors.audiences.conditions import row_predicate
from actors.audiences.criteria import EventCriterion, EventFilter, Sequence
from actors.audiences.event_rows import event_key, event_time_ms, matches_key, rows_of
from actors.audiences.predicates import pair_predicate, timed_predicate
from actors.audiences.values import LATEST_MS, MISSING, StoredValue
from actors.audiences.windows import recency_window
from tests.oracle import texts
from tests.oracle.audiences.event_criteria import matching_rows
from tests.oracle.audiences.fixture import DAY, HOUR, WORKSPACE
from tests.oracle.audiences.random_definitions import Definitions
from tests.oracle.audiences.random_events import Events
from tests.oracle.audiences.random_tests import TYPES, make_recency, make_test
from tests.oracle.audiences.value_tests import holds
from tests.oracle.audiences.vocabulary import (
    BOOLEANS,
    NUMBERS,
    VERSIONS,
    WORDS,
    make_date_text,
    make_now,
    recased,
)
from tests.oracle.audiences.windows import is_within
from tests.oracle.events import timeline

ROUNDS = 20_000


def make_value(randomness: Random, now_ms: int) -> texts.Stored:
    """Return a stored value of any shape."""
    match randomness.randint(0, 9):
        case 0:
            return texts.MISSING
        case 1:
            return None
        case 2:
            return [make_text(randomness, now_ms) for _ in range(randomness.randint(0, 3))]
    return make_text(randomness, now_ms)


def make_text(randomness: Random, now_ms: int) -> str:
    """Return a text of any type."""
    if randomness.random() < 0.3:
        near_ms = now_ms + randomness.choice((0, 1, -1, HOUR, DAY, -DAY, -3 * DAY, -7 * DAY))
        return make_date_text(randomness, near_ms + randomness.randint(-1, 1))
    return recased(randomness, randomness.choice((*WORDS, *NUMBERS, *VERSIONS, *BOOLEANS)))


def for_kernel(value: texts.Stored) -> StoredValue:
    """Return a value of the oracle's as the kernel takes it."""
    return MISSING if isinstance(value, texts.Missing) else value


def test_a_test_says_the_same_of_every_value() -> None:
    """Operators of all types over missing, null, single and list values."""
    randomness = Random(1)
    found = 0
    for _ in range(ROUNDS):
        now_ms = make_now(randomness)
        type_ = randomness.choice((*TYPES, "list"))
        test = make_test(randomness, type_, now_ms, may_refer=True)
        value, other = make_value(randomness, now_ms), make_value(randomness, now_ms)
        expected = holds(test, value, now_ms, lambda _, other=other: other)  # type: ignore[misc]
        if test.value_ref is not None:
            result = pair_predicate(test)(for_kernel(value), for_kernel(other))
        else:
            result = timed_predicate(test)(for_kernel(value), now_ms)
        assert result == expected, (test, value, other, now_ms)
        found += expected
    assert found > ROUNDS // 10


def test_a_window_has_the_same_borders() -> None:
    """Each recency, at its borders and beside them."""
    randomness = Random(2)
    for _ in range(ROUNDS):
        now_ms = make_now(randomness)
        recency = make_recency(randomness, now_ms)
        first_ms, last_ms = recency_window(recency).at(now_ms)
        borders = [each for each in (first_ms, last_ms, now_ms) if abs(each) < LATEST_MS]
        at_ms = randomness.choice(borders) + randomness.randint(-1, 1)
        assert (first_ms <= at_ms <= last_ms) == is_within(recency, at_ms, now_ms), recency


def test_an_event_matches_by_the_same_rows() -> None:
    """Types, names, actions and conditions on rows of products and promotions."""
    randomness = Random(3)
    matched = 0
    for _ in range(200):
        now_ms = make_now(randomness)
        events = Events(randomness, (now_ms, now_ms - DAY), (0, HOUR), now_ms, WORKSPACE)
        batches = [stored for mpid in range(5) for stored in events.batches(mpid)]
        filters: list[EventFilter] = []
        definitions = Definitions(randomness, now_ms)
        while len(filters) < 20:
            criterion = definitions.criterion()
            if isinstance(criterion, EventCriterion):
                filters.append(criterion.filter)
            elif isinstance(criterion, Sequence):
                filters += [step.filter for step in criterion.steps]
        for seen in timeline(batches, WORKSPACE):
            assert event_time_ms(seen.stored, seen.event) == seen.t_ms
            for wanted in filters:
                if wanted.inputs is not None and seen.stored.input not in wanted.inputs:
                    continue
                expected = len(matching_rows(wanted, seen, now_ms))
                rows = rows_of(seen.stored, seen.event)
                if not matches_key(wanted, event_key(seen.event)):
                    rows = []
                elif wanted.where is not None:
                    passes = row_predicate(wanted.where)
                    rows = [row for row in rows if passes(row, now_ms)]
                assert len(rows) == expected, (wanted, seen.event)
                matched += expected > 0
    assert matched > 5_000
