"""Operator endpoints over HTTP: who may, and what is asked wrongly (spec/identity.md, 12)."""

import logging
from typing import Any

import pytest

from actors.identity.calls import IdentityProblem, ModifyAnswer
from actors.identity.state import IdentityRecord
from actors.model.profiles import Lookup
from tests.server.conftest import T, World, first_error

SCOPE = "/platform/identity/3"
POOL = SCOPE + "/production"
EXPLAIN = {"call": "identify", "known_identities": {"email": "ann@example.com"}}
READS = [
    ("GET", "/production/mpids/77"),
    ("GET", "/production/mpids/77/history"),
    ("GET", "/production/lookup?type=email&value=a"),
    ("GET", "/aliases?mpid=77"),
    ("POST", "/production/explain"),
]
ALL = [*READS, ("POST", "/production/mpids/77/undo"), ("GET", "/config")]


@pytest.fixture(autouse=True)
def known(world: World) -> None:
    """Put one identity record into the deployment."""
    lookups = [Lookup("email", "ann@example.com", 1, T)]
    world.deployment.records["production", 77] = IdentityRecord(lookups, T)


async def send(
    world: World, method: str, path: str, client_id: str | None = "ops", body: Any = None
) -> Any:
    headers = {} if client_id is None else await world.token(client_id)
    sent = EXPLAIN if body is None and path.endswith("explain") else body
    return await world.client.request(method, path, json=sent, headers=headers)


@pytest.mark.parametrize(("method", "path"), ALL)
async def test_administrators_may_do_everything(world: World, method: str, path: str) -> None:
    assert (await send(world, method, SCOPE + path)).status == 200


@pytest.mark.parametrize(("method", "path"), ALL)
async def test_without_a_token_nobody_may(world: World, method: str, path: str) -> None:
    response = await send(world, method, SCOPE + path, None)
    assert response.status == 401
    assert (await first_error(response))["code"] == "UNAUTHORIZED"


@pytest.mark.parametrize("client_id", ["app", "viewer", "reader"])
@pytest.mark.parametrize(("method", "path"), ALL[:-1])
async def test_others_neither_see_identities_nor_change_them(
    world: World, method: str, path: str, client_id: str
) -> None:
    response = await send(world, method, SCOPE + path, client_id)
    assert response.status == 403
    assert (await first_error(response))["code"] == "FORBIDDEN"
    assert world.deployment.explained == []


@pytest.mark.parametrize(("client_id", "status"), [("viewer", 200), ("app", 403), ("reader", 403)])
async def test_the_settings_are_for_those_who_may_see_them(
    world: World, client_id: str, status: int
) -> None:
    """spec/privacy.md, 10: task identity_settings."""
    assert (await send(world, "GET", SCOPE + "/config", client_id)).status == status


async def test_the_same_settings_are_taken(world: World) -> None:
    """spec/identity.md, 12; what is left out is as the strategy has it."""
    in_force = await (await send(world, "GET", SCOPE + "/config")).json()
    for body in (in_force, {"strategy": in_force["strategy"]}):
        response = await send(world, "PUT", SCOPE + "/config", body=body)
        assert (response.status, await response.json()) == (200, in_force)


async def test_other_settings_are_for_the_document(world: World) -> None:
    """spec/connections.md, 10."""
    response = await send(world, "PUT", SCOPE + "/config", body={"strategy": "profile_link"})
    assert response.status == 409
    assert await first_error(response) == {
        "code": "CONFLICT",
        "message": "Managed by configuration file.",
    }


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        ({"strategy": "best_match", "login_ids": ["email"]}, "must be empty with strategy best"),
        ({"priority": ["customerid", "passport"]}, "identity.priority[1]: unknown identity type"),
        ({"strategy": "nearest"}, "identity.strategy: must be one of"),
        ({"alias_delay_hours": "soon"}, "identity.alias_delay_hours: must be a number"),
        ({"login": ["email"]}, "identity.login: unknown key"),
    ],
)
async def test_settings_that_break_a_rule_are_refused_with_it(
    world: World, body: Any, rule: str
) -> None:
    response = await send(world, "PUT", SCOPE + "/config", body=body)
    error = await first_error(response)
    assert (response.status, error["code"]) == (400, "BAD_REQUEST")
    assert rule in error["message"]


