"""Generated batches: valid, of the stated sizes, the same for the same seed, never sent twice."""

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from load_tests.journeys import EVENT_TYPES
from load_tests.pool import Pool
from tests.load_tests.conftest import MakePool

_SCHEMA = Path(__file__).parent.parent / "data" / "events.schema.json"
_NOW_MS = 1_767_225_600_123


def _batches(pool: Pool, requests: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for number in range(requests):
        document = json.loads(pool.body(number, _NOW_MS))
        found += document if pool.is_bulk else [document]
    return found


def _events(batches: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for batch in batches for event in batch["events"]]


def test_the_same_seed_gives_the_same_bytes(make_pool: MakePool) -> None:
    """Same seed and time, same bytes; another seed, another run or another time, other bytes."""
    body = make_pool().body(3, _NOW_MS)
    assert make_pool().body(3, _NOW_MS) == body
    assert make_pool(seed=2).body(3, _NOW_MS) != body
    assert make_pool(run=8).body(3, _NOW_MS) != body
    assert make_pool().body(3, _NOW_MS + 1000) != body


def test_every_batch_is_valid_by_the_published_schema(make_pool: MakePool) -> None:
    """tests/data/events.schema.json, without any tolerance."""
    validator = jsonschema.Draft7Validator(json.loads(_SCHEMA.read_text()))
    for batch in _batches(make_pool(batches=200), 20):
        validator.validate(batch)


@pytest.mark.parametrize("events_per_batch", [1, 5])
def test_batches_have_between_300_bytes_and_3_kilobytes(
    make_pool: MakePool, events_per_batch: int
) -> None:
    """The sizes that real senders have, at one event and at the default number."""
    pool = make_pool(batches=3000, users=500, events_per_batch=events_per_batch)
    bodies = [json.dumps(b, separators=(",", ":")) for b in _batches(pool, 300)]
    sizes = [len(body) for body in bodies]
    assert min(sizes) >= 300
    assert max(sizes) <= 3 * 1024


def test_batches_have_the_wanted_number_of_events_on_average(make_pool: MakePool) -> None:
    """`events` says how many each batch has; their mean is what was asked for."""
    pool = make_pool(batches=3000, users=500)
    assert [len(batch["events"]) for batch in _batches(pool, 300)] == pool.events.tolist()
    assert pool.events.mean() == pytest.approx(5, rel=0.05)
    assert {1, 9} <= set(pool.events.tolist())


def test_no_two_batches_and_no_two_events_as_sent_have_the_same_id(make_pool: MakePool) -> None:
    """Also when the pool has been gone round three times: 100 batches, 30 requests of 10."""
    batches = _batches(make_pool(), 30)
    assert len({batch["source_request_id"] for batch in batches}) == 300
    message_ids = [event["data"]["source_message_id"] for event in _events(batches)]
    assert len(set(message_ids)) == len(message_ids)


def test_ids_lead_back_to_the_batch_and_the_event(make_pool: MakePool) -> None:
    """A message id gives the number of the batch as sent; ids of other runs give nothing."""
    pool, other_run = make_pool(), make_pool(run=8)
    for sequence, batch in enumerate(_batches(pool, 30)):
        assert batch["source_request_id"] == pool.token(sequence)
        for index, event in enumerate(batch["events"]):
            message_id = event["data"]["source_message_id"]
            assert pool.sequence_of(message_id) == (sequence, index)
            assert other_run.sequence_of(message_id) is None
    assert pool.sequence_of("something else") is None


def test_events_happened_in_order_in_the_second_before_they_are_sent(make_pool: MakePool) -> None:
    """Times ascend within a batch and are at most two seconds old."""
    for batch in _batches(make_pool(), 10):
        times = [event["data"]["timestamp_unixtime_ms"] for event in batch["events"]]
        assert all(before < after for before, after in pairwise(times))
        assert _NOW_MS - 2000 <= times[0] <= times[-1] <= _NOW_MS


def test_a_single_request_is_one_batch(make_pool: MakePool) -> None:
    """Not an array of one."""
    document = json.loads(make_pool(is_bulk=False, batches_per_request=1).body(5, _NOW_MS))
    assert document["source_request_id"].endswith("5")


def test_all_ten_event_types_occur(make_pool: MakePool) -> None:
    """Each of them in a pool of ordinary size."""
    found = Counter(
        event["event_type"] for event in _events(_batches(make_pool(batches=2000), 200))
    )
    assert set(found) == set(EVENT_TYPES)
    assert len(EVENT_TYPES) == 10


def test_the_commerce_funnel_narrows(make_pool: MakePool) -> None:
    """Fewer at every stage, and no stage without the one before it."""
    events = _events(_batches(make_pool(batches=5000, users=1000), 500))
    actions = Counter(
        event["data"]["product_action"]["action"]
        for event in events
        if event["event_type"] == "commerce_event"
    )
    stages = [actions[name] for name in ("view_detail", "add_to_cart", "checkout", "purchase")]
    assert stages == sorted(stages, reverse=True)
    assert stages[-1] > 0


def test_people_use_several_devices_and_are_known_in_some_batches_only(
    make_pool: MakePool,
) -> None:
    """Anonymous phases and logins, attributes and consent all occur."""
    pool = make_pool(batches=3000, users=200)
    batches = _batches(pool, 300)
    assert any("user_attributes" in batch for batch in batches)
    assert any("consent_state" in batch for batch in batches)
    devices: dict[int, set[str]] = {}
    for user, batch in zip(pool.users.tolist(), batches, strict=True):
        devices.setdefault(user, set()).add(batch["mp_deviceid"])
    assert {len(stamps) for stamps in devices.values()} >= {1, 2, 3}
    both = [each for each in pool.traces.values() if each.customer_id and each.devices]
    assert both


def test_every_batch_can_be_found_by_the_traces_of_its_user_alone(make_pool: MakePool) -> None:
    """By customer id if the batch has one, else by its device; no two users share a trace."""
    pool = make_pool(batches=3000, users=200)
    for user, batch in zip(pool.users.tolist(), _batches(pool, 300), strict=True):
        traces = pool.traces[user]
        if "user_identities" in batch:
            assert batch["user_identities"]["customer_id"] == traces.customer_id
        else:
            assert batch["mp_deviceid"] in traces.devices
    everything = [
        trace for each in pool.traces.values() for trace in (each.customer_id, *each.devices)
    ]
    shared = Counter(trace for trace in everything if trace is not None)
    assert max(shared.values()) == 1


def test_a_request_that_no_server_takes_is_refused_before_the_run(make_pool: MakePool) -> None:
    """spec/events-api.md, 3.2: 262,144 bytes. 100 batches of 5 events fit, of 50 do not."""
    assert len(make_pool(batches_per_request=100).body(0, _NOW_MS)) <= 262_144
    with pytest.raises(ValueError, match="take fewer batches per request"):
        make_pool(batches_per_request=100, events_per_batch=50)
