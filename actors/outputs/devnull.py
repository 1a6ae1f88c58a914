"""Output `devnull`: takes everything and keeps nothing, to measure what comes before an output.

What it took is counted as every output's deliveries are (`headwater_forwarder_events_total`).
Source: spec/connections.md, 7.
"""

from collections.abc import Sequence

from actors.model.deliveries import Delivery
from actors.outputs.contract import Delivered, Outcome, RequestLimits
from actors.outputs.environment import OutputEnvironment
from actors.outputs.module import OutputModule, OutputSettings


class DevnullSettings(OutputSettings):
    """Settings of the module `devnull`: there are none."""


class DevnullOutput:
    """Says that all is delivered."""

    # Large, so that it is the forwarder that is measured.
    limits = RequestLimits(max_deliveries=1000, max_bytes=16 * 1024 * 1024)

    def __init__(self, settings: DevnullSettings, environment: OutputEnvironment) -> None:
        """Neither says anything."""

    async def start(self) -> None:
        """Nothing to do."""

    async def stop(self) -> None:
        """Nothing to do."""

    async def test(self) -> Outcome:
        """Nothing can be wrong."""
        return Delivered()

    async def send(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        """Let go of them."""
        return [Delivered()] * len(deliveries)


MODULE = OutputModule(
    module="devnull",
    kinds=frozenset({"event", "audience", "data_warehouse", "dsr"}),
    accepts_unbound=True,
    accepts_attribute_feed=True,
    settings_model=DevnullSettings,
    send_as_batch_default=True,
    retry_profile="stream",
    open=DevnullOutput,
)
