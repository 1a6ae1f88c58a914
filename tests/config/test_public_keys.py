"""A deployment that runs takes no secrets of the example that it could not start with."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from actors.errors import ConfigurationRefused
from actors.store.audit_log import Author
from actors.store.environment import Store
from config.desk import ConfigDesk
from config.merging import Data
from config.roles import STANDARD
from tests.config.documents import shop
from tests.config.test_desk_fuzz import MAP_SIZE, Site

OPS, POWER = Author("ops"), STANDARD["admin"]
Apply = Callable[[ConfigDesk, Data], Awaitable[Any]]

ways = pytest.mark.parametrize(
    "apply",
    [
        pytest.param(lambda desk, data: desk.plan_file(1, data, POWER, False), id="plan"),
        pytest.param(
            lambda desk, data: desk.apply_file(1, data, OPS, POWER, False, False), id="apply"
        ),
        pytest.param(lambda desk, data: desk.apply_files([data]), id="SIGHUP"),
        pytest.param(lambda desk, data: desk.edit(1, 1, data, OPS, False), id="API"),
    ],
)


def with_public_key(status: str = "active") -> Data:
    key = {"key": "us1-demo-backend-key", "secret": "demo-secret", "status": status}
    backend = {"id": "backend", "kind": "feed", "name": "Backend", "keys": [key]}
    return shop(lambda data: data["inputs"].append(backend))


def applied(folder: Path, host: str, apply: Apply, data: Data) -> None:
    with closing(Store(folder, MAP_SIZE)) as store:
        site = Site(store, folder, 0, host)
        asyncio.run(site.desk.look())
        before = asyncio.run(site.state())
        try:
            asyncio.run(_awaited(apply(site.desk, data)))
        except ConfigurationRefused:
            assert asyncio.run(site.state()) == before
            raise


async def _awaited(call: Awaitable[Any]) -> None:
    await call


@ways
def test_a_document_with_a_key_of_the_example_is_refused_on_a_network(
    tmp_path: Path, apply: Apply
) -> None:
    """Else it would be served, and the next start be refused."""
    with pytest.raises(ConfigurationRefused) as refused:
        applied(tmp_path, "0.0.0.0", apply, with_public_key())
    [problem] = refused.value.problems
    assert problem.path == "workspace"
    assert "'acme-shop' has them: inputs 'backend'. " in problem.message


@ways
def test_it_is_taken_where_this_machine_alone_is_served(tmp_path: Path, apply: Apply) -> None:
    applied(tmp_path, "127.0.0.1", apply, with_public_key())


@ways
def test_it_is_taken_where_the_key_is_switched_off(tmp_path: Path, apply: Apply) -> None:
    applied(tmp_path, "0.0.0.0", apply, with_public_key("revoked"))
