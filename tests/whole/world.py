"""A whole deployment in one process: real edge, shards, coordinator and stores, no Ray.

The workspace is that of the worked cases of spec/events-api.md; the clock stands still until a test
moves it.
"""

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import msgspec
import orjson
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, Request
from msgspec import structs

from actors.alias_runner import AliasRunner
from actors.audience_views import AudienceViews
from actors.audience_worker import AudienceWorker
from actors.audiences.announce import FIRST_NUMBER
from actors.audiences.calls import AudienceShard
from actors.audiences.desk import AudienceDesk
from actors.audiences.handles import desk_handle
from actors.audiences.stepping import SteppingShard
from actors.calculated.calls import CalculatedShard
from actors.calculated.desk import CalculatedDesk
from actors.calculated.worker import CalculatedWorker
from actors.clock import Clock, ManualClock, SystemRandomness
from actors.coordinator import Coordinator
from actors.groups.desk import GroupDesk
from actors.groups.handles import GroupShard
from actors.groups.views import GroupViews
from actors.groups.worker import GroupWorker
from actors.handles import CoordinatorHandle, ShardHandle
from actors.metric_groups import CoordinatorMetrics, EdgeMetrics, ShardMetrics
from actors.model import Delivery, MicroBatch, Result, StoredBatch
from actors.outputs.subscription_settings import subscription_problems
from actors.repeats import RepeatDesk
from actors.shard import Shard, identity_rules
from actors.shard_aliases import ShardAliases
from actors.shard_options import ShardOptions
from actors.shard_views import ShardViews
from actors.store import log
from actors.store.environment import Store
from actors.sweeper import Sweeper
from config.audience_catalog import audience_catalog
from config.calculated_catalog import calculated_catalog
from config.compiled import connection_infos, queue_limits, workspace_info
from config.load import parse_workspace
from config.numbers import Numbers, assign_numbers
from config.settings import Settings
from server.app import RUNNER_OPTIONS
from server.edge import EdgeProcess, EdgeWorkspace
from server.edge_config import edge_config
from server.limit_file import LimitFile
from server.limits import RateLimiter
from server.microbatch import QueueOptions

T = 1_767_225_600_000  # 2026-01-01T00:00:00Z, the clock of the worked cases
MAP_SIZE = 256 * 1024 * 1024

DOCUMENT: dict[str, Any] = {
    "version": 1,
    "account": {"id": "acme", "name": "Acme"},
    "workspace": {
        "id": "w1",
        "name": "W1",
        "regulations": {
            "gdpr": {"enabled": True, "purposes": ["newsletter", "ads"]},
            "ccpa": {"enabled": True},
        },
    },
    "api_credentials": [
        {
            "client_id": "ops",
            "client_secret": "ops-secret",
            "role": "admin",
            "apis": ["platform", "profile"],
        },
        {
            "client_id": "viewer",
            "client_secret": "viewer-secret",
            "role": "read_only",
            "apis": ["platform"],
        },
    ],
    "inputs": [
        {
            "id": "backend",
            "kind": "feed",
            "name": "Backend",
            "keys": [{"key": "k1-backend", "secret": "s1"}],
        },
        {
            "id": "ios",
            "kind": "platform",
            "os": "iOS",
            "name": "iOS",
            "keys": [{"key": "k2-ios-app", "secret": "s2"}],
        },
        {
            "id": "acme",
            "kind": "feed",
            "partner": True,
            "name": "acme",
            "keys": [{"key": "k3-partner", "secret": "s3"}],
        },
        {
            "id": "web",
            "kind": "platform",
            "os": "MobileWeb",
            "name": "Web",
            "keys": [{"key": "kw-web-site", "secret": "sw"}],
        },
    ],
    "outputs": [
        {
            "id": "hook",
            "kind": "event",
            "module": "webhook",
            "name": "Hook",
            "settings": {"url": "https://hook.example.com/in"},
        }
    ],
    "connections": [
        {
            "id": f"{name}-hook",
            "input": name,
            "output": "hook",
            "settings": {
                "send_as_batch": True,
                "send_batches_without_events": False,
                "include_consent_state": True,
                "include_user_attribute_change_events": True,
            },
        }
        for name in ("backend", "ios", "acme", "web")
    ],
}
SECRETS = {"k1": "k1-backend:s1", "k2": "k2-ios-app:s2", "k3": "k3-partner:s3"}
WEB_KEY = "kw-web-site"


