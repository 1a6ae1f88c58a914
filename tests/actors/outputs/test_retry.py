"""spec/connections.md, 3.2 and 3.3."""

import pytest

from actors.outputs.retry import (
    PROFILES,
    alert_name,
    classify,
    delay_s,
    is_given_up,
    parse_retry_after,
)


class Fixed:
    """Random bits that are a given share of their range."""

    def __init__(self, share: float) -> None:
        self._share = share

    def bits(self, count: int) -> int:
        return int(self._share * ((1 << count) - 1))


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        *((status, "success") for status in (200, 201, 202, 204, 299)),
        *((status, "retry") for status in (408, 429, 500, 502, 503, 504)),
        (413, "split"),
        *((status, "fatal") for status in (100, 300, 301, 302, 304, 400, 401, 403, 404, 409)),
        *((status, "fatal") for status in (410, 414, 422, 501, 505)),
    ],
)
def test_a_status_has_one_meaning(status: int, expected: str) -> None:
    assert classify(status) == expected


@pytest.mark.parametrize(
    ("profile", "attempts", "seconds"),
    [
        ("stream", 1, 10),
        ("stream", 2, 20),
        ("stream", 7, 640),
        ("stream", 8, 900),
        ("stream", 5000, 900),
        ("file", 1, 60),
        ("file", 6, 1800),
        ("audience", 1, 30),
        ("dsr", 7, 3600),
    ],
)
def test_the_delay_doubles_up_to_its_cap(profile: str, attempts: int, seconds: float) -> None:
    assert delay_s(PROFILES[profile], attempts, Fixed(0.5)) == pytest.approx(seconds)


def test_jitter_is_a_tenth_both_ways() -> None:
    schedule = PROFILES["stream"]
    assert delay_s(schedule, 1, Fixed(0)) == pytest.approx(9)
    assert delay_s(schedule, 1, Fixed(1)) == pytest.approx(11)


@pytest.mark.parametrize(
    ("attempts", "age_s", "expected"),
    [
        pytest.param(3, 86_400, False, id="as old as it may become"),
        pytest.param(3, 86_401, True, id="older, and often enough"),
        pytest.param(2, 86_401, False, id="older, not often enough"),
        pytest.param(1000, 10, False, id="often, not old enough"),
    ],
)
def test_a_delivery_is_given_up_when_it_is_old_and_was_tried_often(
    attempts: int, age_s: float, expected: bool
) -> None:
    assert is_given_up(PROFILES["stream"], attempts, age_s) is expected


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        pytest.param(None, None, id="none"),
        pytest.param("120", 120, id="seconds"),
        pytest.param(" 0 ", 0, id="at once"),
        pytest.param("3600", 3600, id="an hour"),
        pytest.param("3601", 3600, id="more than an hour"),
        pytest.param("Thu, 01 Jan 2026 00:02:00 GMT", 120, id="date"),
        pytest.param("Thu, 01 Jan 2026 09:00:00 GMT", 3600, id="date far ahead"),
        pytest.param("Wed, 31 Dec 2025 23:00:00 GMT", 0, id="date in the past"),
        pytest.param("soon", None, id="neither"),
        pytest.param("-5", None, id="negative"),
        pytest.param("²", None, id="a digit of another script"),
    ],
)
def test_retry_after_is_read_as_seconds_or_date(header: str | None, seconds: float | None) -> None:
    assert parse_retry_after(header, now_ms=1_767_225_600_000) == seconds


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "400-Bad Request"),
        (408, "408-Request Timeout"),
        (413, "413-Request Entity Too Large"),
        (414, "414-Request-URI Too Long"),
        (429, "429-Too Many Requests"),
        (504, "504-Gateway Timeout"),
        (499, "499-Unknown"),
    ],
)
def test_alerts_have_the_names_of_the_spec(status: int, name: str) -> None:
    """spec/observability.md, 4."""
    assert alert_name(status) == name
