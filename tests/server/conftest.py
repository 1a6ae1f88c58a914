"""An edge over HTTP: its clock stands still, its deployment keeps what it is given."""

import base64
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import fsspec  # noqa: F401  # reads files as it is imported
import pytest
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, Request
from blockbuster import blockbuster_ctx
from pydantic import SecretStr

from actors.batches.decode import decode_batch
from actors.clock import ManualClock
from actors.deletions.requests import BulkDeletion
from actors.errors import BatchRejected
from actors.identity.aliases import Alias
from actors.identity.calls import (
    AliasRequest,
    IdentityAnswer,
    IdentityCall,
    IdentityProblem,
    ModifyAnswer,
    ModifyCall,
)
from actors.identity.explain import Explanation
from actors.identity.state import IdentityRecord
from actors.metric_groups import EdgeMetrics
from actors.model.batches import Batch, BatchContext
from actors.model.micro_batches import Accepted, Duplicate, Rejected
from actors.model.workspaces import Environment, InputInfo, WorkspaceInfo
from actors.pipeline.points import DataPoint
from actors.profiles.timeline import TimelineQuery
from actors.repeats import Begun
from actors.store.audit_log import AuditEntry
from actors.store.requests import KeptAnswer
from actors.store.trail import TrailEntry
from config.roles import STANDARD
from server.app import RUNNER_OPTIONS, make_app
from server.audience_gateway import AudienceGateway
from server.calculated_gateway import CalculatedGateway
from server.config_gateway import ConfigGateway
from server.deployment import FinalResult, GroupDirectory
from server.edge_config import (
    ConfigHolder,
    Credential,
    EdgeConfig,
    KeyInfo,
    digest,
)
from server.identity_config import IdentityCalls
from server.limit_file import LimitFile
from server.limits import Level, Limit, RateLimiter
from server.privacy_gateway import PrivacyGateway

T = 1_767_225_600_000  # 2026-01-01T00:00:00Z, the clock of the worked cases

Client = TestClient[Request, Application]

WORKSPACE = WorkspaceInfo(
    number=3,
    id="w1",
    name="W1",
    account=2,
    organization=1,
    scope=1,
    inputs={
        1: InputInfo(1, "backend", "Backend", "feed", "Unknown"),
        2: InputInfo(2, "ios", "iOS", "platform", "iOS", "ios"),
        3: InputInfo(3, "acme", "acme", "feed", "Unknown", is_partner=True),
        4: InputInfo(4, "web", "Web", "platform", "MobileWeb", "web"),
    },
    priority=("customerid", "email"),
    login_ids=frozenset({"customerid"}),
    unique_ids=frozenset({"customerid"}),
    immutable_ids=frozenset({"customerid"}),
)


class FakeAuditLog:
    """Keeps what is recorded: all of the configuration that is asked for here."""

    def __init__(self) -> None:
        self.entries: list[tuple[int, AuditEntry]] = []

    async def record(self, account: int, entry: AuditEntry) -> None:
        self.entries.append((account, entry))


