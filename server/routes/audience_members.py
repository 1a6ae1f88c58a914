"""Who is in an audience, would be, and why (spec/audiences.md, 7, 11 and 14)."""

from datetime import UTC, datetime
from functools import partial

from aiohttp import web

from actors.audiences.estimate import failed
from actors.audiences.objects import Download
from actors.audiences.queries import Asked
from actors.audiences.variations import variation
from actors.errors import AudienceRefused, CursorInvalid, Problem
from server import audience_bodies as bodies
from server.audience_problems import v2_errors
from server.audience_requests import (
    MAY_CHANGE_AUDIENCES,
    MAY_READ_AUDIENCES,
    Use,
    enter_owned,
    json_body,
    no_audience,
    number_in_path,
)
from server.audience_views import (
    shown_estimate,
    shown_evaluation,
    shown_explanation,
    shown_warnings,
)
from server.auditing import audited
from server.file_answers import send_zip
from server.management import Caller, enter
from server.openapi.takes import takes
from server.paging import MAX_PAGE, next_link
from server.parameters import is_int64, page_size
from server.paths import management_routes
from server.problems import Refused, json_answer
from server.routes.audiences import AUDIENCE, AUDIENCES

SHOWN_DIFFERENCES = 100
# Of 10,000 users to be added and as many to be removed, each a MPID of 20 characters, indented.
MAX_CHANGE_BYTES = 1024 * 1024


async def members(request: web.Request) -> web.Response:
    """GET .../audiences/{id}/members?cursor=&limit=: MPIDs, ascending."""
    use = await enter_owned(request, MAY_READ_AUDIENCES)
    number = number_in_path(request, "audience")
    limit = page_size(request, MAX_PAGE, MAX_PAGE)
    cursor = request.query.get("cursor")
    if cursor is not None and not is_int64(cursor):
        raise CursorInvalid(cursor)
    if await use.desk.audience(number) is None:
        raise no_audience()
    after = None if cursor is None else int(cursor)
    found = await use.gateway.members(number, after, limit + 1)
    mpids = [each.mpid for each in found[:limit]]
    next_cursor = str(mpids[-1]) if len(found) > limit else None
    page = {"mpids": mpids, "next_cursor": next_cursor}
    return json_answer(page, headers=next_link(request, next_cursor))


async def member(request: web.Request) -> web.Response:
    """GET .../audiences/{id}/members/{mpid}: since when a user is a member; 404 if not."""
    use = await enter_owned(request, MAY_READ_AUDIENCES)
    number, mpid = (number_in_path(request, name) for name in ("audience", "mpid"))
    found = await use.gateway.member(number, mpid)
    if found is None:
        raise Refused("NOT_FOUND", "The user is not a member of this audience.")
    return json_answer({"mpid": mpid, "since_ms": found.since_ms})


async def explain(request: web.Request) -> web.Response:
    """GET .../audiences/{id}/members/{mpid}/explanation: why a user is a member or not."""
    use = await enter_owned(request, MAY_READ_AUDIENCES)
    number, mpid = (number_in_path(request, name) for name in ("audience", "mpid"))
    asked, audience = await use.desk.ask_of(number), await use.desk.audience(number)
    if asked is None or audience is None:
        raise no_audience()
    found = await use.gateway.explain(asked, number, mpid)
    if found is None:
        raise Refused("NOT_FOUND", "There is no such user in this workspace.")
    variant = None if audience.test is None else variation(number, audience.test, mpid)
    return json_answer(shown_explanation(asked, mpid, found, variant))


@audited("update", "audience_list", "audience")
@takes("MemberChange", max_bytes=MAX_CHANGE_BYTES)
async def change_list(request: web.Request) -> web.Response:
    """PUT .../audiences/{id}/members: add to and remove from the list of a static audience."""
    use = await enter_owned(request, MAY_CHANGE_AUDIENCES)
    add, remove = bodies.read_list_change(await json_body(request, use.caller))
    if not await use.desk.change_members(number_in_path(request, "audience"), add, remove):
        raise no_audience()
    return web.Response(status=202)


@takes("Question")
async def estimate(request: web.Request) -> web.Response:
    """POST .../audiences/estimate: how many users a definition has, from a sample.

    What it refers to may be gone by now: then the estimate's state is `error`.
    """
    caller = enter(request, MAY_READ_AUDIENCES)
    question = bodies.read_question(await json_body(request, caller))
    gateway = caller.edge.deployment.audiences
    try:
        asked = await _ask(caller, question)
    except AudienceRefused as error:
        if error.code != "REFERENCE_NOT_FOUND":
            raise
        shown = shown_estimate(failed(" ".join(each.message for each in error.problems)))
        return json_answer(shown | {"per_criterion": {}, "warnings": []})
    whole, parts = await gateway.estimate(asked)
    per_criterion = {
        name: shown_estimate(part) for name, part in zip(asked.criteria, parts, strict=True)
    }
    return json_answer(
        shown_estimate(whole)
        | {"per_criterion": per_criterion, "warnings": shown_warnings(asked.warnings)}
    )


