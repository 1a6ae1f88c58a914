"""Numbers whose sum no double is as large as."""

from pathlib import Path
from typing import Any

from tests.whole.test_audiences import AUDIENCE_DOCUMENT
from tests.whole.world import World, running

PING = {"type": "event", "event_type": "custom_event", "event_name": "Ping"}
SUM = PING | {
    "aggregate": {
        "function": "sum",
        "attribute_name": "v",
        "operator": "greater_than",
        "value": 3,
    }
}
AUDIENCES = "/platform/v2/workspaces/1/audiences"


def pings(user: str, value: str, count: int = 1) -> dict[str, Any]:
    data = {
        "event_name": "Ping",
        "custom_event_type": "other",
        "custom_attributes": {"v": value},
    }
    events = [{"event_type": "custom_event", "data": data}] * count
    return {"user_identities": {"customer_id": user}, "events": events}


async def activated(world: World) -> int:
    headers = await world.token()
    body = {"name": "Large", "definition": SUM}
    created = await world.client.post(AUDIENCES, json=body, headers=headers)
    number: int = (await created.json())["id"]
    answer = await world.client.post(f"{AUDIENCES}/{number}/activation", headers=headers)
    assert answer.status == 204
    await world.settle_audiences()
    return number


async def test_a_sum_beyond_every_double_is_larger_than_any_number(tmp_path: Path) -> None:
    """It fails nobody's request, and no audience that comes later."""
    async with running(tmp_path, document=AUDIENCE_DOCUMENT, shards=1) as world:
        await world.send(pings("before", "1.1e308", 2))
        number = await activated(world)
        answer = await world.bulk(
            [pings("one", "5"), pings("now", "1.1e308", 2), pings("two", "1")]
        )
        assert answer.status == 202
        for _ in range(3):
            assert (await world.send(pings("step by step", "1.1e308"))).status == 202
        assert (await world.send(pings("below", "-1.1e308", 2))).status == 202
        await world.settle_audiences()
        path = f"{AUDIENCES}/{number}"
        found = await (await world.client.get(path, headers=await world.token())).json()
        assert found["size"] == 4, found
