"""What the Data Planning API is sent, as parts of a workspace document (spec/data-plans.md, 5).

Read-only and unknown members are ignored, as clients send back what they were shown.
"""

import asyncio
import re
from collections.abc import Mapping
from typing import Any, get_args

from aiohttp import web

from actors.plans.document import DocumentRefused, compile_document
from config.data_plans import MAX_NAME, ActivatedEnvironment
from server.bodies import json_object, read_body
from server.management import Caller, body_limit
from server.plan_problems import INVALID_JSON, PlanRefused, document_refused
from server.problems import Refused

_NOT_OF_SLUG = re.compile(r"[^0-9a-zA-Z]+")
MAX_VERSION = 2**31 - 1
EMPTY: dict[str, Any] = {"data_points": []}

Body = dict[str, Any]


async def planning_body(request: web.Request, caller: Caller) -> Body:
    """Read a JSON object.

    Raises:
        PlanRefused: it is none, or a document in it is wrong, with all that is (400).
        Refused: it is too large, or something else (413, 415).
    """
    if request.content_type != "application/json":
        raise Refused("UNSUPPORTED_MEDIA_TYPE", "The body must be application/json.")
    text = await read_body(request, body_limit(request, caller))
    try:
        body = json_object(text)
    except Refused:
        raise PlanRefused(400, INVALID_JSON) from None
    versions = body.get("data_plan_versions")
    for each in (body, *(versions if isinstance(versions, list) else ())):
        document = each.get("version_document") if isinstance(each, dict) else None
        if document is not None:
            # Apart, as a large one takes long: others are served meanwhile.
            await asyncio.to_thread(_check_document, document)
    return body


def slug_of(name: str) -> str:
    """Return the id that a name gives."""
    return _NOT_OF_SLUG.sub("_", name.lower())


def read_plan(body: Body, outputs: Mapping[int, str]) -> Body:
    """Read a plan that is to be made.

    Args:
        body: as it was sent.
        outputs: ids of the workspace's outputs, by number.
    """
    item = read_plan_changes(body)
    if "name" not in item:
        raise PlanRefused(400, "data_plan_name: A required value was missing.")
    item["id"] = slug_of(item["name"])
    sent = body.get("data_plan_id")
    if sent is not None:
        if not isinstance(sent, str) or not sent or slug_of(sent) != sent:
            raise PlanRefused(400, "data_plan_id: must be a slug: a-z, 0-9, and single _.")
        item["id"] = sent
    versions = body.get("data_plan_versions")
    if versions is None or versions == []:
        versions = [{}]
    if not isinstance(versions, list) or not all(isinstance(each, dict) for each in versions):
        raise PlanRefused(400, "data_plan_versions: must be a list of objects.")
    item["versions"] = []
    for each in versions:
        taken = [known["version"] for known in item["versions"]]
        version = read_new_version(each, max(taken, default=0) + 1, outputs)
        if version["version"] in taken:
            raise version_exists(version["version"], item["id"])
        item["versions"].append(version)
    return item


def read_plan_changes(body: Body) -> Body:
    """Read what changes of a plan itself."""
    item: Body = {}
    name = body.get("data_plan_name")
    if name is not None:
        if not isinstance(name, str) or not name.strip() or len(name) > MAX_NAME:
            message = f"data_plan_name: must be a text of 1 to {MAX_NAME} characters, not blank."
            raise PlanRefused(400, message)
        item["name"] = name.strip()
    if "data_plan_description" in body:
        item["description"] = _text(body, "data_plan_description")
    return item


def read_new_version(body: Body, number: int, outputs: Mapping[int, str]) -> Body:
    """Read a version that is to be made; `number`: that it gets if it has none."""
    version = _number(body) or number
    return {"version": version, "document": EMPTY} | read_version_changes(body, outputs)


def read_version_changes(body: Body, outputs: Mapping[int, str]) -> Body:
    """Read what changes of a version; its document is right (`planning_body`)."""
    item: Body = {}
    if "version_description" in body:
        item["description"] = _text(body, "version_description")
    environment = body.get("activated_environment")
    if environment is not None:
        words = get_args(ActivatedEnvironment)
        if environment not in words:
            message = f"activated_environment: must be one of {', '.join(words)}."
            raise PlanRefused(400, message)
        item["activated_environment"] = environment
    document = body.get("version_document")
    if document is not None:
        item["document"] = document
    if "quarantine_feed_id" in body:
        item["quarantine_output"] = _output(body["quarantine_feed_id"], outputs)
    return item


def check_same_number(body: Body, number: int) -> None:
    """Refuse a body that is of another version than the path. Raises PlanRefused."""
    if _number(body) not in (None, number):
        raise PlanRefused(400, f"version: is not {number}.")


def version_exists(number: int, plan_id: str) -> PlanRefused:
    """Return the error of a number that is taken."""
    return PlanRefused(400, f"Version {number} already exists in plan ID {plan_id}.")


def _check_document(document: Any) -> None:
    try:
        compile_document(document)
    except DocumentRefused as refused:
        raise document_refused(refused.problems) from None


def _number(body: Body) -> int | None:
    version = body.get("version")
    if version is None:
        return None
    if type(version) is not int or not 1 <= version <= MAX_VERSION:
        raise PlanRefused(400, f"version: must be a whole number from 1 to {MAX_VERSION}.")
    return version


def _text(body: Body, name: str) -> str | None:
    value = body[name]
    if value is not None and not isinstance(value, str):
        raise PlanRefused(400, f"{name}: must be a text.")
    return value


def _output(number: Any, outputs: Mapping[int, str]) -> str | None:
    if number is None:
        return None
    if type(number) is not int or number not in outputs:
        raise PlanRefused(400, "quarantine_feed_id: no output has this id.")
    return outputs[number]
