"""What routes of the Platform API below a workspace begin with (spec/platform-api.md, 1 and 3)."""

import logging
from collections.abc import Sequence
from typing import NamedTuple

from aiohttp import web

from actors.errors import ShardUnavailable, StoreFull
from actors.store.audit_log import Action, AuditEntry, Author
from config.roles import NOT_ALLOWED, Task
from server.auth import bearer
from server.browsers import client_address
from server.context import Edge, edge_of
from server.edge_config import Credential, EdgeConfig
from server.limits import MINUTE_MS, Limit
from server.openapi.takes import JSON, body_of, limit_of
from server.problems import Refused
from server.rates import RATE_USED, admit

WORKSPACE = "/platform/v2/workspaces/{workspace}"

ROLES_PER_MINUTE = 100  # spec/privacy.md, 10.3
PLANNING_PER_MINUTE, PLANNING_OF_ALL_PER_MINUTE = 3000, 6000  # spec/data-plans.md, 5.1

_audit = logging.getLogger("headwater.audit")


class Caller(NamedTuple):
    """A request that may go on: its workspace, the configuration now, and who asks.

    `author` is who asks, as the audit log has it.
    """

    edge: Edge
    config: EdgeConfig
    credential: Credential
    author: Author

    def require(self, *tasks: Task) -> None:
        """Raise Refused (403) unless the caller's role has all of these tasks."""
        if not self.credential.tasks.issuperset(tasks):
            raise Refused("FORBIDDEN", NOT_ALLOWED)


# Who asks, once that is known: what a handler asks for besides its own is one request.
_CALLER = web.RequestKey("caller", Caller)


def authorized(request: web.Request, *tasks: Task) -> Caller:
    """Check the token and that its role has all of some tasks, whatever the path names.

    Raises:
        Refused: no usable token (401), not the API or a task (403), too many requests of the
            account (429), a body of a type that the handler does not take (415).
    """
    caller = request.get(_CALLER)
    if caller is None:
        edge = edge_of(request)
        config = edge.config.current
        credential = bearer(request, "platform", config, edge.clock)
        count(request, edge, config.platform_limits)
        caller = request[_CALLER] = caller_of(request, edge, config, credential)
    caller.require(*tasks)
    _check_content_type(request)
    return caller


def _check_content_type(request: web.Request) -> None:
    """Refuse a body that is no JSON (415), unless it is one that the handler takes otherwise."""
    _, media = body_of(request.match_info.handler) or ("", JSON)
    if media == JSON and request.can_read_body and request.content_type != JSON:
        raise Refused("UNSUPPORTED_MEDIA_TYPE", f"The body must be {JSON}.")


def body_limit(request: web.Request, caller: Caller) -> int:
    """Return how many bytes the body of a request may have."""
    return limit_of(request.match_info.handler, caller.config.max_body_bytes)


def count(request: web.Request, edge: Edge, limits: Sequence[Limit]) -> None:
    """Count a request; its answer tells how much of the limits is used. Raises Refused (429)."""
    used = admit(edge, limits, 1)
    if used is not None:
        request[RATE_USED] = used


def caller_of(
    request: web.Request, edge: Edge, config: EdgeConfig, credential: Credential
) -> Caller:
    """Return whose request it is, once that is proven."""
    author = Author(credential.client_id, address=client_address(request, config))
    return Caller(edge, config, credential, author)


def enter(request: web.Request, *tasks: Task) -> Caller:
    """Check the token, its tasks, and that the path names the token's workspace, by number or id.

    Raises:
        Refused: no usable token (401), not the API or a task (403), another workspace (404).
    """
    caller = authorized(request, *tasks)
    config = caller.config
    if request.match_info["workspace"] not in (str(config.workspace), config.workspace_slug):
        raise Refused("NOT_FOUND", "There is no such workspace.")
    return caller


def enter_account(request: web.Request, *tasks: Task) -> Caller:
    """Check the token, its tasks, and that the path names the account of the token's workspace.

    Raises:
        Refused: no usable token (401), not the API or a task (403), another account (404).
    """
    caller = authorized(request, *tasks)
    if request.match_info["account"] != str(caller.config.account):
        raise Refused("NOT_FOUND", "There is no such account.")
    return caller


