"""API credentials (spec/platform-api.md, 3; spec/privacy.md, 10.1).

Those of the workspace that the token is for: each workspace of an account has its own.
"""

from base64 import urlsafe_b64encode
from typing import Any

from aiohttp import web

from actors.clock import Randomness
from config.merging import Data
from config.sheets import Sheet
from server.bodies import keep_received
from server.config_edits import (
    Member,
    Place,
    body_of,
    check_match,
    check_unmanaged,
    edit,
    hidden,
    moment,
)
from server.config_problems import config_errors, refused
from server.edge_config import Role
from server.management import Caller, enter_account
from server.openapi.takes import takes
from server.paging import paged
from server.paths import management_routes
from server.problems import Refused, json_answer

MAY_MANAGE: frozenset[Role] = frozenset({"admin"})  # task api_credentials:*
SECTION = "api_credentials"
FORMER_MS = 24 * 3600 * 1000  # that a secret works beside the one in its place
NO_STORE = {"Cache-Control": "no-store"}
_MADE = frozenset({"client_id", "role", "apis", "status"})
_CHANGED = _MADE - {"client_id"}


async def listed(request: web.Request) -> web.Response:
    """GET .../credentials: all credentials; secrets are null."""
    sheet = await _enter(request).edge.deployment.configuration.sheet()
    return paged(request, [_shown(each, sheet) for each in _places(sheet)], "client_id")


async def one(request: web.Request) -> web.Response:
    """GET .../credentials/{client_id}: one credential; its secret is null."""
    sheet = await _enter(request).edge.deployment.configuration.sheet()
    return _answer(_find(sheet, request), sheet)


@takes("Credential")
async def create(request: web.Request) -> web.Response:
    """POST .../credentials: make one; the answer alone has its secret."""
    caller = _enter(request)
    body = await body_of(request, caller)
    _check_fields(body, _MADE)
    randomness = caller.edge.randomness
    made = {
        "client_id": f"{randomness.bits(128):032x}",
        **body,
        "client_secret": secret(randomness),
    }

    def change(_: Sheet, data: Data) -> str:
        credentials = data.setdefault(SECTION, [])
        credentials.append(dict(made))
        return f"{SECTION}[{len(credentials) - 1}]"

    sheet = await edit(caller, "create", "credential", change)
    place = _named(sheet, made["client_id"])
    answer = _shown(place, sheet) | {"client_secret": made["client_secret"]}
    return json_answer(answer, 201, {**NO_STORE, "ETag": place.etag})


@takes("Credential")
async def replace(request: web.Request) -> web.Response:
    """PATCH .../credentials/{client_id}: change what is given."""
    caller = _enter(request)
    body = await body_of(request, caller)
    _check_fields(body, _CHANGED)

    def change(sheet: Sheet, data: Data) -> str:
        place = _editable(request, sheet)
        data[SECTION][place.position].update(body)
        _check_administrator(data)
        return place.path

    sheet = await edit(caller, "update", "credential", change)
    return _answer(_find(sheet, request), sheet)


async def delete(request: web.Request) -> web.Response:
    """DELETE .../credentials/{client_id}: refuse it and its tokens from now on."""
    caller = _enter(request)

    def change(sheet: Sheet, data: Data) -> str:
        place = _editable(request, sheet)
        del data[SECTION][place.position]
        _check_administrator(data)
        return place.path

    await edit(caller, "delete", "credential", change, allow_dangerous=True)
    return web.Response(status=204)


@takes("Rotation")
async def rotate(request: web.Request) -> web.Response:
    """POST .../credentials/{client_id}/rotate: a new secret; the former works for 24 hours.

    Not if the body says `{"immediate": true}`.
    """
    caller = _enter(request)
    is_immediate = await _is_immediate(request, caller)
    made = secret(caller.edge.randomness)
    until_ms = caller.edge.clock.now_ms() + FORMER_MS

    def change(sheet: Sheet, data: Data) -> str:
        place = _editable(request, sheet)
        item = data[SECTION][place.position]
        former = sheet.document.api_credentials[place.position].client_secret.get_secret_value()
        item["client_secret"] = made
        item.pop("former_secret", None)
        if not is_immediate:
            item["former_secret"] = {"client_secret": former, "until_ms": until_ms}
        return place.path

    sheet = await edit(caller, "update", "credential", change)
    place = _find(sheet, request)
    answer = _shown(place, sheet) | {"client_secret": made}
    return json_answer(answer, 200, {**NO_STORE, "ETag": place.etag})


