"""Output `log`: one structured line per payload, for development (spec/connections.md, 7)."""

import logging
from collections.abc import Sequence

import msgspec

from actors.model.deliveries import Delivery
from actors.outputs.contract import Delivered, Outcome, RequestLimits
from actors.outputs.environment import OutputEnvironment
from actors.outputs.module import OutputModule, OutputSettings

logger = logging.getLogger("headwater.output")

# As written into the line, of which `server.log_socket` takes 100 KiB: more would be no JSON.
MAX_DATA_BYTES = 90 * 1024
LONGEST_CHARACTER = 6  # such as \u0001


class LogSettings(OutputSettings):
    """Settings of the module `log`.

    `include_data`: the payload itself, personal data and all, is in the line; of a long one the
    beginning.
    """

    include_data: bool = False


class LogOutput:
    """Writes lines into the log of the forwarder's process."""

    limits = RequestLimits(max_deliveries=100, max_bytes=1024 * 1024)

    def __init__(self, settings: LogSettings, environment: OutputEnvironment) -> None:
        self._settings = settings
        self._environment = environment

    async def start(self) -> None:
        """Nothing to do."""

    async def stop(self) -> None:
        """Nothing to do."""

    async def test(self) -> Outcome:
        """Write one line that says that it is a test."""
        logger.info(
            "An output was tested",
            extra={"event": "output_tested", "output": self._environment.output},
        )
        return Delivered()

    async def send(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        """Write a line for each."""
        for delivery in deliveries:
            self._log(delivery)
        return [Delivered()] * len(deliveries)

    def _log(self, delivery: Delivery) -> None:
        extra: dict[str, object] = {
            "event": "output_logged",
            "output": self._environment.output,
            "input": self._environment.inputs.get(delivery.connection),
            "delivery_id": delivery.delivery_id,
            "environment": delivery.environment,
            "events": delivery.event_count,
            "size_bytes": len(delivery.payload),
        }
        if self._settings.include_data:
            data = delivery.payload.decode("utf-8", "replace")
            if len(msgspec.json.encode(data)) > MAX_DATA_BYTES:
                data = data[: MAX_DATA_BYTES // LONGEST_CHARACTER]
                extra["data_is_cut"] = True
            extra["data"] = data
        logger.info("A delivery was logged", extra=extra)


MODULE = OutputModule(
    module="log",
    kinds=frozenset({"event", "audience", "data_warehouse", "dsr"}),
    accepts_unbound=True,
    accepts_attribute_feed=True,
    settings_model=LogSettings,
    send_as_batch_default=True,
    retry_profile="stream",
    open=LogOutput,
)
