"""Registrations of modules over HTTP (spec/platform-api.md, 15; spec/connections.md, 4.2)."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.whole.world import World, running

PATH = "/platform/v2/workspaces/1/outputs/hook"


class FakeModule:
    """An output that registers."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    async def refresh_registration(self) -> list[str]:
        return self.problems

    async def registration(self) -> dict[str, Any] | None:
        return {"name": "Acme", "version": "1.0"}

    async def begin_authorization(self, redirect_uri: str) -> str | None:
        return f"https://acme.example/auth?redirect_uri={redirect_uri}"

    async def end_authorization(self, code: str, state: str) -> str | None:
        return None if (code, state) == ("c", "s") else "nobody was sent"


class Unasked(FakeModule):
    """The output of another environment, whose module asks for no authorization."""

    async def begin_authorization(self, redirect_uri: str) -> str | None:
        return None

    async def end_authorization(self, code: str, state: str) -> str | None:
        return "the module asks for no authorization"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with running(tmp_path) as made:
        yield made


async def test_a_registration_is_fetched_and_every_problem_listed(world: World) -> None:
    module = FakeModule()
    world.forwarders.registered = [module]
    headers = await world.token()
    response = await world.client.post(f"{PATH}/registration", headers=headers)
    assert response.status == 200
    assert await response.json() == {"name": "Acme", "version": "1.0"}
    module.problems = ["name: is required", "version: is required"]
    response = await world.client.post(f"{PATH}/registration", headers=headers)
    assert response.status == 422
    messages = [each["message"] for each in (await response.json())["errors"]]
    assert messages == module.problems


async def test_an_output_is_authorized(world: World) -> None:
    world.forwarders.registered = [FakeModule()]
    headers = await world.token()
    start = f"{PATH}/oauth/start"
    response = await world.client.get(
        start, params={"redirect_uri": "https://a.example"}, headers=headers
    )
    url = (await response.json())["authorization_url"]
    assert url == "https://acme.example/auth?redirect_uri=https://a.example"
    assert (await world.client.get(start, headers=headers)).status == 400
    back = f"{PATH}/oauth/callback"
    good = await world.client.get(back, params={"code": "c", "state": "s"}, headers=headers)
    assert good.status == 204
    bad = await world.client.get(back, params={"code": "c", "state": "x"}, headers=headers)
    assert bad.status == 422


async def test_any_environment_may_be_the_one_that_is_authorized(world: World) -> None:
    world.forwarders.registered = [Unasked(), FakeModule()]
    headers = await world.token()
    response = await world.client.get(
        f"{PATH}/oauth/start", params={"redirect_uri": "https://a.example"}, headers=headers
    )
    assert response.status == 200
    back = f"{PATH}/oauth/callback"
    good = await world.client.get(back, params={"code": "c", "state": "s"}, headers=headers)
    assert good.status == 204
    bad = await world.client.get(back, params={"code": "c", "state": "x"}, headers=headers)
    assert bad.status == 422
    messages = [each["message"] for each in (await bad.json())["errors"]]
    assert messages == ["the module asks for no authorization", "nobody was sent"]


async def test_who_may_not_or_asks_for_something_else_is_refused(world: World) -> None:
    path = f"{PATH}/registration"
    assert (await world.client.post(path)).status == 401
    headers = await world.token()
    assert (await world.client.post(path, headers=headers)).status == 422
    missing = path.replace("hook", "none")
    assert (await world.client.post(missing, headers=headers)).status == 404
