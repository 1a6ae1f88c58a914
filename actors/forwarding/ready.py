"""Lanes whose first delivery may go: those where it was tried in vain, and those where it was not.

The two take turns, so that neither waits for all of the other.
"""

from collections import deque

from actors.forwarding.lane import Lane, Request


class Ready:
    """Lanes in two lists; each is in one of them, or in none."""

    def __init__(self) -> None:
        self._fresh: deque[Lane] = deque()
        self._tried: deque[Lane] = deque()
        self._is_turn_of_tried = False
        self._is_turn_of_newest = False

    def __bool__(self) -> bool:
        """Whether a lane is listed."""
        return bool(self._fresh or self._tried)

    @property
    def has_fresh(self) -> bool:
        """Whether a lane is listed as one whose first delivery has not failed before."""
        return bool(self._fresh)

    def add(self, lane: Lane) -> None:
        """List a lane behind the others."""
        lane.listed = self._list_for(lane)
        lane.listed.append(lane)

    def first(self, *, is_fresh_alone: bool) -> Lane | None:
        """Return the lane whose turn it is, `None` if there is none.

        `is_fresh_alone`: what was tried in vain has no turn; see `change_ends`.
        """
        if is_fresh_alone:
            return self._fresh[-1 if self._is_turn_of_newest else 0] if self._fresh else None
        is_tried = bool(self._tried) and (self._is_turn_of_tried or not self._fresh)
        listed = self._tried if is_tried else self._fresh
        return listed[0] if listed else None

    def is_misplaced(self, lane: Lane) -> bool:
        """Whether a lane that is listed, and has deliveries, belongs in the other list by now."""
        return lane.listed is not self._list_for(lane)

    def drop(self, lane: Lane) -> None:
        """Take out a lane that is at one of the ends of its list."""
        assert lane.listed is not None, "it was found in a list"
        if lane.listed[0] is lane:
            lane.listed.popleft()
        else:
            lane.listed.pop()
        lane.listed = None

    def took(self, lane: Lane) -> None:
        """Pass the turn on: a delivery of this lane is being sent."""
        self._is_turn_of_tried = lane.listed is self._fresh

    def change_ends(self) -> None:
        """Have what was not tried in vain be taken from its other end when it is taken alone.

        Where one request decides whether more is sent, well users may be at either end of many
        whose deliveries all fail.
        """
        self._is_turn_of_newest = not self._is_turn_of_newest

    def drop_taken(self, request: Request) -> None:
        """Take out the lanes that were being emptied into a request.

        Else one whose delivery fails would be found where it was, before all others.
        """
        for listed in (self._fresh, self._tried):
            for end in (0, -1):
                if listed and listed[end].request is request:
                    self.drop(listed[end])

    def _list_for(self, lane: Lane) -> deque[Lane]:
        return self._tried if lane.entries[0].attempts else self._fresh
