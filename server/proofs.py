"""Keys with their secrets in `Authorization`; who guesses at them is slowed down.

Source: spec/events-api.md, 2.1.
"""

from aiohttp import web

from server.addresses import FAILURES
from server.auth import basic_user, workspace_credentials
from server.context import Edge
from server.edge_config import EdgeConfig, KeyInfo


def key_of_basic(request: web.Request, edge: Edge, config: EdgeConfig) -> KeyInfo:
    """Return the active key that a request's Basic `Authorization` proves.

    Raises:
        Refused: there is no header (401), it proves nothing (403), or too many from its address
            have not (429).
    """
    header = request.headers.get("Authorization")
    if header is None or edge.basic.has_been_right(header, config):
        return edge.basic.key_of(header, config)
    user = basic_user(header)
    if user is None:
        return edge.basic.key_of(header, config)
    with request.app[FAILURES].around(request, edge, config, user):
        return edge.basic.key_of(header, config)


def prove_workspace_key(request: web.Request, edge: Edge, config: EdgeConfig) -> None:
    """Check that a request's Basic `Authorization` proves the workspace's own key.

    Raises: as `key_of_basic`.
    """
    header = request.headers.get("Authorization")
    user = None if header is None else basic_user(header)
    if user is None:
        workspace_credentials(header, config)
        return
    with request.app[FAILURES].around(request, edge, config, user):
        workspace_credentials(header, config)
