"""Output `log` (spec/connections.md, 7)."""

import logging
from pathlib import Path

import pytest

from actors.clock import ManualClock
from actors.outputs.egress import EgressRules
from actors.outputs.environment import OutputEnvironment
from actors.outputs.log import LogOutput, LogSettings
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
