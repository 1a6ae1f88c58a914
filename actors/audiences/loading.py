"""Fills an engine with the profiles of a shard after a start, while the shard serves.

A million profiles take the better part of a minute, for which nobody is to wait: what is asked of
one user is loaded when it is asked for, and the rest bit by bit.
"""

from collections.abc import Callable, Sequence

from actors.clock import Clock
from actors.model.profiles import Profile, ProfileKey
from actors.store.environment import Store
from actors.store.keys import profile_key_parts
from actors.store.profiles import decode_profile

PAGE = 200  # profiles that are taken at once: some 10 ms


class Loading:
    """Goes over all profiles once, in the order of their keys.

    Attributes:
        is_done: it has been over all of them.
    """

    def __init__(
        self,
        store: Store,
        take: Callable[[Sequence[tuple[ProfileKey, Profile]]], None],
        knows: Callable[[ProfileKey], bool],
        clock: Clock,
    ) -> None:
        """Args: `take` takes profiles that the engine does not know (`knows`)."""
        self.is_done = False
        self._store = store
        self._take = take
        self._knows = knows
        self._clock = clock
        self._next = b""

    def go_on(self, deadline_s: float) -> None:
        """Take page after page until an instant of the monotonic clock, or the end."""
        while not self.is_done and self._clock.monotonic() < deadline_s:
            found, following = self._page()
            self._take(found)
            if following is None:
                self.is_done = True
            else:
                self._next = following

    def _page(self) -> tuple[list[tuple[ProfileKey, Profile]], bytes | None]:
        """Return who is to be taken next, and where to go on, `None` after the last."""
        found: list[tuple[ProfileKey, Profile]] = []
        with self._store.read() as txn:
            for seen, (packed, encoded) in enumerate(txn.scan("profiles", start=self._next)):
                if seen == PAGE:
                    return found, packed
                key = profile_key_parts(packed)
                if not self._knows(key):
                    found.append((key, decode_profile(encoded)))
        return found, None
