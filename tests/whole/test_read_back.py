"""What the Platform API shows of an object can be sent back as it is (spec/platform-api.md, 15)."""

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from actors.clock import ManualClock
from server.app import ROUTES
from tests.actors.plans.plans import document as plan_document
from tests.whole.test_audiences import OUTPUT, status_is
from tests.whole.test_calculated import definition
from tests.whole.test_conventions import CREDENTIALS
from tests.whole.test_groups import HOUSEHOLD
from tests.whole.test_predictions import LIKELY
from tests.whole.test_roles import role
from tests.whole.world import DOCUMENT, World, changed, running

WORKSPACE = "/platform/v2/workspaces/{workspace}"
ACCOUNT = "/platform/v2/organizations/{org}/accounts/{account}"
# What is read there is not what is written: the members of a list, and a file.
OTHER_SHAPES = {f"{WORKSPACE}/audiences/{{audience}}/members", f"{WORKSPACE}/config"}
# They tell of the last change, and so are others after it.
MOVING = {"last_modified_on", "last_modified_by", "etag", "revision", "version"}
HOOK = {
    **DOCUMENT["outputs"][0],
    "settings": {
        "url": "https://hook.example.com/in",
        "headers": {"X-Token": "very-secret-token"},
    },
    "environments": {"development": {"settings": {"authorization_header": "another-secret"}}},
    "filters": {"screens": {"disabled": ["Home"]}},
    "retry": {"max_age": "2h"},
}
SETUP = changed(
    DOCUMENT,
    workspace={
        "config": {"allow_api_edits": True},
        "limits": {"platform_requests_per_minute": 0},
        "dsr_credentials": {"key": "kd-workspace", "secret": "sd"},
    },
    api_credentials=CREDENTIALS,
    outputs=[HOOK, OUTPUT],
    connections=[
        {
            **DOCUMENT["connections"][0],
            "sampling": {"percentage": 25},
            "min_app_version": "4.2",
            "forwarding_rules": [
                {"kind": "event_attribute", "action": "exclude", "name": "is_test", "value": "1"}
            ],
            "filters": {"events": {"disabled": [{"event_type": "other", "name": "Ping"}]}},
        },
        *DOCUMENT["connections"][1:],
    ],
)


def pairs() -> Iterator[tuple[str, str]]:
    """Yield method and path of all that can be read and changed by one path."""
    read = {route.path for route in ROUTES if route.api == "platform" and route.method == "GET"}
    for route in ROUTES:
        if route.method in ("PUT", "PATCH") and route.path in read - OTHER_SHAPES:
            yield route.method, route.path


@pytest.fixture
async def world(tmp_path: Path, clock: ManualClock) -> AsyncIterator[World]:
    async with running(tmp_path, shards=1, document=SETUP, clock=clock) as only:
        yield only


async def ask(world: World, method: str, path: str, body: Any = None) -> Any:
    """Ask as who may do all; return what is answered, without an envelope."""
    query = {"accountId": "1"} if path.startswith("/v1/") else {}
    headers = await world.token("keeper")
    response = await world.client.request(method, path, params=query, json=body, headers=headers)
    assert response.status < 300, await response.text()
    await world.follow()
    if response.content_type != "application/json":
        return None
    answer = await response.json()
    return answer["data"][0] if path.startswith("/v1/") else answer


async def make_all(world: World) -> dict[str, Any]:
    """Make one of each object that the document has not; return what paths call them."""
    here, account = WORKSPACE.format(workspace=1), ACCOUNT.format(org=1, account=1)

    async def add(path: str, body: Any) -> Any:
        return await ask(world, "POST", f"{here}/{path}", body)

    credential = {"client_id": "etl", "apis": ["platform"]}
    await ask(world, "POST", f"{account}/credentials", credential)
    await ask(world, "POST", f"{account}/credentials/etl/rotate")
    roles = {"roles": [role("marketer", "audiences:*")]}
    await ask(world, "PUT", f"{account}/roles", roles)
    await ask(world, "POST", "/v1/users", {"email": "ann@example.com", "role": "marketer"})
    version = {"version_document": plan_document()}
    await add("plans", {"data_plan_name": "Shop plan", "data_plan_versions": [version]})
    buys = await add(
        "calculatedattributes", {"name": "Buys", "draft_definition": definition("count")}
    )
    await add(f"calculatedattributes/{buys}/activation", None)
    gold = {"name": "Gold", "definition": status_is("gold"), "tags": ["a"]}
    audience = (await add("audiences", gold))["id"]
    joined = {"output_id": 2, "shared_user_attributes": ["status"]}
    subscription = (await add(f"audiences/{audience}/subscriptions", joined))["id"]
    await add(f"audiences/{audience}/activation", None)
    sharing = {"default_level": "view_only"}
    await ask(world, "PUT", f"{here}/audiences/{audience}/sharing", sharing)
    await add("predictions", LIKELY)
    await ask(world, "POST", "/platform/workspaces/1/groups", HOUSEHOLD)
    journey = (await add("journeys", {"name": "Welcome"}))["id"]
    first = {"name": "First", "kind": "criteria", "definition": status_is("new")}
    await add(f"journeys/{journey}/milestones", first)
    await world.settle_audiences()
    return {
        "client": "etl",
        "user": "ann@example.com",
        "plan": "shop_plan",
        "calculated_attribute": buys,
        "audience": audience,
        "subscription": subscription,
        "group": "household",
        "journey": journey,
    }


