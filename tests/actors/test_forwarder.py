"""Delivery, retries and dead letters. Case numbers are those of spec/connections.md."""

import asyncio
import json
import logging
import random
import time
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.clock import ManualClock
from actors.forwarder import Forwarder
from actors.forwarding.desk import OutputInfo
from actors.forwarding.entries import Entry
from actors.forwarding.lanes import Lanes
from actors.forwarding.streams import Stream
from actors.forwarding.waiting import wait_for_change
from actors.metric_groups import ForwarderMetrics
from actors.model.deliveries import Delivery
from actors.model.workspaces import ENVIRONMENTS
from actors.outputs.contract import Delivered, Fatal, Outcome, RequestLimits, Retry, Split
from actors.steps.enqueue import delivery_id
from tests.actors.forwarding.support import (
    STREAM,
    MemoryOutbox,
    NoRandomness,
    ScriptedOutput,
    Simulation,
    connection,
    delivery,
    until,
)

DAY_S = 86_400


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def simulation(clock: ManualClock) -> Simulation:
    return Simulation(clock)


async def test_everything_in_the_outbox_is_delivered_once_and_settled(
    clock: ManualClock, simulation: Simulation
) -> None:
    shards = [
        MemoryOutbox([delivery(n, mpid=n % 7) for n in range(start, 3000, 2)]) for start in (1, 2)
    ]
    output = ScriptedOutput(clock)
    simulation.start(output, shards)
    await simulation.run(1)
    assert sorted(output.sequences) == list(range(1, 3000))
    assert [shard.waiting for shard in shards] == [{}, {}]
    assert output.most_in_flight <= 16
    await simulation.stop()


async def test_what_waits_is_read_page_after_page_without_a_pause(
    clock: ManualClock, simulation: Simulation
) -> None:
    shard = MemoryOutbox([delivery(n, mpid=n) for n in range(1, 2401)])
    output = ScriptedOutput(clock)
    simulation.start(output, [shard])
    await simulation.run(0)
    assert len(output.delivered) == 2400
    await simulation.stop()


async def test_a_shard_that_has_a_little_all_the_time_is_read_every_50_ms(
    clock: ManualClock, simulation: Simulation
) -> None:
    shard = MemoryOutbox()
    output = ScriptedOutput(clock)
    forwarder = simulation.start(output, [shard])
    for number in range(1, 201):
        shard.add(delivery(number))
        forwarder.wake(0)
        await simulation.run(0.005)
    assert shard.reads <= 1 + 1000 // 50
    await simulation.run(0.05)
    assert output.sequences == list(range(1, 201))
    await simulation.stop()


async def test_case_16_a_dead_receiver_is_tried_103_times_in_86770_seconds(
    clock: ManualClock, simulation: Simulation
) -> None:
    shard = MemoryOutbox([delivery(1)])
    output = ScriptedOutput(clock, lambda each: Retry("no", 503))
    start_ms = clock.now_ms()
    simulation.start(output, [shard])
    await simulation.run(2 * DAY_S)
    times_s = [(time_ms - start_ms) / 1000 for time_ms, _ in output.requests]
    assert times_s[:10] == [0, 10, 30, 70, 150, 310, 630, 1270, 2170, 3070]
    assert (len(times_s), times_s[-1]) == (103, 86_770)
    [letter] = shard.dead
    assert (letter.reason, letter.delivery.attempts) == ("retry_exhausted", 103)
    assert letter.http_status == 503
    assert letter.last_attempt_ms == start_ms + 86_770_000
    assert shard.waiting == {}
    await simulation.stop()


async def test_case_17_a_final_answer_makes_a_dead_letter_and_an_alert(
    clock: ManualClock, simulation: Simulation, caplog: pytest.LogCaptureFixture
) -> None:
    shard = MemoryOutbox([delivery(1)])
    simulation.start(
        ScriptedOutput(clock, lambda each: Fatal("fatal_response", "bad", 400)), [shard]
    )
    await simulation.run(1)
    [letter] = shard.dead
    assert (letter.reason, letter.http_status, letter.response_excerpt) == (
        "fatal_response",
        400,
        "bad",
    )
    assert letter.delivery.attempts == 1
    [record] = [each for each in caplog.records if each.levelno == logging.ERROR]
    said: dict[str, Any] = record.__dict__
    assert (said["event"], said["alert"]) == ("delivery_dead", "400-Bad Request")
    assert (said["connection"], said["delivery_id"]) == ("c1", letter.delivery.delivery_id)
    await simulation.stop()


