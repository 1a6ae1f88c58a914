"""Seeded choices."""

import numpy as np
import pytest

from load_tests.draws import Draws, zipf_ranks


def test_the_same_seed_gives_the_same_choices() -> None:
    """Two streams of one seed agree, that of another seed does not."""

    def some(seed: int) -> list[object]:
        draws = Draws(seed)
        return [draws.below(10**9), draws.pick("abcdefgh"), draws.uuid(), draws.unit()]

    assert some(3) == some(3)
    assert some(3) != some(4)


def test_choices_go_on_after_a_block_of_numbers_is_used_up() -> None:
    """More numbers than one block has are drawn, and are evenly spread."""
    draws = Draws(1)
    mean = sum(draws.unit() for _ in range(200_000)) / 200_000
    assert mean == pytest.approx(0.5, abs=0.01)


def test_activity_falls_with_rank_as_zipf_says() -> None:
    """On logarithmic axes the frequency of the first hundred ranks falls with the exponent."""
    counts = np.bincount(zipf_ranks(1000, 400_000, seed=1, exponent=0.9), minlength=1000)[:100]
    slope, _ = np.polyfit(np.log(np.arange(1, 101)), np.log(counts), 1)
    assert slope == pytest.approx(-0.9, abs=0.05)


def test_all_users_are_in_range() -> None:
    """No rank is beyond the last user, even when every user is drawn."""
    ranks = zipf_ranks(3, 1000, seed=2)
    assert set(ranks.tolist()) == {0, 1, 2}
