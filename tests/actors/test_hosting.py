"""What every process does when its store fails."""

import logging

import pytest

from actors.errors import StoreDamaged, StoreFull
from actors.hosting import Process, restarting_if_damaged


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


class FakeHost:
    """Leaves the process as it is."""

    version = "1"

    def enter(self, role: str, instance: str) -> None: ...

    def set_log_level(self, logger: str, level: str | None) -> None: ...


def test_a_process_is_called_as_its_actor_is() -> None:
    process = Process(FakeHost(), "edge", "1")
    assert repr(process) == "edge-1"
