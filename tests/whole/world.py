"""A whole deployment in one process: real edge, shards, coordinator and stores, no Ray.

The workspace is that of the worked cases of spec/events-api.md; the clock stands still until a test
moves it.
"""

import base64
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import msgspec
import orjson
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, Request
from msgspec.structs import replace

from actors.audiences.announce import FIRST_NUMBER
from actors.audiences.handles import desk_handle
from actors.audiences.stepping import SteppingShard
from actors.calculated.handles import calculated_handle
from actors.clock import Clock, ManualClock, SystemRandomness
from actors.desks import Desks, calculated_in_use, other_desks, readers_of_events
from actors.groups.handles import GroupDeskHandle
from actors.handles import CoordinatorHandle, ShardHandle
from actors.identity.sequencer import Sequencer
from actors.identity.waiting import Waiting
from actors.metric_groups import CoordinatorMetrics, EdgeMetrics, ShardMetrics
from actors.model.batches import StoredBatch
from actors.model.deliveries import Delivery
from actors.model.micro_batches import MicroBatch, Result
from actors.model.workspaces import WorkspaceInfo
from actors.once import OF_CONFIGURATION, OF_DESKS, named_once
from actors.outputs.contract import RegisteredOutput
from actors.points_exchange import PointsExchange, PointShard
from actors.privacy.handles import Surroundings, privacy_handle
from actors.privacy.requests import Version
from actors.shard import Shard
from actors.shard_calls import ShardCalls
from actors.shard_options import StoreOptions
from actors.shard_state import ShardState
from actors.store import log
from actors.store.environment import Store
from actors.store.layout import configuration_store, scope_store, workspace_store
from actors.sweeper import Sweeper
from config.book import FILE, Book
from config.compiled_workspaces import desk_options, shard_options
from config.desk import ConfigDesk
from config.sealing import Sealer
from config.served import ServedDocument
from config.settings import Settings
from config.workspace import WorkspaceDocument
from server.app import RUNNER_OPTIONS
from server.config_follower import ConfigFollower
from server.config_gateway import ConfigDeskHandle
from server.edge import EdgeProcess, EdgeWorkspace
from server.edge_config import EdgeConfig, edge_config
from server.limit_file import LimitFile
from server.limits import RateLimiter
from server.microbatch import QueueOptions
from server.privacy_gateway import PrivacyGateway
from tests.signing import DOMAIN, signer

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
                "batch": {"max_wait_s": 0},
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


def named(workspace: str, identity_scope: str | None = None, **members: Any) -> dict[str, Any]:
    """Return the document of a workspace: what tells two of them apart has names of its own.

    `members` are further ones of its section `workspace`.
    """
    suffix = _suffix(workspace)
    return changed(
        DOCUMENT,
        workspace={"id": workspace, "identity_scope": identity_scope, **members},
        api_credentials=[
            each | {"client_id": each["client_id"] + suffix} for each in DOCUMENT["api_credentials"]
        ],
        inputs=[
            each | {"keys": [key | {"key": key["key"] + suffix} for key in each["keys"]]}
            for each in DOCUMENT["inputs"]
        ],
        outputs=[each | {"id": each["id"] + suffix} for each in DOCUMENT["outputs"]],
        connections=[
            each | {"id": each["id"] + suffix, "output": each["output"] + suffix}
            for each in DOCUMENT["connections"]
        ],
    )


def _suffix(workspace: str) -> str:
    return "" if workspace == DOCUMENT["workspace"]["id"] else f"-{workspace}"


class LocalShard:
    """What the Ray actor of a shard makes of a workspace's part of it, without Ray."""

    def __init__(self, shard: Shard, clock: Clock) -> None:
        self._shard = shard
        self._calls = ShardCalls(shard, clock)
        self._decode = msgspec.msgpack.Decoder(MicroBatch).decode

    async def commit(self, micro: bytes) -> bytes:
        results: list[Result] = self._shard.commit(self._decode(micro))
        return msgspec.msgpack.encode(results)

    async def ready(self) -> str:
        return "ok"

    def __getattr__(self, method: str) -> Any:
        async def call(*arguments: Any) -> Any:
            return self._calls.call(method, *arguments)

        return call


