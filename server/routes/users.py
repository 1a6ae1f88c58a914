"""User activity API (spec/profiles.md, 8)."""

from aiohttp import web

from actors.profiles.timeline import TimelineQuery
from server.auditing import audited
from server.edge_config import EdgeConfig
from server.identity_names import idsync_type
from server.management import WORKSPACE, enter
from server.parameters import environment, int64, invalid, missing, page_size, time_ms
from server.paths import MANAGEMENT_PREFLIGHT, Route
from server.problems import Refused, json_answer

DEFAULT_PAGE = 100


@audited("read", "user")
async def search(request: web.Request) -> web.Response:
    """GET .../users/search?q=&field=&environment=: users by an exact identity or MPID."""
    caller = enter(request, "user_activity:view")
    query, field = request.query.get("q", ""), request.query.get("field")
    if not query.strip():
        raise missing("q")
    # `mpid` is no identity type: the deployment compares it with the profiles' own.
    identity_type = field if field in (None, "mpid") else idsync_type(field)
    if field is not None and identity_type is None:
        raise invalid("field", "must be an identity type or mpid")
    rows = await caller.edge.deployment.search_users(query, identity_type, environment(request))
    return json_answer(rows)


@audited("read", "user", "mpid")
async def user(request: web.Request) -> web.Response:
    """GET .../users/{mpid}?environment=: one user."""
    caller = enter(request, "user_activity:view")
    mpid = int64(request.match_info["mpid"], "mpid")
    found = await caller.edge.deployment.user(mpid, environment(request))
    if found is None:
        raise _no_user()
    return json_answer(found)


@audited("read", "user_events", "mpid")
async def timeline(request: web.Request) -> web.Response:
    """GET .../events?environment=&from=&to=&input=&type=&event_name=&device=&limit=&cursor=:
    a page of a user's events, newest first.
    """
    caller = enter(request, "user_activity:view")
    mpid = int64(request.match_info["mpid"], "mpid")
    query = _timeline_query(request, caller.config)
    page = await caller.edge.deployment.timeline(mpid, environment(request), query)
    if page is None:
        raise _no_user()
    return json_answer(page)


_USERS = WORKSPACE + "/users"

ROUTES = (
    Route("GET", _USERS + "/search", search, "platform", preflight=MANAGEMENT_PREFLIGHT),
    Route("GET", _USERS + "/{mpid}", user, "platform", preflight=MANAGEMENT_PREFLIGHT),
    Route("GET", _USERS + "/{mpid}/events", timeline, "platform", preflight=MANAGEMENT_PREFLIGHT),
)


def _timeline_query(request: web.Request, config: EdgeConfig) -> TimelineQuery:
    query = request.query
    ids = {str(key.input): key.input_id for key in config.keys.values()}
    start, end = query.get("from"), query.get("to")
    return TimelineQuery(
        start_ms=None if start is None else time_ms(start, "from"),
        end_ms=None if end is None else time_ms(end, "to"),
        inputs=tuple(ids.get(each, each) for each in query.getall("input", ())),
        types=tuple(query.getall("type", ())),
        event_names=tuple(query.getall("event_name", ())),
        devices=tuple(query.getall("device", ())),
        limit=page_size(request, DEFAULT_PAGE),
        cursor=query.get("cursor"),
    )


def _no_user() -> Refused:
    return Refused("NOT_FOUND", "There is no such user in this workspace.")
