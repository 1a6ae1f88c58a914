"""Bulk deletions of profiles over HTTP (spec/profiles.md, 10)."""

import re
from typing import Any

import msgspec
import pytest

from actors.errors import ShardUnavailable
from server.routes.bulk_deletions import MAX_BODY_BYTES
from tests.server.conftest import K1, K2, World, basic, first_error

PATH = "/userprofile/experimental/bulkdelete"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
INT64_END = 2**63


async def test_a_request_is_taken_with_its_mpids_once_each(world: World) -> None:
    mpids = [4411, "-92", "4411", -92, str(-INT64_END), INT64_END - 1]
    response = await world.client.post(PATH, json={"mpids": mpids}, headers=K1)
    assert response.status == 202
    assert response.headers["Cache-Control"] == "no-store"
    answer = await response.json()
    assert answer == {"request_id": answer["request_id"], "accepted": 4}
    assert UUID.fullmatch(answer["request_id"])
    taken = world.deployment.deletions[answer["request_id"]]
    assert taken.mpids == (4411, -92, -INT64_END, INT64_END - 1)
    assert taken.environment == "production"
    [(_, entry)] = world.deployment.audit_log.entries
    assert (entry.action, entry.resource_id) == ("delete", taken.id)
    response = await world.client.get(f"{PATH}/{taken.id}", headers=K2)
    assert (response.status, await response.json()) == (
        200,
        {
            "request_id": taken.id,
            "status": "pending",
            "requested": 4,
            "deleted": 0,
            "not_found": 0,
        },
    )


@pytest.mark.parametrize("sent", [None, "production", "development"])
async def test_the_environment_is_production_unless_another_is_named(
    world: World, sent: str | None
) -> None:
    body = {"environment": sent, "mpids": [1]}
    response = await world.client.post(PATH, json=body, headers=K1)
    assert response.status == 202
    [taken] = world.deployment.deletions.values()
    assert taken.environment == (sent or "production")


@pytest.mark.parametrize(
    ("body", "named"),
    [
        pytest.param(b"{", "JSON", id="bad JSON"),
        pytest.param([1], "JSON object", id="not an object"),
        pytest.param({}, '"mpids"', id="no mpids"),
        pytest.param({"mpids": []}, '"mpids"', id="empty mpids"),
        pytest.param({"mpids": 4411}, '"mpids"', id="one MPID alone"),
        pytest.param({"mpids": "4411"}, '"mpids"', id="a text"),
        pytest.param({"mpids": list(range(1001))}, '"mpids"', id="1001 MPIDs"),
        pytest.param({"mpids": [1, "x"]}, '"mpids[1]"', id="no number"),
        pytest.param({"mpids": [1, 2, 3.5]}, '"mpids[2]"', id="a fraction"),
        pytest.param({"mpids": [True]}, '"mpids[0]"', id="a boolean"),
        pytest.param({"mpids": [None]}, '"mpids[0]"', id="null"),
        pytest.param({"mpids": [INT64_END]}, '"mpids[0]"', id="beyond 64 bits"),
        pytest.param({"mpids": [str(-INT64_END - 1)]}, '"mpids[0]"', id="below 64 bits"),
        pytest.param({"mpids": [1], "environment": "staging"}, '"environment"', id="environment"),
    ],
)
async def test_a_body_that_is_wrong_is_refused_as_a_whole(
    world: World, body: Any, named: str
) -> None:
    """spec/profiles.md, worked case 23."""
    data = body if isinstance(body, bytes) else msgspec.json.encode(body)
    response = await world.client.post(PATH, data=data, headers=K1)
    assert response.status == 400
    error = await first_error(response)
    assert error["code"] == "BAD_REQUEST"
    assert named in error["message"]
    assert world.deployment.deletions == {}


async def test_a_thousand_mpids_are_taken(world: World) -> None:
    response = await world.client.post(PATH, json={"mpids": list(range(1000))}, headers=K1)
    assert (response.status, (await response.json())["accepted"]) == (202, 1000)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({}, 401, id="no credentials"),
        pytest.param(basic("k1:s2"), 403, id="wrong secret"),
        pytest.param(basic("k9:s1"), 403, id="unknown key"),
        pytest.param({"Authorization": "Bearer x"}, 403, id="a token"),
    ],
)
async def test_the_key_and_secret_of_an_input_are_asked_for(
    world: World, headers: dict[str, str], status: int
) -> None:
    response = await world.client.post(PATH, json={"mpids": [1]}, headers=headers)
    assert response.status == status
    assert (await world.client.get(f"{PATH}/1", headers=headers)).status == status
    assert world.deployment.deletions == {}


@pytest.mark.parametrize(("more", "status"), [(0, 202), (1, 413)])
async def test_a_body_may_have_256_kb(world: World, more: int, status: int) -> None:
    body = msgspec.json.encode({"mpids": [1]})
    padded = body + b" " * (MAX_BODY_BYTES - len(body) + more)
    response = await world.client.post(PATH, data=padded, headers=K1)
    assert response.status == status
    assert MAX_BODY_BYTES == 262_144


async def test_a_hundred_requests_a_minute_are_taken_of_a_workspace(world: World) -> None:
    statuses = []
    for number in range(101):
        response = await world.client.post(PATH, json={"mpids": [1]}, headers=(K1, K2)[number % 2])
        statuses.append(response.status)
    assert statuses == [202] * 100 + [429]
    assert response.headers["X-mp-rate-limit-exceeded"] == "workspace"
    assert int(response.headers["Retry-After"]) == 60
    request_id = next(iter(world.deployment.deletions))
    assert (await world.client.get(f"{PATH}/{request_id}", headers=K1)).status == 200
    world.clock.advance(60_000)
    response = await world.client.post(PATH, json={"mpids": [1]}, headers=K1)
    assert response.status == 202


async def test_no_more_is_taken_while_too_many_requests_wait(world: World) -> None:
    world.deployment.takes_deletions = False
    response = await world.client.post(PATH, json={"mpids": [1]}, headers=K1)
    assert response.status == 429
    assert int(response.headers["Retry-After"]) > 0
    assert world.deployment.audit_log.entries == []


async def test_an_unknown_request_is_not_found(world: World) -> None:
    for request_id in ("x", "00000000-0000-4000-8000-000000000000"):
        response = await world.client.get(f"{PATH}/{request_id}", headers=K1)
        assert response.status == 404


async def test_without_the_coordinator_the_answer_is_to_try_again(world: World) -> None:
    world.deployment.failure = ShardUnavailable("away")
    response = await world.client.post(PATH, json={"mpids": [1]}, headers=K1)
    assert response.status == 503
    assert (await world.client.get(f"{PATH}/1", headers=K1)).status == 503


async def test_other_methods_are_refused(world: World) -> None:
    assert (await world.client.get(PATH, headers=K1)).status == 405
    assert (await world.client.delete(f"{PATH}/1", headers=K1)).status == 405
