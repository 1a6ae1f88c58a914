"""When requests are fulfilled (spec/privacy.md, 4.1)."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from actors.privacy.schedule import Schedule

DAY_MS = 24 * 3600 * 1000


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


RECEIVED_MS = ms("2024-03-05T09:30:00")


def test_case_8_an_erasure_waits_for_the_daily_run_after_a_week() -> None:
    schedule = Schedule()
    run_ms = schedule.run_ms("erasure", RECEIVED_MS, skips_waiting=False)
    assert run_ms == ms("2024-03-13")
    assert schedule.expected_ms(run_ms) == ms("2024-03-15")
    run_ms = schedule.run_ms("erasure", RECEIVED_MS, skips_waiting=True)
    assert schedule.expected_ms(run_ms) == ms("2024-03-08")


def test_case_9_access_waits_for_the_next_monday_or_thursday() -> None:
    schedule = Schedule()
    for received, expected in (
        ("2024-03-05T09:30:00", "2024-03-09"),
        ("2024-03-07T00:00:00", "2024-03-09"),
        ("2024-03-07T00:00:01", "2024-03-13"),
        ("2024-03-07T00:00:00.001", "2024-03-13"),
    ):
        for skips in (False, True):
            run_ms = schedule.run_ms("access", ms(received), skips_waiting=skips)
            assert schedule.expected_ms(run_ms) == ms(expected), received


def test_an_interval_takes_the_place_of_both_crons() -> None:
    schedule = Schedule(run_interval_s=2, erasure_waiting_s=3, completion_margin_s=1)
    at_ms = ms("2024-03-05T09:30:01")
    assert schedule.run_ms("access", at_ms, skips_waiting=False) == at_ms + 1000
    assert schedule.run_ms("erasure", at_ms, skips_waiting=False) == at_ms + 3000
    assert schedule.run_ms("erasure", at_ms, skips_waiting=True) == at_ms + 1000
    assert schedule.expected_ms(at_ms) == at_ms + 1000


@given(
    received_ms=st.integers(0, 4_000_000_000_000),
    waiting_s=st.integers(0, 40 * 24 * 3600),
    skips=st.booleans(),
)
def test_a_run_is_at_midnight_and_within_a_day_after_the_waiting(
    received_ms: int, waiting_s: int, skips: bool
) -> None:
    schedule = Schedule(erasure_waiting_s=waiting_s)
    run_ms = schedule.run_ms("erasure", received_ms, skips_waiting=skips)
    earliest_ms = received_ms + (0 if skips else waiting_s * 1000)
    assert earliest_ms <= run_ms < earliest_ms + DAY_MS
    moment = datetime.fromtimestamp(run_ms / 1000, UTC)
    assert moment == moment.replace(hour=0, minute=0, second=0, microsecond=0)


@given(now_ms=st.integers(0, 4_000_000_000_000))
def test_callbacks_go_out_together(now_ms: int) -> None:
    at_ms = Schedule().callbacks_ms(now_ms)
    assert 0 <= at_ms - now_ms < 900_000
    assert at_ms % 900_000 == 0