class LocalCoordinator:
    """What the Ray actor of the coordinator makes of a workspace's part of it, without Ray."""

    def __init__(self, desks: Desks) -> None:
        self._desks = desks

    def __getattr__(self, method: str) -> Any:
        async def call(*arguments: Any) -> Any:
            return await self._desks.call(*named_once(method, OF_DESKS), *arguments)

        return call


class LocalConfiguration:
    """What the Ray actor of the coordinator makes of the desk of configurations, without Ray."""

    def __init__(self, desk: ConfigDesk) -> None:
        self._desk = desk

    def __getattr__(self, method: str) -> Any:
        async def call(*arguments: Any) -> Any:
            name, *more = named_once(method, OF_CONFIGURATION)
            return await getattr(self._desk, name)(*more, *arguments)

        return call


def local_handle(shard: Shard, clock: Clock) -> LocalShard:
    """Return a handle to all that can be called of a shard."""
    return LocalShard(shard, clock)


class World:
    """A running deployment, and what a test may do with it."""

    def __init__(
        self,
        client: TestClient[Request, Application],
        shards: list[Shard],
        edge: EdgeProcess,
        clock: Clock,
        desks: Desks,
        metrics: CoordinatorMetrics,
        handles: Sequence[ShardHandle],
        document: WorkspaceDocument,
        number: int,
        configuration: ConfigDesk,
        follower: ConfigFollower,
        forwarders: "FakeForwarders",
        coordinator_stores: Sequence[Store],
    ) -> None:
        self.number = number
        self.configuration = configuration
        self.follower = follower
        self.forwarders = forwarders
        self.suffix = _suffix(document.workspace.id)
        self.secrets = {
            key.key.split("-")[0]: f"{key.key}:{key.secret.get_secret_value()}"
            for source in document.inputs
            for key in source.keys
        }
        self.client = client
        self.shards = shards
        self.edge = edge
        self.clock = clock
        self.coordinator = desks.coordinator
        self.aliases = desks.aliases
        self.groups = desks.groups
        self.audiences = desks.audiences
        self.privacy = desks.privacy
        self.deletions = desks.deletions
        self.expiry = desks.expiry
        self.expires_records = desks.expires_records
        self.coordinator_stores = coordinator_stores
        self._coordinator_metrics = metrics
        self._handles = handles

    # -- Sending ----------------------------------------------------------------------------------

    async def post(
        self, path: str, body: Any, key: str = "k1", headers: Mapping[str, str] | None = None
    ) -> ClientResponse:
        """Post a body (bytes as they are, anything else as JSON) with an input's credentials."""
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        sent = {**basic(self.secrets[key]), "Content-Type": "application/json", **(headers or {})}
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
            "client_id": f"{client_id}{self.suffix}",
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
            f"/userprofile/v1/resolve/1/1/{self.number}",
            params={"fields": "user_identities,user_attributes"},
            json=body,
            headers=await self.token(),
        )

    async def find(self, query: str, **more: str) -> list[int]:
        """Return the MPIDs of the users that a search finds."""
        path = f"/platform/v2/workspaces/{self.number}/users/search"
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
        response = await self.get(f"/userprofile/v1/1/1/{self.number}/{mpid}", fields=fields)
        assert response.status == 200, await response.text()
        return cast(dict[str, Any], await response.json())

    async def attributes(self, query: str | int) -> dict[str, Any]:
        """Return the user attributes of one user."""
        profile = await self.profile(query, "user_attributes")
        return cast(dict[str, Any], profile["user_attributes"])

    async def timeline(self, query: str | int, **filters: str) -> list[dict[str, Any]]:
        """Return the first page of a user's timeline: batches, newest first."""
        mpid = query if isinstance(query, int) else await self.mpid(query)
        path = f"/platform/v2/workspaces/{self.number}/users/{mpid}/events"
        response = await self.get(path, **filters)
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

    async def follow(self) -> None:
        """Do what processes do every second: shards and edges take over the configuration."""
        await self.configuration.look()
        await self.follower.step()

    async def settle_audiences(self) -> None:
        """Do all that is due for audiences, on the shards and in the coordinator."""
        for _ in range(2):
            await self.audiences.work()
            for handle in self._handles:
                while await cast(SteppingShard, handle).audience_step():
                    pass
        await self.audiences.work()

    async def exchange_points(self) -> None:
        """Let the shards know each other's data points, as the coordinator does now and then."""
        await PointsExchange(cast(Sequence[PointShard], self._handles)).work()

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
            Sweeper(shard.state, [shard], self.clock).sweep()


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
    """Run a deployment of one workspace on a folder; it can be run again on the same one."""
    async with serving(folder, [document], shards=shards, clock=clock, **settings) as [world]:
        yield world


