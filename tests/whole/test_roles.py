"""Custom roles, and what roles allow (spec/privacy.md, 10; spec/platform-api.md, 3)."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from actors.clock import ManualClock
from config.roles import TASKS
from tests.whole.world import DOCUMENT, World, changed, named, running, serving

BASE = "/platform/v2/organizations/1/accounts/1"
WORKSPACE = "/platform/v2/workspaces/1"
CREDENTIALS = [
    *DOCUMENT["api_credentials"],
    {
        "client_id": "keeper",
        "client_secret": "keeper-secret",
        "role": "admin",
        "apis": ["custom_roles"],
    },
    *(
        {
            "client_id": role,
            "client_secret": f"{role}-secret",
            "role": role,
            "apis": ["platform"],
        }
        for role in ("compliance", "support_access", "audiences_only", "user")
    ),
]
SETUP = changed(
    DOCUMENT,
    workspace={"config": {"allow_api_edits": True}, "limits": {"platform_requests_per_minute": 0}},
    api_credentials=CREDENTIALS,
)
BAD_TEXT = "Name or Description is empty, has too many characters, or has restricted characters"
IN_USE = "Removed a custom role with active user membership"


@pytest.fixture
async def world(tmp_path: Path, clock: ManualClock) -> AsyncIterator[World]:
    async with running(tmp_path, shards=1, document=SETUP, clock=clock) as only:
        yield only


def role(role_id: str, *tasks: str, **members: Any) -> dict[str, Any]:
    return {
        "role_id": role_id,
        "name": role_id.title(),
        "description": "For a test",
        "tasks": [{"task_id": each} for each in tasks],
        **members,
    }


async def ask(
    world: World,
    method: str,
    path: str,
    body: Any = None,
    client: str = "keeper",
    **headers: str,
) -> tuple[int, Any]:
    """Ask, and let everybody hear of it."""
    sent = {**(await world.token(client)), **headers}
    response = await world.client.request(method, path, json=body, headers=sent)
    await world.follow()
    return response.status, await response.json() if await response.read() else None


async def put(world: World, *roles: dict[str, Any], **headers: str) -> tuple[int, Any]:
    return await ask(world, "PUT", f"{BASE}/roles", {"roles": list(roles)}, **headers)


async def as_role(world: World, role_id: str) -> dict[str, str]:
    """Make a credential that has a role; return the header of a token of it."""
    body = {"client_id": f"has-{role_id}", "role": role_id, "apis": ["platform"]}
    status, made = await ask(world, "POST", f"{BASE}/credentials", body, "ops")
    assert status == 201, made
    fields = {
        "client_id": made["client_id"],
        "client_secret": made["client_secret"],
        "grant_type": "client_credentials",
    }
    answer = await (await world.client.post("/oauth/token", json=fields)).json()
    return {"Authorization": f"Bearer {answer['access_token']}"}


async def status_of(
    world: World, token: dict[str, str], method: str, path: str, body: Any = None
) -> int:
    return (await world.client.request(method, path, json=body, headers=token)).status


def messages(answer: Any) -> list[tuple[str, str | None]]:
    return [(each["message"], each.get("path")) for each in answer["errors"]]


async def test_tasks_are_listed_with_what_they_allow(world: World) -> None:
    status, listed = await ask(world, "GET", f"{BASE}/tasks")
    assert status == 200
    assert {each["task_id"] for each in listed} == set(TASKS)
    assert all(each["display_name"] and each["description"] for each in listed)
    assert "connections:view" not in str(listed)


async def test_who_makes_outputs_and_connections_does_not_change_what_they_keep_back(
    world: World,
) -> None:
    """spec/connections.md, 2.4: it can be sent back as it is; the rest needs `data_filter:*`."""
    tasks = ("connections:configure_outputs", "connections:connect_integration")
    await put(world, role("maker", *tasks), role("filterer", *tasks, "data_filter:*"))
    maker, filterer = await as_role(world, "maker"), await as_role(world, "filterer")
    filters = {"event_types": {"disabled": ["location"]}}
    output, connection = f"{WORKSPACE}/outputs/hook", f"{WORKSPACE}/output-connections/web-hook"
    new = {"kind": "event", "module": "devnull"}
    others: list[Any] = [{}, {"event_types": {"disabled": []}}, {"colour": 1}, None]
    for path in (output, connection):
        assert await status_of(world, filterer, "PUT", path, {"filters": filters}) == 200
        await world.follow()
        for other in others:
            assert await status_of(world, maker, "PUT", path, {"filters": other}) == 403
        shown = await (await world.client.get(path, headers=maker)).json()
        assert shown["filters"] == filters
        assert await status_of(world, maker, "PUT", path, shown) == 200
        await world.follow()
    only_known = {"send_new_data_points_by_default": False}
    assert await status_of(world, maker, "PUT", output, only_known) == 403
    outputs, connections = f"{WORKSPACE}/outputs", f"{WORKSPACE}/output-connections"
    for given, status in (({"filters": filters}, 403), (only_known, 403), ({"filters": {}}, 201)):
        body = {**new, "name": "New", **given}
        assert await status_of(world, maker, "POST", outputs, body) == status
        await world.follow()
    joined = {"input_id": "web", "output_id": "new", "filters": filters}
    assert await status_of(world, maker, "POST", connections, joined) == 403
    assert await status_of(world, filterer, "POST", connections, joined) == 201


async def test_a_manifest_is_replaced_as_a_whole(world: World) -> None:
    first = await ask(world, "GET", f"{BASE}/roles")
    empty: dict[str, Any] = {
        "roles": [],
        "last_modified_on": None,
        "last_modified_by": None,
        "version": 0,
    }
    assert first == (200, empty)
    marketer, activator = role("marketer", "audiences:*"), role("activator", "connections:*")
    status, made = await put(world, marketer, activator)
    assert status == 200
    assert made["roles"][0] == {
        **marketer,
        "tasks": [{"task_id": "user:core"}, {"task_id": "audiences:*"}],
    }
    assert (made["version"], made["last_modified_by"]) == (1, "keeper")
    assert made["last_modified_on"] == "2026-01-01T00:00:00.000Z"
    assert await ask(world, "GET", f"{BASE}/roles") == (200, made)
    status, changed_ = await ask(
        world, "PUT", f"{BASE}/roles", {**made, "roles": made["roles"][:1]}
    )
    assert status == 200  # what was read can be sent back
    assert [each["role_id"] for each in changed_["roles"]] == ["marketer"]


async def test_what_is_sent_again_is_no_change(world: World) -> None:
    _, made = await put(world, role("marketer"))
    assert await put(world, role("marketer")) == (200, made)


async def test_a_restart_keeps_roles(tmp_path: Path, clock: ManualClock) -> None:
    async with running(tmp_path, shards=1, document=SETUP, clock=clock) as world:
        _, made = await put(world, role("marketer", "audiences:*"))
        await as_role(world, "marketer")
    async with running(tmp_path, shards=1, document=SETUP, clock=clock) as world:
        assert await ask(world, "GET", f"{BASE}/roles") == (200, made)


async def test_a_custom_role_allows_its_tasks_and_no_more(world: World) -> None:
    await put(world, role("connector", "connections:configure_inputs", "rules:view"))
    token = await as_role(world, "connector")
    for expected, method, path in (
        (200, "GET", WORKSPACE),
        (200, "GET", f"{WORKSPACE}/modules"),
        (200, "GET", f"{WORKSPACE}/inputs"),
        (200, "GET", f"{WORKSPACE}/output-connections"),
        (403, "POST", f"{WORKSPACE}/outputs"),
        (403, "DELETE", f"{WORKSPACE}/output-connections/1"),
        (403, "GET", f"{WORKSPACE}/audiences"),
        (403, "GET", f"{WORKSPACE}/users/search?q=a"),
        (403, "PUT", WORKSPACE),
        (403, "GET", f"{BASE}/credentials"),
        (403, "GET", f"{BASE}/roles"),
        (403, "PUT", f"{WORKSPACE}/config"),
        (403, "GET", "/v1/users?accountId=1"),
        (201, "POST", f"{WORKSPACE}/inputs/1/keys"),
    ):
        body: Any = None if method == "GET" else {}
        assert await status_of(world, token, method, path, body) == expected, path


async def test_a_star_includes_all_of_its_section(world: World) -> None:
    await put(world, role("auditor", "audiences:*"))
    token = await as_role(world, "auditor")
    assert await status_of(world, token, "GET", f"{WORKSPACE}/audiences") == 200
    assert await status_of(world, token, "POST", f"{WORKSPACE}/audiences", {}) == 400
    assert await status_of(world, token, "GET", f"{WORKSPACE}/calculatedattributes") == 403


async def test_a_change_holds_for_tokens_that_there_are(world: World) -> None:
    """spec/privacy.md, 10.3: within 5 s, which is when everybody has followed."""
    await put(world, role("marketer", "audiences:*"))
    token = await as_role(world, "marketer")
    assert await status_of(world, token, "POST", f"{WORKSPACE}/audiences", {}) == 400
    await put(world, role("marketer", "audiences:view"))
    assert await status_of(world, token, "POST", f"{WORKSPACE}/audiences", {}) == 403
    assert await status_of(world, token, "GET", f"{WORKSPACE}/audiences") == 200
    await put(world, role("marketer", "rules:view"))
    assert await status_of(world, token, "GET", f"{WORKSPACE}/audiences") == 403


async def test_a_role_that_somebody_has_is_not_removed(world: World) -> None:
    """spec/privacy.md, case 25; spec/platform-api.md, case 23."""
    _, made = await put(world, role("marketer", "audiences:*"), role("spare"))
    user = {"email": "ann@ex.com", "role": "marketer"}
    assert (await ask(world, "POST", "/v1/users?accountId=1", user, "ops"))[0] == 201
    status, answer = await put(world, role("spare"))
    assert (status, messages(answer)) == (400, [(IN_USE, None)])
    assert await ask(world, "GET", f"{BASE}/roles") == (200, made)
    assert (await put(world, role("marketer", "audiences:*")))[0] == 200
    assert (await ask(world, "DELETE", "/v1/users/ann@ex.com?accountId=1", None, "ops"))[0] == 202
    assert (await put(world))[0] == 200


async def test_a_role_that_a_credential_has_is_not_removed(world: World) -> None:
    await put(world, role("marketer", "audiences:*"))
    await as_role(world, "marketer")
    status, answer = await put(world)
    assert (status, messages(answer)) == (400, [(IN_USE, None)])
    path = f"{BASE}/credentials/has-marketer"
    assert (await ask(world, "PATCH", path, {"role": "read_only"}, "ops"))[0] == 200
    assert (await put(world))[0] == 200


async def test_a_credential_has_no_role_that_is_not_there(world: World) -> None:
    body = {"role": "king", "apis": ["platform"]}
    status, answer = await ask(world, "POST", f"{BASE}/credentials", body, "ops")
    assert (status, messages(answer)) == (422, [("no role with id 'king'", "role")])


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ([role("r", "rules:fly")], [("Tasks not found: rules:fly", "roles")]),
        (
            [role("r", "rules:fly", "b:*"), role("s", "a")],
            [("Tasks not found: a, b:*, rules:fly", "roles")],
        ),
        ([role("r", name="")], [(BAD_TEXT, "roles[0].name")]),
        ([role("r", name="   ")], [(BAD_TEXT, "roles[0].name")]),
        ([role("r", name="n" * 65)], [(BAD_TEXT, "roles[0].name")]),
        ([role("r", name=5)], [(BAD_TEXT, "roles[0].name")]),
        ([role("r", description="d" * 257)], [(BAD_TEXT, "roles[0].description")]),
        ([role("r", description="a\x00b")], [(BAD_TEXT, "roles[0].description")]),
        (
            [role("r"), role("r", name="Other")],
            [("is that of another role too", "roles[1].role_id")],
        ),
        ([role("r"), role("s", name="R")], [("is that of another role too", "roles[1].name")]),
        ([role("admin")], [("is that of a standard role", "roles[0].role_id")]),
        ([role("r", color="red")], [("unknown key", "roles[0].color")]),
        (
            [role("r", tasks=["rules:view"])],
            [('must be a list of {"task_id": "..."}', "roles[0].tasks")],
        ),
        (None, [("must be a list of roles", "roles")]),
        ([5], [("must be a list of roles", "roles")]),
        (
            [role(f"r{number}") for number in range(101)],
            [("There can be at most 100 roles.", "roles")],
        ),
    ],
)
async def test_what_is_no_manifest_is_refused_and_changes_nothing(
    world: World, sent: Any, expected: list[tuple[str, str]]
) -> None:
    """spec/privacy.md, case 25 (101 roles, rules:fly)."""
    _, before = await put(world, role("kept"))
    status, answer = await ask(world, "PUT", f"{BASE}/roles", {"roles": sent})
    assert (status, messages(answer)) == (400, expected)
    assert {each["code"] for each in answer["errors"]} == {"BAD_REQUEST"}
    assert await ask(world, "GET", f"{BASE}/roles") == (200, before)


@pytest.mark.parametrize("role_id", ["", "a b", "é", "x" * 65, None, 7])
async def test_ids_of_roles_have_few_characters(world: World, role_id: Any) -> None:
    status, answer = await put(world, {**role("r"), "role_id": role_id})
    assert (status, answer["errors"][0]["path"]) == (400, "roles[0].role_id")
    assert (await put(world, {**role("r"), "role_id": "x" * 64}))[0] == 200


async def test_a_hundred_roles_are_not_too_many(world: World) -> None:
    status, made = await put(world, *(role(f"r{number}") for number in range(100)))
    assert (status, len(made["roles"])) == (200, 100)


async def test_a_body_that_cannot_be_read_is_said_to_be(world: World) -> None:
    token = await world.token("keeper")
    for sent, content_type, status, message in (
        (b'{"roles":', "application/json", 400, "Invalid JSON"),
        (b"[]", "application/json", 400, "Invalid JSON"),
        (b"{}", "text/plain", 415, "The body must be application/json."),
        (b'{"roles": [], "extra": 1}', "application/json", 400, "unknown key"),
    ):
        response = await world.client.put(
            f"{BASE}/roles", data=sent, headers={**token, "Content-Type": content_type}
        )
        answer = await response.json()
        assert (response.status, answer["errors"][0]["message"]) == (status, message)


async def test_edits_of_two_at_once_are_told_apart(world: World) -> None:
    _, made = await put(world, role("one"))
    assert (await put(world, role("two"), **{"If-Match": '"0"'}))[0] == 412
    assert await ask(world, "GET", f"{BASE}/roles") == (200, made)
    assert (await put(world, role("two"), **{"If-Match": '"1"'}))[0] == 200


async def test_a_hundred_requests_a_minute_are_taken(world: World, clock: ManualClock) -> None:
    """spec/privacy.md, 10.3."""
    token = await world.token("keeper")
    statuses = []
    for _ in range(101):
        response = await world.client.get(f"{BASE}/tasks", headers=token)
        statuses.append(response.status)
        clock.advance(100)
    assert statuses == [200] * 100 + [429]
    assert (response.headers["X-mp-rate-limit-exceeded"], response.headers["Retry-After"]) == (
        "account",
        "50",
    )
    clock.advance(50_000)
    assert (await world.client.get(f"{BASE}/tasks", headers=token)).status == 200


async def test_organization_and_account_are_those_of_the_credential(world: World) -> None:
    for path in ("/1/accounts/2", "/2/accounts/1"):
        where = f"/platform/v2/organizations{path}/roles"
        assert (await ask(world, "GET", where))[0] == 404


async def test_roles_are_those_of_the_organization(tmp_path: Path, clock: ManualClock) -> None:
    """They hold in each workspace, of whichever account the path names (spec/privacy.md, 10.3)."""
    other = changed(
        named("w2"),
        workspace={"config": {"allow_api_edits": True}},
        account={"id": "other", "name": "Other"},
    )
    async with serving(tmp_path, [SETUP, other], shards=1, clock=clock) as [one, two]:
        await put(one, role("marketer", "audiences:*"))
        base = "/platform/v2/organizations/1/accounts/2"
        body = {"client_id": "has-marketer", "role": "marketer", "apis": ["platform"]}
        assert (await ask(two, "POST", f"{base}/credentials", body, "ops"))[0] == 201
        status, answer = await put(one)
        assert (status, messages(answer)) == (400, [(IN_USE, None)])


async def test_nobody_gives_more_than_they_have(world: World) -> None:
    await put(world, role("giver", "api_credentials:*", "audiences:*"))
    token = await as_role(world, "giver")
    path = f"{BASE}/credentials"
    for expected, sent in (
        (201, {"client_id": "one", "role": "audiences_only", "apis": ["platform"]}),
        (201, {"client_id": "two", "role": "giver", "apis": ["platform"]}),
        (403, {"client_id": "three", "role": "user", "apis": ["platform"]}),
        (403, {"client_id": "four", "role": "giver", "apis": ["custom_roles"]}),
        (403, {"client_id": "five", "role": "giver", "apis": ["profile"]}),
        (403, {"client_id": "six", "apis": ["platform"]}),  # read_only, which sees connections
    ):
        assert await status_of(world, token, "POST", path, sent) == expected, sent
    await world.follow()
    assert await status_of(world, token, "PATCH", f"{path}/one", {"role": "admin"}) == 403
    assert await status_of(world, token, "POST", f"{path}/ops/rotate") == 403
    assert await status_of(world, token, "POST", f"{path}/one/rotate") == 200


async def test_the_audit_log_has_every_manifest(world: World) -> None:
    await put(world, role("marketer", "audiences:*"))
    await put(world, role("spare"))
    status, logs = await ask(
        world, "GET", "/platform/v2/accounts/1/audit-logs?resource=roles", None, "ops"
    )
    assert status == 200
    second, first = logs["items"]
    assert first["before"] == []
    assert first["after"] == second["before"] != second["after"]
    assert [each["role_id"] for each in second["after"]] == ["spare"]
    assert second["actor"] == {"type": "credential", "id": "keeper"}


async def test_read_only_changes_nothing_and_audiences_only_sees_no_more(world: World) -> None:
    """spec/privacy.md, case 24; spec/observability.md, case 28, of what is served."""
    body = {"name": "x"}
    for path in (WORKSPACE, f"{WORKSPACE}/inputs/1", f"{WORKSPACE}/audiences/1"):
        assert (await ask(world, "PUT", path, body, "viewer"))[0] == 403
    for path in (WORKSPACE, f"{WORKSPACE}/inputs/1", f"{WORKSPACE}/audiences"):
        assert (await ask(world, "GET", path, None, "viewer"))[0] == 200
    assert (await ask(world, "GET", f"{WORKSPACE}/audiences", None, "audiences_only"))[0] == 200
    assert (await ask(world, "GET", f"{WORKSPACE}/outputs", None, "audiences_only"))[0] == 403


async def test_compliance_has_privacy_and_sees_users(world: World) -> None:
    """spec/privacy.md, case 26."""
    users = "/v1/users?accountId=1"
    assert (await ask(world, "GET", users, None, "compliance"))[0] == 200
    assert (await ask(world, "POST", users, {"email": "a@b.c"}, "compliance"))[0] == 403
    report = f"{WORKSPACE}/dsr/11111111-1111-4111-8111-111111111111/report"
    assert (await ask(world, "GET", report, None, "compliance"))[0] == 404  # no such request
    assert (await ask(world, "GET", report, None, "viewer"))[0] == 403
    setting = {"regulations": SETUP["workspace"]["regulations"]}
    assert (await ask(world, "PUT", WORKSPACE, setting, "compliance"))[0] == 200
    assert (await ask(world, "PUT", WORKSPACE, {"name": "New"}, "compliance"))[0] == 403


async def test_what_answers_people_is_set_by_who_has_privacy(world: World) -> None:
    """spec/privacy.md, 1: `privacy.include_profile_in_access` and `privacy.dsr`."""
    _, before = await ask(world, "GET", WORKSPACE, None, "viewer")
    assert before["privacy"]["include_profile_in_access"] == {"gdpr": False, "ccpa": False}
    assert before["privacy"]["dsr"]["erasure_waiting_seconds"] == 7 * 24 * 3600
    change = {
        "privacy": {
            "include_profile_in_access": {"gdpr": True},
            "dsr": {"erasure_waiting_seconds": 60},
        }
    }
    assert (await ask(world, "PUT", WORKSPACE, change, "support_access"))[0] == 403
    status, shown = await ask(world, "PUT", WORKSPACE, change, "compliance")
    assert status == 200
    assert shown["privacy"] == {
        "include_profile_in_access": {"gdpr": True, "ccpa": False},
        "dsr": before["privacy"]["dsr"] | {"erasure_waiting_seconds": 60},
    }
    unknown = {"privacy": {"dsr": {"erasure_run_cron": "x"}}}
    assert (await ask(world, "PUT", WORKSPACE, unknown, "compliance"))[0] == 422


async def test_support_sees_privacy_and_users_do_not_change_it(world: World) -> None:
    """spec/privacy.md, case 26."""
    setting = {"retention": {"events_days": 100}}
    for client in ("support_access", "user"):
        assert (await ask(world, "GET", WORKSPACE, None, client))[0] == 200
        assert (await ask(world, "PUT", WORKSPACE, setting, client))[0] == 403
        assert (await ask(world, "PUT", WORKSPACE, {"name": client}, client))[0] == 200
    assert (await ask(world, "PUT", WORKSPACE, setting, "ops"))[0] == 200
