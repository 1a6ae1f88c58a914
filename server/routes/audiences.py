"""Audiences of a workspace, version 2 (spec/audiences.md, 14)."""

from typing import Any

from aiohttp import web
from msgspec import to_builtins

from actors.audiences.objects import Audience
from server import audience_bodies as bodies
from server.audience_problems import v2_errors
from server.audience_requests import (
    MAY_CHANGE_AUDIENCES,
    MAY_READ_AUDIENCES,
    Use,
    another_accounts,
    enter_owned,
    enter_use,
    json_body,
    no_audience,
    number_in_path,
    own_use,
    uses_by_audience,
    uses_of,
    visible,
)
from server.audience_showing import LIST_ESTIMATES_S, show, show_all
from server.audience_views import shown_audience, shown_test
from server.auditing import audited
from server.bodiless import without_body
from server.management import enter
from server.openapi.takes import takes
from server.paging import paged
from server.parameters import invalid
from server.paths import management_routes
from server.problems import Refused, json_answer

STATUSES = frozenset(
    {
        "draft",
        "activating",
        "active",
        "inactive",
        "faulted",
        "calculating",
        "ready",
        "expired",
    }
)


async def listed(request: web.Request) -> web.Response:
    """GET .../audiences?status=&type=&tag=&shared=&limit=&cursor=: all audiences, drafts too.

    First its own, by id, then those over several workspaces that lie in another one, then those
    that are shared with its account.
    """
    caller = enter(request, MAY_READ_AUDIENCES)
    query = request.query
    status, kind = query.get("status"), query.get("type")
    if status is not None and status not in STATUSES:
        raise invalid("status", f"must be of {', '.join(sorted(STATUSES))}")
    if kind is not None and bodies.audience_type(kind) is None:
        raise invalid("type", f"must be of {', '.join(bodies.TYPES)}")
    shared = query.get("shared")
    if shared not in (None, "true", "false"):
        raise invalid("shared", "must be true or false")
    tags = frozenset(query.getall("tag", []))
    found: list[dict[str, Any]] = []
    clock = caller.edge.clock
    estimated_by_s = clock.monotonic() + LIST_ESTIMATES_S
    for use in uses_of(request, caller):
        if shared is None or (shared == "true") == use.is_shared:
            audiences = [
                each
                for each in await use.audiences()
                if tags <= frozenset(each.tags) and (kind is None or each.type == kind)
            ]
            found += await show_all(use, audiences, max(estimated_by_s - clock.monotonic(), 0.0))
    return paged(request, [each for each in found if status is None or each["status"] == status])


@audited("create", "audience")
@takes("Audience")
async def create(request: web.Request) -> web.Response:
    """POST .../audiences: add a draft."""
    caller = enter(request, MAY_CHANGE_AUDIENCES)
    fields = bodies.read_audience(await json_body(request, caller), is_new=True)
    desk = caller.edge.deployment.audiences.desk
    made = await desk.create_audience(fields, caller.credential.client_id)
    return json_answer(await show(own_use(caller), made), 201)


async def one(request: web.Request) -> web.Response:
    """GET .../audiences/{id}: one audience."""
    use = await enter_use(request, MAY_READ_AUDIENCES)
    found = await use.desk.audience(number_in_path(request, "audience"))
    if found is None or use.owner.config.current.workspace not in found.workspaces:
        raise no_audience()
    return json_answer(await show(use, found))


async def _as_written(request: web.Request) -> web.Response:
    """Show an audience to the audit log, without counting its members."""
    use = await enter_owned(request, MAY_READ_AUDIENCES)
    found = await _audience(request, use)
    journeys = {each.number: each for each in await use.desk.journeys()}
    return json_answer(shown_audience(found, None, False, journeys, use.caller.edge.clock.now_ms()))


@audited("update", "audience", "audience", _as_written)
@takes("Audience")
async def replace(request: web.Request) -> web.Response:
    """PUT .../audiences/{id}: change the fields that are given."""
    use = await enter_owned(request, MAY_CHANGE_AUDIENCES)
    number = number_in_path(request, "audience")
    fields = bodies.read_audience(await json_body(request, use.caller), is_new=False)
    revision = _if_match(request)
    made = await use.desk.replace_audience(number, fields, use.actor, revision)
    if made is None:
        raise no_audience()
    return json_answer(await show(use, made))


@audited("delete", "audience", "audience", _as_written)
async def delete(request: web.Request) -> web.Response:
    """DELETE .../audiences/{id}: delete it with its memberships and connections."""
    use = await enter_owned(request, MAY_CHANGE_AUDIENCES)
    if not await use.desk.delete_audience(number_in_path(request, "audience")):
        raise no_audience()
    return web.Response(status=204)


@without_body
@audited("activate", "audience", "audience", _as_written)
async def activate(request: web.Request) -> web.Response:
    """POST .../audiences/{id}/activation: have it evaluated from now on."""
    use = await enter_owned(request, MAY_CHANGE_AUDIENCES)
    number = number_in_path(request, "audience")
    if not await use.desk.activate_audience(number, use.actor):
        raise no_audience()
    return web.Response(status=204)