@asynccontextmanager
async def serving(
    folder: Path,
    documents: Sequence[Mapping[str, Any]],
    *,
    shards: int = 2,
    clock: Clock | None = None,
    **settings: Any,
) -> AsyncIterator[list[World]]:
    """Run a deployment of several workspaces; return each as its users see it."""
    clock = clock or ManualClock(T)
    process = Settings(data_dir=folder, **settings)
    metrics = CoordinatorMetrics("test")
    shard_metrics = [ShardMetrics("test") for _ in range(shards)]
    async with AsyncExitStack() as stack:
        book = _book(stack, folder, documents, process, clock)
        infos = [each.info for each in book.served]
        states = [
            ShardState(_store_options(folder, number, shards, process, infos), clock)
            for number in range(shards)
        ]
        for state in states:
            stack.callback(state.close)
        sequencers: dict[int, Sequencer] = {}
        parts: list[tuple[EdgeWorkspace, list[Shard], Desks]] = []
        all_desks: dict[int, Desks] = {}
        configuration = ConfigDesk(book, process)
        handles_of: dict[int, Sequence[Any]] = {}
        kept: list[Store] = []
        forwarders = FakeForwarders()
        for served in book.served:
            workspace = served.info
            options = shard_options(served, shards)
            owners = [
                Shard(state, options, clock, shard_metrics[state.number], wake=lambda _: None)
                for state in states
            ]
            handles = [cast(ShardHandle, local_handle(each, clock)) for each in owners]
            if workspace.scope not in sequencers:
                scope_folder = scope_store(folder / "coordinator", workspace.scope)
                store = stack.enter_context(closing(Store(scope_folder, MAP_SIZE)))
                kept.append(store)
                sequencers[workspace.scope] = Sequencer(
                    store, handles, workspace.scope, clock, SystemRandomness(), metrics, Waiting()
                )
                stack.callback(sequencers[workspace.scope].close)
            own = workspace_store(folder / "coordinator", workspace.number)
            kept.append(stack.enter_context(closing(Store(own, MAP_SIZE))))
            desks = Desks(
                own,
                kept[-1],
                sequencers[workspace.scope],
                handles,
                replace(desk_options(served, process), slice_pause_s=0.0),
                clock,
                SystemRandomness(),
                metrics,
                partial(other_desks, workspace.number, all_desks),
                Sealer("k" * 32),
                Surroundings(DOMAIN, forwarders.post, forwarders.wake, forwarders.reread),
                partial(configuration.release, workspace.number),
            )
            all_desks[workspace.number] = desks
            coordinator = LocalCoordinator(desks)
            edge_workspace = EdgeWorkspace(
                _edge_config(served, process),
                workspace,
                handles,
                cast(CoordinatorHandle, coordinator),
                cast(GroupDeskHandle, coordinator),
                desk_handle(coordinator.call_audiences),
                calculated_handle(coordinator.call_calculated),
                PrivacyGateway(privacy_handle(coordinator.call_privacy), signer()),
                cast(ConfigDeskHandle, LocalConfiguration(configuration)),
                forwarders.of,
            )
            handles_of[workspace.number] = handles
            parts.append((edge_workspace, owners, desks))
        for desks in all_desks.values():
            desks.audiences.begin()
        edge = EdgeProcess(
            [each for each, _, _ in parts],
            QueueOptions(
                calls_in_flight=process.calls_in_flight,
                max_micro_batch_bytes=process.max_micro_batch_bytes,
                max_queue_bytes=process.max_queue_bytes,
            ),
            RateLimiter(stack.enter_context(closing(LimitFile(folder / "limits")))),
            EdgeMetrics("test"),
            clock,
            SystemRandomness(),
        )
        configuration.bind(
            handles_of,
            lambda options: all_desks[options.workspace.number].take_over(options),
            lambda workspace: readers_of_events(workspace, all_desks),
            lambda workspace: all_desks[workspace].audiences.made_names(),
            lambda workspace: calculated_in_use(workspace, all_desks),
        )

        async def take_over(served: ServedDocument) -> None:
            edge.take_over(_edge_config(served, process), served.info)

        known = {each.info.number: each.edition for each in book.served}
        follower = ConfigFollower(configuration, known, take_over)
        server = TestServer(edge.app)
        await server.start_server(**RUNNER_OPTIONS)
        client = await stack.enter_async_context(TestClient(server))
        yield [
            World(
                client,
                owners,
                edge,
                clock,
                desks,
                metrics,
                each.shards,
                served.document,
                each.workspace.number,
                configuration,
                follower,
                forwarders,
                kept,
            )
            for served, (each, owners, desks) in zip(book.served, parts, strict=True)
        ]


