"""An edge with a real desk of audiences, over plain shards with the users of the worked cases."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

from aiohttp.test_utils import TestClient, TestServer

from actors.audiences.calls import AudienceShard
from actors.clock import ManualClock
from actors.metric_groups import EdgeMetrics
from server.app import RUNNER_OPTIONS, make_app
from server.audience_gateway import AudienceGateway
from server.edge_config import ConfigHolder
from server.limit_file import LimitFile
from server.limits import RateLimiter
from tests.actors.audiences.desks import Desk, open_desk
from tests.oracle.audiences.fixture import NOW, make_users
from tests.oracle.audiences.users import Users
from tests.server.conftest import FakeDeployment, World, config_with

V2 = "/platform/v2/workspaces/3"
AUDIENCES = V2 + "/audiences"


class AudienceWorld(World):
    """An edge under test, and the desk behind it."""

    desk: Desk

    async def ask(
        self,
        status: int,
        method: str,
        path: str,
        body: Any = None,
        *,
        client: str = "app",
        **headers: str,
    ) -> Any:
        """Send a request whose answer has to have a status; return its body.

        A path that does not begin with a slash is below the workspace's audiences.
        """
        url = path if path.startswith("/") else f"{AUDIENCES}/{path}".rstrip("/")
        sent = await self.token(client) | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        response = await self.client.request(method, url, json=body, headers=sent)
        assert response.status == status, await response.text()
        if response.content_type == "application/json":
            return await response.json()
        return await response.read()

    async def refuse(self, status: int, *request: Any, **more: Any) -> dict[str, str]:
        """Send a request that has to be refused; return the first problem."""
        body = await self.ask(status, *request, **more)
        assert body["statusCode"] == status
        error: dict[str, str] = body["errors"][0]
        return error

    async def make(self, name: str, definition: Any = None, **fields: Any) -> int:
        """Make a draft; return its id."""
        body = {"name": name, **fields}
        if definition is not None:
            body["definition"] = definition
        made = await self.ask(201, "POST", "", body)
        return int(made["id"])

    async def activate(self, name: str, definition: Any, **fields: Any) -> int:
        """Make an active audience; return its id."""
        number = await self.make(name, definition, **fields)
        await self.ask(204, "POST", f"{number}/activation")
        await self.desk.settle()
        return number


@asynccontextmanager
async def audience_world(
    folder: Path, users: Users | None = None, **catalog: Any
) -> AsyncIterator[AudienceWorld]:
    """Run an edge; `catalog`: what is different from the usual one."""
    clock = ManualClock(NOW)
    limits = LimitFile(folder / "limits")
    with open_desk(folder, users or make_users(), clock=clock, **catalog) as desk:
        deployment, metrics = FakeDeployment(), EdgeMetrics("1.0")
        deployment.audiences = AudienceGateway(
            cast(list[AudienceShard], desk.shards), desk.calls, partial(asyncio.sleep, 0)
        )
        config = ConfigHolder(config_with())
        app = make_app([(deployment, config)], clock, RateLimiter(limits), metrics)
        server = TestServer(app)
        await server.start_server(**RUNNER_OPTIONS)
        async with TestClient(server) as client:
            world = AudienceWorld(client, deployment, config, clock, metrics)
            world.desk = desk
            yield world
    limits.close()