def basic(pair: str) -> dict[str, str]:
    """Return the header of Basic authentication with a `key:secret`."""
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


def changed(document: Mapping[str, Any], **sections: Any) -> dict[str, Any]:
    """Return a document with some sections laid over it; lists are replaced."""
    result = dict(document)
    for name, value in sections.items():
        below = result.get(name)
        is_mapping = isinstance(value, Mapping) and isinstance(below, Mapping)
        result[name] = changed(below, **value) if is_mapping and below is not None else value
    return result


class LocalHandle:
    """Calls plain objects as if they were in another process: what goes over is encoded."""

    def __init__(self, *targets: object) -> None:
        self._targets = targets

    def __getattr__(self, name: str) -> Any:
        method = next(getattr(each, name) for each in self._targets if hasattr(each, name))

        async def call(*arguments: Any) -> Any:
            return method(*arguments)

        return call


class LocalShard:
    """What the Ray actor of a shard makes of it, without Ray."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard
        self._decode = msgspec.msgpack.Decoder(MicroBatch).decode

    def commit(self, micro: bytes) -> bytes:
        results: list[Result] = self._shard.commit(self._decode(micro))
        return msgspec.msgpack.encode(results)

    def ready(self) -> str:
        return "ok"


class LocalCoordinator:
    """What the Ray actor of the coordinator makes of its parts, without Ray."""

    def __init__(self, *parts: object) -> None:
        self._parts = parts

    def __getattr__(self, name: str) -> Any:
        return next(getattr(each, name) for each in self._parts if hasattr(each, name))


def local_handle(shard: Shard, clock: Clock) -> LocalHandle:
    """Return a handle to all that can be called of a shard."""
    views = ShardViews(shard, clock)
    return LocalHandle(
        LocalShard(shard),
        views,
        ShardAliases(shard, clock),
        GroupViews(shard, views),
        GroupWorker(shard),
        CalculatedWorker(shard),
        AudienceViews(shard, clock),
        AudienceWorker(shard, clock),
        shard.outbox,
        shard,
    )


class World:
    """A running deployment, and what a test may do with it."""

    def __init__(
        self,
        client: TestClient[Request, Application],
        shards: list[Shard],
        edge: EdgeProcess,
        clock: Clock,
        coordinator: Coordinator,
        aliases: AliasRunner,
        metrics: CoordinatorMetrics,
        groups: GroupDesk,
        audiences: AudienceDesk,
        handles: list[ShardHandle],
    ) -> None:
        self.client = client
        self.shards = shards
        self.edge = edge
        self.clock = clock
        self.coordinator = coordinator
        self.aliases = aliases
        self._coordinator_metrics = metrics
        self.groups = groups
        self.audiences = audiences
        self._handles = handles

    # -- Sending ----------------------------------------------------------------------------------

    async def post(
        self, path: str, body: Any, key: str = "k1", headers: Mapping[str, str] | None = None
    ) -> ClientResponse:
        """Post a body (bytes as they are, anything else as JSON) with an input's credentials."""
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        sent = {**basic(SECRETS[key]), "Content-Type": "application/json", **(headers or {})}
        return await self.client.post(path, data=data, headers=sent)

    async def send(self, batch: Any, key: str = "k1") -> ClientResponse:
        """POST /v2/events."""
        return await self.post("/v2/events", batch, key)

    async def bulk(self, batches: Any, key: str = "k1") -> ClientResponse:
        """POST /v2/bulkevents."""
        return await self.post("/v2/bulkevents", batches, key)

    async def historical(self, batches: Any, key: str = "k1") -> ClientResponse:
        """POST /v2/bulkevents/historical."""
        return await self.post("/v2/bulkevents/historical", batches, key)

    async def accept(self, batch: Any, key: str = "k1") -> None:
        """Send a batch that has to be accepted."""
        response = await self.send(batch, key)
        assert response.status == 202, await response.text()

    # -- Reading ----------------------------------------------------------------------------------

    async def token(self, client_id: str = "ops") -> dict[str, str]:
        """Return the header of a new bearer token of a credential."""
        body = {
            "client_id": client_id,
            "client_secret": f"{client_id}-secret",
            "grant_type": "client_credentials",
        }
        response = await self.client.post("/oauth/token", json=body)
        assert response.status == 200, await response.text()
        return {"Authorization": f"Bearer {(await response.json())['access_token']}"}

    async def get(self, path: str, **query: str) -> ClientResponse:
        """Read something as the administrator."""
        return await self.client.get(path, params=query, headers=await self.token())

    async def resolve(
        self, value: str, environment: str = "production", identity_type: str = "customer_id"
    ) -> ClientResponse:
        """Ask the Profile API for the user who holds an identity."""
        body = {
            "environment_type": environment,
            "identity": {"type": identity_type, "value": value},
        }
        return await self.client.post(
            "/userprofile/v1/resolve/1/1/1",
            params={"fields": "user_identities,user_attributes"},
            json=body,
            headers=await self.token(),
        )

    async def find(self, query: str, **more: str) -> list[int]:
        """Return the MPIDs of the users that a search finds."""
        path = "/platform/v2/workspaces/1/users/search"
        response = await self.get(path, q=query, **more)
        assert response.status == 200, await response.text()
        return [row["mpid"] for row in await response.json()]

    async def mpid(self, query: str) -> int:
        """Return the MPID of the one user that a search finds."""
        [mpid] = await self.find(query)
        return mpid

    async def mpid_in(self, query: str, environment: str = "production") -> int:
        """Return the MPID of the one user that a search finds in an environment."""
        [mpid] = await self.find(query, environment=environment)
        return mpid

    async def profile(
        self,
        query: str | int,
        fields: str = "user_identities,user_attributes,device_identities,consent_state,attribution",
    ) -> dict[str, Any]:
        """Return the Profile API's answer for the one user that a search finds."""
        mpid = query if isinstance(query, int) else await self.mpid(query)
        response = await self.get(f"/userprofile/v1/1/1/1/{mpid}", fields=fields)
        assert response.status == 200, await response.text()
        return cast(dict[str, Any], await response.json())

    async def attributes(self, query: str | int) -> dict[str, Any]:
        """Return the user attributes of one user."""
        profile = await self.profile(query, "user_attributes")
        return cast(dict[str, Any], profile["user_attributes"])

    async def timeline(self, query: str | int, **filters: str) -> list[dict[str, Any]]:
        """Return the first page of a user's timeline: batches, newest first."""
        mpid = query if isinstance(query, int) else await self.mpid(query)
        response = await self.get(f"/platform/v2/workspaces/1/users/{mpid}/events", **filters)
        assert response.status == 200, await response.text()
        return cast(list[dict[str, Any]], (await response.json())["items"])

    async def events(self, query: str | int) -> list[dict[str, Any]]:
        """Return all events of a user's first page, in the order in which they were applied."""
        items = await self.timeline(query)
        return [event for item in reversed(items) for event in item["events"]]

    def outgoing(self) -> list[dict[str, Any]]:
        """Return what waits for the outputs, in the order in which it was made."""
        deliveries: list[Delivery] = []
        for shard in self.shards:
            for connection in range(1, 5):
                deliveries += shard.outbox.read_outbox(connection, 0, 10_000, 2**30)
        return [orjson.loads(each.payload) for each in sorted(deliveries, key=_sequence)]

    def log(self) -> list[StoredBatch]:
        """Return all batches that are kept, shard by shard, in the order of their commits."""
        kept: list[StoredBatch] = []
        for shard in self.shards:
            with shard.store.read() as txn:
                kept += [log.decode(encoded) for _, encoded in txn.scan("log")]
        return kept

    def count(self, name: str, **labels: str) -> float:
        """Return the sum of a metric over edge, coordinator and shards."""
        registries = [
            self.edge.metrics.registry,
            self._coordinator_metrics.registry,
            *(each.metrics.registry for each in self.shards),
        ]
        return sum(registry.get_sample_value(name, labels) or 0.0 for registry in registries)

    async def settle_audiences(self) -> None:
        """Do all that is due for audiences, on the shards and in the coordinator."""
        for _ in range(2):
            await self.audiences.work()
            for handle in self._handles:
                while await cast(SteppingShard, handle).audience_step():
                    pass
        await self.audiences.work()

    def told(self, subscription: int) -> list[dict[str, Any]]:
        """Return what waits for a subscription, in the order in which it was made."""
        deliveries: list[Delivery] = []
        for shard in self.shards:
            number = FIRST_NUMBER + subscription
            deliveries += shard.outbox.read_outbox(number, 0, 10_000, 2**30)
        return [orjson.loads(each.payload) for each in sorted(deliveries, key=_sequence)]

    def sweep(self) -> None:
        """Do what is done now and then: remove what is past its retention."""
        for shard in self.shards:
            Sweeper(shard, self.clock).sweep()


