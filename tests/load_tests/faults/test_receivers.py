"""Outputs that misbehave, and a time of day that jumps."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from load_tests.faults.plan import (
    OUTPUT_MODES,
)
from load_tests.faults.receivers import FaultyReceiver
from load_tests.faults.wall_clock import WallClock


async def test_a_receiver_misbehaves_in_every_mode_and_gets_well() -> None:
    taken: list[bytes] = []
    receiver = FaultyReceiver(taken.append)
    await receiver.start()
    timeout, anew = aiohttp.ClientTimeout(total=0.3), aiohttp.TCPConnector(force_close=True)
    try:
        async with aiohttp.ClientSession(timeout=timeout, connector=anew) as session:
            for mode in OUTPUT_MODES:
                await receiver.turn(mode)
                try:
                    async with session.post(receiver.url, data=mode) as answer:
                        assert (mode, answer.status) == ("error", 503)
                except (aiohttp.ClientError, TimeoutError):
                    assert mode != "error"
                await receiver.turn("well")
                async with session.post(receiver.url, data=f"{mode}, well") as answer:
                    assert answer.status == 200
    finally:
        await receiver.stop()
    never = {b"refuse", b"error"}
    expected = {each.encode() for each in OUTPUT_MODES} - never
    assert {each for each in taken if b"," not in each} == expected
    assert sum(b", well" in each for each in taken) == len(OUTPUT_MODES)


async def test_nobody_else_gets_the_port_of_a_receiver_that_refuses() -> None:
    """An output that comes back may not find its address taken."""
    receiver = FaultyReceiver(lambda _: None)
    await receiver.start()
    port = urlsplit(receiver.url).port
    try:
        await receiver.turn("refuse")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port))
        await receiver.turn("well")
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
    finally:
        await receiver.stop()


def test_the_clock_of_another_process_jumps_and_comes_back(tmp_path: Path) -> None:
    """What only goes forward does not jump with it."""
    clock = WallClock(tmp_path / "clock")
    program = (
        "import sys, time\n"
        "for _ in sys.stdin: print(time.time(), time.time_ns(), time.monotonic(), flush=True)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, **clock.environ()},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for jump in (0, 3600, -60, 0):
            clock.jump(jump)
            process.stdin.write("now\n")
            process.stdin.flush()
            seconds, nanoseconds, monotonic = process.stdout.readline().split()
            assert float(seconds) == pytest.approx(time.time() + jump, abs=30)
            assert int(nanoseconds) / 1e9 == pytest.approx(time.time() + jump, abs=30)
            assert float(monotonic) == pytest.approx(time.monotonic(), abs=30)
        assert clock.is_read_by(process.pid)
        assert not clock.is_read_by(os.getpid())
        process.stdin.close()
