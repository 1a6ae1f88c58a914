"""The Data Planning API (spec/data-plans.md, 5)."""

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import web

from actors.errors import BatchRejected
from actors.plans.document import MAX_BYTES, DocumentRefused, compile_document
from actors.plans.trial import try_batch
from actors.store.revisions import Stamp
from config.data_plans import DataPlan, DataPlanVersion
from config.merging import Data
from config.sheets import Sheet
from server.config_edits import check_unmanaged, edit, is_forced, places, wanted_versions
from server.management import Caller, enter_planning
from server.openapi.takes import takes
from server.paging import paged
from server.paths import management_routes
from server.plan_bodies import (
    Body,
    check_same_number,
    planning_body,
    read_new_version,
    read_plan,
    read_plan_changes,
    read_version_changes,
    version_exists,
)
from server.plan_problems import PlanRefused, plan_errors
from server.plan_views import etag, shown_plan, shown_version, stamp_of
from server.problems import json_answer

_LAST = "Unable to delete plan version - plans must contain at least one plan version."
_IN_PROD = "Unable to delete plan version - this version is active in prod and cannot be deleted."
_QUARANTINED = (
    "Unable to delete plan version. Plan versions with an associated quarantine feed can only be "
    "deleted through the UI."
)
_PLAN_IN_PROD = "Unable to delete plan - a version of it is active in prod."
_CHANGED = "The resource has changed."


async def listed(request: web.Request) -> web.Response:
    """GET .../plans?limit=&cursor=: all plans with their versions, without documents."""
    sheet = await _sheet(enter_planning(request, "data_plans:view"))
    plans = sheet.document.data_plans
    shown = [shown_plan(each, sheet, has_documents=False) for each in plans]
    return paged(request, shown, "data_plan_id")


@takes("DataPlan", max_bytes=MAX_BYTES)
async def create(request: web.Request) -> web.Response:
    """POST .../plans: make a plan; its id is a slug of its name."""
    caller = enter_planning(request, "data_plans:*")
    body = await planning_body(request, caller)

    def change(sheet: Sheet, data: Data) -> str:
        item = read_plan(body, _outputs(sheet))
        if any(each.id == item["id"] for each in sheet.document.data_plans):
            raise PlanRefused(400, f"Data plan ID {item['id']} already exists.")
        plans = data.setdefault("data_plans", [])
        plans.append(item)
        body["data_plan_id"] = item["id"]
        return f"data_plans[{len(plans) - 1}]"

    sheet = await edit(caller, "create", "data_plan", change)
    return _whole(body["data_plan_id"], sheet)


async def one(request: web.Request) -> web.Response:
    """GET .../plans/{plan}: a plan with all its versions and their documents."""
    caller = enter_planning(request, "data_plans:view")
    return _whole(request.match_info["plan"], await _sheet(caller))


@takes("DataPlan", max_bytes=MAX_BYTES)
async def change_plan(request: web.Request) -> web.Response:
    """PATCH .../plans/{plan}?force=: its name and description."""
    caller = enter_planning(request, "data_plans:*")
    name, body = request.match_info["plan"], await planning_body(request, caller)
    if body.get("data_plan_id", name) != name:
        raise PlanRefused(400, f"data_plan_id: is not {name}.")

    def change(sheet: Sheet, plan: DataPlan, item: Body) -> None:
        _check_match(request, stamp_of(plan, None, sheet))
        item |= read_plan_changes(body)

    return _whole(name, await _edit(request, caller, "update", change))


async def delete_plan(request: web.Request) -> web.Response:
    """DELETE .../plans/{plan}?force=: with all its versions, unless one is active in production."""
    caller = enter_planning(request, "data_plans:*")

    def change(sheet: Sheet, data: Data) -> str:
        plan = _plan(request.match_info["plan"], sheet)
        _check_match(request, stamp_of(plan, None, sheet))
        place = next(each for each in places(sheet, "data_plans") if each.item["id"] == plan.id)
        check_unmanaged(sheet, place)
        if any(each.activated_environment == "production" for each in plan.versions):
            raise PlanRefused(400, _PLAN_IN_PROD)
        del data["data_plans"][place.position]
        return place.path

    await edit(caller, "delete", "data_plan", change, allow_dangerous=is_forced(request))
    return web.Response(status=204)


@takes("DataPlanVersion", max_bytes=MAX_BYTES)
async def create_version(request: web.Request) -> web.Response:
    """POST .../plans/{plan}/versions?from=&force=: add a version; without a number, the next one.

    `from` is refused: nothing is copied of another version.
    """
    caller = enter_planning(request, "data_plans:*")
    if "from" in request.query:
        raise PlanRefused(400, "from: a version can be made of its body alone.")
    body = await planning_body(request, caller)
    number = 0

    def change(sheet: Sheet, plan: DataPlan, item: Body) -> None:
        nonlocal number
        taken = {each.version for each in plan.versions}
        made = read_new_version(body, max(*taken, plan.last_version or 0) + 1, _outputs(sheet))
        if made["version"] in taken:
            raise version_exists(made["version"], plan.id)
        item["versions"].append(made)
        number = made["version"]

    sheet = await _edit(request, caller, "create", change, "data_plan_version")
    return _one_version(request.match_info["plan"], number, sheet)


async def version(request: web.Request) -> web.Response:
    """GET .../plans/{plan}/versions/{version}: one version with its document."""
    sheet = await _sheet(enter_planning(request, "data_plans:view"))
    plan, found = _version(request, sheet)
    return _one_version(plan.id, found.version, sheet)


