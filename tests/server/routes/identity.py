"""The input of spec/identity.md's worked cases, and calls made with it."""

import hmac
import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import msgspec
from aiohttp import ClientResponse

from server.edge_config import KeyInfo
from tests.server.conftest import World, key_info

KEY, SECRET = "key-web-1", "s3cr3t-example"
KEY_ONLY = {"x-mp-key": KEY}
CALLS = ("identify", "login", "logout", "search")
MODIFY = "/v1/881/modify"
ALIAS = f"/v1/identity/{KEY}/alias"
PATHS = (*(f"/v1/{call}" for call in CALLS), MODIFY)


def set_up(world: World, *keys: KeyInfo, **identity: Any) -> None:
    """Serve `key-web-1` and further keys, with some of the settings of identity calls changed."""
    config = world.config.current
    known = {key.key: key for key in (key_info(KEY, SECRET, 4), *keys)}
    world.config.current = msgspec.structs.replace(
        config, keys=known, identity=msgspec.structs.replace(config.identity, **identity)
    )


def body(known: Any = None, **fields: Any) -> dict[str, Any]:
    """Return a good body of an identity call: `E(known)` of the worked cases."""
    identities = {"device_application_stamp": "d-1"} if known is None else known
    return {"environment": "production", "known_identities": identities} | fields


def body_for(path: str, **fields: Any) -> dict[str, Any]:
    """Return a good body of the call of a path."""
    return body(**fields) | {"identity_changes": []}


async def post(
    world: World, path: str, sent: Any, headers: Mapping[str, str] = KEY_ONLY
) -> ClientResponse:
    """Post a body: bytes as they are, anything else as JSON."""
    data = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
    return await world.client.post(path, data=data, headers=headers)


def signed(path: str, sent: bytes, date: str, *, secret: str = SECRET) -> dict[str, str]:
    """Return the headers of a signed request."""
    message = f"POST\n{date}\n{path}".encode() + sent
    signature = hmac.new(secret.encode(), message, sha256).hexdigest()
    return {"x-mp-key": KEY, "Date": date, "x-mp-signature": signature}


async def problem_of(response: ClientResponse, request_id: str | None = None) -> tuple[str, str]:
    """Return code and message of an error, after checking that its members agree (4.4)."""
    content = await response.json()
    [entry] = content["Errors"]
    assert content == {
        "Errors": [entry],
        "errors": [entry],
        "ErrorCode": entry["code"],
        "StatusCode": response.status,
        "RequestId": request_id,
        "message": entry["message"],
    }
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"
    return entry["code"], entry["message"]
