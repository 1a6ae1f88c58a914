"""How long a change of the configuration takes to be everywhere (spec/connections.md, 1.3).

The bound is that of the waits and patience in the code, however busy the machine is.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import closing
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from actors.errors import ShardUnavailable
from actors.shard_options import ShardOptions
from actors.store.audit_log import Author
from actors.store.environment import Store
from config.desk import ConfigDesk
from config.merging import Data
from config.roles import STANDARD
from server.config_follower import ConfigFollower
from tests.config.documents import setting, shop
from tests.config.test_desk_fuzz import MAP_SIZE, FakeShard, Site
from tests.jumping import jumping

BOUND_S = 5.0
ANSWERS_IN_S = st.floats(0.0, 0.5)


class SlowShard(FakeShard):
    """Takes its time with every answer; away until some instant, and then there again."""

    def __init__(self, answers_in_s: float, away_until_s: float) -> None:
        super().__init__(0)
        self._answers_in_s = answers_in_s
        self._away_until_s = away_until_s
        self.took_over_s = 0.0

    async def _wait(self) -> None:
        now_s = asyncio.get_running_loop().time()
        if now_s < self._away_until_s:
            await asyncio.sleep(10)
            raise ShardUnavailable("0")
        await asyncio.sleep(self._answers_in_s)

    async def revision(self) -> int:
        await self._wait()
        return await super().revision()

    async def take_over(self, options: ShardOptions) -> int:
        await self._wait()
        self.took_over_s = asyncio.get_running_loop().time()
        return await super().take_over(options)


class SlowDesk:
    """The desk as an edge or a forwarder reaches it: answers take a while."""

    def __init__(self, desk: ConfigDesk, answers_in_s: float) -> None:
        self._desk = desk
        self._answers_in_s = answers_in_s

    async def editions(self) -> dict[int, tuple[int, int]]:
        await asyncio.sleep(self._answers_in_s)
        return await self._desk.editions()

    async def served(self, workspace: int) -> Any:
        await asyncio.sleep(self._answers_in_s)
        return await self._desk.served(workspace)


async def changed(
    site: Site, shards: list[SlowShard], phase_s: float, answers_in_s: float, data: Data
) -> tuple[float, list[float]]:
    """Apply a document; return when the call returned, and when each process had it."""
    loop = asyncio.get_running_loop()
    followed: list[float] = []

    async def follow(_: Any) -> None:
        followed.append(loop.time())

    follower = ConfigFollower(SlowDesk(site.desk, answers_in_s), {1: (1, 0)}, follow)
    running: list[Coroutine[Any, Any, None]] = [site.desk.run(), follower.run()]
    tasks = [loop.create_task(each) for each in running]
    await asyncio.sleep(phase_s)
    await site.desk.apply_file(1, data, Author("ops"), STANDARD["admin"], False, False)
    returned_s = loop.time()
    while not followed or any(each.taken is None or each.taken.revision != 2 for each in shards):
        await asyncio.sleep(0.01)
        assert loop.time() < returned_s + 60
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return returned_s, [*followed, *(each.took_over_s for each in shards)]


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(phase_s=st.floats(0.0, 3.0), slow_s=ANSWERS_IN_S, shard_s=ANSWERS_IN_S)
def test_a_change_is_everywhere_within_five_seconds(
    tmp_path_factory: pytest.TempPathFactory, phase_s: float, slow_s: float, shard_s: float
) -> None:
    """On every shard, edge and forwarder that answers within half a second."""
    folder = tmp_path_factory.mktemp("site")
    with closing(Store(folder, MAP_SIZE)) as store, jumping() as runner:
        shards = [SlowShard(shard_s, 0.0), SlowShard(0.0, 0.0)]
        site = site_of(store, folder, shards)
        data = shop(setting("inputs.0.name", "Another"))
        returned_s, had_s = runner.run(changed(site, shards, phase_s, slow_s, data))
        assert max(had_s) - returned_s <= BOUND_S


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(phase_s=st.floats(0.0, 3.0), back_s=st.floats(0.0, 20.0), shard_s=ANSWERS_IN_S)
def test_a_shard_that_is_away_has_it_within_five_seconds_of_its_return(
    tmp_path_factory: pytest.TempPathFactory, phase_s: float, back_s: float, shard_s: float
) -> None:
    """And keeps nobody else from it."""
    folder = tmp_path_factory.mktemp("site")
    with closing(Store(folder, MAP_SIZE)) as store, jumping() as runner:
        shards = [SlowShard(0.0, phase_s + back_s), SlowShard(shard_s, 0.0)]
        site = site_of(store, folder, shards)
        data = shop(setting("inputs.0.name", "Another"))
        returned_s, had_s = runner.run(changed(site, shards, phase_s, 0.0, data))
        followed_s, late_s, other_s = had_s
        assert max(followed_s, other_s) - returned_s <= BOUND_S
        assert late_s - max(returned_s, phase_s + back_s) <= BOUND_S


def site_of(store: Store, folder: Path, shards: list[SlowShard]) -> Site:
    """Return a site with shards of its own."""
    site = Site(store, folder, 0)
    site.shards = [*shards]
    site.desk.bind({1: site.shards}, lambda _: None, lambda _: (), lambda _: {}, lambda _: {})
    return site
