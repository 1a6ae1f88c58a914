"""API credentials (spec/platform-api.md, 3; spec/privacy.md, 10.1).

Those of the workspace that the token is for: each workspace of an account has its own.
"""

from base64 import urlsafe_b64encode
from typing import Any

from aiohttp import web
from pydantic import SecretStr

from actors.clock import Randomness
from config.merging import Data
from config.roles import ADMINISTRATORS, TOO_POWERFUL, power_of
from config.sheets import Sheet
from config.workspace import MAX_FORMER, ApiCredential
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
    settable,
)
from server.config_problems import config_errors, refused
from server.management import Caller, enter_account
from server.openapi.takes import takes
from server.paging import paged
from server.paths import management_routes
from server.problems import Refused, json_answer

SECTION = "api_credentials"
DEFAULT_ROLE = ApiCredential.model_fields["role"].default
FORMER_MS = 24 * 3600 * 1000  # that a secret works beside the one in its place
NO_STORE = {"Cache-Control": "no-store"}
_MADE = frozenset({"client_id", "role", "apis", "status"})
_CHANGED = _MADE - {"client_id"}
_READ_ONLY = (
    *("client_id", "client_secret", "workspaces", "former_secret_until"),
    *("created_on", "created_by", "last_modified_on", "last_modified_by"),
)


async def listed(request: web.Request) -> web.Response:
    """GET .../credentials?limit=&cursor=: all credentials; secrets are null."""
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
    _check_power(caller, body.get("role", DEFAULT_ROLE), body.get("apis", ()))
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
    """PATCH .../credentials/{client_id}: change what is given; the rest may be as it is shown."""
    caller = _enter(request)
    body = await body_of(request, caller)
    _check_fields(body, _CHANGED.union(_READ_ONLY))

    def change(sheet: Sheet, data: Data) -> str:
        place = _editable(request, sheet)
        given = settable(body, _shown(place, sheet), _READ_ONLY)
        item = data[SECTION][place.position]
        if given.keys() & {"role", "apis"}:
            _check_power(
                caller,
                given.get("role", item.get("role", DEFAULT_ROLE)),
                given.get("apis", item["apis"]),
            )
        item.update(given)
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
    """POST .../credentials/{client_id}/rotate: a new secret; former ones work on for 24 hours.

    Not if the body says `{"immediate": true}`. Whoever repeats it, because no answer came, gets one
    more secret (with an `Idempotency-Key` the same one), and takes none away from those who have
    the one before.
    """
    caller = _enter(request)
    is_immediate = await _is_immediate(request, caller)
    made = secret(caller.edge.randomness)
    now_ms = caller.edge.clock.now_ms()

    def change(sheet: Sheet, data: Data) -> str:
        place = _editable(request, sheet)
        item = data[SECTION][place.position]
        known = sheet.document.api_credentials[place.position]
        _check_power(caller, known.role, known.apis)
        former = [] if is_immediate else [_dated(known.client_secret, now_ms + FORMER_MS)]
        if not is_immediate:
            former += [
                _dated(each.client_secret, each.until_ms)
                for each in known.former_secrets
                if each.until_ms > now_ms
            ]
        if len(former) > MAX_FORMER:
            message = f"At most {MAX_FORMER} former secrets work on; immediate ends them all."
            raise refused("LIMIT_EXCEEDED", message)
        item["client_secret"] = made
        item["former_secrets"] = former
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
    caller = enter_account(request, "api_credentials:*")
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
    check_match(request, place.etag)
    return place


def _check_power(caller: Caller, role: object, apis: object) -> None:
    """Refuse (403) to give somebody, or to have the secret of who has, more than one's own role.

    `role` and `apis` as they were sent: whether they may be so is checked afterwards.
    """
    power = power_of(
        role if isinstance(role, str) else "",
        apis if isinstance(apis, list | tuple) else (),
        caller.config.roles,
    )
    if not power <= caller.credential.tasks:
        raise Refused("FORBIDDEN", TOO_POWERFUL)


def _dated(secret_: SecretStr, until_ms: int) -> Member:
    return {"client_secret": secret_.get_secret_value(), "until_ms": until_ms}


def _check_administrator(data: Data) -> None:
    """Refuse to leave nobody who could make another credential."""
    for each in data[SECTION]:
        is_active = each.get("status", "active") == "active"
        # As they were sent: whether they may be so is checked afterwards.
        role, apis = each.get("role"), each.get("apis")
        is_administrator = isinstance(role, str) and role in ADMINISTRATORS
        is_for_platform = isinstance(apis, list) and "platform" in apis
        if is_active and is_administrator and is_for_platform:
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
    if known.former_secrets:
        shown["former_secret_until"] = moment(known.former_secrets[0].until_ms)
    stamp = place.stamp
    if stamp is not None:
        shown |= {
            "created_on": moment(stamp.created_ms),
            "created_by": stamp.created_by,
            "last_modified_on": moment(stamp.modified_ms),
            "last_modified_by": stamp.modified_by,
        }
    return shown