@audited("deactivate", "audience", "audience", _as_written)
async def deactivate(request: web.Request) -> web.Response:
    """DELETE .../audiences/{id}/activation?clear_downstream=: take its memberships away."""
    use = await enter_owned(request, MAY_CHANGE_AUDIENCES)
    clear = request.query.get("clear_downstream", "false")
    if clear not in ("true", "false"):
        raise invalid("clear_downstream", "must be true or false")
    number = number_in_path(request, "audience")
    if not await use.desk.deactivate_audience(number, clear == "true", use.actor):
        raise no_audience()
    return web.Response(status=204)


@without_body
@audited("create", "audience")
async def clone(request: web.Request) -> web.Response:
    """POST .../audiences/{id}/clone: copy definition, inputs and tags into a draft."""
    use = await enter_owned(request, MAY_CHANGE_AUDIENCES)
    number = number_in_path(request, "audience")
    made = await use.desk.clone_audience(number, use.actor)
    if made is None:
        raise no_audience()
    return json_answer(await show(use, made), 201)


@audited("update", "audience")
@takes("AudienceNumbers")
async def calculate(request: web.Request) -> web.Response:
    """POST .../audiences/calculate: calculate standard audiences, those of a workspace together.

    None is begun with if one of them cannot be.
    """
    caller = enter(request, MAY_CHANGE_AUDIENCES)
    numbers = bodies.read_numbers(await json_body(request, caller), "audience_ids")
    uses = await uses_by_audience(request, caller, numbers)
    if any(use.is_shared for use, _ in uses):
        raise another_accounts()
    runs = [(use, frozenset(numbers) - frozenset(there)) for use, there in uses]
    if len(runs) > 1:
        for use, elsewhere in runs:
            await use.desk.check_calculation(numbers, use.actor, elsewhere)
    costs = [
        await use.desk.calculate_audiences(numbers, use.actor, elsewhere) for use, elsewhere in runs
    ]
    return json_answer({"credits": sum(costs)}, 202)


@audited("update", "audience", "audience", _as_written)
@takes("SubscriptionNumbers")
async def send(request: web.Request) -> web.Response:
    """POST .../audiences/{id}/send: send all members of a standard audience once."""
    use = await enter_use(request, MAY_CHANGE_AUDIENCES)
    numbers = bodies.read_numbers(await json_body(request, use.caller), "subscription_ids")
    number = number_in_path(request, "audience")
    if not await use.desk.send_audience(number, numbers, use.receiver):
        raise no_audience()
    return web.Response(status=202)


@audited("create", "audience_test", "audience")
@takes("TestVariations")
async def create_test(request: web.Request) -> web.Response:
    """POST .../audiences/{id}/abtest: divide its users."""
    use = await enter_owned(request, MAY_CHANGE_AUDIENCES)
    variations = bodies.read_test(await json_body(request, use.caller))
    number = number_in_path(request, "audience")
    made = await use.desk.create_test(number, variations, use.actor)
    if made is None or made.test is None:
        raise no_audience()
    return json_answer(shown_test(made.test), 201)


async def test(request: web.Request) -> web.Response:
    """GET .../audiences/{id}/abtest: its test, Control included."""
    use = await enter_owned(request, MAY_READ_AUDIENCES)
    found = (await _audience(request, use)).test
    if found is None:
        raise _no_test()
    return json_answer(shown_test(found))


@audited("delete", "audience_test", "audience", test)
async def delete_test(request: web.Request) -> web.Response:
    """DELETE .../audiences/{id}/abtest: delete its test and the connections of variations."""
    use = await enter_owned(request, MAY_CHANGE_AUDIENCES)
    if not await use.desk.delete_test(number_in_path(request, "audience")):
        raise _no_test()
    return web.Response(status=204)


async def costs(request: web.Request) -> web.Response:
    """GET .../audiences/costs: what audiences take of each shard's memory."""
    caller = enter(request, MAY_READ_AUDIENCES)
    found = await caller.edge.deployment.audiences.costs()
    return json_answer({"shards": [to_builtins(each) for each in found]})


AUDIENCES = "/platform/v2/workspaces/{workspace}/audiences"
AUDIENCE = AUDIENCES + "/{audience}"
ROUTES = management_routes(
    v2_errors,
    ("GET", AUDIENCES, listed),
    ("POST", AUDIENCES, create),
    ("POST", AUDIENCES + "/calculate", calculate),
    ("GET", AUDIENCES + "/costs", costs),
    ("GET", AUDIENCE, one),
    ("PUT", AUDIENCE, replace),
    ("DELETE", AUDIENCE, delete),
    ("POST", AUDIENCE + "/activation", activate),
    ("DELETE", AUDIENCE + "/activation", deactivate),
    ("POST", AUDIENCE + "/clone", clone),
    ("POST", AUDIENCE + "/send", send),
    ("POST", AUDIENCE + "/abtest", create_test),
    ("GET", AUDIENCE + "/abtest", test),
    ("DELETE", AUDIENCE + "/abtest", delete_test),
)


async def _audience(request: web.Request, use: Use) -> Audience:
    """Return the audience that the path names."""
    found = await use.desk.audience(number_in_path(request, "audience"))
    if found is None or not visible(use.caller, found):
        raise no_audience()
    return found


def _if_match(request: web.Request) -> int | None:
    """Read the revision that a caller expects."""
    text = request.headers.get("If-Match")
    if text is None or text.strip() == "*":
        return None
    digits = text.strip().removeprefix("W/").strip('"')
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 18):
        raise Refused("BAD_REQUEST", "The header If-Match must be a revision.")
    return int(digits)


def _no_test() -> Refused:
    return Refused("NOT_FOUND", "The audience has no A/B test.")
