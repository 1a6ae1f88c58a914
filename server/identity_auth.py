"""Who makes an identity call: Basic, a signature, or the key alone (spec/identity.md, 4.2)."""

from collections.abc import Sequence

from aiohttp import web

from server.client_proof import BodyReader, is_proven
from server.context import Edge, count_body
from server.edge_config import EdgeConfig, KeyInfo
from server.identity_problems import TOO_MANY, UNAUTHORIZED, IdentityRefused
from server.problems import Refused
from server.proofs import key_of_basic


async def key_of_headers(
    request: web.Request,
    edge: Edge,
    config: EdgeConfig,
    prefixes: Sequence[str],
    read: BodyReader,
) -> KeyInfo:
    """Return the key that a request's headers prove.

    Args:
        request: its headers choose the method, and that method decides alone.
        edge, config: of the workspace that the request names, as of now.
        prefixes: below which the path is served too.
        read: called where the signature has to be verified.

    Raises:
        IdentityRefused: they prove none (401), or too many from their address did not (429).
    """
    headers = request.headers
    if "Authorization" in headers:
        return _basic(request, edge, config)
    key = _active(headers.get("x-mp-key", ""), config)
    return await _signed_or_alone(request, edge, key, config, prefixes, read)


async def key_of_path(
    request: web.Request,
    edge: Edge,
    config: EdgeConfig,
    prefixes: Sequence[str],
    read: BodyReader,
) -> KeyInfo:
    """Return the key in the path of an alias request, if the request may use it.

    Raises:
        IdentityRefused: it may not (401), or too many from its address might not (429).
    """
    key = _active(request.match_info["api_key"], config)
    if "Authorization" not in request.headers:
        return await _signed_or_alone(request, edge, key, config, prefixes, read)
    if _basic(request, edge, config) != key:
        raise IdentityRefused(UNAUTHORIZED)
    return key


def _active(name: str, config: EdgeConfig) -> KeyInfo:
    key = config.keys.get(name)
    if key is None or not key.is_active:
        raise IdentityRefused(UNAUTHORIZED)
    return key


def _basic(request: web.Request, edge: Edge, config: EdgeConfig) -> KeyInfo:
    try:
        key = key_of_basic(request, edge, config)
    except Refused as error:
        if error.code == "TOO_MANY_REQUESTS":
            raise IdentityRefused(TOO_MANY, error.headers) from None
        raise IdentityRefused(UNAUTHORIZED) from None
    count_body(request, config, key.input)
    return key


async def _signed_or_alone(
    request: web.Request,
    edge: Edge,
    key: KeyInfo,
    config: EdgeConfig,
    prefixes: Sequence[str],
    read: BodyReader,
) -> KeyInfo:
    if not await is_proven(request, edge, key, config, prefixes, read):
        raise IdentityRefused(UNAUTHORIZED)
    return key
