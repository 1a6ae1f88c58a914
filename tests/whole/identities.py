"""Identity calls and what operators see, over HTTP."""

from typing import Any

from tests.whole.world import DOCUMENT, World, changed

KEY = {"x-mp-key": "kw-web-site"}
POOL = "/platform/identity/1/production"


def key(world: World) -> dict[str, str]:
    """Return the header of a workspace's web input."""
    return {"x-mp-key": KEY["x-mp-key"] + world.suffix}


def strategy(name: str, **identity: Any) -> dict[str, Any]:
    """Return the document with another strategy."""
    return changed(DOCUMENT, identity={"strategy": name, **identity})


async def call(world: World, path: str, known: Any, status: int = 200, **fields: Any) -> Any:
    """Make an identity call; return its answer."""
    sent = {"environment": "production", "known_identities": known} | fields
    response = await world.client.post(f"/v1/{path}", json=sent, headers=key(world))
    assert response.status == status, await response.text()
    return await response.json()


async def mpid_of(world: World, path: str, known: Any, **fields: Any) -> str:
    """Make a call that finds or creates; return the MPID."""
    mpid: str = (await call(world, path, known, **fields))["mpid"]
    return mpid


async def modify(world: World, mpid: str, *changes: Any, status: int = 200) -> Any:
    """Change identities: (type, old value, new value) each; return the answer."""
    entries = [
        {"identity_type": name, "old_value": old, "new_value": new} for name, old, new in changes
    ]
    sent = {"environment": "production", "identity_changes": entries}
    response = await world.client.post(f"/v1/{mpid}/modify", json=sent, headers=key(world))
    assert response.status == status, await response.text()
    return await response.json()


async def record(world: World, mpid: str) -> Any:
    """Return an identity record as operators see it."""
    response = await world.get(f"{POOL}/mpids/{mpid}")
    assert response.status == 200, await response.text()
    return await response.json()


async def lookup(world: World, identity_type: str, value: str) -> list[str]:
    """Return who holds an identity, newest link first."""
    response = await world.get(f"{POOL}/lookup", type=identity_type, value=value)
    assert response.status == 200, await response.text()
    mpids: list[str] = (await response.json())["mpids"]
    return mpids


async def ask(world: World, path: str, body: Any = None, status: int = 200) -> Any:
    """POST something below the pool as the administrator; return the answer."""
    response = await world.client.post(f"{POOL}/{path}", json=body, headers=await world.token())
    assert response.status == status, await response.text()
    return await response.json()