async def test_case_18_retry_after_silences_the_whole_output(
    clock: ManualClock, simulation: Simulation
) -> None:
    shard = MemoryOutbox([delivery(1, mpid=1)])
    answers = iter([Retry("slow down", 429, 120.0)])
    output = ScriptedOutput(clock, lambda each: next(answers, Delivered(200)))
    forwarder = simulation.start(output, [shard])
    start_ms = clock.now_ms()
    await simulation.run(1)
    shard.add(delivery(2, mpid=2), delivery(3, mpid=3))
    forwarder.wake(0)
    await simulation.run(118)
    assert output.sequences == [1]
    await simulation.run(2)
    assert sorted(output.sequences) == [1, 1, 2, 3]
    assert [time_ms - start_ms for time_ms, _ in output.requests] == [0, 120_000, 120_000, 120_000]
    await simulation.stop()


@pytest.mark.parametrize(
    ("asked_s", "waited_s"),
    [
        pytest.param(3600.0, 3600, id="an hour"),
        pytest.param(1e9, 3600, id="31 years"),
        pytest.param(float("inf"), 3600, id="for ever"),
        pytest.param(float("nan"), 10, id="no number"),
        pytest.param(-5.0, 10, id="less than nothing"),
    ],
)
async def test_an_output_is_silent_for_an_hour_at_most(
    clock: ManualClock, simulation: Simulation, asked_s: float, waited_s: int
) -> None:
    """spec/connections.md, 3.2: whatever a class of the operator's own asks for."""
    shard = MemoryOutbox([delivery(1)])
    answers = iter([Retry("slow down", 429, asked_s)])
    output = ScriptedOutput(clock, lambda each: next(answers, Delivered(200)))
    simulation.start(output, [shard])
    start_ms = clock.now_ms()
    await simulation.run(1)
    assert shard.waiting[1, 1].next_attempt_ms == start_ms + waited_s * 1000
    await simulation.run(DAY_S)
    assert [time_ms - start_ms for time_ms, _ in output.requests] == [0, waited_s * 1000]
    assert shard.waiting == {}
    await simulation.stop()


async def test_case_19_one_user_waits_for_a_retry_and_others_do_not(
    clock: ManualClock, simulation: Simulation
) -> None:
    shard = MemoryOutbox([delivery(n, mpid=1) for n in (1, 2, 3)] + [delivery(4, mpid=2)])
    failures = iter([Retry("no", 500), Retry("no", 500)])
    output = ScriptedOutput(
        clock, lambda each: next(failures, Delivered(200)) if each.mpid == 1 else Delivered(200)
    )
    forwarder = simulation.start(output, [shard])
    await simulation.run(5)
    assert output.sequences == [1, 4]
    assert forwarder.state()["connections"]["c1"]["blocked_users"] == 1
    await simulation.run(60)
    assert output.sequences == [1, 4, 1, 1, 2, 3]
    await simulation.stop()


async def test_case_20_what_was_not_acknowledged_before_a_kill_arrives_again_under_its_id(
    clock: ManualClock,
) -> None:
    shard = MemoryOutbox([delivery(1)])
    shard.loses_settlements = True
    output = ScriptedOutput(clock)
    killed = Simulation(clock)
    killed.start(output, [shard])
    await until(lambda: output.delivered)
    await killed.kill()
    shard.loses_settlements = False
    restarted = Simulation(clock)
    restarted.start(output, [shard])
    await restarted.run(1)
    first, second = output.delivered
    assert (first.delivery_id, first.payload) == (second.delivery_id, second.payload)
    assert shard.waiting == {}
    await restarted.stop()


