"""Edits of one object of the configuration through the Platform API (spec/platform-api.md, 15).

Every edit makes the next revision of the whole document, by the way that files take.
"""

import re
from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, datetime
from typing import Any, NamedTuple

from aiohttp import web

from actors.errors import ConfigurationRefused
from actors.store.revisions import Stamp
from config import secret_values
from config.merging import Data
from config.secret_values import with_kept_secrets
from config.sheets import Sheet
from server.bodies import json_object, read_body
from server.config_problems import of_object, refused
from server.management import Caller, audit
from server.parameters import is_int64
from server.problems import Refused
from server.read_back import differing

MANAGED = "Managed by configuration file."
TRIES = 5

CREATED = (
    *("id", "slug", "created_on", "created_by"),
    *("last_modified_on", "last_modified_by", "etag"),
)

_NOT_OF_SLUG = re.compile(r"[^a-z0-9]+")
Member = dict[str, Any]
Check = Callable[[Sheet, Data], Awaitable[None]]


class Place(NamedTuple):
    """An object of the document: its place in its section, and what is written of it."""

    section: str
    position: int
    item: Member
    number: int
    stamp: Stamp | None

    @property
    def path(self) -> str:
        """Where messages place it."""
        return f"{self.section}[{self.position}]"

    @property
    def etag(self) -> str:
        """Changes with every change of the object."""
        return etag_of(self.stamp)


def etag_of(stamp: Stamp | None) -> str:
    """Return what changes with every change of an object that has a stamp."""
    return f'"{stamp.revision if stamp else 0}"'


def places(sheet: Sheet, section: str) -> list[Place]:
    """Return the objects of a section, as they are shown: secrets are masked."""
    data = hidden(sheet)
    numbers: dict[str, int] = getattr(sheet.served.numbers, section)
    return [
        Place(
            section,
            index,
            item,
            numbers[item["id"]],
            sheet.stamps.get(f"{section}/{item['id']}"),
        )
        for index, item in enumerate(data.get(section, []))
    ]


def hidden(sheet: Sheet) -> Data:
    """Return the document with its secrets masked."""
    return secret_values.hidden(sheet.document, sheet.data)


def find(sheet: Sheet, section: str, name: str) -> Place:
    """Return the object that a path names by number or id. Raises Refused (404).

    A number that is another object's id means the object of that number.
    """
    for each in places(sheet, section):
        if name == str(each.number):
            return each
    return find_slug(sheet, section, name)


def find_slug(sheet: Sheet, section: str, slug: str) -> Place:
    """Return the object of an id. Raises Refused (404)."""
    for each in places(sheet, section):
        if slug == each.item["id"]:
            return each
    raise Refused("NOT_FOUND", f"There is no such {section.removesuffix('s')}.")


def check_unmanaged(sheet: Sheet, place: Place) -> None:
    """Refuse to change what a configuration file owns, unless the workspace lets the API do it."""
    if sheet.document.workspace.config.allow_api_edits:
        return
    if place.item["id"] in sheet.served.owned.get(place.section, frozenset()):
        raise refused("MANAGED", MANAGED)


def check_match(request: web.Request, etag: str) -> None:
    """Refuse an edit of something that has changed since the editor has read it (`If-Match`)."""
    tags = _wanted_tags(request)
    if tags is not None and etag not in tags:
        raise refused("MISMATCH", "The object has changed since it was read.")


def wanted_versions(request: web.Request) -> frozenset[int] | None:
    """Return which versions of something may be changed, `None` if any (`If-Match`)."""
    tags = _wanted_tags(request)
    if tags is None:
        return None
    texts = [each.strip('"') for each in tags]
    return frozenset(int(each) for each in texts if is_int64(each))


def _wanted_tags(request: web.Request) -> list[str] | None:
    wanted = request.headers.get("If-Match")
    if wanted is None or wanted.strip() == "*":
        return None
    return [each.strip().removeprefix("W/") for each in wanted.split(",")]


