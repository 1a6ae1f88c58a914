"""Whom callbacks wait for, by host: one that is slow holds up no other. No I/O, no waiting."""

from collections import Counter, OrderedDict, deque
from typing import NamedTuple
from urllib.parse import urlsplit

AT_ONCE = 64  # receivers may be slow, and each has ten seconds
AT_A_HOST = 8
WAITING_AT_A_HOST = 10_000
WAITING = 50_000


class Place(NamedTuple):
    """What is to be told next to one URL of one request."""

    request: str
    url: int  # its place among the request's


class Hosts:
    """What waits to be told, and what is being told."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, deque[Place]] = OrderedDict()
        self._under_way: Counter[str] = Counter()
        self._known: dict[Place, str] = {}

    @property
    def has_room(self) -> bool:
        """Whether more could be begun than waits for hosts that can be told something."""
        is_begun = self._under_way.total() >= AT_ONCE
        return not is_begun and self._free() is None and len(self._known) < WAITING

    def add(self, place: Place, url: str) -> bool:
        """Let something wait that does not yet; tell whether there is room for it."""
        if place in self._known:
            return True
        host = urlsplit(url).netloc.lower()
        waiting = self._waiting.setdefault(host, deque())
        if len(waiting) >= WAITING_AT_A_HOST:
            return False
        waiting.append(place)
        self._known[place] = host
        return True

    def take(self) -> Place | None:
        """Return what is to be told now, each host in its turn; `end` comes later."""
        host = self._free() if self._under_way.total() < AT_ONCE else None
        if host is None:
            return None
        place = self._waiting[host].popleft()
        if self._waiting[host]:
            self._waiting.move_to_end(host)
        else:
            del self._waiting[host]
        self._under_way[host] += 1
        return place

    def end(self, place: Place) -> None:
        """Note that something was told, or could not be."""
        host = self._known.pop(place)
        self._under_way[host] -= 1
        if not self._under_way[host]:
            del self._under_way[host]

    def _free(self) -> str | None:
        """Return a host that may be told something: all but those few that are told enough."""
        return next((each for each in self._waiting if self._under_way[each] < AT_A_HOST), None)