async def test_attempts_go_on_where_they_were_after_a_restart(clock: ManualClock) -> None:
    shard = MemoryOutbox([delivery(1)])
    output = ScriptedOutput(clock, lambda each: Retry("no", 503))
    start_ms = clock.now_ms()
    for _ in range(2):
        simulation = Simulation(clock)
        simulation.start(output, [shard])
        await simulation.run(40)
        await simulation.stop()
    times_s = [(time_ms - start_ms) / 1000 for time_ms, _ in output.requests]
    assert times_s == [0, 10, 30, 70]
    assert shard.waiting[1, 1].attempts == 4
    assert shard.waiting[1, 1].first_attempt_ms == start_ms


async def test_a_retry_that_was_put_off_by_a_clock_that_was_ahead_comes_in_time(
    clock: ManualClock,
) -> None:
    shard = MemoryOutbox([delivery(1)])
    output = ScriptedOutput(clock, lambda each: Retry("no", 503))
    hour_ms = 3_600_000
    clock.advance(hour_ms)
    simulation = Simulation(clock)
    simulation.start(output, [shard])
    await simulation.run(15)
    await simulation.stop()
    clock.advance(-hour_ms)
    start_ms = clock.now_ms()
    simulation = Simulation(clock)
    simulation.start(output, [shard])
    await simulation.run(70)
    await simulation.stop()
    times_s = [(time_ms - start_ms) / 1000 for time_ms, _ in output.requests]
    assert times_s == [3585, 3595, 20, 60]


async def test_a_delivery_id_that_was_delivered_is_not_sent_again(
    clock: ManualClock, simulation: Simulation
) -> None:
    """Case 15, at the forwarder: one delivery id, one payload."""
    twice = delivery(1)
    again = delivery(2, delivery_id=twice.delivery_id)
    shard = MemoryOutbox([twice])
    output = ScriptedOutput(clock)
    forwarder = simulation.start(output, [shard])
    await simulation.run(1)
    shard.add(again)
    forwarder.wake(0)
    await simulation.run(1)
    assert output.sequences == [1]
    assert shard.waiting == {}
    await simulation.stop()


async def test_two_users_may_have_deliveries_of_one_id(
    clock: ManualClock, simulation: Simulation
) -> None:
    """A sender may give two users' batches one `batch_id` (spec/events-api.md, 5.4)."""
    first = delivery(1, mpid=4411)
    shard = MemoryOutbox([first])
    output = ScriptedOutput(clock)
    forwarder = simulation.start(output, [shard])
    await simulation.run(1)
    shard.add(delivery(2, mpid=4412, delivery_id=first.delivery_id))
    forwarder.wake(0)
    await simulation.run(1)
    assert output.sequences == [1, 2]
    await simulation.stop()


async def test_a_replayed_dead_letter_is_sent_although_its_id_is_known(
    clock: ManualClock, simulation: Simulation
) -> None:
    answers = iter([Fatal("fatal_response", "no", 400)])
    output = ScriptedOutput(clock, lambda each: next(answers, Delivered(200)))
    shard = MemoryOutbox([delivery(1)])
    forwarder = simulation.start(output, [shard])
    await simulation.run(1)
    shard.add(delivery(2, delivery_id=shard.dead[0].delivery.delivery_id))
    forwarder.wake(0)
    await simulation.run(1)
    assert output.sequences == [1, 2]
    await simulation.stop()


@pytest.mark.parametrize(
    ("ordering", "most"),
    [
        pytest.param("user", 4, id="user: one per user"),
        pytest.param("none", 16, id="none: as many as may be"),
        pytest.param("strict", 1, id="strict: one"),
    ],
)
async def test_ordering_bounds_what_is_under_way(
    clock: ManualClock, simulation: Simulation, ordering: str, most: int
) -> None:
    shard = MemoryOutbox([delivery(n, mpid=n % 4) for n in range(1, 101)])
    output = ScriptedOutput(clock, turns=lambda: 5)
    simulation.start(output, [shard], ordering=ordering)
    await simulation.run(1)
    assert output.most_in_flight == most
    if ordering == "strict":
        assert output.sequences == list(range(1, 101))
    await simulation.stop()


