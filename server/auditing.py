"""Handlers whose calls are in the audit log (spec/platform-api.md, 17).

For what is no change of the configuration: those are in the log with their revision.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler

from actors.errors import ShardUnavailable
from actors.store.audit_log import Action
from server.management import authorized, write_audit
from server.problems import Refused

# What these do leaves nothing behind to be shown.
_WITHOUT_AFTER: frozenset[Action] = frozenset({"delete", "read", "export", "login"})


def audited(
    action: Action, resource_type: str, named: str | None = None, shown_by: Handler | None = None
) -> Callable[[Handler], Handler]:
    """Return a decorator for handlers of the Platform API that writes down what they have done.

    Args:
        action, resource_type: as the log has them.
        named: the part of the path that has the object's id; `None` if the answer has it.
        shown_by: the route that shows the object, asked before and afterwards; `None` if the answer
            shows it. Secrets must be masked in what is shown, and it must not be about a person.
    """

    def decorate(handler: Handler) -> Handler:
        @wraps(handler)
        async def answer(request: web.Request) -> web.StreamResponse:
            before = None if shown_by is None else await _shown(shown_by, request)
            response = await handler(request)
            if response.status >= 400:
                return response
            after = None
            if action not in _WITHOUT_AFTER:
                after = _content(response) if shown_by is None else await _shown(shown_by, request)
            await write_audit(
                authorized(request),
                action,
                resource_type,
                _id_in(after) if named is None else request.match_info[named],
                before=before,
                after=after,
            )
            return response

        return answer

    return decorate


async def _shown(handler: Handler, request: web.Request) -> Any:
    """Return what a route shows; `None` if it shows nothing."""
    try:
        return _content(await handler(request))
    except (Refused, ShardUnavailable):  # the handler says it, if it is in its way too
        return None


def _content(response: web.StreamResponse) -> Any:
    if not isinstance(response, web.Response) or not isinstance(response.body, bytes):
        return None
    return orjson.loads(response.body) if response.content_type == "application/json" else None


def _id_in(shown: Any) -> object:
    return shown.get("id") if isinstance(shown, dict) else shown
