"""Rate limits shared by processes."""

import errno
import multiprocessing
import os
from pathlib import Path

import pytest

from server.limit_file import SLOTS, LimitFile
from server.limits import Admitted, Counter, Limit, RateLimiter

LIMIT = Limit("feed", "input:1", 500, 500)


def admitted_of(path: Path, tries: int) -> int:
    """Count how many of some requests at one instant are admitted."""
    file = LimitFile(path)
    limiter = RateLimiter(file)
    admitted = sum(isinstance(limiter.admit([LIMIT], 1, 0), Admitted) for _ in range(tries))
    file.close()
    return admitted


def test_processes_share_a_limit_exactly(tmp_path: Path) -> None:
    path = tmp_path / "limits"
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        admitted = pool.starmap(admitted_of, [(path, 400)] * 3, chunksize=1)
    assert sum(admitted) == 500


def test_two_edges_see_each_others_counts(tmp_path: Path) -> None:
    one, other = LimitFile(tmp_path / "limits"), LimitFile(tmp_path / "limits")
    assert RateLimiter(one).admit([LIMIT], 500, 0) == Admitted(100)
    assert not isinstance(RateLimiter(other).admit([LIMIT], 1, 0), Admitted)
    one.close()
    other.close()


def test_counters_survive_a_restart(tmp_path: Path) -> None:
    assert admitted_of(tmp_path / "limits", 499) == 499
    assert admitted_of(tmp_path / "limits", 499) == 1


def test_a_disk_that_gets_full_later_has_room_for_every_counter(tmp_path: Path) -> None:
    """A process that writes to a mapped page for which there is no room is killed (SIGBUS)."""
    path = tmp_path / "limits"
    with path.open("wb") as file:
        file.truncate(SLOTS * 48)  # of an edge that took the room as it went
    LimitFile(path).close()
    kept = path.stat()
    assert kept.st_blocks * 512 >= kept.st_size == SLOTS * 48


@pytest.mark.parametrize(
    ("call", "error"), [("open", errno.EROFS), ("posix_fallocate", errno.ENOSPC)]
)
def test_an_edge_whose_disk_does_not_work_counts_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, error: int
) -> None:
    """It serves what can be served, and comes back if it dies meanwhile."""

    def fail(*_: object) -> None:
        raise OSError(error, os.strerror(error))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        alone = LimitFile(tmp_path / "limits")
    assert RateLimiter(alone).admit([LIMIT], 500, 0) == Admitted(100)
    assert not isinstance(RateLimiter(alone).admit([LIMIT], 1, 0), Admitted)
    alone.close()
    assert admitted_of(tmp_path / "limits", 600) == 500


def test_every_field_is_kept_below_zero_too(limit_file: LimitFile) -> None:
    counter = Counter(-30_000, 1, 2, 3, 4)
    with limit_file:
        limit_file.write("a", counter)
        assert limit_file.read("a") == counter
        assert limit_file.read("b") is None


def test_keys_do_not_disturb_each_other_until_the_file_is_full(limit_file: LimitFile) -> None:
    with limit_file:
        for number in range(SLOTS):
            limit_file.write(str(number), Counter(number, 0))
        for number in range(0, SLOTS, 97):
            assert limit_file.read(str(number)) == Counter(number, 0)
        with pytest.raises(RuntimeError, match="8192 counters"):
            limit_file.write("one more", Counter(0, 0))


def test_a_file_of_another_size_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "limits"
    path.write_bytes(b"\xff" * 100)
    assert admitted_of(path, 1) == 1