async def test_deliveries_of_nobody_keep_no_order(
    clock: ManualClock, simulation: Simulation
) -> None:
    shard = MemoryOutbox([delivery(n, mpid=None) for n in (1, 2)])
    output = ScriptedOutput(
        clock, lambda each: Retry("no", 503) if each.sequence == 1 else Delivered(200)
    )
    simulation.start(output, [shard])
    await simulation.run(5)
    assert output.sequences == [1, 2]
    await simulation.stop()


@pytest.mark.parametrize(
    ("behind", "passes"),
    [pytest.param(200, False, id="200 wait"), pytest.param(201, True, id="201 wait")],
)
async def test_order_is_given_up_when_more_than_200_wait_behind_a_retry(
    clock: ManualClock, simulation: Simulation, behind: int, passes: bool
) -> None:
    shard = MemoryOutbox([delivery(n) for n in range(1, behind + 2)])
    output = ScriptedOutput(
        clock, lambda each: Retry("no", 503) if each.sequence == 1 else Delivered(200)
    )
    simulation.start(output, [shard])
    await simulation.run(5)
    assert (len(output.delivered) == behind) is passes
    await simulation.stop()


async def test_order_comes_back_half_open_after_20_minutes_and_wholly_after_30(
    clock: ManualClock, simulation: Simulation
) -> None:
    poison = {1, 1000, 2000}
    shard = MemoryOutbox([delivery(n) for n in range(1, 203)])
    output = ScriptedOutput(
        clock, lambda each: Retry("no", 503) if each.sequence in poison else Delivered(200)
    )
    forwarder = simulation.start(output, [shard], max_in_flight=4)
    await simulation.run(20 * 60)
    output.most_in_flight = 0
    shard.add(*(delivery(n) for n in range(1000, 1010)))
    forwarder.wake(0)
    await simulation.run(1)
    # Half open: one at a time, past the one that is being retried.
    assert {each.sequence for each in output.delivered} >= set(range(1001, 1010))
    assert output.most_in_flight == 1
    await simulation.run(10 * 60)
    shard.add(*(delivery(n) for n in range(2000, 2010)))
    forwarder.wake(0)
    await simulation.run(1)
    assert not {each.sequence for each in output.delivered} & set(range(2001, 2010))
    await simulation.stop()


async def test_a_request_holds_several_deliveries_and_keeps_each_users_order(
    clock: ManualClock, simulation: Simulation
) -> None:
    shard = MemoryOutbox([delivery(n, mpid=n % 3) for n in range(1, 251)])
    output = ScriptedOutput(clock, limits=RequestLimits(100, 1024 * 1024, max_wait_ms=1000))
    start_ms = clock.now_ms()
    simulation.start(output, [shard])
    await simulation.run(0.9)
    assert [len(sent) for _, sent in output.requests] == [100, 100]
    await simulation.run(0.2)
    assert [len(sent) for _, sent in output.requests] == [100, 100, 50]
    assert output.requests[-1][0] == start_ms + 1000
    by_user: dict[int | None, list[int]] = defaultdict(list)
    for each in output.delivered:
        by_user[each.mpid].append(each.sequence)
    assert all(sequences == sorted(sequences) for sequences in by_user.values())
    await simulation.stop()


async def test_a_request_stays_below_its_size(clock: ManualClock, simulation: Simulation) -> None:
    deliveries = [delivery(n, mpid=n) for n in range(1, 11)]
    size = len(deliveries[0].payload)
    shard = MemoryOutbox(deliveries)
    output = ScriptedOutput(clock, limits=RequestLimits(100, 3 * size + 1))
    simulation.start(output, [shard])
    await simulation.run(1)
    assert (
        max(sum(len(each.payload) for each in sent) for _, sent in output.requests) <= 3 * size + 1
    )
    assert len(output.requests) == 4
    await simulation.stop()


def events(*ids: int) -> list[dict[str, Any]]:
    return [{"event_type": "custom_event", "data": {"event_id": each}} for each in ids]


def event_ids(each: Delivery) -> list[int]:
    return [event["data"]["event_id"] for event in json.loads(each.payload)["events"]]


