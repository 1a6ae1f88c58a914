"""Bulk profile deletions as tests ask for them."""

from collections.abc import Sequence
from typing import Any

from tests.whole.world import World, basic

PATH = "/userprofile/experimental/bulkdelete"


async def requested(world: World, mpids: Sequence[Any], key: str = "k1", **members: Any) -> str:
    """Ask for a bulk deletion that has to be taken; return its id."""
    response = await world.post(PATH, {"mpids": list(mpids), **members}, key)
    assert response.status == 202, await response.text()
    answer = await response.json()
    assert answer["accepted"] == len(set(map(int, mpids)))
    return str(answer["request_id"])


async def standing(world: World, request_id: str, key: str = "k1") -> dict[str, Any]:
    """Return what a bulk deletion has come to, without its id."""
    headers = basic(world.secrets[key])
    response = await world.client.get(f"{PATH}/{request_id}", headers=headers)
    assert response.status == 200, await response.text()
    shown: dict[str, Any] = await response.json()
    assert shown.pop("request_id") == request_id
    return shown


def over(deleted: int, not_found: int = 0) -> dict[str, Any]:
    """Return what is shown of a bulk deletion that is completed."""
    requested = deleted + not_found
    return {
        "status": "completed",
        "requested": requested,
        "deleted": deleted,
        "not_found": not_found,
    }


async def deleted(world: World, *mpids: int, **members: Any) -> None:
    """Have users deleted who are all there."""
    request_id = await requested(world, mpids, **members)
    await world.deletions.work()
    assert await standing(world, request_id) == over(len(mpids))


async def status_of(world: World, mpid: int) -> int:
    """Return the status of reading a profile."""
    path = f"/userprofile/v1/1/1/{world.number}/{mpid}"
    return (await world.get(path, fields="user_attributes")).status
