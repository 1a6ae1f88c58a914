"""Log lines of other processes arrive whole, and their senders never wait for anybody."""

import io
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.log_socket import MAX_LINE_BYTES, LogReceiver, LogStream
from tests.actors.forwarding.support import until


@pytest.fixture
async def received(tmp_path: Path) -> AsyncIterator[io.StringIO]:
    """Receive lines at `tmp_path / "log"`."""
    stream = io.StringIO()
    receiver = LogReceiver(tmp_path / "log", stream)
    yield stream
    receiver.close()


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


async def test_a_burst_of_lines_is_not_lost(
    tmp_path: Path, received: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    """A hundred lines while the reader has no time."""
    stream = LogStream(tmp_path / "log")
    for number in range(100):
        stream.write(f"{number}\n")
    await until(lambda: received.getvalue().endswith("99\n"))
    assert received.getvalue().split() == [str(number) for number in range(100)]
    assert capsys.readouterr().err == ""
    stream.close()


async def test_a_reader_that_comes_back_is_found_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is written while there is none goes to standard error."""
    first, second = io.StringIO(), io.StringIO()
    receiver = LogReceiver(tmp_path / "log", first)
    stream = LogStream(tmp_path / "log")
    stream.write("one\n")
    await until(first.getvalue)
    receiver.close()
    stream.write("two\n")
    (tmp_path / "log").unlink()
    receiver = LogReceiver(tmp_path / "log", second)
    stream.write("three\n")
    await until(second.getvalue)
    assert [first.getvalue(), second.getvalue()] == ["one\n", "three\n"]
    assert capsys.readouterr().err == "two\n"
    receiver.close()
    stream.close()


async def test_a_line_is_one_packet(tmp_path: Path, received: io.StringIO) -> None:
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


async def test_a_line_that_is_cut_does_not_run_into_the_next(
    tmp_path: Path, received: io.StringIO
) -> None:
    stream = LogStream(tmp_path / "log")
    stream.write("x" * MAX_LINE_BYTES + "\n")
    stream.write("next\n")
    await until(lambda: received.getvalue().endswith("next\n"))
    assert received.getvalue().splitlines() == ["x" * (MAX_LINE_BYTES - 1), "next"]
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
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(tmp_path / "log"))
        listener.listen()
        stream = LogStream(tmp_path / "log")
        for number in range(20_000):
            stream.write(f"{number} {'x' * 1000}\n")
        said = capsys.readouterr().err.splitlines()
        stream.close()
    assert said[-1].startswith("19999 ")