async def test_what_is_too_large_is_cut_in_two_until_it_fits(
    clock: ManualClock, simulation: Simulation
) -> None:
    shard = MemoryOutbox([delivery(7, events=events(1, 2, 3, 4)), delivery(8)])
    output = ScriptedOutput(
        clock, lambda each: Split("large", 413) if each.event_count > 2 else Delivered(200)
    )
    simulation.start(output, [shard])
    await simulation.run(1)
    assert [event_ids(each) for each in output.delivered] == [[1, 2], [3, 4], [8]]
    ids = [each.delivery_id for each in output.delivered[:2]]
    assert ids == [delivery_id("c1", 7, "0.0"), delivery_id("c1", 7, "0.1")]
    assert shard.waiting == {}
    assert shard.dead == []
    await simulation.stop()


@pytest.mark.parametrize(
    ("refused", "kept"),
    [
        pytest.param({3}, [3], id="one part"),
        pytest.param({1, 4}, [1, 4], id="two parts"),
        pytest.param({1, 2, 3, 4}, [1, 2, 3, 4], id="all"),
    ],
)
async def test_parts_that_fail_become_one_dead_letter(
    clock: ManualClock, simulation: Simulation, refused: set[int], kept: list[int]
) -> None:
    whole = delivery(7, events=events(1, 2, 3, 4))
    shard = MemoryOutbox([whole])

    def answer(each: Delivery) -> Outcome:
        if refused & set(event_ids(each)):
            return Split("large", 413)
        return Delivered(200)

    output = ScriptedOutput(clock, answer)
    simulation.start(output, [shard])
    await simulation.run(1)
    [letter] = shard.dead
    assert event_ids(letter.delivery) == kept
    assert (letter.reason, letter.http_status) == ("fatal_response", 413)
    assert (letter.delivery.delivery_id == whole.delivery_id) is (len(kept) == 4)
    arrived = {event for each in output.delivered for event in event_ids(each)}
    assert arrived == {1, 2, 3, 4} - refused
    await simulation.stop()


async def test_a_body_that_is_too_large_is_sent_in_halves(
    clock: ManualClock, simulation: Simulation
) -> None:
    shard = MemoryOutbox([delivery(n, mpid=n) for n in range(1, 9)])
    output = ScriptedOutput(clock, limits=RequestLimits(8))

    async def send(deliveries: Any) -> list[Outcome]:
        output.requests.append((clock.now_ms(), list(deliveries)))
        outcome: Outcome = Split("large", 413) if len(deliveries) > 2 else Delivered(200)
        return [outcome] * len(deliveries)

    output.send = send  # type: ignore[method-assign]
    simulation.start(output, [shard])
    await simulation.run(1)
    assert [len(sent) for _, sent in output.requests] == [8, 4, 4, 2, 2, 2, 2]
    assert shard.waiting == {}
    await simulation.stop()


async def test_a_shard_that_does_not_answer_loses_nothing(
    clock: ManualClock, simulation: Simulation
) -> None:
    shard = MemoryOutbox([delivery(n) for n in range(1, 6)])
    shard.is_available = False
    output = ScriptedOutput(clock)
    simulation.start(output, [shard])
    await simulation.run(60)
    assert shard.reads < 20  # it is left alone for longer each time
    shard.is_available = True
    await simulation.run(11)
    assert output.sequences == [1, 2, 3, 4, 5]
    assert shard.waiting == {}
    await simulation.stop()


async def test_a_settlement_that_got_lost_is_sent_again_and_the_delivery_is_not(
    clock: ManualClock, simulation: Simulation
) -> None:
    shard = MemoryOutbox([delivery(1)])
    shard.loses_settlements = True
    output = ScriptedOutput(clock)
    simulation.start(output, [shard])
    await simulation.run(5)
    shard.loses_settlements = False
    await simulation.run(11)
    assert output.sequences == [1]
    assert shard.waiting == {}
    await simulation.stop()


