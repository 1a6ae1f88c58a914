"""How many calls wait for shards that are away: those of the other shards need room, too.

Source: spec/identity.md, V15.
"""

from collections.abc import Callable, Iterable

from actors.errors import ShardUnavailable
from actors.identity.clusters import Pending

# Of the thousand that the coordinator works on at once. Each waits for up to five seconds.
MAX_WAITING = 300


class Waiting:
    """The calls that wait for shards, of all scopes of a process."""

    def __init__(self) -> None:
        self._calls: set[Pending] = set()

    def begin(
        self, pending: Pending, shards: Iterable[int], is_silent: Callable[[int], bool]
    ) -> bool:
        """Count a decision as one that waits for some shards; tell whether it may.

        It is refused instead, and done, if one of them is silent and enough calls wait for silent
        ones. A batch is not: it is asked for again at once, and many come in one call.

        Args:
            pending: the decision; what it waits for already is not counted again.
            shards: that it needs.
            is_silent: tells whether a shard does not answer now.
        """
        more = set(shards) - pending.awaited
        if not more or not pending.decision.is_limited:
            return True
        if any(map(is_silent, more)):
            known = set[int]().union(*(each.awaited for each in self._calls))
            silent = set(filter(is_silent, known))
            waiting = sum(not silent.isdisjoint(each.awaited) for each in self._calls)
            if waiting >= MAX_WAITING:
                pending.fail(ShardUnavailable("too many calls wait for a shard that is away"))
                return False
        pending.awaited |= more
        self._calls.add(pending)
        return True

    def end(self, pending: Pending) -> None:
        """A decision waits for nothing any more."""
        self._calls.discard(pending)
