"""Objects of one section of the configuration: listed, shown, made and changed alike."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from aiohttp import web

from config.merging import Data
from config.roles import Task
from config.sheets import Sheet
from server.config_edits import (
    CREATED,
    Check,
    Member,
    Place,
    body_of,
    check_match,
    check_unmanaged,
    edit,
    find,
    find_slug,
    free_id,
    places,
    settable,
)
from server.config_problems import refused
from server.management import Caller, enter
from server.paging import paged
from server.problems import json_answer
from server.read_back import differing


class Kind(NamedTuple):
    """What the objects of a section have in common.

    Attributes:
        section: of the document.
        resource: what the audit log and the path call one of them.
        changed_with: the task that making and changing one needs.
        withheld: fields of the document that cannot be set by a body.
        shown: returns an object as the API shows it.
    """

    section: str
    resource: str
    changed_with: Task
    withheld: tuple[str, ...]
    shown: Callable[[Place], dict[str, Any]]


# What an output or a connection keeps back is not for who makes it to decide. With what holds where
# nothing is said.
FILTERING: Mapping[str, Any] = {"filters": {}, "send_new_data_points_by_default": True}


def check_filtering(caller: Caller, given: Member, held: Member) -> None:
    """Refuse to change filters without the task for that (spec/privacy.md, 10.2).

    Args:
        caller: who asks.
        given: what a body sets of an output or a connection.
        held: what it has now; nothing of one that is made.

    Raises:
        Refused: a filter is to become another one (403).
    """
    if differing(given, {**FILTERING, **held}, FILTERING):
        caller.require("data_filter:*")


async def list_all(request: web.Request, kind: Kind) -> web.Response:
    """Answer with the objects, page by page."""
    caller = enter(request, "connections:view")
    sheet = await caller.edge.deployment.configuration.sheet()
    return paged(request, [kind.shown(each) for each in places(sheet, kind.section)])


async def show(request: web.Request, kind: Kind) -> web.Response:
    """Answer with the object that the path names."""
    caller = enter(request, "connections:view")
    sheet = await caller.edge.deployment.configuration.sheet()
    return _answer(find(sheet, kind.section, request.match_info[kind.resource]), kind)


async def add(
    request: web.Request, kind: Kind, defaults: Member, own: Member, check: Check | None = None
) -> Place:
    """Make an object of a body; return it.

    Args:
        request: has the body.
        kind: of what.
        defaults: what holds where the body says nothing.
        own: what a body cannot say.
        check: see `edit`.
    """
    caller = enter(request, kind.changed_with)
    body = await body_of(request, caller)
    for name in kind.withheld:
        if name in body:
            raise refused("UNKNOWN_FIELD", "cannot be set here", name)
    made: Member = {}
    check_filtering(caller, body, {})

    def change(sheet: Sheet, data: Data) -> str:
        objects = data.setdefault(kind.section, [])
        free = free_id(data, kind.section, body.get("name", kind.resource))
        made.update({"id": free, **defaults, **body, **own})
        objects.append({**made})
        return f"{kind.section}[{len(objects) - 1}]"

    sheet = await edit(caller, "create", kind.resource, change, check=check)
    return find_slug(sheet, kind.section, made["id"])


async def replace(request: web.Request, kind: Kind, check: Check | None = None) -> web.Response:
    """Change what a body gives of the object that the path names; answer with it.

    The body may have all that is shown of it. `check`: see `edit`.
    """
    caller = enter(request, kind.changed_with)
    body = await body_of(request, caller)

    def change(sheet: Sheet, data: Data) -> str:
        place = editable(request, sheet, kind)
        given = settable(body, kind.shown(place), (*CREATED, *kind.withheld))
        check_filtering(caller, given, place.item)
        data[kind.section][place.position].update(given)
        return place.path

    sheet = await edit(caller, "update", kind.resource, change, check=check)
    return _answer(find(sheet, kind.section, request.match_info[kind.resource]), kind)


def editable(request: web.Request, sheet: Sheet, kind: Kind) -> Place:
    """Return the object that the path names, if it may be changed."""
    place = find(sheet, kind.section, request.match_info[kind.resource])
    check_unmanaged(sheet, place)
    check_match(request, place.etag)
    return place


def connections_at(sheet: Sheet, end: str, slug: str) -> list[Place]:
    """Return the connections whose `input` or `output` an object is."""
    return [each for each in places(sheet, "connections") if each.item.get(end) == slug]


def remove_connections(sheet: Sheet, data: Data, gone: Sequence[Place]) -> None:
    """Delete connections together with what they join.

    Raises:
        ConfigurationRefused: a configuration file owns one (409).
    """
    for each in gone:
        check_unmanaged(sheet, each)
    positions = {each.position for each in gone}
    kept = enumerate(data.get("connections", []))
    data["connections"] = [each for position, each in kept if position not in positions]


def _answer(place: Place, kind: Kind) -> web.Response:
    return json_answer(kind.shown(place), headers={"ETag": place.etag})
