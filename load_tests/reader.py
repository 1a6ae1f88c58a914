"""Reads users and their events back over the public API (spec/profiles.md, 7 and 8)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec
from msgspec import Struct

from load_tests.client import Channel, Response, Target, request_bytes

T = TypeVar("T")

_PATIENCE_S = 60.0  # of refusals and broken connections for one question
_BACKOFF_S = 0.2
_POOL = "/platform/identity/1/production"  # the first scope, which every deployment has
_PAGE_BATCHES = 1000  # the most that the API gives (spec/profiles.md, 8)


class ReadBackFailed(Exception):
    """The server's data cannot be read, so nothing is proven. Says why."""


class Access(Struct, frozen=True, kw_only=True):
    """Who reads, and what: an API credential and the ids of a workspace."""

    client_id: str
    client_secret: str
    org: int
    account: int
    workspace: str


class _Token(Struct):
    access_token: str


class _User(Struct):
    mpid: int


class _EventData(Struct):
    source_message_id: str | None = None


class _Event(Struct):
    data: _EventData


class _Item(Struct):
    events: list[_Event]


class _Page(Struct):
    items: list[_Item]
    next_cursor: str | None = None


class _Identity(Struct):
    type: str
    value: str


class _Profile(Struct):
    user_identities: list[_Identity]


class _Holders(Struct):
    mpids: list[str]


class _Record(Struct):
    identities: list[_Identity]


class _Audience(Struct):
    name: str
    size: int | None


class Queued(Struct, frozen=True):
    """What is kept for one connection on one shard: deliveries, and dead letters."""

    waiting: int
    dead_letters: int


class _Actor(Struct):
    role: str
    instance: str
    is_up: bool
    connections: Any = None  # of a shard


class _Status(Struct):
    actors: list[_Actor]


class Reader:
    """Asks one question at a time, over one connection, with the patience that limits demand."""

    def __init__(self, target: Target, access: Access, token: str) -> None:
        self._target = target
        self._access = access
        self._authorization = f"Bearer {token}"
        self._channel = Channel(target)
        self._users = f"/platform/v2/workspaces/{quote(access.workspace, safe='')}/users"

    async def find(self, identity: str) -> list[int]:
        """Return the MPIDs of the users who hold an identity."""
        response = await self._get(
            f"{self._users}/search?q={quote(identity, safe='')}&environment=production"
        )
        return [user.mpid for user in _decode(response, list[_User])]

    async def message_ids(self, mpid: int, since_ms: int) -> AsyncIterator[str]:
        """Yield the message id of each event of a user from a time on, as often as it is there."""
        cursor = ""
        while True:
            path = f"{self._users}/{mpid}/events?limit={_PAGE_BATCHES}&from={since_ms}"
            response = await self._get(path + cursor)
            if response.status == 404:
                return
            page = _decode(response, _Page)
            for item in page.items:
                for event in item.events:
                    if event.data.source_message_id is not None:
                        yield event.data.source_message_id
            if page.next_cursor is None:
                return
            cursor = f"&cursor={quote(page.next_cursor, safe='')}"

    async def customer_id(self, mpid: int) -> str | None:
        """Return the customer id that the Profile API shows, `None` if it shows none."""
        ids = self._access
        path = f"/userprofile/v1/{ids.org}/{ids.account}/{ids.workspace}/{mpid}"
        response = await self._get(path + "?fields=user_identities")
        if response.status == 404:
            return None
        identities = _decode(response, _Profile).user_identities
        return next((each.value for each in identities if each.type == "customer_id"), None)

    async def profile(self, mpid: int, fields: str) -> dict[str, Any]:
        """Return fields of the Profile API's answer for a user."""
        ids = self._access
        path = f"/userprofile/v1/{ids.org}/{ids.account}/{ids.workspace}/{mpid}"
        return _decode(await self._get(f"{path}?fields={fields}"), dict[str, Any])

    async def holders(self, identity_type: str, value: str) -> list[int]:
        """Return the MPIDs that an identity finds, as operators see it."""
        query = f"type={identity_type}&value={quote(value, safe='')}"
        response = await self._get(f"{_POOL}/lookup?{query}")
        return [int(mpid) for mpid in _decode(response, _Holders).mpids]

    async def identities(self, mpid: int) -> set[tuple[str, str]]:
        """Return the types and values by which a user is found, as operators see it."""
        record = _decode(await self._get(f"{_POOL}/mpids/{mpid}"), _Record)
        return {(each.type, each.value) for each in record.identities}

    async def audience_sizes(self) -> dict[str, int | None]:
        """Return how many members each audience has by its name; `None` if it is not known yet."""
        listed = await self._get(f"/platform/v2/workspaces/{self._access.workspace}/audiences")
        return {each.name: each.size for each in _decode(listed, list[_Audience])}

    async def queues(self) -> dict[tuple[str, str], Queued]:
        """Return what is kept by shard and connection; only of the admin port of a deployment.

        Shards that do not answer just then are left out.
        """
        status = _decode(await self._get("/admin/status"), _Status)
        return {
            (each.instance, connection): msgspec.convert(queued, Queued)
            for each in status.actors
            if each.role == "shard" and each.is_up
            for connection, queued in each.connections.items()
        }

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    async def _get(self, path: str) -> Response:
        request = request_bytes(self._target, "GET", path, self._authorization)
        return await _ask(self._channel, request)


async def fetch_token(target: Target, access: Access) -> str:
    """Exchange an API credential for a bearer token (spec/platform-api.md, 2).

    Raises:
        ReadBackFailed: the credential is refused, or the server does not answer.
    """
    body = msgspec.json.encode(
        {
            "client_id": access.client_id,
            "client_secret": access.client_secret,
            "grant_type": "client_credentials",
        }
    )
    channel = Channel(target)
    try:
        response = await _ask(channel, request_bytes(target, "POST", "/oauth/token", "", body))
    finally:
        channel.close()
    return _decode(response, _Token).access_token


async def _ask(channel: Channel, request: bytes) -> Response:
    """Send a request that changes nothing until it is neither refused for now nor cut off."""
    try:
        async with asyncio.timeout(_PATIENCE_S):
            while True:
                delay: float | None = None
                try:
                    response = await channel.exchange(request)
                    if response.status not in (429, 503):
                        return response
                    delay = response.retry_after_s
                except ConnectionError:
                    pass  # asked again below, until patience ends
                await asyncio.sleep(_BACKOFF_S if delay is None else delay)
    except OSError as error:
        raise ReadBackFailed(f"no usable answer within {_PATIENCE_S:.0f} s") from error


def _decode(response: Response, kind: type[T]) -> T:
    if response.status != 200:
        raise ReadBackFailed(f"reading back was answered with status {response.status}")
    try:
        return msgspec.json.decode(response.body, type=kind)
    except msgspec.DecodeError as error:
        raise ReadBackFailed(f"an answer has not the documented shape: {error}") from error
