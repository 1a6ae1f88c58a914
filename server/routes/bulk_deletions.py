"""Bulk profile deletion API (spec/profiles.md, 10)."""

from typing import Any, cast
from uuid import UUID

from aiohttp import web

from actors.deletions.requests import BulkDeletion
from actors.model.workspaces import ENVIRONMENTS, Environment
from actors.store.audit_log import AuditEntry, Author
from server.bodies import json_object, read_body
from server.browsers import client_address
from server.context import Edge, count_body, edge_of
from server.edge_config import EdgeConfig, KeyInfo
from server.limits import MINUTE_MS, Limit
from server.management import write_entry
from server.openapi.takes import takes
from server.parameters import INT64_END, invalid, is_int64, missing
from server.paths import Route
from server.problems import Refused, json_answer
from server.proofs import key_of_basic
from server.rates import EXCEEDED, admit, used_headers

MAX_BODY_BYTES = 256 * 1024
MAX_MPIDS = 1000
REQUESTS_PER_MINUTE = 100
# Where as many wait as may: they are done one after the other, a big one in some seconds.
FULL_RETRY_AFTER_S = 60


@takes("BulkDeletion")
async def bulk_delete(request: web.Request) -> web.Response:
    """POST /userprofile/experimental/bulkdelete: delete what the workspace has of many users."""
    edge, config, key = _entered(request)
    count_body(request, config, key.input)
    body = json_object(await read_body(request, MAX_BODY_BYTES))
    environment, mpids = _environment(body), _mpids(body)
    name = f"bulkdelete:{config.workspace}"
    limit = Limit("workspace", name, 0, REQUESTS_PER_MINUTE, window_ms=MINUTE_MS)
    used = admit(edge, [limit], 1)
    request_id = str(UUID(int=edge.randomness.bits(128), version=4))
    if not await edge.deployment.bulk_delete(request_id, environment, mpids):
        message = "Too many bulk deletions wait to be done. Try again later."
        headers = {"Retry-After": str(FULL_RETRY_AFTER_S), EXCEEDED: "workspace"}
        raise Refused("TOO_MANY_REQUESTS", message, headers)
    shown = {"environment": environment, "requested": len(mpids)}
    entry = AuditEntry(
        author=Author(key.key, address=client_address(request, config)),
        action="delete",
        resource_type="bulk_deletion",
        resource_id=request_id,
        workspace=config.workspace,
        before=shown,
    )
    await write_entry(edge, config, entry)
    answer = {"request_id": request_id, "accepted": len(mpids)}
    return json_answer(answer, 202, used_headers(used))


async def bulk_deletion(request: web.Request) -> web.Response:
    """GET /userprofile/experimental/bulkdelete/{request_id}: what a bulk deletion has come to."""
    edge, _, _ = _entered(request)
    found = await edge.deployment.bulk_deletion(request.match_info["request_id"])
    if found is None:
        raise Refused("NOT_FOUND", "There is no such bulk deletion in this workspace.")
    return json_answer(_shown(found))


ROUTES = (
    Route("POST", "/userprofile/experimental/bulkdelete", bulk_delete, "deletion"),
    Route("GET", "/userprofile/experimental/bulkdelete/{request_id}", bulk_deletion, "deletion"),
)


def _entered(request: web.Request) -> tuple[Edge, EdgeConfig, KeyInfo]:
    """Return the workspace of the input whose key and secret a request has.

    Raises:
        Refused: it has none (401), or they are wrong (403).
    """
    edge = edge_of(request)
    config = edge.config.current
    return edge, config, key_of_basic(request, edge, config)


def _environment(body: dict[str, Any]) -> Environment:
    name = body.get("environment")
    if name is None:
        return "production"
    if name not in ENVIRONMENTS:
        raise invalid("environment", "must be production or development")
    return cast(Environment, name)


def _mpids(body: dict[str, Any]) -> list[int]:
    """Return whom a request names, each once, in the order in which they come first."""
    sent = body.get("mpids")
    if not sent:
        raise missing("mpids")
    if not isinstance(sent, list) or len(sent) > MAX_MPIDS:
        raise invalid("mpids", f"must be a list of at most {MAX_MPIDS} MPIDs")
    return list(dict.fromkeys(_mpid(each, index) for index, each in enumerate(sent)))


def _mpid(sent: Any, index: int) -> int:
    if isinstance(sent, str) and is_int64(sent):
        return int(sent)
    if type(sent) is int and -INT64_END <= sent < INT64_END:  # not a bool
        return sent
    raise invalid(f"mpids[{index}]", "must be an integer of 64 bits")


def _shown(found: BulkDeletion) -> dict[str, Any]:
    return {
        "request_id": found.id,
        "status": found.status,
        "requested": found.requested,
        "deleted": found.deleted,
        "not_found": found.not_found,
    }