@takes("Question")
async def evaluate(request: web.Request) -> web.Response:
    """POST .../audiences/evaluate: what a definition gives for some users."""
    caller = enter(request, MAY_READ_AUDIENCES)
    question = bodies.read_question(await json_body(request, caller), is_evaluation=True)
    as_of_ms = None if question.as_of is None else _instant_ms(question.as_of)
    asked = await _ask(caller, question)
    found = await caller.edge.deployment.audiences.evaluate(asked, question.mpids, as_of_ms)
    return json_answer([shown_evaluation(asked, each) for each in found])


@takes("Definition")
async def dry_run(request: web.Request) -> web.Response:
    """POST .../audiences/{id}/dry-run: who would enter and leave with another definition."""
    use = await enter_owned(request, MAY_READ_AUDIENCES)
    definition = bodies.read_definition(await json_body(request, use.caller))
    number = number_in_path(request, "audience")
    asked = await use.desk.ask_of(number, definition)
    if asked is None:
        raise no_audience()
    found = await use.gateway.compare(asked, number, SHOWN_DIFFERENCES)
    return json_answer(
        {
            "entering": found.entering,
            "leaving": found.leaving,
            "staying": found.staying,
            "entering_mpids": found.entering_mpids,
            "leaving_mpids": found.leaving_mpids,
            "warnings": shown_warnings(asked.warnings),
        }
    )


@audited("export", "audience", "audience")
@takes("DownloadOrder")
async def order_download(request: web.Request) -> web.Response:
    """POST .../audiences/{id}/download: have a file of the members made."""
    use = await enter_owned(request, MAY_CHANGE_AUDIENCES)
    types, variations = bodies.read_download(await json_body(request, use.caller))
    ordered = await use.desk.create_download(number_in_path(request, "audience"), types, variations)
    if ordered is None:
        raise no_audience()
    url = f"{request.rel_url.path.rstrip('/')}/{ordered.id}"
    return json_answer({"id": ordered.id, "status_url": url}, 202)


async def download(request: web.Request) -> web.Response:
    """GET .../audiences/{id}/download/{download}: how far the file is."""
    use = await enter_owned(request, MAY_READ_AUDIENCES)
    found = await _download(request, use)
    url = f"{request.rel_url.path.rstrip('/')}/file" if found.status == "ready" else None
    return json_answer({"status": found.status, "url": url})


async def download_file(request: web.Request) -> web.StreamResponse:
    """GET .../audiences/{id}/download/{download}/file: the file."""
    use = await enter_owned(request, MAY_CHANGE_AUDIENCES)
    found = await _download(request, use)
    first = await use.desk.read_download(found.id, 0)
    if not first:
        raise Refused("NOT_FOUND", "There is no such file, or not any more.")
    read = partial(use.desk.read_download, found.id)
    return await send_zip(request, str(found.file), first, read, found.size_bytes)


_MEMBERS = AUDIENCE + "/members"
_DOWNLOAD = AUDIENCE + "/download"
ROUTES = management_routes(
    v2_errors,
    ("POST", AUDIENCES + "/estimate", estimate),
    ("POST", AUDIENCES + "/evaluate", evaluate),
    ("GET", _MEMBERS, members),
    ("PUT", _MEMBERS, change_list),
    ("GET", _MEMBERS + "/{mpid}", member),
    ("GET", _MEMBERS + "/{mpid}/explanation", explain),
    ("POST", AUDIENCE + "/dry-run", dry_run),
    ("POST", _DOWNLOAD, order_download),
    ("GET", _DOWNLOAD + "/{download}", download),
    ("GET", _DOWNLOAD + "/{download}/file", download_file),
)


async def _ask(caller: Caller, question: bodies.Question) -> Asked:
    desk = caller.edge.deployment.audiences.desk
    return await desk.ask(
        question.definition, question.workspaces, question.inputs, question.environment
    )


async def _download(request: web.Request, use: Use) -> Download:
    number = number_in_path(request, "audience")
    found = await use.desk.download(number, request.match_info["download"])
    if found is None:
        raise Refused("NOT_FOUND", "There is no such download.")
    return found


def _instant_ms(text: str) -> int:
    """Read an instant of ISO 8601, UTC where it names no zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        problem = Problem("as_of must be a time of ISO 8601.", "/as_of")
        raise AudienceRefused("VALIDATION_ERROR", [problem]) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)