def _book(
    stack: AsyncExitStack,
    folder: Path,
    documents: Sequence[Mapping[str, Any]],
    process: Settings,
    clock: Clock,
) -> Book:
    """Open the book of a folder, and apply documents as the files of a start."""
    store = stack.enter_context(closing(Store(configuration_store(folder), MAP_SIZE)))
    book = Book(store, Sealer("m" * 32), process, clock)
    book.serve([each["workspace"]["id"] for each in documents])
    book.write(book.drafts_of_files([dict(each) for each in documents]), FILE)
    return book


def _edge_config(served: ServedDocument, process: Settings) -> EdgeConfig:
    key = "k" * 32
    return edge_config(
        served.document,
        served.numbers,
        process,
        key,
        served.revision,
        served.roles,
        served.stamps,
    )


class FakeForwarders:
    """What edges ask of forwarders; `faulted`: connections that do not send.

    `registered`: the outputs that modules of their own answer for. `woken`, `reread_outputs`: those
    that were told so. `posted`: callbacks (URL, version, body), of which the receivers take what
    comes while `takes_callbacks`.
    """

    def __init__(self) -> None:
        self.woken: list[str] = []
        self.reread_outputs: list[str] = []
        self.posted: list[tuple[str, Version, bytes]] = []
        self.takes_callbacks = True
        self.faulted: set[int] = set()
        self.registered: list[RegisteredOutput] = []

    def wake(self, output: str) -> None:
        self.woken.append(output)

    async def reread(self, output: str) -> None:
        self.reread_outputs.append(output)

    async def post(self, url: str, version: Version, body: bytes) -> bool:
        self.posted.append((url, version, body))
        return self.takes_callbacks

    def of(self, output: str) -> "FakeForwarder":
        return FakeForwarder(self, output)


class FakeForwarder(NamedTuple):
    """What edges ask of one of them."""

    all: FakeForwarders
    output: str

    def within(self, timeout_s: float) -> "FakeForwarder":
        return self

    async def ask_outputs(self, method: str, *arguments: str) -> list[Any]:
        return [await getattr(each, method)(*arguments) for each in self.all.registered]

    async def status(self) -> dict[str, Any]:
        return {}

    async def resume(self, connection: int) -> bool:
        was_faulted = connection in self.all.faulted
        self.all.faulted.discard(connection)
        return was_faulted

    async def reread(self) -> None:
        await self.all.reread(self.output)


def _store_options(
    folder: Path, number: int, shards: int, process: Settings, workspaces: Sequence[WorkspaceInfo]
) -> StoreOptions:
    return StoreOptions(
        number=number,
        of=shards,
        folder=folder / f"shard-{number}",
        map_size_bytes=MAP_SIZE,
        profile_cache_bytes=process.profile_cache_bytes,
        workspaces=len(workspaces),
        scopes=frozenset(each.scope for each in workspaces),
    )
