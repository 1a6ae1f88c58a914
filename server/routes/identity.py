"""The IDSync API: identify, login, logout, search, modify and alias.

Source: spec/identity.md, 4 to 6 and 10.1; spec/clients.md, 2. The order of checks is that of the
table of errors: key, permission, rate, body, fields, then what the deployment finds.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler
from msgspec import Struct

from actors.identity.calls import CallKind, IdentityAnswer, IdentityProblem
from server.alias_requests import alias_request
from server.bodies import as_text, json_object, read_bytes
from server.client_proof import BodyReader
from server.context import Edge, edge_of
from server.deployment import Deployment
from server.edge_config import EdgeConfig, KeyInfo
from server.identity_auth import key_of_headers, key_of_path
from server.identity_problems import (
    CORS,
    FORBIDDEN,
    NOT_JSON,
    REQUEST_ID,
    TOO_LARGE,
    TOO_MANY,
    IdentityRefused,
    alias_error,
    identity_error,
)
from server.identity_requests import CALL_KINDS, Body, identity_call, modify_call
from server.limits import Exceeded
from server.openapi.takes import takes
from server.paths import CLIENT_PREFLIGHT, Route
from server.problems import Refused, json_answer
from server.rates import EXCEEDED, used_headers
from server.turns import TURNS, Turn

PREFIXES = ("/identity",)
ALIAS_PREFIXES = ("/webevents", "/nativeevents")

MAX_BODY_BYTES = 256 * 1024
MAX_AGE = {"X-MP-Max-Age": str(24 * 3600)}  # seconds that a client may keep the answer
_CACHED: frozenset[CallKind] = frozenset({"identify", "login"})
_MEANING: Mapping[CallKind, str] = {
    "identify": "who somebody is.",
    "login": "somebody has signed in.",
    "logout": "somebody has signed out.",
    "search": "who somebody is, without a change.",
}

KeyFinder = Callable[[web.Request, Edge, EdgeConfig, Sequence[str], BodyReader], Awaitable[KeyInfo]]


class Entry(Struct, frozen=True):
    """A request that may be answered.

    Attributes:
        deployment: to ask, in its turn: `turn` is entered for as long as that takes.
        config: as of its receipt.
        key: whose it is.
        body: decoded, not yet checked.
        now_ms: time of receipt.
        headers: of its answer.
    """

    deployment: Deployment
    turn: Turn
    config: EdgeConfig
    key: KeyInfo
    body: Body
    now_ms: int
    headers: Mapping[str, str]


def _call(kind: CallKind) -> Handler:
    @takes("IdentityCall")
    async def answer(request: web.Request) -> web.Response:
        entry = await _enter(request, key_of_headers, PREFIXES)
        query = request.query
        given = identity_call(
            kind,
            entry.body,
            entry.key.key,
            is_read_only=query.get("read_only", "").lower() == "true",
            now_ms=entry.now_ms,
        )
        async with entry.turn:
            result = await entry.deployment.identity_call(given.call)
        if isinstance(result, IdentityProblem):
            raise IdentityRefused(result)
        shows_matches = query.get("return_matches", "").lower() != "false"
        sent = given.sent if shows_matches else {}
        return json_answer(
            _found(result, sent), headers={**entry.headers, **(MAX_AGE if kind in _CACHED else {})}
        )

    answer.__doc__ = f"POST /v1/{kind}?read_only=&return_matches=: {_MEANING[kind]}"
    return answer


@takes("ModifyCall")
async def modify(request: web.Request) -> web.Response:
    """POST /v1/{mpid}/modify: change the identities of one MPID."""
    entry = await _enter(request, key_of_headers, PREFIXES)
    call = modify_call(entry.body, request.match_info["mpid"], now_ms=entry.now_ms)
    async with entry.turn:
        result = await entry.deployment.modify(call)
    if isinstance(result, IdentityProblem):
        raise IdentityRefused(result)
    changed = [{"identity_type": name, "modified_mpid": str(mpid)} for name, mpid in result.changed]
    return json_answer({"change_results": changed}, headers=entry.headers)


@takes("Alias")
async def alias(request: web.Request) -> web.Response:
    """POST /v1/identity/{api_key}/alias: copy the history of one MPID to another one."""
    entry = await _enter(request, key_of_path, ALIAS_PREFIXES, needs_aliasing=True)
    window_ms = entry.config.identity.alias_window_ms
    asked = alias_request(entry.body, entry.key, window_ms, entry.now_ms)
    async with entry.turn:
        problem = await entry.deployment.alias(asked)
    if problem is not None:
        raise IdentityRefused(problem)
    return web.Response(status=202, headers=entry.headers)


identify = _call("identify")

ROUTES = (
    *(
        Route(
            "POST",
            f"/v1/{kind}",
            _call(kind),
            "identity",
            prefixes=PREFIXES,
            preflight=CLIENT_PREFLIGHT,
            errors=identity_error,
            call=kind,
        )
        for kind in CALL_KINDS
        if kind != "identify"
    ),
    Route(
        "POST",
        "/identity/v1/identify",  # without the prefix: server.routes.identify
        identify,
        "identity",
        preflight=CLIENT_PREFLIGHT,
        errors=identity_error,
        call="identify",
    ),
    Route(
        "POST",
        "/v1/{mpid}/modify",
        modify,
        "identity",
        prefixes=PREFIXES,
        preflight=CLIENT_PREFLIGHT,
        errors=identity_error,
        call="modify",
    ),
    Route(
        "POST",
        "/v1/identity/{api_key}/Alias",
        alias,
        "identity",
        prefixes=ALIAS_PREFIXES,
        preflight=CLIENT_PREFLIGHT,
        errors=alias_error,
        call="alias",
    ),
)


async def _enter(
    request: web.Request,
    find_key: KeyFinder,
    prefixes: Sequence[str],
    *,
    needs_aliasing: bool = False,
) -> Entry:
    """Do what every call begins with: find the key, ask whether and how often it may, read.

    Raises:
        IdentityRefused: rows 2 to 5, the first that fails. A body that cannot be read has no
            signature to be verified: of a signed request it is refused first.
    """
    edge = edge_of(request)
    config = edge.config.current
    identity = config.identity
    read = _reader(request)
    key = await find_key(request, edge, config, prefixes, read)
    if not identity.is_enabled or (needs_aliasing and not identity.has_aliasing):
        raise IdentityRefused(FORBIDDEN)
    share = identity.shares.get(key.input)
    decision = edge.limiter.admit(identity.limits, 1, edge.ticks_ms(), share)
    if isinstance(decision, Exceeded):
        retry_after = str(decision.retry_after_s)
        raise IdentityRefused(TOO_MANY, {"Retry-After": retry_after, EXCEEDED: decision.level})
    try:
        body = json_object(as_text(await read()))
    except Refused:
        raise IdentityRefused(NOT_JSON) from None
    request_id = body.get("request_id")
    if isinstance(request_id, str):
        request[REQUEST_ID] = request_id
    headers = {**CORS, **(used_headers(decision.percentage) or {})}
    turn = request.app[TURNS].of(config.workspace, key.input)
    return Entry(edge.deployment, turn, config, key, body, edge.clock.now_ms(), headers)


def _reader(request: web.Request) -> BodyReader:
    """Return what reads a request's body once, decompressed, whoever asks first."""
    content: bytes | None = None

    async def read() -> bytes:
        nonlocal content
        if content is None:
            try:
                content = await read_bytes(request, MAX_BODY_BYTES)
            except Refused as error:
                is_large = error.code == "REQUEST_TOO_LARGE"
                raise IdentityRefused(TOO_LARGE if is_large else NOT_JSON) from None
        return content

    return read


def _found(answer: IdentityAnswer, sent: Mapping[str, str]) -> dict[str, Any]:
    """Write the answer of 5.2, with the matched identities in the client's own spelling."""
    return {
        "context": None,
        "mpid": str(answer.mpid),
        "matched_identities": {name: sent[name] for name in answer.matched if name in sent},
        "is_ephemeral": answer.is_ephemeral,
        "is_logged_in": answer.is_logged_in,
    }
