"""Worked cases of spec/identity.md over a whole deployment: access, bodies, limits, persistence.

Those about who is found are in test_identity_http.py and test_identity_tables.py.
"""

import asyncio
import base64
import gzip
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from actors.clock import ManualClock
from actors.identity.registry import STRATEGIES
from actors.store.keys import shard_of_slot, slot_of_mpid
from actors.store.resharding import reshard
from config.errors import ConfigError
from config.load import parse_workspace
from server.identity_requests import IDENTITY_TYPES
from tests.whole.identities import KEY, POOL, call, lookup, modify, mpid_of, record, strategy
from tests.whole.world import DOCUMENT, MAP_SIZE, World, changed, named, running, serving

WEB_1 = {
    "id": "web-1",
    "kind": "platform",
    "os": "Android",
    "name": "Web 1",
    "key_only_auth": True,
    "keys": [{"key": "key-web-1", "secret": "s3cr3t-example"}],
}
CLOSED = WEB_1 | {
    "id": "closed",
    "name": "Closed",
    "os": "Roku",
    "key_only_auth": False,
    "keys": [{"key": "key-closed", "secret": "s3cr3t-example"}],
}
KEYS = changed(DOCUMENT, inputs=[*DOCUMENT["inputs"], WEB_1, CLOSED])
SIGNED = (
    b'{"environment":"development","request_id":"r-1","known_identities":{"customerid":"u-77"}}'
)
ISO = {
    "x-mp-key": "key-web-1",
    "Date": "20240105T101112Z",
    "x-mp-signature": "4076ea362db002353eef505d7fee652c23b7a4695ab50a9d3e196098a1c8ae42",
}
RFC = {
    "x-mp-key": "key-web-1",
    "Date": "Fri, 05 Jan 2024 10:11:12 GMT",
    "x-mp-signature": "25714ca39647bb5ac8b3a932f0bcc85e41cb1588936da41d6755efe393ebf7d3",
}
STAMP = "device_application_stamp"
KNOWN = {"environment": "production", "known_identities": {"customerid": "c1"}}


@pytest.fixture(params=[1, 3], ids=["1 shard", "3 shards"])
def shards(request: pytest.FixtureRequest) -> int:
    count: int = request.param
    return count


