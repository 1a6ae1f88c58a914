"""Batches become typed; one that comes back need not be decoded again."""

from typing import Any

import orjson
import pytest
from msgspec.structs import replace

from actors.model.micro_batches import (
    Accepted,
    Deferred,
    EventName,
    Rejected,
    Result,
    Unregistered,
    Unresolved,
)
from actors.steps.decode import MAX_KEPT, MAX_KEPT_BYTES, Decoder
from actors.steps.work import Work
from tests.actors.profiles.builders import WORKSPACE, context

EVENTS = [{"event_type": "custom_event", "data": {"event_name": "A"}}]


def work(raw: bytes | None = None, **changes: Any) -> Work:
    raw = orjson.dumps({"events": EVENTS}) if raw is None else raw
    return Work(raw, 0, None, False, replace(context(), **changes))


def passed(decoder: Decoder, first: Work, result: Result) -> None:
    decoder.decode([first])
    first.result = result
    decoder.keep([first])


def test_a_batch_that_is_wrong_is_rejected_alone() -> None:
    works = [work(b"[]"), work()]
    Decoder(WORKSPACE).decode(works)
    assert isinstance(works[0].result, Rejected)
    assert works[1].result is None
    assert works[1].decoded.events[0].get("event_name") == "A"


@pytest.mark.parametrize(
    "result",
    [
        Unresolved("production", [("email", "a@b.example")]),
        Unregistered([EventName("custom_event", "A")]),
        Deferred(),
    ],
)
def test_what_comes_back_is_decoded_once(result: Result) -> None:
    decoder = Decoder(WORKSPACE)
    first, again, third = work(), work(), work()
    passed(decoder, first, result)
    decoder.decode([again, third])
    assert again.batch is first.batch
    assert third.batch is not first.batch  # two equal batches are two


def test_what_was_applied_is_not_kept() -> None:
    decoder = Decoder(WORKSPACE)
    first, again = work(), work()
    passed(decoder, first, Accepted(1, 1))
    decoder.decode([again])
    assert again.batch is not first.batch


def test_equal_bytes_that_came_another_way_are_decoded_anew() -> None:
    decoder = Decoder(WORKSPACE)
    first, again = work(), work(received_ms=context().received_ms + 1)
    passed(decoder, first, Deferred())
    decoder.decode([again])
    assert again.batch is not first.batch


@pytest.mark.parametrize(("size", "is_kept"), [(MAX_KEPT_BYTES, True), (MAX_KEPT_BYTES + 1, False)])
def test_a_great_batch_is_not_kept(size: int, is_kept: bool) -> None:
    raw = orjson.dumps({"events": EVENTS}).ljust(size)
    decoder = Decoder(WORKSPACE)
    first, again = work(raw), work(raw)
    passed(decoder, first, Deferred())
    decoder.decode([again])
    assert (again.batch is first.batch) is is_kept


def test_what_is_kept_is_bounded() -> None:
    decoder = Decoder(WORKSPACE)
    works = [work(orjson.dumps({"events": EVENTS, "batch_id": n})) for n in range(MAX_KEPT + 1)]
    for each in works:
        passed(decoder, each, Deferred())
    again = [work(each.raw) for each in works]
    decoder.decode(again)
    kept = sum(one.batch is other.batch for one, other in zip(works, again, strict=True))
    assert 0 < kept <= MAX_KEPT
