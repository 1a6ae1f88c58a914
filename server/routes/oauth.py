"""Bearer tokens for API credentials (spec/platform-api.md, 2)."""

import asyncio
import logging
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from config.workspace import MAX_FORMER
from server import tokens
from server.auth import secret_matches
from server.bodies import json_object, read_body
from server.context import EDGES, Edge
from server.edge_config import DEFAULT_AUDIENCE, Credential, EdgeConfig, digest
from server.limits import MINUTE_MS, Exceeded, Limit
from server.management import caller_of, write_audit
from server.openapi.takes import takes
from server.paths import MANAGEMENT_PREFLIGHT, Route
from server.problems import OAuthRefused, Refused, json_answer

GRANT_TYPE = "client_credentials"
MAX_BODY_BYTES = 16 * 1024
FAILURES_PER_MINUTE = 60
# Of one client: a token lasts for hours, and each has an entry in the audit log.
TOKENS_PER_MINUTE = 600
AUDIT_PATIENCE_S = 1.0

logger = logging.getLogger("headwater.http")


@takes("TokenRequest")
async def token(request: web.Request) -> web.Response:
    """POST /oauth/token: client id and secret, as JSON or as a form, for a bearer token."""
    fields = await _fields(request)
    client_id, secret = _required(fields, "client_id"), _required(fields, "client_secret")
    if _required(fields, "grant_type") != GRANT_TYPE:
        raise OAuthRefused(400, "unsupported_grant_type", f"grant_type must be {GRANT_TYPE}.")
    edge = request.app[EDGES].of_client(client_id)
    config = edge.config.current
    credential = _verified(edge, config, client_id, secret)
    audience = fields.get("audience") or DEFAULT_AUDIENCE
    if audience not in config.token_audiences:
        raise OAuthRefused(403, "access_denied", "No token is issued for this audience.")
    _count_token(edge, client_id)
    await _write_login(request, edge, config, credential)
    body = {
        "access_token": tokens.issue(credential, digest(secret), audience, config, edge.clock),
        "expires_in": tokens.LIFETIME_S,
        "token_type": "Bearer",
    }
    return json_answer(body, headers={"Cache-Control": "no-store"})


ROUTES = (Route("POST", "/oauth/token", token, "oauth", preflight=MANAGEMENT_PREFLIGHT),)


async def _write_login(
    request: web.Request, edge: Edge, config: EdgeConfig, credential: Credential
) -> None:
    """Have the audit log know of a token; it is given out whether or not the log answers."""
    caller = caller_of(request, edge, config, credential)
    try:
        async with asyncio.timeout(AUDIT_PATIENCE_S):
            await write_audit(caller, "login", "token")
    except TimeoutError:
        logger.warning(
            "a login is not in the audit log yet",
            extra={"event": "audit_entry_late", "actor": credential.client_id},
        )


async def _fields(request: web.Request) -> dict[str, Any]:
    try:
        body = await read_body(request, MAX_BODY_BYTES)
        if request.content_type == "application/x-www-form-urlencoded":
            return dict(parse_qsl(body.decode()))
        return json_object(body)
    except Refused as error:
        raise OAuthRefused(400, "invalid_request", error.problems[0].message) from None


def _required(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise OAuthRefused(400, "invalid_request", f"{name} is missing.")
    return value


def _verified(edge: Edge, config: EdgeConfig, client_id: str, secret: str) -> Credential:
    """Return the credential that a secret proves; failures are limited per client id.

    Client ids that do not exist share one counter, so that guessing them cannot fill the table.
    """
    credential = config.credentials.get(client_id)
    known = client_id if credential else ""
    failures = (Limit("app", f"token:{known}", 0, FAILURES_PER_MINUTE, window_ms=MINUTE_MS),)
    exceeded = edge.limiter.check(failures, 1, edge.ticks_ms())
    if exceeded is not None:
        raise _too_many(exceeded)
    held = () if credential is None else credential.held(edge.clock.now_ms())
    is_secret, most = False, 1 + MAX_FORMER
    # As many in any case: what is right takes no longer, nor does what was replaced often.
    for each in (*held, *[None] * most)[:most]:
        is_secret |= secret_matches(secret, each)
    if credential is None or not is_secret or not credential.is_active:
        decision = edge.limiter.admit(failures, 1, edge.ticks_ms())
        if isinstance(decision, Exceeded):
            raise _too_many(decision)
        raise OAuthRefused(401, "invalid_client", "Client id and secret are not valid.")
    return credential


def _count_token(edge: Edge, client_id: str) -> None:
    """Count a token that is about to be issued. Raises OAuthRefused (429)."""
    limit = Limit("app", f"tokens:{client_id}", 0, TOKENS_PER_MINUTE, window_ms=MINUTE_MS)
    decision = edge.limiter.admit([limit], 1, edge.ticks_ms())
    if isinstance(decision, Exceeded):
        raise _too_many(decision, "Too many tokens: one can be used until it expires.")


def _too_many(exceeded: Exceeded, description: str = "Too many failed attempts.") -> OAuthRefused:
    return OAuthRefused(
        429,
        "too_many_requests",
        description,
        {"Retry-After": str(exceeded.retry_after_s)},
    )
