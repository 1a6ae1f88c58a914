"""Log lines (spec/observability.md, 8)."""

import io
import json
import logging
import sys
from collections.abc import Callable
from typing import Any

import pytest

from actors.errors import ShardUnavailable
from config.settings import Settings
from server.logs import CollapsingHandler, ConsoleFormatter, JsonFormatter, configure_logging

Write = Callable[..., list[dict[str, Any]]]
NOW_S = 1_767_225_600.25


def record(
    message: str = "a fault", logger: str = "headwater.x", **fields: Any
) -> logging.LogRecord:
    made = logging.LogRecord(logger, logging.WARNING, "f.py", 1, message, (), None)
    made.created = NOW_S
    made.__dict__.update(fields)
    return made


@pytest.fixture
def written() -> Write:
    """Write records as JSON lines and return them parsed."""
    stream = io.StringIO()
    handler = CollapsingHandler(stream)
    handler.setFormatter(JsonFormatter("edge", "edge-1"))

    def write(*records: logging.LogRecord, close: bool = False) -> list[dict[str, Any]]:
        for each in records:
            handler.handle(each)
        if close:
            handler.close()
        return [json.loads(line) for line in stream.getvalue().splitlines()]

    return write


def raised(error: Exception) -> Any:
    try:
        raise error
    except Exception:
        return sys.exc_info()


def test_a_line_has_the_documented_members(written: Write) -> None:
    [line] = written(
        record(event="retry", connection="c1", delivery_id="dl_1", duration_ms=1.5, attempt=3)
    )
    assert line == {
        "ts": "2026-01-01T00:00:00.250000Z",
        "level": "warning",
        "logger": "headwater.x",
        "msg": "a fault",
        "role": "edge",
        "instance": "edge-1",
        "event": "retry",
        "connection": "c1",
        "delivery_id": "dl_1",
        "duration_ms": 1.5,
        "ctx": {"attempt": 3},
    }


def test_an_error_shows_its_type_message_and_stack(written: Write) -> None:
    """spec/observability.md, worked case 23: delivery_id, connection, error."""
    error = ShardUnavailable("shard 3 did not answer")
    [line] = written(record(connection="c1", delivery_id="dl_1", exc_info=raised(error)))
    assert (line["connection"], line["delivery_id"]) == ("c1", "dl_1")
    assert line["error"]["type"] == "ShardUnavailable"
    assert line["error"]["message"] == "shard 3 did not answer"
    assert "in raised" in line["error"]["stack"]


@pytest.mark.parametrize("formatter", [JsonFormatter, ConsoleFormatter])
@pytest.mark.parametrize(
    "made",
    [
        pytest.param(lambda: record(exc_info=raised(KeyError("jane@x.org"))), id="an error"),
        pytest.param(lambda: record(client_secret="jane@x.org"), id="a secret"),
        pytest.param(lambda: record(Authorization="jane@x.org"), id="a header"),
        pytest.param(lambda: record(user_identities={"email": "jane@x.org"}), id="identities"),
        pytest.param(lambda: record(payload=b"jane@x.org"), id="a payload"),
        pytest.param(lambda: record(thing=io.StringIO("jane@x.org")), id="an object"),
        pytest.param(
            lambda: record("Task failed\nfuture: ValueError('jane@x.org')", "asyncio"),
            id="a library's details",
        ),
    ],
)
def test_what_is_private_is_not_written(
    formatter: type[JsonFormatter | ConsoleFormatter], made: Callable[[], logging.LogRecord]
) -> None:
    """spec/observability.md, worked case 23: grep for the user's email, no hit."""
    assert "jane@x.org" not in formatter("edge", "edge-1").format(made())


def test_arguments_of_libraries_are_not_written() -> None:
    made = logging.LogRecord("aiohttp", logging.ERROR, "", 0, "From %s", ("jane@x.org",), None)
    assert "jane" not in JsonFormatter("edge", "1").format(made)


def test_the_cause_of_an_error_is_named_without_its_message(written: Write) -> None:
    private = "jane@x.org"
    try:
        try:
            raise KeyError(private)
        except KeyError as cause:
            raise ShardUnavailable("shard 3") from cause
    except ShardUnavailable:
        [line] = written(record(exc_info=sys.exc_info()))
    assert "KeyError" in line["error"]["stack"]
    assert private not in str(line)


def test_ten_repeats_a_minute_are_written_and_the_rest_counted(written: Write) -> None:
    repeats = [record(event="retry", connection="c1") for _ in range(25)]
    assert len(written(*repeats)) == 10
    later = record(event="retry", connection="c1")
    later.created += 60
    lines = written(later)
    assert len(lines) == 12
    assert [line.get("repeated") for line in lines[9:]] == [None, 15, None]


def test_repeats_are_counted_by_event_and_connection(written: Write) -> None:
    for connection in ("c1", "c2"):
        written(*(record(event="retry", connection=connection) for _ in range(10)))
    assert len(written(*(record(event="other", connection="c1") for _ in range(10)))) == 30


def test_what_was_held_back_is_written_at_the_end(written: Write) -> None:
    lines = written(*(record(event="retry") for _ in range(11)), close=True)
    assert lines[-1]["repeated"] == 1


def test_access_lines_are_never_collapsed(written: Write) -> None:
    assert len(written(*(record(event="request") for _ in range(50)))) == 50


def test_lines_without_an_event_are_never_collapsed(written: Write) -> None:
    assert len(written(*(record() for _ in range(50)))) == 50


def test_the_console_format_is_one_readable_line() -> None:
    line = ConsoleFormatter("shard", "2").format(record(event="retry", attempt=3))
    assert line == "00:00:00.250 WARNING shard/2 a fault logger=headwater.x event=retry attempt=3"


@pytest.fixture
def restored_logging() -> Any:
    root, ours = logging.getLogger(), logging.getLogger("headwater")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    root.handlers = []
    yield
    for handler in root.handlers:
        handler.close()
    root.handlers = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


@pytest.mark.usefixtures("restored_logging")
def test_configured_logging_writes_our_lines_from_the_level_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging(Settings(log_level="info"), "edge", "1")
    logging.getLogger("headwater.x").debug("hidden")
    logging.getLogger("headwater.x").info("shown", extra={"event": "start"})
    logging.getLogger("aiohttp.server").info("hidden")
    logging.getLogger("aiohttp.server").warning("shown too")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["msg"] for line in lines] == ["shown", "shown too"]


@pytest.mark.usefixtures("restored_logging")
def test_configuring_twice_writes_each_line_once(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        configure_logging(Settings(log_format="console"), "edge", "1")
    logging.getLogger("headwater.x").info("shown")
    assert capsys.readouterr().out.count("shown") == 1
