import pytest

from actors.audiences.criteria import UNIT_MS, Recency
from actors.audiences.criteria import Test as ValueTest
from actors.audiences.values import DAY_MS, EARLIEST_MS, LATEST_MS, parse_date
from actors.audiences.windows import CalendarWindow, Window, date_window, recency_window

NOW = 1_773_147_600_000  # 2026-03-10T13:00:00Z
DAY_START = 1_772_928_000_000  # 2026-03-08T00:00:00Z


@pytest.mark.parametrize(
    ("recency", "first_ms", "last_ms"),
    [
        (Recency(), EARLIEST_MS, LATEST_MS),
        (Recency("within_last", duration_ms=6 * DAY_MS), NOW - 6 * DAY_MS, LATEST_MS),
        (Recency("older_than", duration_ms=6 * DAY_MS), EARLIEST_MS, NOW - 6 * DAY_MS - 1),
        (
            Recency("between_ago", from_ms=6 * DAY_MS, to_ms=4 * DAY_MS),
            NOW - 6 * DAY_MS,
            NOW - 4 * DAY_MS,
        ),
        (Recency("before", date="2026-03-08"), EARLIEST_MS, DAY_START - 1),
        (Recency("before", date="2026-03-08T00:00:00.001Z"), EARLIEST_MS, DAY_START),
        (Recency("after", date="2026-03-08"), DAY_START, LATEST_MS),
        (Recency("on", date="2026-03-08"), DAY_START, DAY_START + DAY_MS - 1),
        (Recency("on", date="2026-03-09T01:30:00+02:00"), DAY_START, DAY_START + DAY_MS - 1),
        (
            Recency("between_dates", start="2026-03-08", end="2026-03-09"),
            DAY_START,
            DAY_START + 2 * DAY_MS - 1,
        ),
        (
            Recency("between_dates", start="2026-03-08T00:00:00Z", end="2026-03-09T00:00:00Z"),
            DAY_START,
            DAY_START + DAY_MS,
        ),
        (Recency("calendar", unit="day", offset=-2), DAY_START, DAY_START + DAY_MS - 1),
    ],
)
def test_recencies_are_windows(recency: Recency, first_ms: int, last_ms: int) -> None:
    """spec/audiences.md, 3.3, and the borders of worked cases 12 to 15."""
    assert recency_window(recency).at(NOW) == (first_ms, last_ms)


@pytest.mark.parametrize(
    ("test", "first_ms", "last_ms"),
    [
        (ValueTest("date", "within_last", 2.0, unit="hours"), NOW - 7_200_000, LATEST_MS),
        (ValueTest("date", "older_than", 2.0, unit="hours"), EARLIEST_MS, NOW - 7_200_001),
        (ValueTest("date", "within_next", 2.0, unit="hours"), NOW + 1, NOW + 7_200_000),
        (ValueTest("date", "before", "2026-03-08"), EARLIEST_MS, DAY_START - 1),
        (ValueTest("date", "after", "2026-03-08"), DAY_START, LATEST_MS),
        (ValueTest("date", "on", "2026-03-08"), DAY_START, DAY_START + DAY_MS - 1),
        (ValueTest("date", "on", "2026-03-08T23:30:00Z"), DAY_START, DAY_START + DAY_MS - 1),
        (ValueTest("date", "equals", "2026-03-08"), DAY_START, DAY_START + DAY_MS - 1),
        (ValueTest("date", "equals", "2026-03-08T00:00:00Z"), DAY_START, DAY_START),
        (
            ValueTest("date", "between_dates", min_value="2026-03-08", max_value="2026-03-08"),
            DAY_START,
            DAY_START + DAY_MS - 1,
        ),
    ],
)
def test_date_tests_are_windows(test: ValueTest, first_ms: int, last_ms: int) -> None:
    assert date_window(test).at(NOW) == (first_ms, last_ms)


def test_a_window_says_which_borders_move() -> None:
    assert recency_window(Recency("before", date="2026-03-08")) == Window(last_ms=DAY_START - 1)
    within_next = date_window(ValueTest("date", "within_next", 1.0, unit="months"))
    assert within_next == Window(1, UNIT_MS["months"], True, True)
    assert within_next.is_relative
    assert not Window().is_relative


def test_a_calendar_window_says_when_it_jumps() -> None:
    assert CalendarWindow("week", -1).next_jump_ms(NOW) == parse_date("2026-03-16")
    monday = CalendarWindow("week", 0).next_jump_ms(NOW)
    assert CalendarWindow("week", 0).at(monday)[0] == monday


@pytest.mark.parametrize(
    "test",
    [
        ValueTest("date", "exists"),
        ValueTest("number", "equals", 1.0),
        ValueTest("date", "before", "soon"),
    ],
)
def test_other_tests_have_no_window(test: ValueTest) -> None:
    with pytest.raises(ValueError, match=r"window|date"):
        date_window(test)
