"""What "newer" means when data arrives late (spec/profiles.md, 3.1)."""

from msgspec import Struct

from actors.model.batches import Batch, BatchContext


class AsOf(Struct, frozen=True):
    """The time that the data of one batch stands for, in ms.

    A live batch stands for its time of receipt: what is received later wins, whatever its events
    say. A historical batch stands for its newest event, and may not undo anything newer.
    """

    ms: int
    is_historical: bool = False

    def replaces(self, updated_ms: int) -> bool:
        """Tell whether this batch may write over a value that stands for `updated_ms`."""
        return not self.is_historical or updated_ms < self.ms


def as_of(batch: Batch, context: BatchContext) -> AsOf:
    """Return the time that a batch stands for.

    Historical batches always have events: those without are refused at the door.
    """
    received_ms = context.received_ms
    if not context.is_historical:
        return AsOf(received_ms)
    newest_ms = max((event.timestamp_ms for event in batch.events), default=0)
    return AsOf(min(newest_ms, received_ms), is_historical=True)