class FakeDeployment:
    """Decodes and keeps batches; answers reads with what a test has put in."""

    audiences = cast(AudienceGateway, None)  # routes/audiences.py puts a real one here
    calculated = cast(CalculatedGateway, None)  # tests/whole/test_calculated.py asks for it
    privacy = cast(PrivacyGateway, None)  # tests/whole/test_subject_requests.py asks for it
    configuration: ConfigGateway
    groups = cast(GroupDirectory, None)  # tests/whole/test_groups.py asks for groups

    def __init__(self) -> None:
        self.audit_log = FakeAuditLog()
        self.configuration = cast(ConfigGateway, self.audit_log)
        self.applied: list[tuple[Batch, BatchContext]] = []
        self.calls = 0
        self.failure: Exception | None = None
        self.profiles: dict[tuple[int, Environment], dict[str, Any]] = {}
        self.identities: dict[tuple[Environment, str, str], int] = {}
        self.users: dict[int, dict[str, Any]] = {}
        self.rows: list[dict[str, Any]] = []
        self.searched: list[tuple[str, str | None, Environment | None]] = []
        self.queries: list[TimelineQuery] = []
        self.letters: dict[int, list[dict[str, Any]]] = {}
        self.replayed: list[list[str]] = []  # ids of each call
        self.checks: dict[str, str] = {"config": "ok", "shards": "2/2", "storage": "ok"}
        self.identity_calls: list[IdentityCall] = []
        self.identity_answer: IdentityAnswer | IdentityProblem = IdentityAnswer(77, (), True, False)
        self.modify_calls: list[ModifyCall] = []
        self.modify_answer: ModifyAnswer | IdentityProblem = ModifyAnswer(())
        self.aliases: list[AliasRequest] = []
        self.deletions: dict[str, BulkDeletion] = {}
        self.takes_deletions = True
        self.alias_answer: IdentityProblem | None = None
        self.records: dict[tuple[Environment, int], IdentityRecord] = {}
        self.histories: dict[int, list[TrailEntry]] = {}
        self.undo_answer: ModifyAnswer | IdentityProblem = ModifyAnswer(())
        self.explained: list[IdentityCall] = []
        self.kept: dict[bytes, KeptAnswer] = {}
        self.previews: dict[int, dict[str, Any] | Rejected] = {}
        self.begun: Begun = "new"
        self.end_error: Exception | None = None
        self.room = 1 << 30
        self.known_aliases: list[Alias] = []
        self._request_ids: set[tuple[str, str]] = set()

    def room_bytes(self) -> int:
        return self.room

    async def apply(
        self, batches: Sequence[bytes], context: BatchContext, *, is_further: bool = False
    ) -> list[FinalResult]:
        self.calls += 1
        self._fail()
        return [self._apply_one(raw, context) for raw in batches]

    async def profile(
        self, mpid: int, environment: Environment | None, fields: Sequence[str]
    ) -> dict[str, Any] | None:
        self._fail()
        environments: Sequence[Environment] = (
            ("production", "development") if environment is None else (environment,)
        )
        for each in environments:
            if (mpid, each) in self.profiles:
                profile = self.profiles[mpid, each]
                return {"mpid": mpid} | {name: profile.get(name, []) for name in fields}
        return None

    async def find(self, environment: Environment, identity_type: str, value: str) -> list[int]:
        self._fail()
        found = self.identities.get((environment, identity_type, value))
        return [] if found is None else [found]

    async def lookup(self, environment: Environment, identity_type: str, value: str) -> list[int]:
        return await self.find(environment, identity_type, value)

    async def begin_request(self, key: bytes, content: bytes) -> KeptAnswer | Begun:
        return self.kept.get(key, self.begun)

    async def end_request(self, key: bytes, answer: KeptAnswer | None) -> None:
        if self.end_error is not None:
            raise self.end_error
        if answer is not None:
            self.kept[key] = answer

    async def user(self, mpid: int, environment: Environment | None) -> dict[str, Any] | None:
        return self.users.get(mpid)

    async def search_users(
        self, query: str, identity_type: str | None, environment: Environment | None
    ) -> list[dict[str, Any]]:
        self.searched.append((query, identity_type, environment))
        return [row for row in self.rows if query in row.values()]

    async def timeline(
        self, mpid: int, environment: Environment | None, query: TimelineQuery
    ) -> dict[str, Any] | None:
        self.queries.append(query)
        if mpid not in self.users:
            return None
        return {"items": [], "next_cursor": None, "last_updated_ms": T}

    async def bulk_delete(
        self, request_id: str, environment: Environment, mpids: Sequence[int]
    ) -> bool:
        self._fail()
        if self.takes_deletions:
            self.deletions[request_id] = BulkDeletion(
                id=request_id,
                environment=environment,
                mpids=tuple(mpids),
                requested=len(mpids),
                received_ms=T,
            )
        return self.takes_deletions

    async def bulk_deletion(self, request_id: str) -> BulkDeletion | None:
        self._fail()
        return self.deletions.get(request_id)

    async def explain(self, call: IdentityCall) -> Explanation:
        self.explained.append(call)
        return Explanation((), (), None, (), None)

    async def identity_record(self, environment: Environment, mpid: int) -> IdentityRecord | None:
        self._fail()
        return self.records.get((environment, mpid))

    async def identity_history(self, environment: Environment, mpid: int) -> list[TrailEntry]:
        return self.histories.get(mpid, [])

    async def undo(self, environment: Environment, mpid: int) -> ModifyAnswer | IdentityProblem:
        return self.undo_answer

    async def aliases_of(self, environment: Environment, mpid: int) -> list[Alias]:
        return [
            each
            for each in self.known_aliases
            if each.request.environment == environment
            and mpid in (each.request.source_mpid, each.request.destination_mpid)
        ]

    async def identity_call(self, call: IdentityCall) -> IdentityAnswer | IdentityProblem:
        self._fail()
        self.identity_calls.append(call)
        return self.identity_answer

    async def modify(self, call: ModifyCall) -> ModifyAnswer | IdentityProblem:
        self._fail()
        self.modify_calls.append(call)
        return self.modify_answer

    async def alias(self, request: AliasRequest) -> IdentityProblem | None:
        self._fail()
        self.aliases.append(request)
        return self.alias_answer

    async def discard_dead_letters(self, connection: int, delivery_ids: Sequence[str]) -> int:
        return await self.replay_dead_letters(connection, delivery_ids)

    async def dead_letters(
        self, connection: int, limit: int, cursor: str | None, *, is_whole: bool = False
    ) -> dict[str, Any]:
        letters = self.letters.get(connection, [])
        start = int(cursor or 0)
        end = start + limit
        following = str(end) if end < len(letters) else None
        more: dict[str, Any] = {"payload": {"events": []}} if is_whole else {}
        return {"items": [each | more for each in letters[start:end]], "next_cursor": following}

    async def dead_letter(self, connection: int, delivery_id: str) -> dict[str, Any] | None:
        for letter in self.letters.get(connection, []):
            if letter["delivery_id"] == delivery_id:
                return letter
        return None

    async def replay_dead_letters(self, connection: int, delivery_ids: Sequence[str]) -> int:
        self.replayed.append(list(delivery_ids))
        letters = self.letters.get(connection, [])
        kept = [letter for letter in letters if letter["delivery_id"] not in delivery_ids]
        self.letters[connection] = kept
        return len(letters) - len(kept)

    async def preview(self, connection: int, raw: bytes) -> dict[str, Any] | Rejected | None:
        return self.previews.get(connection)

    async def data_points(self, output: str) -> dict[DataPoint, bool]:
        return {}

    async def readiness(self) -> dict[str, str]:
        self._fail()
        return self.checks

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure

    def _apply_one(self, raw: bytes, context: BatchContext) -> FinalResult:
        try:
            batch = decode_batch(raw, context, WORKSPACE)
        except BatchRejected as error:
            return Rejected(error.problems)
        if batch.source_request_id is not None:
            key = (context.api_key, batch.source_request_id)
            if key in self._request_ids:
                return Duplicate("duplicate_request_id")
            self._request_ids.add(key)
        self.applied.append((batch, context))
        return Accepted(None, len(batch.events))


