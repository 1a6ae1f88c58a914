"""The command that times events to a webhook."""

from pathlib import Path

import aiohttp
import msgspec
import pytest
from msgspec.structs import replace

from actors.clock import ManualClock, SystemClock
from config.audience_catalog import audience_catalog
from config.load import load_workspaces
from config.numbers import KeptNumbers, assign_all
from load_tests.reaction import ReactionOptions, ReactionResult, react, workspace_document
from load_tests.receiver import Receiver
from load_tests.scenarios.reaction import report_of

SMALL = ReactionOptions(
    seconds=2.0,
    rate_seconds=4.0,
    share=0.2,
    mode="single",
    probes_per_second=10.0,
    attributes=20,
    audiences=100,
    told=10,
    users=50,
    seed=1,
)
RESULT = ReactionResult(
    highest_rate=100.0,
    load_rate=50.0,
    probes=10,
    missing=0,
    messages=10,
    acknowledged_ms={"p50": 1.0, "p99": 10.0},
    latency_ms={"p50": 1.0, "p99": 20.0},
)


def test_the_document_is_valid_and_has_what_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "workspace.yaml"
    file.write_bytes(msgspec.json.encode(workspace_document(SMALL, "http://127.0.0.1:9/in")))
    [document] = load_workspaces([file], {"HEADWATER_DATA_DIR": str(tmp_path)})
    _, [numbers] = assign_all([document], KeptNumbers())
    assert len(document.audiences) == len(audience_catalog(document, numbers).audiences) == 100
    assert sum(bool(each.subscriptions) for each in document.audiences) == 11
    assert len(document.calculated_attributes) == 20


async def test_the_receiver_notes_when_it_is_first_told_of_a_customer() -> None:
    clock = ManualClock(0)
    receiver = Receiver(clock.monotonic)

    def message(*changes: tuple[str, str]) -> dict[str, object]:
        return {
            "type": "audience_membership_change",
            "changes": [
                {"mpid": 1, "action": action, "identities": {"customer_id": customer}}
                for action, customer in changes
            ],
        }

    async with receiver.listening(), aiohttp.ClientSession() as session:
        for body in (
            message(("add", "a"), ("delete", "b")),
            [message(("add", "a")), message(("add", "b"))],
            {"type": "audience_subscription"},
        ):
            clock.advance(1000)
            async with session.post(receiver.url, json=body) as answer:
                assert answer.status == 200
    assert receiver.told_s["b"] - receiver.told_s["a"] == 1.0
    assert receiver.messages == 4


@pytest.mark.parametrize(
    ("missing", "p99", "is_within"), [(0, 200.0, True), (0, 200.1, False), (1, 20.0, False)]
)
def test_a_run_passes_if_nothing_is_missing_or_late(
    missing: int, p99: float, is_within: bool
) -> None:
    result = replace(RESULT, missing=missing, latency_ms={"p99": p99})
    assert report_of(SMALL, result, 200.0).is_within == is_within


@pytest.mark.ray
async def test_every_probe_is_told_of_beside_load(tmp_path: Path) -> None:
    result = await react(SMALL, tmp_path, SystemClock())
    assert result.probes > 0
    assert result.missing == 0
    assert result.messages >= result.probes
    assert 0 < result.acknowledged_ms["p50"] < result.latency_ms["p50"] <= result.latency_ms["max"]
    assert 0 < result.load_rate < result.highest_rate
