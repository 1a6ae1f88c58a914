"""Users whose identity record is to go, handed from a shard's sweep to the coordinator."""

from actors.model.profiles import ProfileKey

MAX_WAITING = 1_000  # of each identity scope; who has no room is met again by the next sweep


class OverdueRecords:
    """Waits in memory alone: what is lost with the process a sweep finds again."""

    def __init__(self) -> None:
        self._waiting: dict[int, dict[ProfileKey, None]] = {}  # by identity scope, in order

    def add(self, key: ProfileKey) -> None:
        """Let a user wait, if there is room."""
        waiting = self._waiting.setdefault(key.scope, {})
        if len(waiting) < MAX_WAITING:
            waiting[key] = None

    def take(self, scope: int, limit: int) -> list[ProfileKey]:
        """Return those of a scope who have waited for longest, who wait no longer."""
        waiting = self._waiting.get(scope, {})
        taken = list(waiting)[:limit]
        for key in taken:
            del waiting[key]
        return taken