async def test_an_idle_forwarder_asks_nothing_until_it_is_woken(
    clock: ManualClock, simulation: Simulation
) -> None:
    shard = MemoryOutbox()
    output = ScriptedOutput(clock)
    forwarder = simulation.start(output, [shard])
    await simulation.run(3000)
    assert shard.reads == 1
    shard.add(delivery(1))
    forwarder.wake(0)
    await simulation.run(1)
    assert output.sequences == [1]
    await simulation.stop()


async def test_what_is_in_memory_is_bounded_however_much_waits(
    clock: ManualClock, simulation: Simulation
) -> None:
    payload = b"x" * 100_000
    shard = MemoryOutbox([delivery(n, payload=payload) for n in range(1, 1001)])
    output = ScriptedOutput(clock)
    output.gate = asyncio.Event()
    forwarder = simulation.start(output, [shard], max_in_flight=1)
    await until(lambda: output.requests)
    for _ in range(1000):
        await asyncio.sleep(0)
    state = forwarder.state()["connections"]["c1"]
    assert 30 * 1024 * 1024 < state["in_memory_bytes"] < 68 * 1024 * 1024
    assert state["in_flight"] == 1
    output.gate.set()
    await simulation.run(1)
    assert forwarder.state()["connections"]["c1"]["in_flight"] == 0
    assert output.sequences == list(range(1, 1001))
    await simulation.stop()


async def test_stopping_finishes_what_is_under_way_and_leaves_the_rest(
    clock: ManualClock, simulation: Simulation
) -> None:
    shard = MemoryOutbox([delivery(n) for n in range(1, 4)])
    output = ScriptedOutput(clock)
    output.gate = asyncio.Event()
    simulation.start(output, [shard])
    await until(lambda: output.requests)
    stopping = asyncio.create_task(simulation.stop())
    for _ in range(10):
        await asyncio.sleep(0)
    assert not stopping.done()
    output.gate.set()
    await stopping
    assert output.sequences == [1]
    assert sorted(sequence for _, sequence in shard.waiting) == [2, 3]


async def test_twenty_refusals_of_the_credentials_in_a_row_fault_the_connection(
    clock: ManualClock, simulation: Simulation
) -> None:
    shard = MemoryOutbox([delivery(n) for n in range(1, 31)])
    is_locked = True
    output = ScriptedOutput(
        clock, lambda each: Fatal("fatal_response", "no", 401) if is_locked else Delivered(200)
    )
    forwarder = simulation.start(output, [shard])
    await simulation.run(3600)
    state = forwarder.state()["connections"]["c1"]
    assert state["status"] == "faulted"
    assert state["fault"]["reason_code"] == "401-Unauthorized"
    assert len(output.requests) == 20
    assert len(shard.waiting) == 10
    is_locked = False
    forwarder.resume(1)
    await simulation.run(1)
    assert output.sequences == list(range(1, 31))
    assert shard.waiting == {}
    await simulation.stop()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"is_active": False}, "connection_inactive", id="inactive"),
        pytest.param({"is_faulted": True}, "connection_faulted", id="faulted"),
    ],
)
async def test_a_held_connection_sends_nothing_and_buries_after_seven_days(
    clock: ManualClock, simulation: Simulation, changes: dict[str, Any], reason: str
) -> None:
    shard = MemoryOutbox([delivery(1)])
    output = ScriptedOutput(clock)
    simulation.start(output, [shard], [connection(**changes)])
    await simulation.run(7 * DAY_S - 3600)
    assert shard.dead == []
    await simulation.run(2 * 3600)
    assert [letter.reason for letter in shard.dead] == [reason]
    assert output.requests == []
    await simulation.stop()


async def test_what_is_of_an_environment_that_is_off_is_held_and_buried_after_seven_days(
    clock: ManualClock, simulation: Simulation
) -> None:
    """spec/connections.md, 1.3: as what is of an inactive connection."""
    start_ms, day_ms = clock.now_ms(), DAY_S * 1000
    off = [
        delivery(n, mpid=n, environment="development", created_ms=start_ms + (n - 1) * day_ms)
        for n in (1, 2, 3)
    ]
    on = delivery(7, mpid=7, created_ms=start_ms - 8 * day_ms, next_attempt_ms=start_ms + day_ms)
    shard = MemoryOutbox([*off, on])
    output = ScriptedOutput(clock)
    simulation.start({"production": output}, [shard])
    await simulation.run(7 * DAY_S - 3600)
    assert output.sequences == [7]
    assert shard.dead == []
    await simulation.run(DAY_S)
    assert [letter.reason for letter in shard.dead] == ["connection_inactive"]
    assert [each for _, each in shard.waiting] == [2, 3]
    await simulation.stop()

    simulation = Simulation(clock)
    simulation.start(output, [shard])
    await simulation.run(1)
    assert output.sequences == [7, 2, 3]
    await simulation.stop()