def _sequence(delivery: Delivery) -> int:
    return delivery.sequence


@asynccontextmanager
async def running(
    folder: Path,
    *,
    shards: int = 2,
    document: Mapping[str, Any] = DOCUMENT,
    clock: Clock | None = None,
    **settings: Any,
) -> AsyncIterator[World]:
    """Run a deployment on a folder; it can be run again on the same one."""
    clock = clock or ManualClock(T)
    parsed = parse_workspace(dict(document))
    numbers = assign_numbers(parsed, Numbers())
    process = Settings(data_dir=folder, **settings)
    workspace = workspace_info(parsed, numbers, process)
    async with AsyncExitStack() as stack:
        owners = []
        for number in range(shards):
            options = ShardOptions(
                number=number,
                of=shards,
                folder=folder / f"shard-{number}",
                map_size_bytes=MAP_SIZE,
                profile_cache_bytes=process.profile_cache_bytes,
                workspace=workspace,
                connections=connection_infos(parsed, numbers),
                queue_limits=queue_limits(parsed, numbers, shards),
            )
            shard = Shard(options, clock, ShardMetrics("test"), wake=lambda _: None)
            stack.callback(shard.close)
            owners.append(shard)
        handles = [cast(ShardHandle, local_handle(each, clock)) for each in owners]
        store = Store(folder / "coordinator", MAP_SIZE)
        metrics = CoordinatorMetrics("test")
        coordinator = Coordinator(
            store,
            handles,
            workspace.scope,
            identity_rules(workspace),
            workspace.limits.unique_event_names,
            clock,
            SystemRandomness(),
            metrics,
        )
        stack.callback(coordinator.close)
        aliases = AliasRunner(store, handles, workspace.alias_delay_ms, clock, metrics)
        groups = GroupDesk(
            store,
            cast(list[GroupShard], handles),
            process.group_job_interval_s,
            clock,
            SystemRandomness(),
            partial(asyncio.sleep, 0),
        )
        calculated = CalculatedDesk(
            store,
            calculated_catalog(parsed, numbers),
            cast(list[CalculatedShard], handles),
            lambda: audiences.calculated_uses(),
            clock,
        )
        audiences = AudienceDesk(
            store,
            structs.replace(audience_catalog(parsed, numbers), calculated=calculated.active),
            subscription_problems,
            cast(list[AudienceShard], handles),
            folder / "downloads",
            clock,
            SystemRandomness(),
        )
        limits = LimitFile(folder / "limits")
        stack.callback(limits.close)
        served = EdgeWorkspace(
            edge_config(parsed, numbers, process, "k" * 32),
            workspace,
            handles,
            cast(
                CoordinatorHandle, LocalCoordinator(coordinator, aliases, RepeatDesk(store, clock))
            ),
            groups,
            desk_handle(audiences.call),
            calculated,
        )
        edge = EdgeProcess(
            [served],
            QueueOptions(
                calls_in_flight=process.calls_in_flight,
                max_micro_batch_bytes=process.max_micro_batch_bytes,
                max_queue_bytes=process.max_queue_bytes,
            ),
            RateLimiter(limits),
            EdgeMetrics("test"),
            clock,
            SystemRandomness(),
        )
        server = TestServer(edge.app)
        await server.start_server(**RUNNER_OPTIONS)
        client = await stack.enter_async_context(TestClient(server))
        yield World(
            client, owners, edge, clock, coordinator, aliases, metrics, groups, audiences, handles
        )