def key_info(
    key: str, secret: str, number: int, *, rate: int = 270, acceleration: int = 0
) -> KeyInfo:
    """Make an active key of one of `WORKSPACE`'s inputs."""
    source = WORKSPACE.inputs[number]
    level: Level = "feed" if source.kind == "feed" else "app"
    limit = Limit(level, f"input:{number}", rate, rate, acceleration)
    return KeyInfo(
        key=key,
        secret=SecretStr(secret),
        secret_digest=digest(secret),
        input=number,
        input_id=source.id,
        input_name=source.name,
        os=source.os,
        is_partner=source.is_partner,
        is_active=True,
        allows_key_only=source.os == "MobileWeb",
        takes_segment=source.os == "MobileWeb",
        limits=(limit,) if rate or acceleration else (),
    )


def credential(client_id: str, role: str = "admin", **permissions: str) -> Credential:
    """Make an active credential whose secret is `<client id>-secret`."""
    secret = digest(f"{client_id}-secret")
    return Credential(client_id, secret, role, permissions, True, STANDARD[role])


def config_with(**changes: Any) -> EdgeConfig:
    """Make the configuration of the worked cases, with some fields changed."""
    keys = (
        key_info("k1", "s1", 1),
        key_info("k2", "s2", 2),
        key_info("k3", "s3", 3),
        key_info("kw", "sw", 4),
    )
    credentials = (
        credential("ops", platform="admin", profile="read_only"),
        credential("app", "user", platform="user"),
        credential("viewer", "read_only", platform="read_only"),
        credential("reader", "read_only", profile="read_only"),
    )
    fields: dict[str, Any] = {
        "revision": 7,
        "organization": 1,
        "account": 2,
        "workspace": 3,
        "workspace_slug": "w1",
        "workspace_name": "W1",
        "scope": 3,
        "keys": {each.key: each for each in keys},
        "credentials": {each.client_id: each for each in credentials},
        "profile_limits": (Limit("account", "profile:2", 15, 30),),
        "identity": IdentityCalls(),
        "immutable_ids": frozenset({"customerid"}),
        "connections": {"backend-hook": 5},
        "token_key": digest("server key of the tests"),
        "token_audiences": ("https://api.mparticle.com",),
    }
    return EdgeConfig(**(fields | changes))


