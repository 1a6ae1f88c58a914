"""What every route and the middleware can reach: `request.app[EDGE]`."""

import itertools

from aiohttp import web

from actors.clock import Clock, Randomness
from actors.metric_groups import EdgeMetrics
from server.auth import BasicAuthentication
from server.deployment import Deployment
from server.edge_config import ConfigHolder
from server.limits import RateLimiter


class Edge:
    """One edge: what it speaks to and how it is configured."""

    def __init__(
        self,
        deployment: Deployment,
        config: ConfigHolder,
        clock: Clock,
        limiter: RateLimiter,
        metrics: EdgeMetrics,
        randomness: Randomness,
    ) -> None:
        self.deployment = deployment
        self.config = config
        self.clock = clock
        self.limiter = limiter
        self.metrics = metrics
        self.randomness = randomness
        self.basic = BasicAuthentication()
        self._request_prefix = f"{randomness.bits(64):016x}-"
        self._request_numbers = itertools.count(1)

    def new_request_id(self) -> str:
        """Return an id for a request that brought none."""
        return f"{self._request_prefix}{next(self._request_numbers):x}"

    def ticks_ms(self) -> int:
        """Return milliseconds of the clock that rate limits run on: the machine's monotonic one."""
        return round(self.clock.monotonic() * 1000)


EDGE = web.AppKey("edge", Edge)
