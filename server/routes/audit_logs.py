"""Reading the audit log (spec/platform-api.md, 17)."""

from typing import Any

from aiohttp import web

from config.audit import Audited, AuditQuery
from server.config_edits import moment
from server.management import enter_account
from server.parameters import page_size, time_ms
from server.paths import MANAGEMENT_PREFLIGHT, Route
from server.problems import json_answer

PAGE = 100


async def listed(request: web.Request) -> web.Response:
    """GET .../audit-logs?from=&to=&actor=&resource=&action=&limit=&cursor=: newest first."""
    caller = enter_account(request, "user_management:*")
    query = request.query
    page = await caller.edge.deployment.configuration.audited(
        caller.config.account,
        AuditQuery(
            from_ms=time_ms(query["from"], "from") if "from" in query else None,
            to_ms=time_ms(query["to"], "to") if "to" in query else None,
            actor=query.get("actor"),
            resource=query.get("resource"),
            action=query.get("action"),
            limit=page_size(request, PAGE),
            cursor=query.get("cursor"),
        ),
    )
    items = [_shown(each) for each in page.items]
    return json_answer({"items": items, "next_cursor": page.next_cursor})


ROUTES = (
    Route(
        "GET",
        "/platform/v2/accounts/{account}/audit-logs",
        listed,
        "platform",
        preflight=MANAGEMENT_PREFLIGHT,
    ),
)


def _shown(audited: Audited) -> dict[str, Any]:
    entry = audited.entry
    return {
        "id": audited.id,
        "at": moment(audited.at_ms),
        "actor": {"type": entry.author.type, "id": entry.author.id},
        "ip": entry.author.address,
        "action": entry.action,
        "resource_type": entry.resource_type,
        "resource_id": entry.resource_id,
        "workspace_id": entry.workspace,
        "before": entry.before,
        "after": entry.after,
    }
