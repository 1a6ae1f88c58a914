"""A process that is started again while its disk takes nothing."""

import errno
import logging
import os
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from actors.disk_wait import wait_for_disk


class Looks(Event):
    """Counts how often is waited, and lets the disk be well again after some."""

    def __init__(self, patch: pytest.MonkeyPatch, until: int) -> None:
        super().__init__()
        self.count = 0
        self._patch = patch
        self._until = until

    def wait(self, timeout: float | None = None) -> bool:
        self.count += 1
        if self.count == self._until:
            self._patch.undo()
        return False


@pytest.fixture
def unwell(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    def open_(*_: Any) -> int:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "open", open_)
    return monkeypatch


def test_it_waits_until_the_disk_can_be_written_and_says_so_once(
    tmp_path: Path, unwell: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    looks = Looks(unwell, until=3)
    with caplog.at_level(logging.CRITICAL):
        wait_for_disk(tmp_path, is_restarted=True, pause=looks)
    assert looks.count == 3
    [record] = caplog.records
    assert record.__dict__["reason"] == "Read-only file system"


def test_a_first_start_does_not_wait(tmp_path: Path, unwell: pytest.MonkeyPatch) -> None:
    """Who starts it is to read what is wrong."""
    wait_for_disk(tmp_path, is_restarted=False, pause=Looks(unwell, until=-1))


def test_nothing_is_waited_for_on_a_disk_that_is_well(tmp_path: Path) -> None:
    looks = Looks(pytest.MonkeyPatch(), until=-1)
    wait_for_disk(tmp_path, is_restarted=True, pause=looks)
    assert looks.count == 0
