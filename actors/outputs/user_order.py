"""Order per user among the deliveries of one `send` (spec/connections.md, 3.4)."""

from actors.model.deliveries import Delivery
from actors.outputs.contract import Outcome, Retry, Split

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
