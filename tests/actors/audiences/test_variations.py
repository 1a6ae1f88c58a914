"""A/B tests and estimates: numbers that are the same everywhere (spec/audiences.md, 7 and 10)."""

from collections import Counter

import pytest

from actors.audiences.answers import Sample
from actors.audiences.estimate import added, estimated, sample_number, threshold
from actors.audiences.objects import AbTest, Variation
from actors.audiences.variations import bucket, forwarded_name, variation, with_control

SHARES = (Variation("A", 4000), Variation("B", 4000))
TEST, SECOND = (AbTest(number, SHARES, "ann", 0) for number in (1, 2))


@pytest.mark.parametrize(
    ("mpid", "first", "name", "second", "second_name"),
    [
        (1001, 4838, "B", 8236, "Control"),
        (1002, 1095, "A", 9351, "Control"),
        (1003, 8628, "Control", 9581, "Control"),
        (1004, 2826, "A", 8889, "Control"),
        (1005, 2294, "A", 6744, "B"),
        (-1327484737295091692, 8993, "Control", 6261, "B"),
        (5991422180106081928, 9300, "Control", 4276, "B"),
    ],
)
def test_a_user_is_in_the_bucket_of_the_table(
    mpid: int, first: int, name: str, second: int, second_name: str
) -> None:
    """Worked case 41."""
    assert bucket(7622, 1, mpid) == first
    assert bucket(7622, 2, mpid) == second
    assert variation(7622, TEST, mpid) == name
    assert variation(7622, SECOND, mpid) == second_name


def test_variations_get_their_share_of_many_users() -> None:
    """Worked case 41."""
    counts = Counter(variation(7622, TEST, mpid) for mpid in range(1, 100_001))
    assert counts == {"A": 40050, "B": 39895, "Control": 20055}


def test_control_is_what_the_others_leave() -> None:
    assert with_control(TEST)[-1] == Variation("Control", 2000)
    whole = AbTest(1, (Variation("A", 10_000),), "ann", 0)
    assert with_control(whole)[-1] == Variation("Control", 0)
    assert {variation(1, whole, mpid) for mpid in range(1000)} == {"A"}


def test_a_variation_is_forwarded_under_a_name_of_its_own() -> None:
    """Worked case 42."""
    assert forwarded_name("Paris Fans", "A") == "Paris Fans - A"
    assert forwarded_name("Paris Fans", None) == "Paris Fans"


def test_a_hundred_users_are_all_looked_at() -> None:
    """Worked case 50."""
    assert threshold(100) == 1_000_000
    found = estimated(13, 100, threshold(100))
    assert (found.estimate, found.low, found.high) == (13, 13, 13)
    assert (found.method, found.state, found.sample_size) == ("exact", "ok", 100)


def test_of_a_hundred_million_users_thirteen_hits_are_too_few() -> None:
    """Worked case 50."""
    assert threshold(100_000_000) == 1000
    found = estimated(13, 100_000, 1000)
    assert (found.state, found.estimate, found.low) == ("too_small", None, None)


def test_an_estimate_has_a_range() -> None:
    found = estimated(400, 100_000, 1000)
    assert (found.estimate, found.method) == (400_000, "sample")
    assert (found.low, found.high) == (360_800, 439_200)
    assert threshold(100_001) == 999_991


def test_what_shards_found_is_added_up() -> None:
    assert added([Sample(3, 2, (1, 2)), Sample(4, 0, (3, 0))]) == Sample(7, 2, (4, 2))


def test_a_sample_number_is_below_a_million() -> None:
    numbers = [sample_number(mpid) for mpid in range(-500, 500)]
    assert min(numbers) >= 0
    assert max(numbers) < 1_000_000
    assert sum(each < 100_000 for each in numbers) == pytest.approx(100, abs=40)
