"""Figures made from what was recorded."""

import pytest

from load_tests.measurements import Measurements


@pytest.fixture
def measured() -> Measurements:
    """Three requests acknowledged in the run, one refused, one acknowledged after its end."""
    result = Measurements()
    result.record(finished_s=0.2, latency_s=0.010, batches=2, events=10)
    result.record(finished_s=0.8, latency_s=0.030, batches=2, events=12)
    result.record(finished_s=2.5, latency_s=0.050, batches=1, events=5)
    result.record(finished_s=2.6, latency_s=0.070, batches=0, events=0)
    result.record(finished_s=3.1, latency_s=0.090, batches=4, events=20)
    return result


def test_throughput_is_what_was_acknowledged_before_the_end(measured: Measurements) -> None:
    """Refused requests and late answers are not in it."""
    assert measured.throughput(3) == {
        "requests_per_second": 1.0,
        "batches_per_second": pytest.approx(5 / 3),
        "events_per_second": 9.0,
    }
    assert (measured.acknowledged_batches, measured.acknowledged_events) == (9, 47)
    assert (measured.acknowledged_requests, measured.requests) == (4, 5)


def test_latency_is_that_of_all_requests(measured: Measurements) -> None:
    """Late and refused ones included, in milliseconds."""
    latency = measured.latency_ms()
    assert latency["p50"] == pytest.approx(50)
    assert latency["max"] == pytest.approx(90)


def test_a_second_without_answers_has_no_latency(measured: Measurements) -> None:
    """It is not shown as a quick one."""
    assert measured.by_second(3) == {
        "second": [0, 1, 2],
        "events": [22, 0, 5],
        "p50_ms": [pytest.approx(20), None, pytest.approx(60)],
        "p99_ms": [pytest.approx(29.8), None, pytest.approx(69.8)],
    }


def test_nothing_sent_gives_no_latency_and_no_throughput() -> None:
    """And no error."""
    assert Measurements().latency_ms() == {}
    assert Measurements().throughput(1)["events_per_second"] == 0
