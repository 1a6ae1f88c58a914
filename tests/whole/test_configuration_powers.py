"""Nobody does more with a document than by the routes of its objects (spec/platform-api.md, 3)."""

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from actors.clock import ManualClock
from config.roles import NOT_ALLOWED, TOO_POWERFUL
from server.routes.configuration import APPLYING
from tests.whole.test_roles import SETUP, WORKSPACE, as_role, put, role
from tests.whole.world import World, changed, running

Document = dict[str, Any]
PLAN = {"id": "kept", "name": "Kept", "versions": [{"version": 1, "document": {"data_points": []}}]}
CREDENTIAL = {"client_id": "made", "client_secret": "made-secret-0000", "apis": ["platform"]}


@pytest.fixture
async def world(tmp_path: Path, clock: ManualClock) -> AsyncIterator[World]:
    document = changed(SETUP, data_plans=[PLAN])
    async with running(tmp_path, shards=1, document=document, clock=clock) as only:
        yield only


async def applier(world: World) -> dict[str, str]:
    """Return the header of somebody who may apply documents, and nothing besides."""
    await put(world, role("applier", *APPLYING))
    return await as_role(world, "applier")


async def exported(world: World) -> Document:
    text = await (await world.get(f"{WORKSPACE}/config")).text()
    found: Document = YAML(typ="safe").load(text)
    return found


async def ask(
    world: World, headers: dict[str, str], method: str, path: str, data: Document | None = None
) -> tuple[int, Any]:
    """Ask below the configuration, and let everybody hear of it."""
    sent = headers if data is None else {**headers, "Content-Type": "text/yaml"}
    text = None if data is None else json.dumps(data)
    where = f"{WORKSPACE}/config{path}"
    response = await world.client.request(method, where, data=text, headers=sent)
    await world.follow()
    return response.status, await response.json()


def named(data: Document, client_id: str) -> Document:
    found: Document = next(
        each for each in data["api_credentials"] if each["client_id"] == client_id
    )
    return found


def _makes(**members: Any) -> Callable[[Document], None]:
    return lambda data: data["api_credentials"].append({**CREDENTIAL, **members})


def _sets(client_id: str, **members: Any) -> Callable[[Document], None]:
    return lambda data: named(data, client_id).update(members)


FORMER = [{"client_secret": "known-to-me-00000", "until_ms": 4_000_000_000_000}]


@pytest.mark.parametrize(
    ("change", "path", "message"),
    [
        pytest.param(_makes(role="admin"), "api_credentials/made", TOO_POWERFUL, id="is made"),
        pytest.param(
            _makes(role="audiences_only", apis=["custom_roles"]),
            "api_credentials/made",
            TOO_POWERFUL,
            id="is made for roles",
        ),
        pytest.param(
            _sets("viewer", role="admin"), "api_credentials/viewer", TOO_POWERFUL, id="gets a role"
        ),
        pytest.param(
            _sets("audiences_only", apis=["platform", "custom_roles"]),
            "api_credentials/audiences_only",
            TOO_POWERFUL,
            id="gets an API",
        ),
        pytest.param(
            _sets("ops", client_secret="known-to-me-00000"),
            "api_credentials/ops",
            TOO_POWERFUL,
            id="gets a secret",
        ),
        pytest.param(
            _sets("ops", former_secrets=FORMER),
            "api_credentials/ops",
            TOO_POWERFUL,
            id="gets another secret beside its own",
        ),
        pytest.param(
            lambda data: data["data_plans"].append({**PLAN, "id": "new", "name": "New"}),
            "data_plans/new",
            NOT_ALLOWED,
            id="plan is made",
        ),
        pytest.param(
            lambda data: data["data_plans"][0].update(description="Changed"),
            "data_plans/kept",
            NOT_ALLOWED,
            id="plan is changed",
        ),
        pytest.param(
            lambda data: data.pop("data_plans"), "data_plans/kept", NOT_ALLOWED, id="plan goes"
        ),
    ],
)
async def test_a_document_changes_only_what_its_sender_could(
    world: World, change: Callable[[Document], None], path: str, message: str
) -> None:
    """Tried or applied, it is refused as a whole, and an administrator may do it."""
    sender = await applier(world)
    before = await exported(world)
    data = await exported(world)
    change(data)
    error = {"code": "FORBIDDEN", "message": message, "path": path}
    for query in ("?prune=true&dry_run=true", "?prune=true&allow_dangerous=true"):
        assert await ask(world, sender, "PUT", query, data) == (403, {"errors": [error]})
    assert await exported(world) == before
    status, done = await ask(world, await world.token(), "PUT", "?prune=true", data)
    assert status == 200
    [change_done] = done["changes"]
    assert f"{change_done['section']}/{change_done['id']}" == path


