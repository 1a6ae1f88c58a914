"""Limits of what one address may ask without a credential: what nobody vouches for costs little.

Each edge counts for itself. What it remembers is bounded: an address that was forgotten begins
anew, as one that has rested would.
"""

from collections import OrderedDict
from ipaddress import IPv6Address, ip_address
from types import TracebackType
from typing import Self

from aiohttp import web

from server.browsers import client_address
from server.context import Edge
from server.limits import Counter, Limit, RateLimiter
from server.rates import count

REMEMBERED = 10_000
AT_ONCE = 60
PER_S = 1
NETWORK_BITS = 64  # of an IPv6 address: what one client has


class _Counters:
    """`server.limits.Counters` in memory, of the addresses that were seen last."""

    def __init__(self) -> None:
        self._counters: OrderedDict[str, Counter] = OrderedDict()

    def __enter__(self) -> Self:
        """Nobody else is there: an edge is one thread."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nobody waits."""

    def read(self, key: str) -> Counter | None:
        """Return a counter, `None` if nothing was counted yet."""
        return self._counters.get(key)

    def write(self, key: str, counter: Counter) -> None:
        """Keep a counter, and forget those that were written longest ago."""
        self._counters[key] = counter
        self._counters.move_to_end(key)
        while len(self._counters) > REMEMBERED:
            self._counters.popitem(last=False)


class Addresses:
    """The requests without a credential that one edge has admitted of late, by address."""

    def __init__(self) -> None:
        self._limiter = RateLimiter(_Counters())

    def admit(self, request: web.Request, edge: Edge) -> None:
        """Count a request. Raises Refused (429)."""
        network = _network(client_address(request, edge.config.current))
        count(self._limiter, [Limit("system", network, PER_S, AT_ONCE)], 1, edge.ticks_ms())


ADDRESSES = web.AppKey("addresses", Addresses)


def _network(address: str | None) -> str:
    """Return whose address it is."""
    try:
        parsed = ip_address(address or "")
    except ValueError:
        return ""
    if isinstance(parsed, IPv6Address):
        mapped = parsed.ipv4_mapped
        return str(mapped or int(parsed) >> (128 - NETWORK_BITS))
    return str(parsed)
