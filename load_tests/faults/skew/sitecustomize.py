"""Read by every Python process of a deployment under test at its start: lets its clock jump.

The time of day is the real one and as many seconds as a file says, which is mapped into memory and
may change at any time. Clocks that only go forward are left alone, as a jump leaves them.
"""

import mmap
import os
import struct
import time

_OFFSET = struct.Struct("<q")  # nanoseconds

with open(os.environ["HEADWATER_FAULTS_CLOCK"], "rb") as _file:  # nothing imported
    _shared = mmap.mmap(_file.fileno(), _OFFSET.size, access=mmap.ACCESS_READ)

_real_ns = time.time_ns


def _time_ns() -> int:
    offset: int = _OFFSET.unpack_from(_shared)[0]
    return _real_ns() + offset


def _time() -> float:
    return _time_ns() / 1e9


time.time_ns = _time_ns
time.time = _time