def secret(randomness: Randomness) -> str:
    """Make a secret of 384 random bits."""
    return urlsafe_b64encode(randomness.bits(48 * 8).to_bytes(48, "big")).decode()


_CREDENTIALS = "/platform/v2/organizations/{org}/accounts/{account}/credentials"
_ONE = _CREDENTIALS + "/{client}"

ROUTES = management_routes(
    config_errors,
    ("GET", _CREDENTIALS, listed),
    ("POST", _CREDENTIALS, create),
    ("GET", _ONE, one),
    ("PATCH", _ONE, replace),
    ("DELETE", _ONE, delete),
    ("POST", _ONE + "/rotate", rotate),
)


def _enter(request: web.Request) -> Caller:
    caller = enter_account(request, MAY_MANAGE)
    if request.match_info["org"] != str(caller.config.organization):
        raise Refused("NOT_FOUND", "There is no such organization.")
    return caller


async def _is_immediate(request: web.Request, caller: Caller) -> bool:
    """Read the body, which may be left out."""
    if not await keep_received(request, caller.config.max_body_bytes):
        return False
    body = await body_of(request, caller)
    _check_fields(body, frozenset({"immediate"}))
    is_immediate = body.get("immediate", False)
    if not isinstance(is_immediate, bool):
        raise refused("UNKNOWN_FIELD", "must be true or false", "immediate")
    return is_immediate


def _check_fields(body: Member, known: frozenset[str]) -> None:
    for name in body:
        if name not in known:
            raise refused("UNKNOWN_FIELD", "unknown key", name)


def _places(sheet: Sheet) -> list[Place]:
    return [
        Place(SECTION, index, {"id": item["client_id"], **item}, 0, sheet.stamps.get(_key(item)))
        for index, item in enumerate(hidden(sheet).get(SECTION, []))
    ]


def _key(item: Member) -> str:
    return f"{SECTION}/{item['client_id']}"


def _named(sheet: Sheet, client_id: str) -> Place:
    for each in _places(sheet):
        if each.item["client_id"] == client_id:
            return each
    raise Refused("NOT_FOUND", "There is no such credential.")


def _find(sheet: Sheet, request: web.Request) -> Place:
    return _named(sheet, request.match_info["client"])


def _editable(request: web.Request, sheet: Sheet) -> Place:
    place = _find(sheet, request)
    check_unmanaged(sheet, place)
    check_match(request, place)
    return place


def _check_administrator(data: Data) -> None:
    """Refuse to leave nobody who could make another credential."""
    for each in data[SECTION]:
        is_active = each.get("status", "active") == "active"
        apis = each.get("apis")  # as it was sent: whether it may be so is checked afterwards
        is_for_platform = isinstance(apis, list) and "platform" in apis
        if is_active and each.get("role") == "admin" and is_for_platform:
            return
    raise refused("VALIDATION_ERROR", "It is the last active administrator of the Platform API.")


def _answer(place: Place, sheet: Sheet) -> web.Response:
    return json_answer(_shown(place, sheet), headers={"ETag": place.etag})


def _shown(place: Place, sheet: Sheet) -> dict[str, Any]:
    known = sheet.document.api_credentials[place.position]
    shown: dict[str, Any] = {
        "client_id": known.client_id,
        "client_secret": None,
        "role": known.role,
        "apis": list(known.apis),
        "status": known.status,
        "workspaces": [sheet.served.info.number],
    }
    if known.former_secret is not None:
        shown["former_secret_until"] = moment(known.former_secret.until_ms)
    stamp = place.stamp
    if stamp is not None:
        shown |= {
            "created_on": moment(stamp.created_ms),
            "created_by": stamp.created_by,
            "last_modified_on": moment(stamp.modified_ms),
            "last_modified_by": stamp.modified_by,
        }
    return shown