async def sent(
    world: World, body: Any, headers: dict[str, str], path: str = "/v1/identify"
) -> tuple[int, bytes]:
    """Post a body (bytes as they are); return status and body of the answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = await world.client.post(path, data=data, headers=headers)
    return response.status, await response.read()


def entry(content: bytes, request_id: str | None = None) -> tuple[str, str]:
    """Return code and message of an error, all of whose members agree (4.4)."""
    error = json.loads(content)
    [only] = error["Errors"]
    assert error == {
        "Errors": [only],
        "errors": [only],
        "ErrorCode": only["code"],
        "StatusCode": 400,
        "RequestId": request_id,
        "message": only["message"],
    }
    return only["code"], only["message"]


async def test_who_may_call(tmp_path: Path, shards: int) -> None:
    """Worked cases 3, 4, 5 and 6."""
    async with running(tmp_path, shards=shards, document=KEYS, auth_max_skew_s=0) as world:
        assert (await sent(world, SIGNED, ISO))[0] == 200
        assert await sent(world, SIGNED.replace(b"u-77", b"u-78"), ISO) == (401, b"")
        assert (await sent(world, SIGNED, RFC))[0] == 200
        assert (await sent(world, SIGNED, RFC, "/identity/v1/identify"))[0] == 200
        compressed = RFC | {"Content-Encoding": "gzip"}
        assert (await sent(world, gzip.compress(SIGNED), compressed))[0] == 200
        basic = {"Authorization": "Basic a2V5LXdlYi0xOnMzY3IzdC1leGFtcGxl"}
        assert (await sent(world, KNOWN, basic))[0] == 200
        wrong = base64.b64encode(b"key-web-1:wrong").decode()
        both = {"Authorization": f"Basic {wrong}", "x-mp-key": "key-web-1"}
        assert await sent(world, KNOWN, both) == (401, b"")
        assert (await sent(world, KNOWN, {"x-mp-key": "key-web-1"}))[0] == 200
        assert await sent(world, KNOWN, {"x-mp-key": "key-closed"}) == (401, b"")
        unsigned = ISO | {"x-mp-signature": "0" * 64}
        assert await sent(world, SIGNED, unsigned) == (401, b"")


async def test_a_workspace_without_identity_calls(tmp_path: Path, shards: int) -> None:
    """Worked case 7."""
    document = changed(KEYS, identity={"idsync_enabled": False})
    async with running(tmp_path, shards=shards, document=document) as world:
        assert await sent(world, KNOWN, {"x-mp-key": "key-web-1"}) == (403, b"")


@pytest.mark.parametrize(
    "known",
    [
        {},
        {"email": None},
        {"email": "  "},
        None,
        {"ios_idfa": "00000000-0000-0000-0000-000000000000"},
    ],
)
async def test_no_identities(world: World, known: Any) -> None:
    """Worked case 8."""
    body = {"environment": "production"} | ({} if known is None else {"known_identities": known})
    status, content = await sent(world, body, KEY)
    assert (status, *entry(content)) == (400, "LOOKUP_ERROR", "knownIdentities is empty.")


async def test_bad_bodies(world: World) -> None:
    """Worked cases 9, 10 and 11."""
    for text in (b"[]", b"{", b'"x"'):
        status, content = await sent(world, text, KEY)
        assert (status, entry(content)[0]) == (400, "BAD_REQUEST")
    refused: list[tuple[Any, str]] = [
        ({"environment": None}, 'Field "environment" is missing or invalid.'),
        ({"environment": "staging"}, 'Field "environment" is missing or invalid.'),
        ({"known_identities": {"passport": "1"}}, 'Unknown identity type "passport".'),
        ({"known_identities": {"customerid": 12}}, 'Identity value for "customerid" is invalid.'),
        ({"known_identities": {"email": "e" * 4097}}, 'Identity value for "email" is invalid.'),
        ({"previous_mpid": "abc"}, 'Field "previous_mpid" is invalid.'),
        ({"client_sdk": {"platform": "toaster"}}, 'Field "client_sdk.platform" is invalid.'),
        (
            {"environment": None, "known_identities": {"passport": "1"}},
            'Field "environment" is missing or invalid.',
        ),
    ]
    for fields, message in refused:
        status, content = await sent(world, KNOWN | fields, KEY)
        assert (status, *entry(content)) == (400, "BAD_REQUEST", message)
        status, content = await sent(world, KNOWN | fields | {"request_id": "q-9"}, KEY)
        assert entry(content, "q-9") == ("BAD_REQUEST", message)
    for fields in (
        {"known_identities": {"email": "e" * 4096}},
        {"previous_mpid": 5},
        {"previous_mpid": "5"},
        {"requestId": "x"},
    ):
        assert (await sent(world, KNOWN | fields, KEY))[0] == 200


@pytest.mark.parametrize("kind", sorted(IDENTITY_TYPES - {"alias"}))
async def test_every_type_finds_what_it_made(world: World, kind: str) -> None:
    """Worked case 12."""
    first = await mpid_of(world, "identify", {kind: "v-1"})
    again = await call(world, "identify", {kind: "v-1"})
    assert (again["mpid"], again["matched_identities"]) == (first, {kind: "v-1"})
    assert await lookup(world, kind, "v-1") == [first]


async def test_a_thousand_searches_create_nothing(world: World) -> None:
    """Worked case 18."""
    for start in range(0, 1000, 50):
        await asyncio.gather(
            *(
                call(world, "search", {"email": f"nobody-{start + number}@x"}, 404)
                for number in range(50)
            )
        )
    assert world.count("headwater_identity_records", environment="production") == 0


async def test_workspaces_of_one_scope_know_the_same_users(tmp_path: Path, shards: int) -> None:
    """Worked case 15, one scope."""
    documents = [named("w1"), named("w2", identity_scope="w1")]
    async with serving(tmp_path, documents, shards=shards) as [one, other]:
        mpid = await mpid_of(one, "login", {"customerid": "c1"})
        assert await mpid_of(other, "login", {"customerid": "c1"}) == mpid
        anonymous = await mpid_of(other, "identify", {STAMP: "d1"})
        here = await call(one, "login", {"customerid": "c2"}, previous_mpid=anonymous)
        assert here["mpid"] == anonymous


async def test_scopes_are_apart(tmp_path: Path, shards: int) -> None:
    """Worked case 15, separate scopes."""
    stamp = {STAMP: "d1"}
    documents = [named("w1"), named("w2")]
    async with serving(tmp_path, documents, shards=shards) as [one, other]:
        first = await mpid_of(one, "login", {"customerid": "c1"})
        anonymous = await mpid_of(one, "identify", stamp)
        assert await mpid_of(other, "login", {"customerid": "c1"}) != first
        answer = await call(other, "login", {"customerid": "c2"} | stamp, previous_mpid=anonymous)
        assert (answer["mpid"] == anonymous, answer["matched_identities"]) == (False, {})
        here = await call(one, "login", {"customerid": "c2"}, previous_mpid=anonymous)
        assert here["mpid"] == anonymous


async def test_ties_are_decided_by_priority(tmp_path: Path, shards: int) -> None:
    """Worked case 19."""
    document = strategy(
        "best_match",
        priority=["customerid", "email", "other", "ios_idfv", "android_aaid", "other10"],
    )
    async with running(tmp_path, shards=shards, document=document) as world:
        held = (
            [("email", "h"), ("other", "aa"), ("ios_idfv", "1")],
            [("email", "h"), ("android_aaid", "2"), ("other", "bb")],
        )
        made = []
        for number, identities in enumerate(held):
            mpid = await mpid_of(world, "identify", {"other10": f"{number}"})
            changes = [(kind, None, value) for kind, value in identities]
            await modify(world, mpid, *changes, ("other10", f"{number}", None))
            made.append(mpid)
        first, second = made
        sent = {"email": "h", "other": "aa", "ios_idfv": "2"}
        assert await mpid_of(world, "identify", sent) == first
        assert await mpid_of(world, "identify", {"email": "h", "android_aaid": "2"}) == second


@pytest.mark.parametrize(
    ("identity", "rule"),
    [
        (
            {"strategy": "best_match", "login_ids": ["email"], "unique_ids": ["email"]},
            "must be emp",
        ),
        (
            {
                "strategy": "profile_link",
                "login_ids": ["customerid"],
                "unique_ids": ["customerid", "email"],
                "immutable_ids": ["email"],
            },
            "not in login_ids",
        ),
        (
            {
                "strategy": "profile_link",
                "login_ids": ["customerid", "email"],
                "unique_ids": ["customerid"],
            },
            "not in unique_ids",
        ),
        (
            {
                "strategy": "profile_conversion",
                "priority": ["email", "customerid"],
                "immutable_ids": ["customerid"],
            },
            "must stand first",
        ),
        ({"priority": ["customerid", "passport"]}, "unknown identity type"),
    ],
)
async def test_a_bad_configuration_is_refused_with_its_rule(
    world: World, identity: Any, rule: str
) -> None:
    """Worked case 27: over HTTP and in a document; the old configuration stays active."""
    with pytest.raises(ConfigError, match=rule):
        parse_workspace(changed(DOCUMENT, identity=identity))
    path = "/platform/identity/1/config"
    before = await (await world.get(path)).json()
    mpid = await mpid_of(world, "login", {"customerid": "c1", "email": "e1"})
    response = await world.client.put(path, json=identity, headers=await world.token())
    assert response.status == 400
    [error] = (await response.json())["errors"]
    assert error["code"] == "BAD_REQUEST"
    assert rule in error["message"]
    assert await (await world.get(path)).json() == before
    assert await mpid_of(world, "login", {"customerid": "c1"}) == mpid
    await call(world, "search", {"email": "e1"}, 404)  # no login ID by the old configuration


async def test_a_rate_limit(tmp_path: Path, shards: int, clock: ManualClock) -> None:
    """Worked case 28."""
    document = changed(DOCUMENT, workspace={"limits": {"identity_requests_per_second": 2}})
    async with running(tmp_path, shards=shards, document=document, clock=clock) as world:
        answers = [
            await world.client.post("/v1/identify", json=KNOWN, headers=KEY) for _ in "0123456789"
        ]
        limited = [each for each in answers if each.status == 429]
        passed = [each for each in answers if each.status == 200]
        assert (len(passed), len(limited)) == (2, 8)
        for each in limited:
            assert int(each.headers["Retry-After"]) >= 1
            assert each.headers["X-mp-rate-limit-exceeded"] == "workspace"
        assert [each.headers["X-mp-rate-limit-percentage-used"] for each in passed] == ["50", "100"]


async def test_browsers_methods_and_sizes(world: World) -> None:
    """Worked cases 29 and 30."""
    asked = {"Origin": "https://x.example", "Access-Control-Request-Headers": "x-mp-key"}
    preflight = await world.client.options("/v1/identify", headers=asked)
    assert preflight.status == 204
    assert preflight.headers["Access-Control-Allow-Origin"] == "*"
    assert "x-mp-key" in preflight.headers["Access-Control-Allow-Headers"]
    for body, status in ((KNOWN, 200), ({}, 400)):
        answer = await world.client.post("/v1/identify", json=body, headers=KEY)
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (status, "*")
    assert (await world.client.get("/v1/identify")).status == 405
    assert (await sent(world, KNOWN, KEY, "/v1/unknown"))[0] == 404
    assert (await sent(world, b" " * 300 * 1024, KEY))[0] == 413


async def test_what_was_answered_outlives_every_process(tmp_path: Path, shards: int) -> None:
    """Worked case 37: the stores as they lie on disk in the moment after the answer."""
    stamp = {"device_application_stamp": "d1"}
    async with running(tmp_path / "a", shards=shards) as world:
        mpid = await mpid_of(world, "login", {"customerid": "c1"} | stamp)
        shutil.copytree(tmp_path / "a", tmp_path / "b")
    async with running(tmp_path / "b", shards=shards) as world:
        await call(world, "search", stamp, 404)
        assert await lookup(world, "device_application_stamp", "d1") == [mpid]
        assert await mpid_of(world, "identify", {"customerid": "c1"}) == mpid


async def test_another_number_of_shards_knows_the_same_users(tmp_path: Path) -> None:
    """Worked case 38."""
    users = [
        {"customerid": f"c-{number}", "device_application_stamp": f"d-{number % 400}"}
        for number in range(1000)
    ]

    async def log_in(world: World) -> list[str]:
        mpids: list[str] = []
        for start in range(0, len(users), 100):
            some = users[start : start + 100]
            mpids += await asyncio.gather(*(mpid_of(world, "login", each) for each in some))
        return mpids

    old, new = tmp_path / "old", tmp_path / "new"
    document = changed(DOCUMENT, workspace={"limits": {"identity_requests_per_second": 0}})
    async with running(old, document=document, shards=1) as world:
        mpids = await log_in(world)
    new.mkdir()
    shutil.copytree(old / "coordinator", new / "coordinator")
    reshard([old / "shard-0"], [new / f"shard-{number}" for number in range(7)], MAP_SIZE)
    async with running(new, document=document, shards=7) as world:
        assert await log_in(world) == mpids
        assert len({shard_of_slot(slot_of_mpid(int(mpid)), 7) for mpid in mpids}) == 7
        for sent, mpid in list(zip(users, mpids, strict=True))[::50]:
            seen = await record(world, mpid)
            held = {each["type"]: each["value"] for each in seen["identities"]}
            assert held == sent
            assert await lookup(world, "customerid", sent["customerid"]) == [mpid]
            assert mpid in await lookup(world, "device_application_stamp", held[STAMP])


async def test_an_erased_user_is_nobody(world: World) -> None:
    """Worked case 39."""
    mpid = await mpid_of(world, "login", {"customerid": "c1"})
    assert await world.coordinator.erase("production", int(mpid))
    await call(world, "search", {"customerid": "c1"}, 404)
    for path in (f"mpids/{mpid}", f"mpids/{mpid}/history"):
        assert (await world.get(f"{POOL}/{path}")).status == 404
    assert world.count("headwater_identity_records", environment="production") == 0
    assert await mpid_of(world, "login", {"customerid": "c1"}) != mpid


async def test_records_of_addressed_batches_are_counted_until_they_are_erased(
    tmp_path: Path,
) -> None:
    """spec/identity.md, 12, also after a start with another number of shards."""

    def records(world: World) -> float:
        return world.count("headwater_identity_records", environment="production")

    old, new = tmp_path / "old", tmp_path / "new"
    async with running(old, shards=2) as world:
        for mpid in (1, 2**52 + 1, 555):
            await world.accept({"mpid": mpid, "events": []})
        await mpid_of(world, "login", {"customerid": "c1"})
        assert records(world) == 4
    new.mkdir()
    shutil.copytree(old / "coordinator", new / "coordinator")
    stores = [old / f"shard-{number}" for number in range(2)]
    reshard(stores, [new / f"shard-{number}" for number in range(3)], MAP_SIZE)
    async with running(new, shards=3) as world:
        assert records(world) == 4
        assert await world.coordinator.erase("production", 555)
        assert records(world) == 3
        development = {"mpid": 555, "environment": "development", "events": []}
        await world.accept(development)
        assert records(world) == 3
        assert world.count("headwater_identity_records", environment="development") == 1


# -- Event batches, what the tables leave to events -----------------------------------------------


@pytest.fixture(params=STRATEGIES)
async def any_strategy(
    request: pytest.FixtureRequest, tmp_path: Path, shards: int
) -> AsyncIterator[World]:
    """A deployment with each of the strategies, with one shard and with three."""
    async with running(tmp_path, shards=shards, document=strategy(request.param)) as world:
        yield world


async def test_a_batch_for_an_mpid_changes_no_identities(any_strategy: World) -> None:
    """Rows E1 and E2, with any strategy."""
    world = any_strategy
    mpid = await mpid_of(world, "login", {"customerid": "c1"})
    await world.accept({"mpid": int(mpid), "user_identities": {"email": "e5"}, "events": []})
    assert [stored.mpid for stored in world.log()] == [int(mpid)]
    assert [each["type"] for each in (await record(world, mpid))["identities"]] == ["customerid"]
    assert await lookup(world, "email", "e5") == []
    assert world.count("headwater_identity_records", environment="production") == 1
    for _ in range(2):
        await world.accept({"mpid": 555, "events": []})
    assert world.count("headwater_identity_records", environment="production") == 2
    assert (await record(world, "555"))["identities"] == []
    assert (await world.profile(555, "user_identities"))["user_identities"] == []


async def test_a_batch_without_identities_is_nobodys(any_strategy: World) -> None:
    """Rows E8, E9, E10 and E12, with any strategy."""
    world = any_strategy
    anonymous: dict[str, Any] = {
        "events": [{"event_type": "custom_event", "data": {"event_name": "e"}}]
    }
    for _ in range(2):
        await world.accept(anonymous | {"source_request_id": "s1"})
    assert [each.mpid for each in world.log()] == [None]
    await world.accept(anonymous)
    await world.accept(anonymous)
    zero = {"android_advertising_id": "00000000-0000-0000-0000-000000000000"}
    await world.accept(anonymous | {"device_info": zero})
    assert [each.mpid for each in world.log()] == [None] * 4
    assert world.count("headwater_identity_records", environment="production") == 0
    # An MPID of zero is none: the batch is the user's whom its identities name.
    await world.accept({"mpid": 0, "user_identities": {"customer_id": "c1"}, "events": []})
    [found] = await lookup(world, "customerid", "c1")
    assert found == await mpid_of(world, "login", {"customerid": "c1"})