async def test_what_a_document_leaves_as_it_is_needs_nothing(world: World) -> None:
    sender = await applier(world)
    data = await exported(world)
    status, done = await ask(world, sender, "PUT", "", data)
    assert (status, done["changes"]) == (200, [])
    _makes(role="audiences_only")(data)
    _sets("viewer", status="inactive")(data)
    status, done = await ask(world, sender, "PUT", "", data)
    assert status == 200
    assert [each["line"] for each in done["changes"]] == [
        "~ api credential viewer: status",
        "+ api credential made",
    ]


async def test_a_rollback_brings_back_only_what_its_author_could_make(world: World) -> None:
    sender, admin = await applier(world), await world.token()
    data = await exported(world)
    data["workspace"]["name"] = "Renamed"
    _, renamed = await ask(world, sender, "PUT", "", data)
    _sets("support_access", client_secret="another-secret-000")(data)
    data["data_plans"][0]["description"] = "Changed"
    status, last = await ask(world, admin, "PUT", "", data)
    assert status == 200
    before, path = await exported(world), f"/revisions/{renamed['revision']}/rollback"
    status, answer = await ask(world, sender, "POST", path)
    assert status == 403
    assert [each["path"] for each in answer["errors"]] == [
        "api_credentials/support_access",
        "data_plans/kept",
    ]
    assert await exported(world) == before
    data["workspace"]["name"] = "Renamed again"
    assert (await ask(world, sender, "PUT", "", data))[0] == 200
    path_of_last = f"/revisions/{last['revision']}/rollback"
    assert (await ask(world, sender, "POST", path_of_last))[0] == 200
    assert (await ask(world, admin, "POST", f"{path}?allow_dangerous=true"))[0] == 200


async def test_a_rollback_lets_nobody_in_again_unless_that_is_allowed(world: World) -> None:
    """Who was shut out since: by another secret, by being revoked, by being deleted."""
    admin = await world.token()
    credentials = "/platform/v2/organizations/1/accounts/1/credentials"
    for method, path, body in (
        ("POST", f"{credentials}/viewer/rotate", {"immediate": True}),
        ("DELETE", f"{credentials}/compliance", None),
        ("PATCH", f"{credentials}/user", {"status": "inactive"}),
        ("POST", credentials, {"client_id": "made-since", "apis": ["platform"]}),
        ("POST", f"{WORKSPACE}/inputs/backend/keys", None),
        ("DELETE", f"{WORKSPACE}/inputs/backend/keys/k1-backend", None),
    ):
        done = await world.client.request(method, path, json=body, headers=admin)
        assert done.status < 300, path
        await world.follow()
    before, path = await exported(world), "/revisions/1/rollback"
    status, answer = await ask(world, admin, "POST", path)
    assert status == 422
    found = {each["path"]: each["message"].partition(": ")[2] for each in answer["errors"]}
    issued = before["inputs"][0]["keys"][0]["key"]
    assert found == {
        "api_credentials/viewer": "brings back credential viewer",
        "api_credentials/compliance": "brings back credential compliance",
        "api_credentials/user": "brings back credential user",
        "api_credentials/made-since": "takes away credential made-since",
        "inputs/backend": f"takes away key {issued}; brings back key k1-backend",
    }
    assert await exported(world) == before
    status, _ = await ask(world, admin, "POST", f"{path}?allow_dangerous=true")
    assert status == 200