def shown(answer: Any) -> Any:
    """Return what is shown of an object without what tells of the last change."""
    return {name: value for name, value in answer.items() if name not in MOVING}


@pytest.mark.parametrize(("method", "route"), list(pairs()))
async def test_what_was_read_can_be_sent_back_and_changes_nothing(
    world: World, method: str, route: str
) -> None:
    """Also once more, when the first answer got lost, or somebody else has changed it meanwhile."""
    names = await make_all(world)
    path = re.sub(r"\{(\w+)\}", lambda found: str(names.get(found[1], 1)), route)
    read = await ask(world, "GET", path)
    for _ in range(2):
        cast(ManualClock, world.clock).advance(60_000)
        await ask(world, method, path, read)
    assert shown(await ask(world, "GET", path)) == shown(read)


@pytest.mark.parametrize(
    ("path", "member", "value", "status"),
    [
        pytest.param("inputs/1", "created_by", "me", 422, id="who made it"),
        pytest.param("inputs/1", "keys", [], 422, id="keys of an input"),
        pytest.param("outputs/1", "id", 2, 422, id="a number"),
        pytest.param("outputs/1", "slug", "mine", 422, id="an id"),
        pytest.param("output-connections/1", "status", "inactive", 422, id="a status"),
        pytest.param("output-connections/1", "is_faulted", True, 422, id="a fault"),
        pytest.param("output-connections/1", "input_id", 2, 422, id="what is connected"),
        pytest.param("output-connections/1", "colour", "red", 400, id="what nothing has"),
        pytest.param("journeys/{journey}", "milestones", [], 400, id="parts of its own"),
    ],
)
async def test_what_cannot_be_set_is_refused_if_it_is_to_become_another(
    world: World, path: str, member: str, value: Any, status: int
) -> None:
    names = await make_all(world)
    where = f"{WORKSPACE.format(workspace=1)}/{path.format(**names)}"
    read = await ask(world, "GET", where)
    headers = await world.token("keeper")
    response = await world.client.put(where, json=read | {member: value}, headers=headers)
    assert response.status == status, await response.text()
    [error] = (await response.json())["errors"]
    assert error["path"].removeprefix("/") == member
    assert await ask(world, "GET", where) == read


async def test_a_connection_that_was_read_is_changed_by_a_part_of_it(world: World) -> None:
    where = f"{WORKSPACE.format(workspace=1)}/output-connections/backend-hook"
    read = await ask(world, "GET", where)
    for body in (read | {"is_active": False}, {"input_id": "backend", "is_active": False}):
        answer = await ask(world, "PUT", where, body)
        assert (answer["is_active"], answer["status"]) == (False, "inactive")
        await ask(world, "POST", f"{where}/activation")
    assert shown(await ask(world, "GET", where)) == shown(read)


async def test_what_was_read_of_a_workspace_needs_no_task_where_it_stays_the_same(
    world: World,
) -> None:
    """A role that changes what people are told of their data sends the limits back as they are."""
    account, where = ACCOUNT.format(org=1, account=1), WORKSPACE.format(workspace=1)
    keeper = role("keeper_of_privacy", "privacy:*")
    await ask(world, "PUT", f"{account}/roles", {"roles": [keeper]})
    credential = {"client_id": "dpo", "role": "keeper_of_privacy", "apis": ["platform"]}
    made = await ask(world, "POST", f"{account}/credentials", credential)
    body = {"client_id": "dpo", "client_secret": made["client_secret"]}
    response = await world.client.post(
        "/oauth/token", json={**body, "grant_type": "client_credentials"}
    )
    headers = {"Authorization": f"Bearer {(await response.json())['access_token']}"}
    read = await ask(world, "GET", where)
    retention = {"retention": {**read["retention"], "events_days": 365}}
    assert (await world.client.put(where, json=read | retention, headers=headers)).status == 200
    renamed = await world.client.put(where, json=read | {"name": "Mine"}, headers=headers)
    assert renamed.status == 403