async def edit(
    caller: Caller,
    action: str,
    resource: str,
    change: Callable[[Sheet, Data], str],
    *,
    allow_dangerous: bool = False,
    check: Check | None = None,
) -> Sheet:
    """Change the document; return the workspace as it holds then.

    Args:
        caller: whose credential is the actor.
        action: for the audit, with `resource`.
        change: changes a copy of the document, and returns the path of the object in it. May be
            called again, if somebody else has been faster.
        allow_dangerous: see `ConfigDesk.edit`.
        check: is shown what holds, and the document as it is to become, secrets and all; may
            refuse it.

    Raises:
        ConfigurationRefused: nothing was changed. So with what `check` raises.
    """
    configuration = caller.edge.deployment.configuration
    for left in range(TRIES, 0, -1):
        sheet = await configuration.sheet()
        data = hidden(sheet)
        path = change(sheet, data)
        data = with_kept_secrets(data, sheet.data, sheet.document)
        if check is not None:
            await check(sheet, data)
        try:
            await configuration.edit(
                sheet.served.revision,
                data,
                caller.author,
                allow_dangerous=allow_dangerous,
            )
        except ConfigurationRefused as error:
            if error.code == "STALE" and left > 1:
                continue
            raise of_object(error, path) from None
        audit(caller, action, resource)
        return await configuration.sheet()
    raise AssertionError("the last try returns or raises")


async def body_of(request: web.Request, caller: Caller) -> Member:
    """Return the JSON object that a request brings. Raises Refused (400)."""
    return json_object(await read_body(request, caller.config.max_body_bytes))


def settable(body: Member, shown: Member, read_only: Collection[str]) -> Member:
    """Return what a body sets of an object, without what cannot be set and is as it is shown.

    Args:
        body: as it was sent.
        shown: the object as the API shows it now.
        read_only: members that cannot be set.

    Raises:
        ConfigurationRefused: one of those is to become another (422).
    """
    for name in differing(body, shown, read_only):
        raise refused("VALIDATION_ERROR", "cannot be changed", name)
    return {name: value for name, value in body.items() if name not in read_only}


def is_forced(request: web.Request) -> bool:
    """Read the query's `force`. Raises Refused (400)."""
    return flag(request, "force")


def flag(request: web.Request, name: str) -> bool:
    """Read a query parameter that is `true` or `false`. Raises Refused (400)."""
    text = request.query.get(name, "false")
    if text not in ("true", "false"):
        raise Refused("BAD_REQUEST", f'Invalid value for field "{name}": must be true or false.')
    return text == "true"


def free_id(data: Data, section: str, *words: object) -> str:
    """Make an id of words that no object of a section has, and that is not read as a number."""
    base = _NOT_OF_SLUG.sub("-", "-".join(map(str, words)).lower()).strip("-")[:56] or section[:-1]
    if base.isdecimal():
        base = f"{section[:-1]}-{base}"
    taken = {each["id"] for each in data.get(section, [])}
    made, number = base, 1
    while made in taken:
        number += 1
        made = f"{base}-{number}"
    return made


def id_of(data: Data, sheet: Sheet, section: str, name: object) -> object:
    """Return the id of what a body names by number or id; what is unknown stays as it is."""
    numbers: dict[str, int] = getattr(sheet.served.numbers, section)
    for each in data.get(section, []):
        if isinstance(name, int) and numbers.get(each["id"]) == name:
            return each["id"]
    return name


def created(place: Place) -> Member:
    """Return what is shown of who made and changed an object, and of its identity: `CREATED`."""
    stamp = place.stamp
    shown: Member = {"id": place.number, "slug": place.item["id"]}
    if stamp is not None:
        shown |= {
            "created_on": moment(stamp.created_ms),
            "created_by": stamp.created_by,
            "last_modified_on": moment(stamp.modified_ms),
            "last_modified_by": stamp.modified_by,
            "etag": place.etag.strip('"'),
        }
    return shown


def moment(time_ms: int) -> str:
    """Write an instant as the Platform API does."""
    text = datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
