"""What every route and the middleware can reach: the workspaces that an edge serves."""

from collections.abc import Sequence
from typing import NamedTuple

from aiohttp import web

from actors.clock import Clock, Randomness
from actors.metric_groups import EdgeMetrics
from server.auth import BasicAuthentication, basic_user, bearer_client
from server.bodies import PART_BYTES, expected_bytes
from server.deployment import Deployment
from server.edge_config import ConfigHolder, EdgeConfig
from server.limits import RateLimiter
from server.problems import too_large
from server.received import RECEIVED
from server.request_ids import RequestIds

# `Authorization` values whose workspace is remembered: a few spellings of each credential in use.
# Nobody has verified them, so longer ones, which only waste memory, are not kept.
MAX_KNOWN_HEADERS = 4096
MAX_KNOWN_HEADER_CHARS = 1024


class Edge:
    """One workspace of an edge: what it speaks to and how it is configured."""

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

    def ticks_ms(self) -> int:
        """Return milliseconds of the clock that rate limits run on: the machine's monotonic one."""
        return round(self.clock.monotonic() * 1000)


class _Place(NamedTuple):
    """Where a key or a client id was found: `config` is what the edge had then."""

    edge: Edge
    config: EdgeConfig

    @property
    def is_current(self) -> bool:
        return self.edge.config.current is self.config


_Places = dict[str, _Place]


class Edges:
    """All workspaces that one process serves on its port, and which of them a request is for.

    A request belongs to the workspace whose credential it names. That is not checked here: the
    workspace's own configuration decides what the credential proves. What no workspace knows goes
    to the first one, which refuses it.

    Keys and client ids are unique among the workspaces. While configurations are switched one
    after the other two may have the same, and then one of them gets its requests.
    """

    def __init__(
        self,
        workspaces: Sequence[tuple[Deployment, ConfigHolder]],
        clock: Clock,
        limiter: RateLimiter,
        metrics: EdgeMetrics,
        randomness: Randomness,
    ) -> None:
        """Args: `workspaces`, at least one; the rest is what they share."""
        self.clock = clock
        self.metrics = metrics
        self.all = tuple(
            Edge(deployment, config, clock, limiter, metrics, randomness)
            for deployment, config in workspaces
        )
        self.first = self.all[0]
        self._indexed: list[EdgeConfig] = []
        self._keys: _Places = {}
        self._clients: _Places = {}
        self._headers: _Places = {}
        self.request_ids = RequestIds(randomness)

    def of(self, request: web.Request) -> Edge:
        """Return the workspace of what names it first: path, `Authorization`, `x-mp-key`.

        In that order, because a route whose path has a key asks for that one, and elsewhere
        `Authorization` decides alone where there is one (spec/identity.md, 4.2).
        """
        if len(self.all) == 1:
            return self.first
        in_path = request.match_info
        key = in_path.get("key") or in_path.get("api_key")
        if key is not None:
            return self._find(self._keys, key) or self.first
        header = request.headers.get("Authorization")
        if header is not None:
            return self._of_header(header)
        return self._find(self._keys, request.headers.get("x-mp-key", "")) or self.first

    def of_key(self, key: str) -> Edge:
        """Return the workspace that has an input's key."""
        return self._find(self._keys, key) or self.first

    def of_client(self, client_id: str) -> Edge:
        """Return the workspace that has a credential of a client id."""
        return self._find(self._clients, client_id) or self.first

    def _of_header(self, header: str) -> Edge:
        known = self._headers.get(header)
        if known is not None and known.is_current:
            return known.edge
        user = basic_user(header)
        if user is not None:
            edge = self._find(self._keys, user)
        else:
            edge = self._find(self._clients, bearer_client(header) or "")
        if edge is None:
            return self.first
        if len(header) <= MAX_KNOWN_HEADER_CHARS:
            if len(self._headers) >= MAX_KNOWN_HEADERS:
                self._headers.clear()
            self._headers[header] = _Place(edge, edge.config.current)
        return edge

    def _find(self, places: _Places, name: str) -> Edge | None:
        place = places.get(name)
        if place is not None and place.is_current:
            return place.edge
        configs = [edge.config.current for edge in self.all]
        # By identity: to compare configurations would cost more than to index them.
        if list(map(id, configs)) != list(map(id, self._indexed)):
            self._index(configs)
            place = places.get(name)
        return None if place is None else place.edge

    def _index(self, configs: list[EdgeConfig]) -> None:
        self._indexed = configs
        for places in (self._keys, self._clients, self._headers):
            places.clear()
        for edge, config in zip(self.all, configs, strict=True):
            place = _Place(edge, config)
            for key in config.keys:
                self._keys.setdefault(key, place)
            if config.workspace_key is not None:
                self._keys.setdefault(config.workspace_key.key, place)
            for client_id in config.credentials:
                self._clients.setdefault(client_id, place)


UNKNOWN_INPUT = 0  # inputs are numbered from 1
EDGES = web.AppKey("edges", Edges)


async def expect_body(
    request: web.Request, edge: Edge, config: EdgeConfig, input_: int, limit_bytes: int
) -> None:
    """Make sure that the shards can take what a request brings, before its body is read.

    `limit_bytes`: how long it may be. One that does not say how long it is counts as much as may
    be there of it, until it is read.

    Raises:
        Refused: it is longer (413).
        ShardUnavailable: see `expect`.
    """
    length = request.content_length or 0
    if length > limit_bytes:
        raise too_large(limit_bytes)
    await expect(request, edge, config, input_, length or PART_BYTES)


async def expect(
    request: web.Request, edge: Edge, config: EdgeConfig, input_: int, size: int
) -> None:
    """Make sure that the shards can take so many bytes that a request brings.

    Raises:
        ShardUnavailable: they have as much to do of this input as they can do in time, or the edge
            holds as many bodies of it as it may.
    """
    count_body(request, config, input_)
    room = edge.deployment.room_bytes()
    await request.app[RECEIVED].expect(request, config.workspace_slug, input_, size, room)


async def expect_body_with_key(request: web.Request) -> None:
    """Make sure that the shards can take a body that has to be read to know whose it is.

    All such bodies are counted as those of one input of the workspace that can take most, until
    they are read; then `expect_body` asks again, for whose they are. Nobody answers for the length
    that they declare, so no more is believed of it than comes at once.

    Raises:
        ShardUnavailable: no workspace can take it in time.
    """
    edge = max(request.app[EDGES].all, key=lambda each: each.deployment.room_bytes())
    request.app[RECEIVED].share(request, UNKNOWN_INPUT)
    size, room = expected_bytes(request, PART_BYTES), edge.deployment.room_bytes()
    workspace = edge.config.current.workspace_slug
    await request.app[RECEIVED].expect(request, workspace, UNKNOWN_INPUT, size, room)


def count_body(request: web.Request, config: EdgeConfig, input_: int) -> None:
    """Count a body that is about to be read, and brings nothing to apply, as one of an input.

    Raises:
        ShardUnavailable: a part of it is there, and is more than the edge may hold of the input.
    """
    request.app[RECEIVED].share(request, (config.workspace_slug, input_))


def edge_of(request: web.Request) -> Edge:
    """Return the workspace that a request is for."""
    return request.app[EDGES].of(request)
