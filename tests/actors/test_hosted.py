"""What the actors' processes do when something in them fails."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from actors import hosted
from actors.errors import StoreDamaged, StoreFull
from actors.forwarder import OutputInfo
from actors.hosted import Forwarder, ForwarderOptions, restarting_if_damaged
from actors.outputs.retry import PROFILES


class FakeHost:
    version = "test"

    def enter(self, role: str, instance: str) -> None:
        """Log as the test does."""


async def test_a_forwarder_that_cannot_be_made_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as one whose output opens a file while the disk is full."""
    opened_again = asyncio.Event()
    failures = [OSError("no space left on device")]

    def open_outputs(*_: Any) -> dict[Any, Any]:
        if failures:
            raise failures.pop()
        opened_again.set()
        return {}

    monkeypatch.setattr(hosted, "open_outputs", open_outputs)
    monkeypatch.setattr(hosted, "RESTART_PAUSE_S", 0.0)
    options = ForwarderOptions(
        info=OutputInfo("hook", PROFILES["stream"]),
        module="webhook",
        settings={},
        connections=(),
        shards=0,
        spool_dir=tmp_path,
        egress_allow=(),
    )
    forwarder = Forwarder(options, FakeHost())
    await forwarder.start()
    async with asyncio.timeout(5):
        await opened_again.wait()
    await forwarder.stop()


def test_a_process_with_a_damaged_store_ends_and_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ended: list[int] = []

    @restarting_if_damaged(ended.append)
    def commit(fault: Exception | None) -> str:
        if fault is not None:
            raise fault
        return "committed"

    assert commit(None) == "committed"
    with pytest.raises(StoreFull):
        commit(StoreFull("no room"))
    assert ended == []
    with pytest.raises(StoreDamaged):
        commit(StoreDamaged("MDB_PANIC"))
    assert ended == [1]
    [record] = caplog.records
    assert (record.levelno, record.__dict__["event"]) == (logging.CRITICAL, "store_damaged")
