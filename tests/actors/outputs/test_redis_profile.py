"""Output `redis_profile`: spec/connections.md, 7."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from redis import Redis
from redis.exceptions import ResponseError

from actors.clock import ManualClock
from actors.model.deliveries import Delivery
from actors.outgoing import outgoing_batch
from actors.outputs.connection_settings import ConnectionSettings, payload_settings
from actors.outputs.contract import Delivered, Fatal, Retry
from actors.outputs.egress import EgressRules
from actors.outputs.environment import OutputEnvironment
from actors.outputs.redis_client import outcome_of
from actors.outputs.redis_profile import RedisProfileOutput, RedisProfileSettings
from actors.outputs.retry import TLS_ALERT
from actors.pipeline.compiling import compile_pipelines
from actors.steps.enqueue import enqueue
from actors.steps.payload import WHOLE, PayloadSettings
from tests.actors.forwarding.support import connection, delivery
from tests.actors.outputs.redis_server import RedisServer
from tests.actors.outputs.test_kafka_settings import identity
from tests.actors.pipeline.support import batch_of, custom
from tests.actors.test_outgoing import profile, workspace


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis(server: RedisServer) -> Iterator[Redis]:
    with server.client() as client:
        yield client


class Counted:
    """An output beside its server, and what it counts."""

    def __init__(self, url: str, folder: Path, **changes: Any) -> None:
        self.drops: Counter[tuple[int, str]] = Counter()
        settings = RedisProfileSettings.model_validate(
            {"url": url, "allow_insecure": True, **changes}
        )
        self.output = RedisProfileOutput(
            settings,
            OutputEnvironment(
                "profiles",
                ManualClock(),
                EgressRules(["127.0.0.1", "localhost"]),
                folder,
                workspace="shop",
                count_drop=lambda number, reason, n: self.drops.update({(number, reason): n}),
            ),
        )

    async def send(self, *deliveries: Delivery) -> list[Any]:
        await self.output.start()
        outcomes = await self.output.send(deliveries)
        await self.output.stop()
        return outcomes


def batch(created_ms: int = 1000, mpid: int | None = 42, **changes: Any) -> Delivery:
    members = {
        "mpid": mpid,
        "user_identities": [
            {"identity_type": "customer_id", "identity": "c-1"},
            {"identity_type": "facebook", "identity": "f"},
        ],
        "user_attributes": {"plan": "gold"},
        "audience_ids": [3, 7],
        "events": [],
        **changes,
    }
    return delivery(1, mpid=mpid, payload=json.dumps(members).encode(), created_ms=created_ms)


async def test_each_identity_has_a_hash_of_what_is_known_of_its_user(
    server: RedisServer, redis: Redis, tmp_path: Path
) -> None:
    attributes = {"plan": "gold", "tags": ["a", "b"], "vip": None}
    made = Counted(server.url, tmp_path)
    assert await made.send(batch(user_attributes=attributes)) == [Delivered()]
    names = sorted(redis.keys())
    assert names == ["shop:production:customer_id:c-1", "shop:production:mpid:42"]
    for name in names:
        assert redis.hgetall(name) == {
            "mpid": "42",
            "updated_ms": "1000",
            "audience_ids": "[3,7]",
            "ua_plan": "gold",
            "ua_tags": '["a","b"]',
            "ua_vip": "",
        }
        assert redis.ttl(name) == -1


async def test_what_is_gone_from_the_user_is_gone_from_the_hash(
    server: RedisServer, redis: Redis, tmp_path: Path
) -> None:
    made = Counted(server.url, tmp_path, ttl_s=60)
    await made.send(batch(1000), batch(1000, user_attributes={"city": "Rome"}))
    [name] = redis.keys("*:mpid:*")
    assert redis.hget(name, "ua_plan") is None
    assert redis.hget(name, "ua_city") == "Rome"
    assert 0 < redis.ttl(name) <= 60


async def test_an_older_batch_that_is_sent_again_changes_nothing(
    server: RedisServer, redis: Redis, tmp_path: Path
) -> None:
    made = Counted(server.url, tmp_path)
    await made.send(batch(2000))
    assert await made.send(batch(1999, user_attributes={"plan": "old"})) == [Delivered()]
    assert redis.hget("shop:production:mpid:42", "ua_plan") == "gold"


async def test_many_attributes_are_written_together(
    server: RedisServer, redis: Redis, tmp_path: Path
) -> None:
    attributes = {f"a{number}": "x" for number in range(5000)}
    await Counted(server.url, tmp_path).send(batch(user_attributes=attributes))
    assert redis.hlen("shop:production:mpid:42") == 5003


async def test_environments_are_apart(server: RedisServer, redis: Redis, tmp_path: Path) -> None:
    made = Counted(server.url, tmp_path, identities=["mpid"])
    await made.send(batch(), replace(batch(), environment="development"))
    assert sorted(redis.keys()) == ["shop:development:mpid:42", "shop:production:mpid:42"]


async def test_a_batch_of_nobody_or_without_such_an_identity_is_counted(
    server: RedisServer, redis: Redis, tmp_path: Path
) -> None:
    made = Counted(server.url, tmp_path, identities=["email"])
    outcomes = await made.send(batch(), batch(mpid=None))
    assert outcomes == [Delivered(), Delivered()]
    assert redis.keys() == []
    assert made.drops == {(1, "missing_identity"): 2}


async def test_something_else_in_place_of_a_hash_costs_no_other(
    server: RedisServer, redis: Redis, tmp_path: Path
) -> None:
    redis.set("shop:production:mpid:1", "a text")
    made = Counted(server.url, tmp_path, identities=["mpid"])
    outcomes = await made.send(batch(mpid=1), batch(mpid=2), delivery(3, payload=b"[]"))
    assert outcomes == [
        Fatal("fatal_response", "ResponseError"),
        Delivered(),
        Fatal("build_error", "TypeError"),
    ]
    assert redis.hget("shop:production:mpid:2", "ua_plan") == "gold"


@pytest.mark.parametrize("code", ["MISCONF", "NOREPLICAS", "BUSY"])
def test_a_server_that_cannot_write_for_now_is_asked_again(code: str) -> None:
    """The client has no class for these; what else they say is kept from logs."""
    outcome = outcome_of(ResponseError(f"{code} something of ann@x"))
    assert isinstance(outcome, Retry)
    assert "ann" not in str(outcome)


@pytest.mark.parametrize(
    ("login", "status"),
    [
        pytest.param({"username": "app", "password": "wrong"}, 401, id="a wrong password"),
        pytest.param({"username": "app", "password": "right"}, 403, id="no right"),
        pytest.param({"username": "writer", "password": "right"}, None, id="all it needs"),
    ],
)
async def test_a_login_that_is_refused_is_one(
    server: RedisServer, redis: Redis, tmp_path: Path, login: dict[str, str], status: int | None
) -> None:
    needed = ["+eval", "+hset", "+hget", "+del", "+expire"]
    for name, commands in (("app", []), ("writer", needed)):
        redis.acl_setuser(
            name, enabled=True, passwords=["+right"], keys=["shop:*"], commands=commands
        )
    [outcome] = await Counted(server.url, tmp_path, **login).send(batch())
    assert outcome == Delivered() if status is None else outcome.http_status == status


async def test_a_connection_is_encrypted_and_the_server_proves_who_it_is(tmp_path: Path) -> None:
    certificate, key = identity("localhost")
    (tmp_path / "own.pem").write_text(certificate)
    (tmp_path / "key.pem").write_text(key)
    server = RedisServer(tmp_path)
    plain = RedisServer(tmp_path)
    files = ("--tls-cert-file", f"{tmp_path}/own.pem", "--tls-key-file", f"{tmp_path}/key.pem")
    plain.start("--tls-port", str(server.port), *files, "--tls-auth-clients", "no")
    url = f"rediss://localhost:{server.port}/0"
    try:
        trusting = Counted(url, tmp_path, ca_certificate=certificate, allow_insecure=False)
        assert await trusting.send(batch()) == [Delivered()]
        doubting = Counted(url, tmp_path, allow_insecure=False)
        assert await doubting.send(batch()) == [Fatal("fatal_response", TLS_ALERT)]
    finally:
        plain.stop()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        pytest.param(WHOLE, [3, 7], id="a module that shapes batches itself"),
        pytest.param(
            payload_settings(ConnectionSettings(), include_audience_ids=True),
            [3, 7],
            id="a warehouse",
        ),
        pytest.param(payload_settings(ConnectionSettings()), None, id="raw JSON"),
    ],
)
def test_batches_come_with_the_users_audiences_where_they_are_shown(
    settings: PayloadSettings, expected: list[int] | None
) -> None:
    stored = batch_of(custom("A"))
    outgoing = outgoing_batch(stored, profile(), workspace(), [])
    info = connection(1, settings=settings)
    [made], _ = enqueue(outgoing, stored, profile(), compile_pipelines([info]), [3, 7])
    assert json.loads(made.payload).get("audience_ids") == expected