async def test_each_environment_has_its_own_output(
    clock: ManualClock, simulation: Simulation
) -> None:
    shard = MemoryOutbox([delivery(1), delivery(2, mpid=2, environment="development")])
    production, development = ScriptedOutput(clock), ScriptedOutput(clock)
    simulation.start({"production": production, "development": development}, [shard])
    await simulation.run(1)
    assert (production.sequences, development.sequences) == ([1], [2])
    await simulation.stop()


async def test_a_mistake_in_an_output_is_retried_and_logged_without_its_text(
    clock: ManualClock, simulation: Simulation, caplog: pytest.LogCaptureFixture
) -> None:
    shard = MemoryOutbox([delivery(1)])
    failures = iter([KeyError("jane@example.com")])

    def answer(each: Delivery) -> Outcome:
        for failure in failures:
            raise failure
        return Delivered(200)

    simulation.start(ScriptedOutput(clock, answer), [shard])
    await simulation.run(11)
    assert shard.waiting == {}
    assert any(record.__dict__["event"] == "output_error" for record in caplog.records)
    assert "jane" not in "".join(str(record.__dict__) for record in caplog.records)
    await simulation.stop()


async def test_an_output_that_forgets_an_outcome_is_asked_again(
    clock: ManualClock, simulation: Simulation
) -> None:
    shard = MemoryOutbox([delivery(1)])
    output = ScriptedOutput(clock)
    whole = output.send

    async def send(deliveries: Any) -> list[Outcome]:
        return (await whole(deliveries))[len(output.requests) == 1 :]

    output.send = send  # type: ignore[method-assign]
    simulation.start(output, [shard])
    await simulation.run(60)
    assert output.sequences == [1, 1]
    assert shard.waiting == {}
    await simulation.stop()


async def test_counts_are_kept_by_connection(clock: ManualClock) -> None:
    metrics = ForwarderMetrics("test")
    shard = MemoryOutbox([delivery(1, events=events(1, 2)), delivery(2, mpid=2)])
    output = ScriptedOutput(
        clock,
        lambda each: Fatal("fatal_response", "no", 404) if each.sequence == 2 else Delivered(200),
    )
    forwarder = Forwarder(
        OutputInfo("hook", STREAM),
        {"production": output},
        [connection()],
        [shard],
        clock,
        NoRandomness(),
        metrics,
    )
    running = asyncio.create_task(forwarder.run())
    await until(lambda: not shard.waiting)
    await forwarder.stop()
    await running
    labels = {"connection": "c1"}
    value = metrics.registry.get_sample_value
    assert value("headwater_forwarder_events_total", labels | {"result": "sent"}) == 2
    assert value("headwater_forwarder_events_total", labels | {"result": "failed"}) == 1
    assert value("headwater_forwarder_dlq_total", labels | {"reason": "fatal_response"}) == 1
    assert value("headwater_forwarder_dlq_total", labels | {"reason": "retry_exhausted"}) == 0
    requests = {"code": "404", "class": "fatal"}
    assert value("headwater_forwarder_requests_total", labels | requests) == 1
    assert value("headwater_connection_status", labels) == 1


