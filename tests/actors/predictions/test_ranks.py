"""Percentiles (spec/predictions.md, 1)."""

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.model.profiles import Scored
from actors.predictions.objects import slug_of
from actors.predictions.ranks import Census, scored
from actors.store.scores import MILLION


def percentiles(*scores: float) -> list[float]:
    census = Census()
    census.add((round(each * MILLION), 1) for each in scores)
    ranking = census.ranking()
    return [scored(ranking, round(each * MILLION)).percentile for each in scores]


def test_6_ties_share_the_lower_value_and_it_is_rounded_down() -> None:
    assert percentiles(0.1, 0.2, 0.2, 0.7) == [0, 0.25, 0.25, 0.75]
    assert percentiles(0.1, 0.2, 0.3) == [0, 0.3333, 0.6666]


def test_33_what_is_posted_is_ranked_among_all() -> None:
    assert percentiles(0.9, 0.1, 0.1) == [0.6666, 0, 0]
    assert percentiles(0.9, 0.5, 0.1) == [0.6666, 0.3333, 0]


@settings(deadline=None)
@given(st.lists(st.integers(0, MILLION), min_size=1, max_size=200))
def test_a_percentile_is_the_share_of_lower_scores(scores: list[int]) -> None:
    census = Census()
    census.add((each, 1) for each in scores)
    ranking = census.ranking()
    for each in scores:
        lower = sum(other < each for other in scores)
        expected = lower * 10_000 // len(scores) / 10_000
        assert scored(ranking, each) == Scored(each / MILLION, expected)


def test_15_a_tenth_of_a_thousand_distinct_scores_is_a_hundred() -> None:
    census = Census()
    census.add((each * 7, 1) for each in range(1000))
    assert census.size("percentile", "greater_or_equal", 0.9) == 100
    assert census.size("score", "less_than", 7 / MILLION) == 1
    assert census.bins("percentile", 100) == [10] * 100
    assert sum(census.bins("score", 100)) == census.users == 1000


def test_a_score_of_one_is_in_the_last_part() -> None:
    census = Census()
    census.add([(MILLION, 2), (0, 1)])
    assert census.bins("score", 4) == [1, 0, 0, 2]


def test_slugs() -> None:
    assert slug_of("Likely to  buy!") == "likely_to_buy"
    assert slug_of("Ü") == ""
    assert len(slug_of("a" * 50)) == 40
