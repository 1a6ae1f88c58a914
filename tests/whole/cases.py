"""What the worked cases of spec/events-api.md share: `ev`, `u(x)` and err(path)."""

from typing import Any

from aiohttp import ClientResponse

from tests.whole.sent import custom
from tests.whole.world import World

EV = custom("Opened")
USED = "X-mp-rate-limit-percentage-used"


def user(customer: str = "a", /, **members: Any) -> dict[str, Any]:
    """Make a batch of a customer with one event; members such as `events` replace its own."""
    return {"events": [EV], "user_identities": {"customer_id": customer}} | members


async def problems(response: ClientResponse) -> list[dict[str, str]]:
    """Return the entries of an errors body."""
    assert response.headers["Content-Type"].startswith("application/json")
    body = await response.json()
    assert list(body) == ["errors"]
    entries: list[dict[str, str]] = body["errors"]
    return entries


async def paths(response: ClientResponse) -> list[str]:
    """Return the paths of an errors body whose entries are all about batches."""
    entries = await problems(response)
    assert {each["code"] for each in entries} == {"BAD_REQUEST"}
    return [each["path"] for each in entries]


async def refused(world: World, batch: Any, path: str, key: str = "k1") -> None:
    """Send a batch that has to be refused for what is at the path, and must leave no trace."""
    before = len(world.outgoing())
    response = await world.send(batch, key)
    assert response.status == 400, batch
    assert (await paths(response))[0] == path
    assert len(world.outgoing()) == before


async def newest(world: World, query: str | int = "a") -> dict[str, Any]:
    """Return the newest batch of a user's timeline."""
    return (await world.timeline(query))[0]


async def stored(world: World, *events: dict[str, Any], key: str = "k1") -> list[dict[str, Any]]:
    """Send events of customer `a` in one batch and return the `data` that is kept of each."""
    await world.accept(user(events=list(events)), key)
    return [each["data"] for each in (await newest(world))["events"]]


def dropped(world: World, reason: str, source: str = "backend") -> float:
    """Return how often something of an input's batches was cut or left out for a reason."""
    return world.count("headwater_ingest_drops_total", workspace="w1", input=source, reason=reason)
