"""Order per user among the deliveries of one `send` (spec/connections.md, 3.4)."""

from collections.abc import Sequence

from actors.model.deliveries import Delivery
from actors.outputs.contract import Delivered, Outcome, Retry, Split

PRECEDED = Retry("what precedes it is sent again")


class UserOrder:
    """Knows whose deliveries wait for one that is sent again, whole or in parts.

    Deliveries that are nobody's have no order.
    """

    def __init__(self) -> None:
        self._again: set[tuple[int, int | None]] = set()

    def holds(self, delivery: Delivery) -> bool:
        """Tell whether one of its user that precedes it is sent again."""
        return (delivery.connection, delivery.mpid) in self._again

    def note(self, delivery: Delivery, outcome: Outcome) -> None:
        """Take in what became of a delivery; those of a user come in their order."""
        if delivery.mpid is not None and isinstance(outcome, Retry | Split):
            self._again.add((delivery.connection, delivery.mpid))


def in_order(deliveries: Sequence[Delivery], outcomes: list[Outcome]) -> list[Outcome]:
    """Have what follows a user's delivery that is sent again be sent again as well."""
    order = UserOrder()
    ordered: list[Outcome] = []
    for delivery, outcome in zip(deliveries, outcomes, strict=True):
        is_early = isinstance(outcome, Delivered) and order.holds(delivery)
        ordered.append(PRECEDED if is_early else outcome)
        order.note(delivery, outcome)
    return ordered
