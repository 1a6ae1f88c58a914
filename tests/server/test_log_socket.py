"""Log lines of other processes arrive whole, and their senders never wait for anybody."""

import io
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.log_socket import MAX_LINE_BYTES, LogStream, receive
from tests.actors.forwarding.support import until


@pytest.fixture
async def received(tmp_path: Path) -> AsyncIterator[io.StringIO]:
    """Receive lines at `tmp_path / "log"`."""
    stream = io.StringIO()
    transport = await receive(tmp_path / "log", stream)
    yield stream
    transport.close()


async def test_lines_of_several_processes_arrive_whole(
    tmp_path: Path, received: io.StringIO
) -> None:
    streams = [LogStream(tmp_path / "log") for _ in range(3)]
    for number in range(1, 21):
        for sender, stream in enumerate(streams):
            stream.write(f"line {number} of {sender}: ☃\n")
        await until(lambda: received.getvalue().count("\n") == 3 * number)  # noqa: B023  # at once
    expected = [f"line {number} of {sender}: ☃" for number in range(1, 21) for sender in range(3)]
    assert received.getvalue().splitlines() == expected
    for stream in streams:
        stream.close()


async def test_a_line_is_one_datagram(tmp_path: Path, received: io.StringIO) -> None:
    """So that lines of two processes never mix."""
    stream = LogStream(tmp_path / "log")
    assert stream.write("whole\n") == 6
    await until(received.getvalue)
    assert received.getvalue() == "whole\n"
    stream.close()


async def test_a_line_that_is_too_long_is_cut(tmp_path: Path, received: io.StringIO) -> None:
    stream = LogStream(tmp_path / "log")
    assert stream.write("ä" * MAX_LINE_BYTES) == MAX_LINE_BYTES
    await until(received.getvalue)
    assert received.getvalue() == "ä" * (MAX_LINE_BYTES // 2)
    stream.close()


def test_without_a_reader_lines_go_to_standard_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Such as before `serve` listens, and after it has been killed."""
    stream = LogStream(tmp_path / "log")
    stream.write("lost?\n")
    assert capsys.readouterr().err == "lost?\n"
    stream.close()


def test_a_reader_that_does_not_read_stops_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What does not fit into the socket any more goes to standard error."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "log"))
        stream = LogStream(tmp_path / "log")
        for number in range(10_000):
            stream.write(f"{number}\n")
        said = capsys.readouterr().err.split()
        stream.close()
    assert said[-1] == "9999"
