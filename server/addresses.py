"""Limits of what one address may ask without a credential, and of how often it may guess at one.

Each edge counts for itself. What it remembers is bounded: an address that was forgotten begins
anew, as one that has rested would.
"""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv6Address, ip_address
from types import TracebackType
from typing import Self

from aiohttp import web

from server.browsers import client_address
from server.context import Edge
from server.edge_config import EdgeConfig
from server.limits import Counter, Limit, RateLimiter
from server.problems import Refused
from server.rates import count

REMEMBERED = 10_000
AT_ONCE = 60
PER_S = 1
FAILURES_AT_ONCE = 60  # of one key from one address
FAILURES_PER_S = 1
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


class Failures:
    """The proofs of keys that one edge has found wrong of late, by key and address.

    Only who comes from the address of a guesser, with the key that is guessed at, may be told to
    come again later; whose Basic header was right before is not, and no other key is concerned. All
    keys that do not exist are one, so that they fill no memory. Signatures are not counted: who has
    an app has one to try secrets on, and all users of the app may share an address.
    """

    def __init__(self) -> None:
        self._limiter = RateLimiter(_Counters())

    @contextmanager
    def around(
        self, request: web.Request, edge: Edge, config: EdgeConfig, key: str
    ) -> Iterator[None]:
        """Let a key be proven within; it was not if Refused is raised, which is counted.

        Raises:
            Refused: too many were wrong before (429): this one is not looked at.
        """
        own = config.workspace_key
        is_known = key in config.keys or (own is not None and own.key == key)
        network = _network(client_address(request, config))
        name = f"{network} {config.workspace} {key if is_known else ''}"
        limits = [Limit("system", name, FAILURES_PER_S, FAILURES_AT_ONCE)]
        exceeded = self._limiter.check(limits, 1, edge.ticks_ms())
        if exceeded is not None:
            message = "Too many wrong secrets of this key came from this address."
            retry_after = {"Retry-After": str(exceeded.retry_after_s)}
            raise Refused("TOO_MANY_REQUESTS", message, retry_after)
        try:
            yield
        except Refused:
            self._limiter.admit(limits, 1, edge.ticks_ms())
            raise


ADDRESSES = web.AppKey("addresses", Addresses)
FAILURES = web.AppKey("failures", Failures)


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
