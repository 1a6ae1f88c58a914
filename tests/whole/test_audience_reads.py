"""What can be read of audiences over HTTP, on one shard and on three (spec/audiences.md, 14)."""

import csv
import io
import zipfile
from typing import Any

from actors.clock import ManualClock
from tests.whole.sent import DAY, HOUR, MINUTE, batch, custom
from tests.whole.world import T, World

AUDIENCES = "/platform/v2/workspaces/1/audiences"
GOLD = {
    "type": "user_attribute",
    "id": "gold",
    "attribute_name": "tier",
    "value_type": "string",
    "operator": "equals",
    "value": "gold",
}
OPENED = {
    "type": "event",
    "id": "opened",
    "event_type": "custom_event",
    "event_name": "Opened",
    "recency": {"type": "within_last", "value": 1, "unit": "hours"},
}
BOTH = {"op": "and", "nodes": [GOLD, OPENED]}


async def ask(world: World, status: int, method: str, path: str, body: Any = None) -> Any:
    """Call the API as the administrator; return the answer's body."""
    response = await world.client.request(
        method, f"{AUDIENCES}/{path}".rstrip("/"), json=body, headers=await world.token()
    )
    assert response.status == status, await response.text()
    return await response.json() if status in (200, 201, 202) else None


async def people(world: World) -> dict[str, int]:
    """Let five users come: three are gold, two of those opened something half an hour ago."""
    for name, tier, events in (
        ("c-1", "gold", [custom("Opened", T - 30 * MINUTE)]),
        ("c-2", "gold", [custom("Opened", T - 30 * MINUTE)]),
        ("c-3", "gold", []),
        ("c-4", "silver", [custom("Opened", T - 2 * HOUR)]),
        ("c-5", "silver", []),
    ):
        await world.accept(batch(name, *events, user_attributes={"tier": tier}))
    return {name: await world.mpid(name) for name in ("c-1", "c-2", "c-3", "c-4", "c-5")}


async def activated(world: World, definition: Any) -> int:
    """Make an active audience."""
    made = await ask(world, 201, "POST", "", {"name": "Gold", "definition": definition})
    await ask(world, 204, "POST", f"{made['id']}/activation")
    await world.settle_audiences()
    return int(made["id"])


async def test_a_definition_is_evaluated_and_its_size_estimated(world: World) -> None:
    mpids = await people(world)
    body = {"definition": BOTH, "mpids": [mpids["c-1"], mpids["c-3"], 42]}
    found = await ask(world, 200, "POST", "evaluate", body)
    end_ms = T - 30 * MINUTE + HOUR
    assert [(each["result"], each["criteria"]) for each in found] == [
        (True, {"gold": True, "opened": True}),
        (False, {"gold": True, "opened": False}),
        (None, {}),
    ]
    assert [each["expiration_timestamp_ms"] for each in found] == [end_ms, None, None]
    estimate = await ask(world, 200, "POST", "estimate", {"definition": BOTH})
    assert (estimate["estimate"], estimate["method"], estimate["sample_size"]) == (2, "exact", 5)
    assert estimate["per_criterion"]["gold"]["estimate"] == 3


async def test_members_of_all_shards_are_read_explained_and_downloaded(
    world: World, clock: ManualClock
) -> None:
    mpids = await people(world)
    number = await activated(world, BOTH)
    expected = sorted((mpids["c-1"], mpids["c-2"]))
    page = await ask(world, 200, "GET", f"{number}/members")
    assert page["mpids"] == expected
    shown = await ask(world, 200, "GET", str(number))
    assert (shown["status"], shown["size"], shown["added_last_24_hours"]) == ("active", 2, 0)
    member = await ask(world, 200, "GET", f"{number}/members/{mpids['c-1']}")
    assert member == {"mpid": mpids["c-1"], "since_ms": T}
    why = await ask(world, 200, "GET", f"{number}/members/{mpids['c-4']}/explanation")
    assert [(each["result"], each["values"]) for each in why["criteria"]] == [
        (False, ["silver"]),
        (False, ["0 events"]),
    ]
    change = await ask(world, 200, "POST", f"{number}/dry-run", {"definition": GOLD})
    assert (change["entering_mpids"], change["leaving"], change["staying"]) == (
        [mpids["c-3"]],
        0,
        2,
    )
    profile = await world.profile(mpids["c-1"], "audience_memberships")
    [shown] = profile["audience_memberships"]
    assert shown["expiration_timestamp_ms"] == T + 30 * MINUTE
    ordered = await ask(
        world, 202, "POST", f"{number}/download", {"identity_types": ["customer_id"]}
    )
    await world.settle_audiences()
    rows = await downloaded(world, ordered["status_url"])
    assert [int(row["mpid"]) for row in rows] == expected
    assert {row["identity_value"] for row in rows} == {"c-1", "c-2"}
    clock.advance(DAY)
    await world.settle_audiences()
    shown = await ask(world, 200, "GET", str(number))
    assert (shown["size"], shown["dropped_last_24_hours"]) == (0, 2)


async def test_the_cost_is_told_of_every_shard(world: World) -> None:
    await people(world)
    await activated(world, BOTH)
    shards = (await ask(world, 200, "GET", "costs"))["shards"]
    assert len(shards) == len(world.shards)
    assert sum(each["rows"] for each in shards) == 5
    assert sum(each["entries"] for each in shards) == 3
    assert all(each["criteria"] == 2 for each in shards)


async def downloaded(world: World, url: str) -> list[dict[str, str]]:
    """Return the rows of a download that is ready."""
    headers = await world.token()
    status = await (await world.client.get(url, headers=headers)).json()
    assert status["status"] == "ready"
    content = await (await world.client.get(status["url"], headers=headers)).read()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        [name] = [each for each in archive.namelist() if each.endswith(".csv")]
        return list(csv.DictReader(io.StringIO(archive.read(name).decode())))
