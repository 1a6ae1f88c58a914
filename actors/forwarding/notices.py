"""What a forwarder writes to the log: each fault once, with ids, and never what was sent."""

import logging
from typing import Any

from actors.model.deliveries import Delivery
from actors.outputs import retry
from actors.outputs.contract import Fatal, Retry
from actors.outputs.mistakes import described

logger = logging.getLogger("headwater.forwarder")

FAULT_ALERT = "Connection Faulted"  # spec/observability.md, 4
FAULTED = "A connection stopped sending; it has to be resumed"


class Notices:
    """Of one output; `connection` is a connection's id everywhere."""

    def __init__(self, output: str) -> None:
        self._output = output

    # -- Of deliveries ----------------------------------------------------------------------------

    def delayed(self, connection: str, delivery: Delivery, attempts: int, outcome: Retry) -> None:
        """A delivery failed; `attempts`: with this one."""
        extra = self._of(connection, delivery, "delivery_delayed", alert(outcome))
        extra["attempts"] = attempts
        logger.warning("A delivery failed and will be tried again", extra=extra)

    def dead(self, connection: str, delivery: Delivery, why: Fatal) -> None:
        """A delivery became a dead letter."""
        extra = self._of(connection, delivery, "delivery_dead", alert(why))
        logger.error("A delivery failed for good", extra=extra | {"reason": why.reason})

    def mistake(self, delivery_id: str, error: Exception) -> None:
        """An output raised what it should not have."""
        logger.error(
            "An output failed in a way that it should not",
            extra={
                "event": "output_error",
                "output": self._output,
                "delivery_id": delivery_id,
                "error": described(error),
            },
        )

    def not_stopped(self, error: Exception) -> None:
        """An output raised when it was to let go of what it has."""
        logger.error(
            "An output could not be stopped in good order",
            extra={"event": "output_error", "output": self._output, "error": described(error)},
        )

    # -- Of connections ---------------------------------------------------------------------------

    def faulted(self, connection: str, delivery: Delivery, why: Fatal) -> None:
        """A connection stopped sending; `delivery` was the last."""
        extra = self._of(connection, delivery, "connection_faulted", FAULT_ALERT)
        logger.error(FAULTED, extra=extra | {"reason": why.reason, "reason_code": alert(why)})

    def not_agreed(self, connection: str, why: Fatal) -> None:
        """A subscription stopped before anything was sent."""
        logger.error(
            FAULTED,
            extra={
                "event": "connection_faulted",
                "output": self._output,
                "connection": connection,
                "reason": why.reason,
                "reason_code": alert(why),
                "alert": FAULT_ALERT,
            },
        )

    def barrier_off(self, connection: str, delivery_id: str) -> None:
        """A user's order was given up; `delivery_id` is of what the others waited for."""
        logger.warning(
            "Too much waits behind a delivery that is retried; its user's order is given up",
            extra={
                "event": "order_barrier_disabled",
                "connection": connection,
                "delivery_id": delivery_id,
            },
        )

    def no_room(self, connection: str) -> None:
        """Deliveries could not be collected; they stay in the outbox."""
        logger.error(
            "There is no room to collect deliveries",
            extra={"event": "spool_full", "output": self._output, "connection": connection},
        )

    def source_failed(self, connection: str, error: Exception) -> None:
        """A shard did not answer, or had no room."""
        logger.warning(
            "A shard's outbox does not answer",
            extra={
                "event": "source_unavailable",
                "output": self._output,
                "connection": connection,
                "error": {"type": type(error).__name__},
            },
        )

    def circuit_open(self) -> None:
        """The output is left alone for a while."""
        logger.warning(
            "An output failed again and again; it is left alone for a while",
            extra={"event": "circuit_open", "output": self._output, "alert": "Circuit Open"},
        )

    def _of(self, connection: str, delivery: Delivery, event: str, alert: str) -> dict[str, Any]:
        return {
            "event": event,
            "output": self._output,
            "connection": connection,
            "delivery_id": delivery.delivery_id,
            "attempts": delivery.attempts,
            "alert": alert,
        }


def alert(outcome: Retry | Fatal) -> str:
    """Return the name of the system alert that a failure raises (spec/observability.md, 4)."""
    if isinstance(outcome, Fatal) and outcome.reason == "retry_exhausted":
        return "Retry Count Exceeded"
    if outcome.http_status is not None:
        return retry.alert_name(outcome.http_status)
    if isinstance(outcome, Retry):
        return retry.NETWORK_ALERT
    return retry.TLS_ALERT if outcome.excerpt == retry.TLS_ALERT else outcome.reason
