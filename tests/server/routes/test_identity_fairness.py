"""Identity calls of one input do not keep those of another from being answered."""

import asyncio

from server.limits import Limit
from server.turns import MOST_UNDER_WAY, TURNS
from tests.server.conftest import WORKSPACE, World, basic, key_info
from tests.server.routes.identity import KEY_ONLY, body, post, set_up

OTHER = basic("key-web-2:x")
RATE, PART = 10, 5


async def test_an_input_has_its_share_of_the_limit_though_another_has_taken_all(
    world: World,
) -> None:
    shares = {each: Limit("workspace", f"identity:3:{each}", PART, PART) for each in (1, 4)}
    limits = (Limit("workspace", "identity:3", RATE, RATE),)
    set_up(world, key_info("key-web-2", "x", 1), limits=limits, shares=shares)
    flood = [(await post(world, "/v1/login", body())).status for _ in range(3 * RATE)]
    assert flood == [200] * RATE + [429] * 2 * RATE
    calm = [(await post(world, "/v1/login", body(), OTHER)) for _ in range(PART + 1)]
    assert [each.status for each in calm] == [200] * PART + [429]
    assert calm[-1].headers["X-mp-rate-limit-exceeded"] == "workspace"
    # Half a second's worth was taken before by the other one: now each has its part alone.
    world.clock.advance(500)
    flood = [(await post(world, "/v1/login", body())).status for _ in range(PART)]
    assert flood == [200] * (PART // 2) + [429] * (PART - PART // 2)
    assert (await post(world, "/v1/login", body(), OTHER)).status == 200


async def test_an_input_has_its_turn_though_many_calls_of_another_wait(world: World) -> None:
    set_up(world, key_info("key-web-2", "x", 1))
    turns = world.client.app[TURNS]
    line = WORKSPACE.number << 32 | 4
    for _ in range(MOST_UNDER_WAY):
        await turns.begin(line)
    asked = [post(world, "/v1/login", body()) for _ in range(20)]
    flood = [asyncio.ensure_future(each) for each in asked]
    async with asyncio.timeout(5):
        while turns.waiting < 20:  # noqa: ASYNC110  # nobody tells of who begins to wait
            await asyncio.sleep(0.001)
        calm = asyncio.ensure_future(post(world, "/v1/login", body({"customerid": "calm"}), OTHER))
        while turns.waiting < 21:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        assert world.deployment.identity_calls == []
        turns.end()
        answers = await asyncio.gather(calm, *flood)
    assert {each.status for each in answers} == {200}
    first_two = [each.identities for each in world.deployment.identity_calls[:2]]
    assert {"customerid": "calm"} in first_two


async def test_who_waits_in_vain_is_told_when_to_come_again(world: World) -> None:
    set_up(world)
    turns = world.client.app[TURNS]
    turns.patience_s = 0.0
    for _ in range(MOST_UNDER_WAY):
        await turns.begin(WORKSPACE.number << 32 | 4)
    refused = await post(world, "/v1/login", body(), KEY_ONLY)
    assert refused.status == 503
    assert int(refused.headers["Retry-After"]) >= 1
    assert (await refused.json())["errors"][0]["code"] == "SERVICE_UNAVAILABLE"