@pytest.mark.parametrize("client_id", ["app", "viewer", "reader"])
async def test_others_do_not_write_settings(world: World, client_id: str) -> None:
    assert (await send(world, "PUT", SCOPE + "/config", client_id, {})).status == 403


@pytest.mark.parametrize(
    "path",
    [
        "/platform/identity/4/config",
        "/platform/identity/w1/production/mpids/77",
        "/platform/identity/3/staging/mpids/77",
        "/platform/identity/3/development/mpids/77",
        POOL + "/mpids/78",
        POOL + "/mpids/78/history",
    ],
)
async def test_what_is_not_there_is_not_found(world: World, path: str) -> None:
    response = await send(world, "GET", path)
    assert response.status == 404
    assert (await first_error(response))["code"] == "NOT_FOUND"


@pytest.mark.parametrize(
    "path",
    [
        POOL + "/mpids/x",
        POOL + "/mpids/9223372036854775808/history",
        POOL + "/lookup?value=a",
        POOL + "/lookup?type=passport&value=a",
        POOL + "/lookup?type=email&value=%20",
        SCOPE + "/aliases",
        SCOPE + "/aliases?mpid=x",
    ],
)
async def test_a_wrong_question_is_refused(world: World, path: str) -> None:
    response = await send(world, "GET", path)
    assert response.status == 400
    assert (await first_error(response))["code"] == "BAD_REQUEST"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"known_identities": {"email": "a"}}, '"call"'),
        ({"call": "modify", "known_identities": {"email": "a"}}, '"call"'),
        ({"call": "login"}, "knownIdentities is empty."),
        ({"call": "login", "known_identities": {"passport": "1"}}, "Unknown identity type"),
        ([], "must be a JSON object"),
    ],
)
async def test_what_is_no_call_is_not_explained(world: World, body: Any, message: str) -> None:
    response = await send(world, "POST", POOL + "/explain", body=body)
    assert response.status == 400
    error = await first_error(response)
    assert error["code"] == "BAD_REQUEST"
    assert message in error["message"]
    assert world.deployment.explained == []


async def test_a_call_to_be_explained_is_json(world: World) -> None:
    headers = {**await world.token(), "Content-Type": "text/plain"}
    response = await world.client.post(POOL + "/explain", data=b"{}", headers=headers)
    assert response.status == 415


async def test_a_call_is_explained_for_the_environment_of_the_path(world: World) -> None:
    body = EXPLAIN | {"environment": "production", "previous_mpid": "5"}
    response = await send(world, "POST", SCOPE + "/development/explain", body=body)
    assert response.status == 200
    [call] = world.deployment.explained
    assert (call.kind, call.environment, call.previous_mpid) == ("identify", "development", 5)
    assert call.is_read_only


async def test_an_undo_tells_what_it_has_changed(world: World) -> None:
    world.deployment.undo_answer = ModifyAnswer((("email", 77), ("email", 78)))
    response = await send(world, "POST", POOL + "/mpids/77/undo")
    assert await response.json() == {
        "changed": [
            {"identity_type": "email", "mpid": "77"},
            {"identity_type": "email", "mpid": "78"},
        ]
    }


async def test_an_undo_that_cannot_be_tells_why(world: World) -> None:
    world.deployment.undo_answer = IdentityProblem(400, "BAD_REQUEST", "It is immutable.")
    response = await send(world, "POST", POOL + "/mpids/77/undo")
    assert response.status == 409
    assert await first_error(response) == {"code": "CONFLICT", "message": "It is immutable."}


async def test_an_undo_of_nobody_is_not_found(world: World) -> None:
    assert (await send(world, "POST", POOL + "/mpids/78/undo")).status == 404


async def test_access_is_audited_without_identities(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """spec/privacy.md, 10."""
    with caplog.at_level(logging.INFO, "headwater.audit"):
        await send(world, "GET", POOL + "/lookup?type=email&value=ann@example.com")
        await send(world, "POST", POOL + "/mpids/77/undo")
    seen = [each.__dict__ for each in caplog.records if each.name == "headwater.audit"]
    assert [(e["action"], e["resource"]) for e in seen if e["action"] != "login"] == [
        ("read", "identities"),
        ("update", "identity_record"),
    ]
    assert not any("ann@example.com" in str(each) for each in seen)
