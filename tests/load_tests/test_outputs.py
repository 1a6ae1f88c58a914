"""The command that watches five outputs beside a dead and a slow one."""

from pathlib import Path

import aiohttp
import msgspec
import pytest
from msgspec.structs import replace

from actors.clock import ManualClock, SystemClock
from config.load import load_workspaces
from load_tests.event_receivers import EventReceiver
from load_tests.outputs import (
    OutputsOptions,
    OutputsResult,
    Phase,
    outputs,
    workspace_document,
)
from load_tests.scenarios.outputs import report_of

SMALL = OutputsOptions(seconds=3.0, rate=10.0, users=20, slow_s=0.5, patience_s=60.0, seed=1)
GOOD = Phase(acknowledged=100, rate=50.0, delivery_p99_ms={"a": 10.0, "b": 20.0}, ingest_p99_ms=5.0)
RESULT = OutputsResult(
    good=GOOD,
    bad=GOOD,
    missing={"a": 0},
    repeated={"a": 0},
    out_of_order={"a": 0},
    recovery_s=1.0,
)


def test_the_document_is_valid(tmp_path: Path) -> None:
    file = tmp_path / "workspace.yaml"
    urls = [f"http://127.0.0.1:{9000 + n}/in" for n in range(7)]
    file.write_bytes(msgspec.json.encode(workspace_document(urls)))
    [document] = load_workspaces([file], {})
    assert len(document.outputs) == len(document.connections) == 7


async def test_a_receiver_notes_what_came_when_and_for_whom() -> None:
    clock = ManualClock(0)
    receiver = EventReceiver("hook", clock.monotonic)

    def batch(mpid: int, number: int) -> dict[str, object]:
        return {"mpid": mpid, "events": [{"data": {"custom_attributes": {"n": str(number)}}}]}

    async with receiver.listening(), aiohttp.ClientSession() as session:
        for mpid, number in ((1, 2), (2, 3), (1, 1), (1, 2), (2, 4)):
            clock.advance(1000)
            async with session.post(receiver.url, json=batch(mpid, number)) as answer:
                assert answer.status == 200
        assert receiver.seen == {2: 1.0, 3: 2.0, 1: 3.0, 4: 5.0}
        assert (receiver.repeats, receiver.out_of_order) == (1, 1)
        await receiver.die()
        with pytest.raises(aiohttp.ClientConnectionError):
            await session.post(receiver.url, json=batch(1, 5))
        await receiver.revive()
        async with session.post(receiver.url, json=batch(1, 5)) as answer:
            assert answer.status == 200


@pytest.mark.parametrize(
    ("changes", "is_within"),
    [
        pytest.param({}, True, id="the same"),
        pytest.param(
            {"bad": replace(GOOD, delivery_p99_ms={"a": 22.0, "b": 9.0})}, True, id="10 %"
        ),
        pytest.param(
            {"bad": replace(GOOD, delivery_p99_ms={"a": 9.0, "b": 23.0})}, False, id="late"
        ),
        pytest.param({"bad": replace(GOOD, rate=45.0)}, False, id="ingestion is slower"),
        pytest.param({"missing": {"a": 1}}, False, id="missing"),
        pytest.param({"repeated": {"a": 1}}, False, id="twice"),
        pytest.param({"out_of_order": {"a": 1}}, False, id="out of order"),
    ],
)
def test_a_run_passes_if_the_others_notice_nothing(
    changes: dict[str, object], is_within: bool
) -> None:
    assert report_of(SMALL, replace(RESULT, **changes), 1.1).is_within == is_within


@pytest.mark.ray
async def test_the_bad_ones_get_everything_once_when_they_are_well_again(tmp_path: Path) -> None:
    result = await outputs(SMALL, tmp_path, SystemClock())
    assert result.good.acknowledged == result.bad.acknowledged > 0
    report = report_of(SMALL, result, float("inf"))
    assert report.is_complete, result
