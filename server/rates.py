"""Rate limits as a client sees them: a 429, or how much of the limits is used."""

from collections.abc import Mapping, Sequence

from aiohttp import web

from server.context import Edge
from server.limits import Exceeded, Limit, RateLimiter
from server.problems import Refused

USED = "X-mp-rate-limit-percentage-used"
EXCEEDED = "X-mp-rate-limit-exceeded"
# Set by who admits a request whose answer is made elsewhere: the percentage used.
RATE_USED = web.RequestKey("rate_used", int)


def admit(edge: Edge, limits: Sequence[Limit], n: int) -> int | None:
    """Do what `count` does, with the counters that all edges of the machine share."""
    return count(edge.limiter, limits, n, edge.ticks_ms())


def count(limiter: RateLimiter, limits: Sequence[Limit], n: int, now_ms: int) -> int | None:
    """Count `n` against the limits and return the percentage used, `None` if there are none.

    Raises:
        Refused: a limit is exceeded (429); nothing was counted.
    """
    decision = limiter.admit(limits, n, now_ms)
    if isinstance(decision, Exceeded):
        raise Refused(
            "TOO_MANY_REQUESTS",
            f"The rate limit of level {decision.level} is exceeded.",
            {"Retry-After": str(decision.retry_after_s), EXCEEDED: decision.level},
        )
    return decision.percentage


def used_headers(percentage: int | None) -> Mapping[str, str] | None:
    """Return the header of an answer to an admitted request."""
    return None if percentage is None else {USED: str(percentage)}
