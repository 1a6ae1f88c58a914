"""Compressed bodies cost what they hold, however they are put together."""

import gzip
import zlib

import pytest

from server.inflating import PART_BYTES, inflated
from server.problems import Refused

LIMIT = 4 * 1024 * 1024


def test_a_body_of_many_empty_files_is_refused_after_the_first_of_them() -> None:
    """Of 4 MiB of them an edge once copied 400 GB, and answered nobody for half a minute."""
    with pytest.raises(Refused) as error:
        inflated(gzip.compress(b"") * (LIMIT // 20), "gzip", LIMIT)
    assert error.value.code == "BAD_REQUEST"


@pytest.mark.parametrize("size", [0, 1, PART_BYTES - 1, PART_BYTES, 3 * PART_BYTES + 1])
def test_joined_files_are_one_body_wherever_they_meet(size: int) -> None:
    noise = bytes(zlib.crc32(each.to_bytes(4)) & 0xFF for each in range(size))
    parts = [noise, b"", b"end", noise[::-1]]
    body = b"".join(gzip.compress(each) for each in parts)
    assert inflated(body, "gzip", LIMIT) == b"".join(parts)
    with pytest.raises(Refused):
        inflated(body[:-1], "gzip", LIMIT)


def test_the_limit_is_of_all_joined_files_together() -> None:
    body = gzip.compress(b"a" * 60) + gzip.compress(b"b" * 40)
    assert len(inflated(body, "gzip", 100)) == 100
    with pytest.raises(Refused) as error:
        inflated(body, "gzip", 99)
    assert error.value.code == "REQUEST_TOO_LARGE"
