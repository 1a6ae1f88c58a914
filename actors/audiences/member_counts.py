"""How many users entered and left each audience within the last 24 hours (spec/audiences.md, 7)."""

from collections import defaultdict
from collections.abc import Collection

from actors.profiles.retention import DAY_MS
from actors.store import member_counts
from actors.store.environment import Transaction
from actors.store.member_counts import SPAN_MS


class MemberCounts:
    """Counts of one shard, on disk with the changes that are counted."""

    def __init__(self, txn: Transaction) -> None:
        """Read what is kept."""
        self._spans: dict[int, dict[int, tuple[int, int]]] = defaultdict(dict)
        self._waiting: dict[tuple[int, int], list[int]] = {}
        for audience, span, entered, left in member_counts.read_all(txn):
            self._spans[audience][span] = (entered, left)

    def count(self, audience: int, now_ms: int, *, entered: bool) -> None:
        """Count a change that the transaction under way makes."""
        waiting = self._waiting.setdefault((audience, now_ms // SPAN_MS), [0, 0])
        waiting[0 if entered else 1] += 1

    def write(self, txn: Transaction, now_ms: int) -> None:
        """Write what was counted; what is older than a day goes when a new span begins."""
        for (audience, span), (entered, left) in self._waiting.items():
            before = self._spans[audience].get(span)
            if before is None:
                member_counts.clear(txn, audience, _first_span(now_ms))
            so_far = before or (0, 0)
            member_counts.put(txn, audience, span, so_far[0] + entered, so_far[1] + left)

    def published(self) -> None:
        """The transaction is on disk; from memory, too, goes what is older than a day."""
        for (audience, span), (entered, left) in self._waiting.items():
            spans = self._spans[audience]
            if span not in spans:
                _drop_before(spans, _first_span(span * SPAN_MS))
            so_far = spans.get(span, (0, 0))
            spans[span] = (so_far[0] + entered, so_far[1] + left)
        self._waiting.clear()

    def abandon(self) -> None:
        """The transaction failed: nothing was counted."""
        self._waiting.clear()

    def last_day(self, audience: int, now_ms: int) -> tuple[int, int]:
        """Return how many entered and left in the last 24 hours, up to `SPAN_MS` more of them."""
        spans = self._spans.get(audience, {})
        _drop_before(spans, _first_span(now_ms))
        entered = sum(each for each, _ in spans.values())
        return entered, sum(each for _, each in spans.values())

    def keep_only(self, audiences: Collection[int]) -> None:
        """Forget all other audiences; `member_counts.clear` does so on disk."""
        for gone in self._spans.keys() - audiences:
            del self._spans[gone]


def _first_span(now_ms: int) -> int:
    """Return the oldest span of which a part lies within the last 24 hours."""
    return (now_ms - DAY_MS) // SPAN_MS


def _drop_before(spans: dict[int, tuple[int, int]], first: int) -> None:
    for span in [span for span in spans if span < first]:
        del spans[span]
