"""Users of an account (spec/platform-api.md, 3; spec/privacy.md, 10.4)."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from actors.clock import ManualClock
from config.limits import WorkspaceLimits
from server.routes.account_users import percentless
from tests.whole.test_conventions import next_page
from tests.whole.world import DOCUMENT, World, changed, named, running, serving

ANN = {"email": "ann@ex.com", "first_name": "Ann", "last_name": "Lee", "role": "admin"}


@pytest.fixture
async def world(tmp_path: Path, clock: ManualClock) -> AsyncIterator[World]:
    async with running(tmp_path, shards=1, clock=clock) as only:
        yield only


async def ask(
    world: World,
    status: int,
    method: str,
    path: str = "",
    body: Any = None,
    account: str = "1",
    **headers: str,
) -> Any:
    """Ask as the administrator; return the objects, or the messages of the errors."""
    response = await world.client.request(
        method,
        f"/v1/users{path}",
        params={"accountId": account},
        json=body,
        headers={**(await world.token()), **headers},
    )
    answer = await response.json()
    assert response.status == status, answer
    assert answer["dataType"] == "user"
    if status < 300:
        assert answer["errors"] is None
        return answer["data"]
    assert answer["data"] == []
    return [each["message"] for each in answer["errors"]]


async def test_a_user_is_made_shown_changed_and_deleted(world: World, clock: ManualClock) -> None:
    """spec/platform-api.md, case 24: also without percent signs."""
    [made] = await ask(world, 201, "POST", "", {**ANN, "shoe_size": 40})  # v1 ignores it
    assert made == {
        **ANN,
        "created_on": "2026-01-01T00:00:00.000",
        "created_by": "ops",
        "last_modified_on": "2026-01-01T00:00:00.000",
        "last_modified_by": "ops",
        "data_type": "user",
    }
    for name in ("ann40ex2Ecom", "ann40ex2ecom", "ann@ex.com", "ann%40ex.com", "ANN%40ex%2Ecom"):
        assert await ask(world, 200, "GET", f"/{name}") == [made], name
    assert await ask(world, 200, "GET") == [made]
    clock.advance(1000)
    [shown] = await ask(world, 202, "PUT", "/ann40ex2Ecom", {"role": "user"})
    expected = {**made, "role": "user", "last_modified_on": "2026-01-01T00:00:01.000"}
    assert shown == expected
    assert await ask(world, 200, "GET", "/ann@ex.com") == [expected]
    assert await ask(world, 202, "DELETE", "/ann@ex.com") == []
    assert await ask(world, 404, "GET", "/ann@ex.com") == ["There is no such user."]
    assert await ask(world, 404, "DELETE", "/ann@ex.com") == ["There is no such user."]
    assert await ask(world, 404, "PUT", "/ann@ex.com", {}) == ["There is no such user."]


async def test_what_is_not_said_of_a_new_user_is_the_least(world: World) -> None:
    [made] = await ask(world, 201, "POST", "", {"email": "bo@ex.com"})
    assert (made["first_name"], made["last_name"], made["role"]) == ("", "", "read_only")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "Email must be specified."),
        ({"email": ""}, "Email must be specified."),
        ({"email": 5}, "Email must be specified."),
        ({"email": "ann"}, "Email is not valid."),
        ({"email": "a@b@c"}, "Email is not valid."),
        ({"email": "a\x00@b.c"}, "Email is not valid."),
        ({"email": "a@" + "b" * 300}, "Email is not valid."),
        ({"email": "A@ex.com"}, "User already exists."),
        ({"email": "b@ex.com", "role": "king"}, "There is no such role."),
        ({"email": "b@ex.com", "role": 5}, "must be a text of at most 100 characters"),
        (
            {"email": "b@ex.com", "first_name": "x" * 101},
            "must be a text of at most 100 characters",
        ),
        ({"email": "b@ex.com", "last_name": "a\nb"}, "must be a text of at most 100 characters"),
    ],
)
async def test_what_is_no_user_is_refused(world: World, body: dict[str, Any], message: str) -> None:
    before = await ask(world, 201, "POST", "", {"email": "a@ex.com"})
    assert await ask(world, 422, "POST", "", body) == [message]
    assert await ask(world, 200, "GET") == before


async def test_an_email_is_for_life(world: World) -> None:
    await ask(world, 201, "POST", "", ANN)
    message = ["Email cannot be changed."]
    assert await ask(world, 422, "PUT", "/ann@ex.com", {"email": "bo@ex.com"}) == message
    await ask(world, 202, "PUT", "/ann@ex.com", {"email": "ann@ex.com", "first_name": "A."})


async def test_an_id_that_two_have_is_nobodys(world: World) -> None:
    for email in ("a.@b.c", "a2E@b.c"):
        await ask(world, 201, "POST", "", {"email": email})
    assert percentless("a.@b.c") == percentless("a2E@b.c")
    await ask(world, 404, "GET", f"/{percentless('a.@b.c')}")
    [found] = await ask(world, 200, "GET", "/a.@b.c")
    assert found["email"] == "a.@b.c"


async def test_edits_of_two_at_once_are_told_apart(world: World) -> None:
    """A mismatch is 409 in version 1 (spec/platform-api.md, 1)."""
    await ask(world, 201, "POST", "", ANN)
    await ask(world, 202, "PUT", "/ann@ex.com", {"first_name": "A"}, **{"If-Match": '"1"'})
    for method in ("PUT", "DELETE"):
        message = await ask(world, 409, method, "/ann@ex.com", {}, **{"If-Match": '"1"'})
        assert message == ["The user has changed since it was read."]


async def test_users_come_page_by_page(world: World) -> None:
    for number in range(5):
        await ask(world, 201, "POST", "", {"email": f"u{number}@ex.com"})
    found, path = [], "/v1/users?accountId=1&limit=2"
    while path:
        response = await world.client.get(path, headers=await world.token())
        found += [each["email"] for each in (await response.json())["data"]]
        path = next_page(response)
    assert found == [f"u{number}@ex.com" for number in range(5)]


async def test_a_restart_keeps_users(tmp_path: Path, clock: ManualClock) -> None:
    async with running(tmp_path, shards=1, clock=clock) as world:
        made = await ask(world, 201, "POST", "", ANN)
    async with running(tmp_path, shards=1, clock=clock) as world:
        assert await ask(world, 200, "GET") == made


async def test_users_are_an_accounts_own(tmp_path: Path, clock: ManualClock) -> None:
    other = changed(named("w2"), account={"id": "other", "name": "Other"})
    async with serving(tmp_path, [DOCUMENT, other], shards=1, clock=clock) as [one, two]:
        await ask(one, 201, "POST", "", ANN)
        assert await ask(two, 200, "GET", account="2") == []
        await ask(two, 404, "GET", "/ann@ex.com", account="2")
        assert await ask(two, 404, "GET", account="1") == ["There is no such account."]


async def test_an_account_has_to_be_named(world: World) -> None:
    response = await world.client.get("/v1/users", headers=await world.token())
    assert response.status == 401
    answer = await response.json()
    assert (answer["data"], answer["errors"][0]["code"]) == ([], "UNAUTHORIZED")


async def test_the_audit_log_has_what_was_done_to_users(world: World) -> None:
    await ask(world, 201, "POST", "", ANN)
    await ask(world, 202, "PUT", "/ann@ex.com", {"role": "user"})
    await ask(world, 202, "DELETE", "/ann@ex.com")
    path = "/platform/v2/accounts/1/audit-logs?resource=account_user/ann@ex.com"
    response = await world.client.get(path, headers=await world.token())
    deleted, updated, created = (await response.json())["items"]
    assert [each["action"] for each in (created, updated, deleted)] == [
        "create",
        "update",
        "delete",
    ]
    assert (created["before"], created["after"]) == (None, ANN)
    assert updated["after"] == deleted["before"] == {**ANN, "role": "user"}
    assert deleted["after"] is None


async def test_an_account_has_as_many_users_as_its_limit(
    tmp_path: Path, clock: ManualClock
) -> None:
    """spec/connections.md, 1: 200 unless the document says otherwise."""
    assert WorkspaceLimits().users == 200
    document = changed(DOCUMENT, workspace={"limits": {"users": 2}})
    async with running(tmp_path, shards=1, clock=clock, document=document) as world:
        for name in ("a", "b"):
            await ask(world, 201, "POST", "", {"email": f"{name}@ex.com"})
        full = await ask(world, 422, "POST", "", {"email": "c@ex.com"})
        assert full == ["An account has at most 2 users."]
        assert await ask(world, 422, "POST", "", {"email": "a@ex.com"}) == ["User already exists."]
        await ask(world, 202, "DELETE", "/a@ex.com")
        await ask(world, 201, "POST", "", {"email": "c@ex.com"})