class World:
    """One workspace of an edge under test and all that it was made of."""

    def __init__(
        self,
        client: Client,
        deployment: FakeDeployment,
        config: ConfigHolder,
        clock: ManualClock,
        metrics: EdgeMetrics,
    ) -> None:
        self.client = client
        self.deployment = deployment
        self.config = config
        self.clock = clock
        self.metrics = metrics

    async def token(self, client_id: str = "ops") -> dict[str, str]:
        """Get a bearer token; return it as a header."""
        response = await self.client.post(
            "/oauth/token",
            json={
                "client_id": client_id,
                "client_secret": f"{client_id}-secret",
                "grant_type": "client_credentials",
            },
        )
        assert response.status == 200
        return {"Authorization": f"Bearer {(await response.json())['access_token']}"}

    def count(self, name: str, **labels: str) -> float:
        """Return the value of a counter; 0 if nothing was counted."""
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


def basic(text: str) -> dict[str, str]:
    """Make the header of Basic authentication with a raw `key:secret`."""
    return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}


K1 = basic("k1:s1")
K2 = basic("k2:s2")


async def first_error(response: Any) -> dict[str, str]:
    """Return the first entry of an errors body."""
    error: dict[str, str] = (await response.json())["errors"][0]
    return error


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(T)


@pytest.fixture
def limit_file(tmp_path: Path) -> Any:
    file = LimitFile(tmp_path / "limits")
    yield file
    file.close()


@asynccontextmanager
async def serving(
    clock: ManualClock, limit_file: LimitFile, *configs: EdgeConfig, **options: Any
) -> AsyncIterator[list[World]]:
    """Run an edge that serves a workspace for each configuration; `options`: of `make_app`."""
    metrics = EdgeMetrics("1.0")
    made = [(FakeDeployment(), ConfigHolder(each)) for each in configs]
    limiter = RateLimiter(limit_file)
    app = make_app(made, clock, limiter, metrics, **options)
    server = TestServer(app)
    await server.start_server(**RUNNER_OPTIONS)
    async with TestClient(server) as client:
        yield [World(client, *each, clock, metrics) for each in made]


@pytest.fixture
async def world(clock: ManualClock, limit_file: LimitFile) -> AsyncIterator[World]:
    async with serving(clock, limit_file, config_with()) as [only]:
        yield only


@pytest.fixture(autouse=True)
def no_blocked_loop() -> Iterator[None]:
    """A route that blocks the event loop fails its test."""
    with blockbuster_ctx("server"):
        yield