@takes("DataPlanVersion", max_bytes=MAX_BYTES)
async def change_version(request: web.Request) -> web.Response:
    """PATCH .../plans/{plan}/versions/{version}?force=: document, environment, quarantine."""
    caller = enter_planning(request, "data_plans:*")
    body = await planning_body(request, caller)

    def change(sheet: Sheet, plan: DataPlan, item: Body) -> None:
        _, found = _version(request, sheet)
        _check_match(request, stamp_of(plan, found, sheet))
        check_same_number(body, found.version)
        item["versions"][plan.versions.index(found)] |= read_version_changes(body, _outputs(sheet))

    sheet = await _edit(request, caller, "update", change, "data_plan_version")
    plan, found = _version(request, sheet)
    return _one_version(plan.id, found.version, sheet)


async def delete_version(request: web.Request) -> web.Response:
    """DELETE .../versions/{version}?force=: not the last one, nor one in production."""
    caller = enter_planning(request, "data_plans:*")

    def change(sheet: Sheet, plan: DataPlan, item: Body) -> None:
        _, found = _version(request, sheet)
        _check_match(request, stamp_of(plan, found, sheet))
        if len(plan.versions) == 1:
            raise PlanRefused(400, _LAST)
        if found.activated_environment == "production":
            raise PlanRefused(400, _IN_PROD)
        if found.quarantine_output is not None:
            raise PlanRefused(400, _QUARANTINED)
        item["last_version"] = max(
            *(each.version for each in plan.versions), plan.last_version or 0
        )
        del item["versions"][plan.versions.index(found)]

    await _edit(request, caller, "delete", change, "data_plan_version")
    return web.Response(status=204)


@takes("PlanTrial", max_bytes=MAX_BYTES)
async def validate(request: web.Request) -> web.Response:
    """POST .../plans/validate: what a document finds in a batch; nothing is kept."""
    caller = enter_planning(request, "data_plans:view")
    body = await planning_body(request, caller)
    document, batch = body.get("document"), body.get("batch")
    if document is None or batch is None:
        raise PlanRefused(400, "A required value was missing.")
    if isinstance(document, dict) and "version_document" in document:
        document = document["version_document"]
    return json_answer(await asyncio.to_thread(_tried, document, batch))


_PLANS = "/platform/v2/workspaces/{workspace}/plans"
_PLAN = _PLANS + "/{plan}"
_VERSIONS = _PLAN + "/versions"
_VERSION = _VERSIONS + "/{version}"

ROUTES = management_routes(
    plan_errors,
    ("GET", _PLANS, listed),
    ("POST", _PLANS, create),
    ("POST", _PLANS + "/validate", validate),
    ("GET", _PLAN, one),
    ("PATCH", _PLAN, change_plan),
    ("DELETE", _PLAN, delete_plan),
    ("POST", _VERSIONS, create_version),
    ("GET", _VERSION, version),
    ("PATCH", _VERSION, change_version),
    ("DELETE", _VERSION, delete_version),
)


def _tried(document: Any, batch: Any) -> dict[str, Any]:
    try:
        plan = compile_document(document)
    except DocumentRefused:
        raise PlanRefused(400, "Invalid data plan document.") from None
    try:
        return try_batch(plan, batch)
    except BatchRejected:
        raise PlanRefused(400, "Invalid Event Batch.") from None


async def _sheet(caller: Caller) -> Sheet:
    return await caller.edge.deployment.configuration.sheet()


async def _edit(
    request: web.Request,
    caller: Caller,
    action: str,
    change: Callable[[Sheet, DataPlan, Body], None],
    resource: str = "data_plan",
) -> Sheet:
    """Change the plan that the path names; `change` is given it, and its part of the document."""

    def within(sheet: Sheet, data: Data) -> str:
        plan = _plan(request.match_info["plan"], sheet)
        place = next(each for each in places(sheet, "data_plans") if each.item["id"] == plan.id)
        check_unmanaged(sheet, place)
        change(sheet, plan, data["data_plans"][place.position])
        return place.path

    return await edit(caller, action, resource, within, allow_dangerous=is_forced(request))


def _outputs(sheet: Sheet) -> dict[int, str]:
    numbers = sheet.served.numbers.outputs
    return {numbers[each.id]: each.id for each in sheet.document.outputs}


def _plan(name: str, sheet: Sheet) -> DataPlan:
    for each in sheet.document.data_plans:
        if each.id == name:
            return each
    workspace = sheet.served.info.number
    message = f"The specified plan ID {name} in workspace {workspace} was not found."
    raise PlanRefused(404, message)


def _version(request: web.Request, sheet: Sheet) -> tuple[DataPlan, DataPlanVersion]:
    plan, wanted = _plan(request.match_info["plan"], sheet), request.match_info["version"]
    for each in plan.versions:
        if str(each.version) == wanted:
            return plan, each
    workspace = sheet.served.info.number
    raise PlanRefused(
        404,
        f"The specified version {wanted} in plan ID {plan.id} was not found in workspace "
        f"{workspace}.",
    )


def _check_match(request: web.Request, stamp: Stamp | None) -> None:
    """Refuse an edit of something that has changed since it was read (`If-Match`)."""
    wanted = wanted_versions(request)
    if wanted is not None and (0 if stamp is None else stamp.revision) not in wanted:
        raise PlanRefused(409, _CHANGED)


def _whole(name: str, sheet: Sheet) -> web.Response:
    plan = _plan(name, sheet)
    headers = {"ETag": etag(stamp_of(plan, None, sheet))}
    return json_answer(shown_plan(plan, sheet, has_documents=True), headers=headers)


def _one_version(name: str, number: Any, sheet: Sheet) -> web.Response:
    plan = _plan(name, sheet)
    found = next(each for each in plan.versions if each.version == number)
    headers = {"ETag": etag(stamp_of(plan, found, sheet))}
    return json_answer(shown_version(plan, found, sheet), headers=headers)