async def test_the_age_of_what_waits_is_shown(clock: ManualClock, simulation: Simulation) -> None:
    metrics = ForwarderMetrics("test")
    shard = MemoryOutbox([delivery(1), delivery(2, mpid=2, created_ms=clock.now_ms() + 5000)])
    output = ScriptedOutput(clock, lambda each: Retry("no", 503))
    simulation.start(output, [shard], metrics=metrics, poll_ms=10_000)
    await simulation.run(60)
    value = metrics.registry.get_sample_value
    labels = {"connection": "c1"}
    assert value("headwater_forwarder_queue_oldest_seconds", labels) == 60
    assert value("headwater_forwarder_retries_total", labels) == 4  # at 10 and 30 s, two deliveries
    assert value("headwater_forwarder_blocked_users", labels) == 2
    await simulation.stop()


def test_the_age_of_what_waits_costs_one_pass_over_it() -> None:
    """Also while a request of many users is under way: each of them has a lane of its own."""
    lanes = Lanes(
        "user", RequestLimits(max_deliveries=5000), lambda entry: None, lambda entries: None
    )
    stream = Stream(MemoryOutbox(), 0, connection(), lambda: None)
    for number in range(5000):
        lanes.add(Entry(delivery(number, mpid=number, created_ms=number + 7), stream, 0), 0)
    request = lanes.take(0)
    assert request is not None
    assert len(request.entries) == 5000
    begun_s = time.process_time()
    assert lanes.oldest() == {1: 7}
    assert time.process_time() - begun_s < 1


async def test_waiting_ends_with_the_event_or_with_the_time() -> None:
    event = asyncio.Event()
    await wait_for_change(event, 0.001)
    event.set()
    await wait_for_change(event, None)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    users=st.lists(st.integers(1, 4), min_size=1, max_size=40),
    failures=st.dictionaries(st.integers(1, 40), st.integers(1, 3), max_size=15),
    seed=st.integers(0, 2**32),
    together=st.sampled_from([1, 3]),
)
async def test_every_user_gets_everything_once_in_the_order_of_processing(
    users: list[int], failures: dict[int, int], seed: int, together: int
) -> None:
    """spec/connections.md, 3.4: random outcomes and durations, no fault of ours."""
    clock = ManualClock()
    chance = random.Random(seed)
    left = dict(failures)

    def answer(each: Delivery) -> Outcome:
        if left.get(each.sequence, 0):
            left[each.sequence] -= 1
            return Retry("no", 503)
        return Fatal("fatal_response", "no", 400) if each.sequence % 11 == 0 else Delivered(200)

    shard = MemoryOutbox([delivery(n, mpid=user) for n, user in enumerate(users, 1)])
    output = ScriptedOutput(
        clock, answer, RequestLimits(together), turns=lambda: chance.randrange(5)
    )
    # One answer for a whole body, as from a receiver.
    single = output.send

    async def send(deliveries: Any) -> list[Outcome]:
        outcomes = await single(deliveries)
        worst = next((each for each in outcomes if isinstance(each, Retry)), None)
        if worst is None:
            return outcomes
        output.delivered[:] = [each for each in output.delivered if each not in deliveries]
        return [worst] * len(outcomes)

    output.send = send  # type: ignore[method-assign]
    simulation = Simulation(clock)
    simulation.start(output, [shard])
    await simulation.run(3600)
    await simulation.stop()
    gone = [each.sequence for each in output.delivered]
    dead = [letter.delivery.sequence for letter in shard.dead]
    assert sorted(gone + dead) == list(range(1, len(users) + 1))
    for user in set(users):
        mine = [each.sequence for each in output.delivered if each.mpid == user]
        assert mine == sorted(mine)


async def test_an_output_that_cannot_be_stopped_keeps_nobody_waiting(
    clock: ManualClock, simulation: Simulation, caplog: pytest.LogCaptureFixture
) -> None:
    """And the output of the other environment is stopped as well."""

    class Broken(ScriptedOutput):
        async def stop(self) -> None:
            stopped.append(self)
            raise OSError("no space left on device")

    stopped: list[ScriptedOutput] = []
    outputs = Broken(clock), Broken(clock)
    simulation.start(dict(zip(ENVIRONMENTS, outputs, strict=True)), [MemoryOutbox()])
    await simulation.run(1)
    await simulation.stop()
    assert sorted(map(id, stopped)) == sorted(map(id, outputs))
    events = [getattr(each, "event", None) for each in caplog.records]
    assert events.count("output_error") == 2
