from datetime import UTC, datetime
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.audiences.values import (
    DAY_MS,
    EARLIEST_MS,
    calendar_period,
    date_span,
    fold,
    is_date_operand,
    parse_boolean,
    parse_date,
    parse_number,
    parse_version,
    pattern_matcher,
)

NOW = 1_773_147_600_000  # 2026-03-10T13:00:00Z, a Tuesday


def ms(text: str) -> int:
    """Return the ms of an ISO timestamp that says its offset."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("5", 5.0),
        ("5.0", 5.0),
        (" -3.25\t", -3.25),
        ("+1e3", 1000.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("", None),
        (" ", None),
        ("1,000", None),
        ("1 000", None),
        ("NaN", None),
        ("inf", None),
        ("1e999", None),
        ("0x10", None),
        ("1_000", None),
        ("٣", None),
        ("abc", None),
    ],
)
def test_numbers_are_decimal_texts(text: str, number: float | None) -> None:
    """spec/audiences.md, 5, rule 4."""
    assert parse_number(text) == number


def test_a_long_text_that_is_no_number_costs_no_more_than_its_length() -> None:
    """By the square of it this would take minutes."""
    assert parse_number("1" * 200_000 + "x") is None


@pytest.mark.parametrize(
    ("text", "truth"),
    [("true", True), ("TRUE", True), ("False", False), ("1", None), (" true", None), ("", None)],
)
def test_booleans_are_two_words_in_any_case(text: str, truth: bool | None) -> None:
    assert parse_boolean(text) is truth


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("17.2.1", (17, 2, 1, 0)),
        ("14", (14, 0, 0, 0)),
        ("1.2.3.4", (1, 2, 3, 4)),
        ("1.2.3.4.5", None),
        ("1..2", None),
        ("v1", None),
        ("1.2-beta", None),
        ("", None),
        ("9" * 5000, None),
    ],
)
def test_versions_have_up_to_four_parts(
    text: str, version: tuple[int, int, int, int] | None
) -> None:
    assert parse_version(text) == version


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-03-10", ms("2026-03-10T00:00+00:00")),
        ("2026-03-10T13:00:00Z", NOW),
        ("2026-03-10T13:00:00", NOW),
        ("2026-03-10T13:00", NOW),
        ("2026-03-10 13:00:00", NOW),
        ("2026-03-10T14:30:00.1239+01:30", NOW + 123),
        ("2026-03-10T01:00:00-1200", NOW),
        ("2026-03-11T00:00:00.5+11", NOW + 500),
        ("1773147600", NOW),
        ("1773147600000", NOW),
        ("177314760000", 177_314_760_000),
        ("17731476000", None),
        ("20260310", None),
        ("2026-02-30", None),
        ("2026-03-10T24:00:00", None),
        ("2026-03-10T13:60", None),
        ("2026-03-10T", None),
        ("0000-01-01", None),
        ("soon", None),
        ("", None),
    ],
)
def test_dates_are_days_timestamps_and_epochs(text: str, instant: int | None) -> None:
    assert parse_date(text) == instant


@given(st.datetimes(timezones=st.just(UTC)))
def test_every_timestamp_is_its_instant(moment: datetime) -> None:
    milliseconds = moment.microsecond // 1000
    whole = round(moment.replace(microsecond=0).timestamp())
    assert parse_date(moment.isoformat()) == whole * 1000 + milliseconds


def test_a_plain_date_spans_its_day_and_an_instant_itself() -> None:
    start = ms("2026-03-08T00:00+00:00")
    assert date_span("2026-03-08") == (start, start + DAY_MS - 1)
    assert date_span("2026-03-08T00:00:00Z") == (start, start)


@pytest.mark.parametrize(
    ("text", "is_operand"),
    [
        ("2026-03-08", True),
        ("2026-03-08T00:00:00Z", True),
        ("2026-03-08T00:00:00+02:00", True),
        ("2026-03-08T00:00:00", False),
        ("2026-02-30", False),
        ("1773147600", False),
        ("", False),
    ],
)
def test_a_definition_says_the_offset_of_an_instant(text: str, is_operand: bool) -> None:
    """spec/audiences.md, 3.3."""
    assert is_date_operand(text) is is_operand


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("p*m", "Premium", True),
        ("prem", "premium", False),
        ("?old", "gold", True),
        ("?old", "old", False),
        (r"g\*d", "gold", False),
        (r"g\*d", "G*D", True),
        (r"g\?d", "g?d", True),
        (r"a\\b", r"a\b", True),
        ("a\\", "a\\", True),
        ("*", "", True),
        ("", "", True),
        ("", "a", False),
        ("a*a", "a", False),
        ("a*b*a", "aba", True),
        ("*an*an*", "banana", True),
        ("*a.b*", "xaxbx", False),
        ("STRASSE", "straße", True),
        ("a?b", "a\nb", True),
        ("a*b", "a\n\nb", True),
    ],
)
def test_a_pattern_is_of_the_whole_text(pattern: str, text: str, matches: bool) -> None:
    """spec/audiences.md, 5, rule 7, and worked case 5."""
    assert pattern_matcher(pattern)(fold(text)) is matches


@given(st.text("aB*?", max_size=8), st.text("aAbB", max_size=8))
def test_a_pattern_is_a_file_pattern_without_sets(pattern: str, text: str) -> None:
    expected = fnmatchcase(text.casefold(), pattern.casefold())
    assert pattern_matcher(pattern)(fold(text)) is expected


def test_many_stars_cost_no_more_than_the_lengths() -> None:
    assert not pattern_matcher("*a" * 200 + "b")("a" * 4096)


@pytest.mark.parametrize(
    ("unit", "offset", "first", "after"),
    [
        ("day", 0, "2026-03-10", "2026-03-11"),
        ("day", -10, "2026-02-28", "2026-03-01"),
        ("week", 0, "2026-03-09", "2026-03-16"),
        ("week", -1, "2026-03-02", "2026-03-09"),
        ("month", 0, "2026-03-01", "2026-04-01"),
        ("month", -3, "2025-12-01", "2026-01-01"),
        ("quarter", 0, "2026-01-01", "2026-04-01"),
        ("quarter", -1, "2025-10-01", "2026-01-01"),
        ("year", 0, "2026-01-01", "2027-01-01"),
        ("year", -1, "2025-01-01", "2026-01-01"),
    ],
)
def test_calendar_periods_are_of_utc(unit: str, offset: int, first: str, after: str) -> None:
    """spec/audiences.md, 3.3, `calendar`."""
    expected = ms(f"{first}T00:00+00:00"), ms(f"{after}T00:00+00:00") - 1
    assert calendar_period(unit, offset, NOW) == expected


@given(
    st.sampled_from(["day", "week", "month", "quarter", "year"]),
    st.integers(-1000, 0),
    st.integers(0, 4 * NOW),
)
def test_calendar_periods_follow_each_other(unit: str, offset: int, now_ms: int) -> None:
    first, last = calendar_period(unit, offset, now_ms)
    assert calendar_period(unit, 0, first) == (first, last) == calendar_period(unit, 0, last)
    assert calendar_period(unit, offset + 1, now_ms)[0] == last + 1


def test_a_period_before_the_first_year_is_empty() -> None:
    first, last = calendar_period("year", -5000, NOW)
    assert last < first


@pytest.mark.parametrize("unit", ["day", "week", "month", "quarter", "year"])
def test_however_long_ago_a_period_is_its_borders_are_instants(unit: str) -> None:
    first, last = calendar_period(unit, -200_000_000_000, NOW)
    assert EARLIEST_MS < last < first


@pytest.mark.parametrize(
    ("unit", "first"),
    [("month", "9999-12-01"), ("quarter", "9999-10-01"), ("year", "9999-01-01")],
)
def test_the_last_year_that_dates_can_name_ends_as_any_other(unit: str, first: str) -> None:
    now_ms, last_day_ms = parse_date("9999-12-15"), parse_date("9999-12-31")
    assert now_ms is not None
    assert last_day_ms is not None
    assert calendar_period(unit, 0, now_ms) == (parse_date(first), last_day_ms + DAY_MS - 1)
    assert calendar_period(unit, -1, last_day_ms + DAY_MS)[0] == parse_date(first)
