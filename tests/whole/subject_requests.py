"""Data subject requests as tests make them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from aiohttp import ClientResponse

from actors.clock import ManualClock
from tests.whole.world import DOCUMENT, World, basic, changed

KEY = basic("kd-workspace:sd")
DAY_MS = 24 * 3600 * 1000
CREDENTIALS = {"key": "kd-workspace", "secret": "sd"}
# A Tuesday, of the worked cases.
MOMENT_MS = round(datetime(2024, 3, 5, 9, 30, tzinfo=UTC).timestamp() * 1000)
PATHS = {"1.0": "/v1/opengdpr_requests", "2.0": "/v2/requests", "3.0": "/v3/requests"}


def document(**sections: Any) -> dict[str, Any]:
    """Return a document whose workspace takes requests."""
    return changed(DOCUMENT, **changed({"workspace": {"dsr_credentials": CREDENTIALS}}, **sections))


def new_id() -> str:
    """Return an id for a request."""
    return str(uuid4())


def numbered_id(number: int) -> str:
    """Return an id that is always the same."""
    return str(UUID(int=number, version=4))


def body(*, version: str = "3.0", **members: Any) -> dict[str, Any]:
    """Return a request to erase whoever has an e-mail address; `None` leaves a member out."""
    identities: Any = {"email": {"value": "zoe.needle@example.test", "encoding": "raw"}}
    if version != "3.0":
        identities = [
            {"identity_type": "email", "identity_value": "zoe.needle@example.test"}
            | {"identity_format": "raw"}
        ]
    made = {
        "regulation": "gdpr",
        "subject_request_id": new_id(),
        "subject_request_type": "erasure",
        "submitted_time": "2024-03-05T09:00:00Z",
        "subject_identities": identities,
        **members,
    }
    return {name: value for name, value in made.items() if value is not None}


async def submit(
    world: World,
    sent: Mapping[str, Any] | bytes,
    *,
    version: str = "3.0",
    headers: Mapping[str, str] = KEY,
) -> ClientResponse:
    """Post a request."""
    if isinstance(sent, bytes):
        return await world.client.post(PATHS[version], data=sent, headers=headers)
    return await world.client.post(PATHS[version], json=sent, headers=headers)


async def accepted(world: World, sent: Mapping[str, Any], *, version: str = "3.0") -> str:
    """Post a request that has to be taken; return its id."""
    response = await submit(world, sent, version=version)
    assert response.status == 201, await response.text()
    return str((await response.json())["subject_request_id"])


async def status(world: World, request_id: str, *, version: str = "3.0") -> dict[str, Any]:
    """Return what a request has come to."""
    response = await world.client.get(f"{PATHS[version]}/{request_id}", headers=KEY)
    assert response.status == 200, await response.text()
    shown: dict[str, Any] = await response.json()
    return shown


async def fulfil(world: World, clock: ManualClock, days: int = 9) -> None:
    """Let days pass, and do all that is due."""
    clock.advance(days * DAY_MS)
    await world.privacy.work()
