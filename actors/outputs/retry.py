"""Which failures are final, and when the others are tried again. Pure functions.

Source: spec/connections.md, 3.2 and 3.3.
"""

import math
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Literal

from msgspec import Struct

from actors.clock import Randomness

MAX_RETRY_AFTER_S = 3600.0
RETRIED_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
RETRY_AFTER_STATUSES = frozenset({429, 503})

NETWORK_ALERT = "306-Unknown"
TLS_ALERT = "525-SSL Termination Error"
# Names that newer versions of the standard library have changed.
_PHRASES = {413: "Request Entity Too Large", 414: "Request-URI Too Long"}

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S


class RetrySchedule(Struct, frozen=True):
    """How long to go on, and how often. `jitter` is a share of the delay, 0 to 1."""

    base_s: float
    cap_s: float
    jitter: float
    max_age_s: float
    min_attempts: int


PROFILES: dict[str, RetrySchedule] = {
    "stream": RetrySchedule(10, 900, 0.1, DAY_S, 3),
    "audience": RetrySchedule(30, 1800, 0.1, DAY_S, 8),
    "warehouse": RetrySchedule(60, 1800, 0.1, 30 * DAY_S, 3),
    "file": RetrySchedule(60, 1800, 0.1, 30 * DAY_S, 3),
    "dsr": RetrySchedule(60, HOUR_S, 0.1, DAY_S, 8),
}


def classify(status: int) -> Literal["success", "retry", "split", "fatal"]:
    """Say what an HTTP status means for a delivery."""
    if 200 <= status < 300:
        return "success"
    if status in RETRIED_STATUSES:
        return "retry"
    if status == 413:
        return "split"
    return "fatal"


def delay_s(schedule: RetrySchedule, attempts: int, randomness: Randomness) -> float:
    """Return the seconds to wait after the `attempts`-th failed attempt (1-based)."""
    # 2 ** 32 is beyond every cap; more would overflow a float after some hundred attempts.
    delay = min(schedule.cap_s, schedule.base_s * 2.0 ** min(attempts - 1, 32))
    return delay * (1 + schedule.jitter * (randomness.bits(53) / 2**52 - 1))


def is_given_up(schedule: RetrySchedule, attempts: int, age_s: float) -> bool:
    """Say whether a delivery has been tried long enough and often enough.

    `age_s`: seconds since its first attempt.
    """
    return age_s > schedule.max_age_s and attempts >= schedule.min_attempts


def silence_s(asked_s: float | None) -> float:
    """Return for how many seconds an output is silent since it is asked to: at most an hour.

    Nothing, less than nothing and what is no number ask for none.
    """
    if asked_s is None or math.isnan(asked_s):
        return 0.0
    return min(max(asked_s, 0.0), MAX_RETRY_AFTER_S)


def longest_wait_s(schedule: RetrySchedule) -> float:
    """Return the most seconds that there can be from a failed attempt to the next one."""
    return max(schedule.cap_s * (1 + schedule.jitter), MAX_RETRY_AFTER_S)


def parse_retry_after(value: str | None, now_ms: int) -> float | None:
    """Read a Retry-After header, seconds or HTTP date; return seconds from now, at most an hour.

    `None` if there is none or it cannot be read.
    """
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return silence_s(float(text))
    try:
        seconds = parsedate_to_datetime(text).timestamp() - now_ms / 1000
    except ValueError:
        return None
    return silence_s(seconds)


def alert_name(status: int) -> str:
    """Return the name of the system alert for an HTTP status (spec/observability.md, 4)."""
    phrase = _PHRASES.get(status)
    if phrase is None:
        known = {entry.value: entry.phrase for entry in HTTPStatus}
        phrase = known.get(status, "Unknown")
    return f"{status}-{phrase}"