def enter_organization(request: web.Request, *, changes: bool) -> Caller:
    """Check that the token is for custom roles, and that the path names its organization.

    Args:
        request: names an account too, which has to be that of the token's workspace.
        changes: whether roles are changed, which not every credential of the API may do.

    Raises:
        Refused: no usable token (401), not the API or not to change (403), another organization
            or account (404), too many requests (429).
    """
    edge = edge_of(request)
    config = edge.config.current
    credential = bearer(request, "custom_roles", config, edge.clock)
    own = Limit("account", f"roles:{config.account}", 0, ROLES_PER_MINUTE, window_ms=MINUTE_MS)
    count(request, edge, (own, *config.platform_limits))
    _check_content_type(request)
    if changes and credential.permissions["custom_roles"] != "admin":
        raise Refused("FORBIDDEN", "The credential may not change roles.")
    in_path = request.match_info
    if in_path["org"] != str(config.organization):
        raise Refused("NOT_FOUND", "There is no such organization.")
    if in_path["account"] != str(config.account):
        raise Refused("NOT_FOUND", "There is no such account.")
    return caller_of(request, edge, config, credential)


def enter_planning(request: web.Request, *tasks: Task) -> Caller:
    """Check that the token is for data plans, its tasks, and that the path names its workspace.

    Raises:
        Refused: no usable token (401), not the API, a task, or another workspace (403), too many
            requests of the account, or of all (429).
    """
    edge = edge_of(request)
    config = edge.config.current
    credential = bearer(request, "data_planning", config, edge.clock)
    limits = (
        Limit(
            "account",
            f"planning:{config.account}",
            0,
            PLANNING_PER_MINUTE,
            window_ms=MINUTE_MS,
        ),
        Limit("org", "planning", 0, PLANNING_OF_ALL_PER_MINUTE, window_ms=MINUTE_MS),
    )
    count(request, edge, limits)
    caller = caller_of(request, edge, config, credential)
    caller.require(*tasks)
    if request.match_info["workspace"] not in (str(config.workspace), config.workspace_slug):
        raise Refused("FORBIDDEN", "The credential is of another workspace.")
    return caller


def enter_v1(request: web.Request, *tasks: Task) -> Caller:
    """Check the token, its tasks, and that the query names the account of its workspace.

    Raises:
        Refused: no usable token or no account (401), not the API or a task (403), another account
            (404).
    """
    caller = authorized(request, *tasks)
    account = request.query.get("accountId")
    if account is None:
        raise Refused("UNAUTHORIZED", "The parameter accountId is missing.")
    if account != str(caller.config.account):
        raise Refused("NOT_FOUND", "There is no such account.")
    return caller


def enter_scope(request: web.Request, *tasks: Task) -> Caller:
    """Check the token, its tasks, and that the path names the scope of its workspace.

    Raises:
        Refused: no usable token (401), not the API or a task (403), another scope (404).
    """
    caller = authorized(request, *tasks)
    if request.match_info["scope"] != str(caller.config.scope):
        raise Refused("NOT_FOUND", "There is no such identity scope.")
    return caller


def connection_number(request: web.Request, config: EdgeConfig) -> int:
    """Return the number of the connection that the path names by number or id.

    Raises:
        Refused: there is none (404).
    """
    name = request.match_info["connection"]
    numbers = {str(number): number for number in config.connections.values()}
    number = numbers.get(name, config.connections.get(name))
    if number is None:
        raise Refused("NOT_FOUND", "There is no such connection.")
    return number


async def write_audit(
    caller: Caller,
    action: Action,
    resource_type: str,
    resource_id: object = None,
    *,
    before: object = None,
    after: object = None,
) -> None:
    """Write into the audit log what was done, and to the log of the process.

    For what is no change of the configuration: those are in the audit log with the revision.

    Args:
        caller: who has done it.
        action: what.
        resource_type: of what was changed; `resource_id`: as the API shows it.
        before, after: the object, as the API shows it.
    """
    audit(caller, action, resource_type)
    entry = AuditEntry(
        author=caller.author,
        action=action,
        resource_type=resource_type,
        resource_id=None if resource_id is None else str(resource_id),
        workspace=caller.config.workspace,
        before=before,
        after=after,
    )
    await write_entry(caller.edge, caller.config, entry)


async def write_entry(edge: Edge, config: EdgeConfig, entry: AuditEntry) -> None:
    """Write an entry into the audit log of a workspace's account."""
    try:
        await edge.deployment.configuration.record(config.account, entry)
    except (ShardUnavailable, StoreFull) as error:  # what was asked for is done
        _audit.error(
            "the audit log lacks an entry",
            extra={
                "event": "audit_entry_lost",
                "workspace": config.workspace_slug,
                "actor": entry.author.id,
                "action": entry.action,
                "resource": entry.resource_type,
                "kind": type(error).__name__,
            },
        )


def audit(caller: Caller, action: str, resource: str) -> None:
    """Write down who did what; never the identity or the values that were asked for."""
    _audit.info(
        "audited access",
        extra={
            "event": "audit",
            "workspace": caller.config.workspace_slug,
            "actor": caller.credential.client_id,
            "action": action,
            "resource": resource,
        },
    )
