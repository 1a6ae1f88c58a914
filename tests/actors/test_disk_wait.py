"""A process that is started again while its disk takes nothing, or is full."""

import errno
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from actors.disk_wait import wait_for_disk, wait_for_room
from actors.errors import StoreFull
from tests.full_disk import Waits


@pytest.fixture
def unwell(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    def open_(*_: Any) -> int:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "open", open_)
    return monkeypatch


def test_it_waits_until_the_disk_can_be_written_and_says_so_once(
    tmp_path: Path, unwell: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    looks = Waits(3, unwell.undo)
    with caplog.at_level(logging.CRITICAL):
        wait_for_disk(tmp_path, may_wait=True, pause=looks)
    assert looks.count == 3
    [record] = caplog.records
    assert record.__dict__["reason"] == "Read-only file system"


def test_a_first_start_does_not_wait(tmp_path: Path, unwell: pytest.MonkeyPatch) -> None:
    """Who starts it is to read what is wrong."""
    wait_for_disk(tmp_path, may_wait=False, pause=Waits(-1, unwell.undo))


def test_nothing_is_waited_for_on_a_disk_that_is_well(tmp_path: Path) -> None:
    looks = Waits(1, pytest.fail)
    wait_for_disk(tmp_path, may_wait=True, pause=looks)
    assert looks.count == 0


class Beginning:
    """Needs room, which there is at the last of some attempts."""

    def __init__(self, *reasons: str) -> None:
        self._reasons = list(reasons)
        self.done: list[str] = []

    def begin(self) -> None:
        if self._reasons:
            raise StoreFull(self._reasons.pop(0))
        self.done.append("begun")

    def undo(self) -> None:
        self.done.append("undone")


def test_a_beginning_is_tried_until_there_is_room_and_each_reason_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    looks, beginning = Waits(0, list), Beginning("disk", "disk", "map")
    with caplog.at_level(logging.CRITICAL):
        wait_for_room(beginning.begin, beginning.undo, may_wait=True, pause=looks)
    assert looks.count == 3
    assert beginning.done == ["undone", "undone", "undone", "begun"]
    assert [each.__dict__["reason"] for each in caplog.records] == ["disk", "map"]


def test_a_first_beginning_without_room_fails_at_once() -> None:
    looks, beginning = Waits(1, pytest.fail), Beginning("disk")
    with pytest.raises(StoreFull, match="disk"):
        wait_for_room(beginning.begin, beginning.undo, may_wait=False, pause=looks)
    assert (looks.count, beginning.done) == (0, [])
