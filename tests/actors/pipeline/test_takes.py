"""What a module takes, whatever its connections say. Case numbers are those of connections.md."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from actors.model.batches import Event, StoredBatch
from actors.model.profiles import Device, Profile
from actors.outgoing import outgoing_batch
from actors.pipeline.candidate import Drop
from actors.pipeline.compiling import compile_pipelines
from actors.pipeline.settings import NO_FILTER, DataFilter, PipelineSettings, Takes
from actors.steps.enqueue import delivery_id, enqueue
from tests.actors.forwarding.support import connection
from tests.actors.test_outgoing import NOW_MS, a_batch, profile, stored, workspace

HOUR_MS = 3_600_000


def event(kind: str = "custom_event", age_h: float = 0, event_id: int = 1, **data: Any) -> Event:
    time_ms = stored().received_ms - round(age_h * HOUR_MS)
    return Event(kind, time_ms, {"timestamp_unixtime_ms": time_ms, **data}, event_id)


def sent(
    batch: StoredBatch, user: Profile | None = None, **changes: Any
) -> tuple[list[dict[str, Any]], list[Drop]]:
    pipeline = PipelineSettings(
        takes=Takes(**changes.pop("takes", {})),
        is_supported=changes.pop("is_supported", True),
        filter=changes.pop("filter", NO_FILTER),
    )
    outgoing = outgoing_batch(batch, user, workspace(), [])
    pipelines = compile_pipelines([connection(1, pipeline=pipeline, **changes)])
    made, drops = enqueue(outgoing, batch, user, pipelines)
    return [json.loads(each.payload) for each in made], drops


def batch_of(*events: Event, **changes: Any) -> StoredBatch:
    return stored(a_batch(events=list(events), **changes))


def test_a_platform_that_is_not_supported_is_not_sent() -> None:
    payloads, drops = sent(batch_of(event()), is_supported=False)
    assert payloads == []
    assert drops == [Drop(1, "unsupported_platform")]


def test_case_26_events_older_than_the_module_takes_are_left_out() -> None:
    batch = batch_of(event(age_h=25, event_id=1), event(age_h=24, event_id=2))
    [payload], drops = sent(batch, takes={"max_data_age_hours": 24})
    assert [each["data"]["event_id"] for each in payload["events"]] == [2]
    assert drops == [Drop(1, "event_arrived_late", 0)]


def test_case_26_without_a_limit_any_age_is_sent() -> None:
    [payload], drops = sent(batch_of(event(age_h=25)))
    assert (len(payload["events"]), drops) == (1, [])


@pytest.mark.parametrize(
    ("taken", "kept"),
    [
        pytest.param({"screen_view"}, ["screen_view"], id="batch types"),
        pytest.param({"product_action"}, ["commerce_event"], id="one part of commerce"),
        pytest.param({"promotion_action"}, [], id="another part of commerce"),
        pytest.param({"commerce_event"}, ["commerce_event"], id="all of commerce"),
    ],
)
def test_event_types_that_the_module_does_not_support_are_left_out(
    taken: set[str], kept: list[str]
) -> None:
    purchase = event("commerce_event", product_action={"action": "purchase"})
    batch = batch_of(event("session_start"), event("screen_view"), purchase)
    payloads, drops = sent(batch, takes={"event_types": frozenset(taken)})
    found = [each["event_type"] for payload in payloads for each in payload["events"]]
    assert found == kept
    assert {each.reason for each in drops} == {"unsupported_type"}
    assert len(drops) == 3 - len(kept)


ADVERTISING = {"required_identities": frozenset({"ios_advertising_id", "google_advertising_id"})}


def test_case_24_a_user_without_any_required_identity_is_not_sent() -> None:
    batch = batch_of(event(), event(event_id=2), user_identities={"email": "e@example.com"})
    payloads, drops = sent(batch, profile(), takes=ADVERTISING)
    assert payloads == []
    assert drops == [Drop(1, "missing_identity", events=2)]


@pytest.mark.parametrize("where", ["batch", "profile"])
def test_case_24_one_required_identity_suffices(where: str) -> None:
    device = {"android_advertising_id": "a-1"} if where == "batch" else {}
    known = {} if where == "batch" else {"google_advertising_id": "a-1"}
    user = profile(devices={"d": Device("d", 1, 1, identities=known)})
    payloads, drops = sent(batch_of(event(), device_info=device), user, takes=ADVERTISING)
    assert (len(payloads), drops) == (1, [])


def test_devices_have_their_identities_where_new_data_points_are_off() -> None:
    """No filter has a switch for them; what is off of the user does not count."""
    off = DataFilter(sends_new=False)
    device = {"android_advertising_id": "a-1"}
    start = event("session_start")
    payloads, drops = sent(batch_of(start, device_info=device), takes=ADVERTISING, filter=off)
    assert (len(payloads), drops) == (1, [])
    takes = {"required_identities": frozenset({"email"})}
    batch = batch_of(start, user_identities={"email": "e@example.com"})
    _, drops = sent(batch, profile(), takes=takes, filter=off)
    assert [each.reason for each in drops] == ["missing_identity"]


def test_a_batch_that_has_lost_its_events_is_not_asked_for_identities() -> None:
    takes = {"required_identities": frozenset({"email"}), "event_types": frozenset({"opt_out"})}
    _, drops = sent(batch_of(event()), takes=takes)
    assert drops == [Drop(1, "unsupported_type", 0)]


def test_a_payload_that_is_too_large_is_cut_between_its_events() -> None:
    events = [event(event_id=number, custom_attributes={"t": "x" * 500}) for number in range(1, 6)]
    batch = batch_of(*events)
    outgoing = outgoing_batch(batch, None, workspace(), [])
    pipeline = PipelineSettings(takes=Takes(max_payload_bytes=2200))
    made, drops = enqueue(outgoing, batch, None, compile_pipelines([connection(pipeline=pipeline)]))
    ids = [[each["data"]["event_id"] for each in json.loads(d.payload)["events"]] for d in made]
    assert [number for some in ids for number in some] == [1, 2, 3, 4, 5]
    assert all(len(each.payload) <= 2200 for each in made)
    assert made[0].delivery_id == delivery_id("c1", 9, "0.0")
    assert len({each.delivery_id for each in made}) == len(made) > 1
    assert drops == []


def test_one_event_that_is_too_large_is_left_out_and_no_other() -> None:
    large = event(custom_attributes={"t": "x" * 5000})
    batch = batch_of(event(event_id=1), large, event(event_id=3))
    payloads, drops = sent(batch, takes={"max_payload_bytes": 2000})
    assert [each["data"]["event_id"] for each in payloads[0]["events"]] == [1]
    assert [each["data"]["event_id"] for each in payloads[1]["events"]] == [3]
    assert drops == [Drop(1, "payload_too_large", 1)]


def test_a_batch_without_events_can_be_too_large_too() -> None:
    payloads, drops = sent(batch_of(), takes={"max_payload_bytes": 10})
    assert (payloads, drops) == ([], [Drop(1, "payload_too_large")])


def test_what_was_left_out_before_does_not_count_as_lost_with_the_batch() -> None:
    batch = replace(batch_of(event(), event(event_id=2)), is_historical=True)
    _, drops = sent(batch)
    assert drops == [Drop(1, "historical", events=2)]


def test_events_at_the_limit_of_age_are_still_sent() -> None:
    batch = batch_of(event(age_h=1))
    assert batch.batch.events[0].timestamp_ms == NOW_MS + 5 - HOUR_MS
    assert len(sent(batch, takes={"max_data_age_hours": 1})[0]) == 1
