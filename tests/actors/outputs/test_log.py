"""Output `log` (spec/connections.md, 7)."""

import io
import logging
from pathlib import Path

import msgspec
import pytest

from actors.clock import ManualClock
from actors.outputs.egress import EgressRules
from actors.outputs.environment import OutputEnvironment
from actors.outputs.log import LogOutput, LogSettings
from server.log_socket import MAX_LINE_BYTES
from server.logs import CollapsingHandler, JsonFormatter
from tests.actors.forwarding.support import delivery


async def test_a_line_names_a_delivery_and_shows_nothing_of_it_unless_asked(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    environment = OutputEnvironment(
        "out", ManualClock(), EgressRules(), Path("unused"), "shop", 1, {1: "web"}
    )
    output = LogOutput(LogSettings(), environment)
    await output.send([delivery(1)])
    [record] = caplog.records
    assert record.__dict__["delivery_id"] == delivery(1).delivery_id
    assert (record.__dict__["input"], record.__dict__["events"]) == ("web", 1)
    assert "custom_event" not in str(record.__dict__)


@pytest.mark.parametrize(
    ("payload", "is_cut"),
    [
        pytest.param(b'{"events":["' + b"x" * 80_000 + b'"]}', False, id="fits"),
        pytest.param(b"x" * 300_000, True, id="is too long"),
        pytest.param(b"\x01" * 60_000, True, id="is too long once it is written"),
        pytest.param(b"\xff" * 300_000, True, id="is no text"),
    ],
)
async def test_a_line_stays_json_however_much_was_sent(payload: bytes, is_cut: bool) -> None:
    """`server.log_socket` cuts what is longer."""
    written = io.StringIO()
    handler = CollapsingHandler(written)
    handler.setFormatter(JsonFormatter("forwarder", "out"))
    log = logging.getLogger("headwater.output")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    environment = OutputEnvironment(
        "out", ManualClock(), EgressRules(), Path("unused"), "shop", 1, {1: "web"}
    )
    try:
        output = LogOutput(LogSettings(include_data=True), environment)
        await output.send([msgspec.structs.replace(delivery(1), payload=payload)])
    finally:
        log.removeHandler(handler)
        log.setLevel(logging.NOTSET)
    line = written.getvalue()
    assert len(line.encode()) <= MAX_LINE_BYTES
    context = msgspec.json.decode(line)["ctx"]
    assert context.get("data_is_cut", False) is is_cut
    assert payload.decode(errors="replace").startswith(context["data"])
    assert (len(context["data"]) < len(payload)) is is_cut
