"""Users of an account, version 1 (spec/platform-api.md, 3; spec/privacy.md, 10.4).

Nobody logs in with them yet: they say who has which role.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from aiohttp import web

from actors.store.access import AccountUser
from config.access import shown_user
from server.config_edits import body_of, moment, wanted_versions
from server.config_problems import config_errors, refused
from server.envelopes import enveloped, enveloped_errors
from server.management import audit, enter_v1
from server.openapi.takes import takes
from server.paging import page_of
from server.paths import management_routes
from server.problems import Refused

TYPE = "user"
MAX_NAME = 100
_FIELDS = ("first_name", "last_name", "role")
_DEFAULTS: Mapping[str, str] = {"first_name": "", "last_name": "", "role": "read_only"}
_EMAIL = re.compile(r"[^\s@/]{1,64}@[^\s@/]{1,189}")


async def listed(request: web.Request) -> web.Response:
    """GET /v1/users?accountId=&limit=&cursor=: all users, by e-mail."""
    caller = enter_v1(request, "user_management:view")
    users = await caller.edge.deployment.configuration.users()
    page, headers = page_of(request, [_shown(each) for each in users], "email")
    return enveloped(page, TYPE, headers=headers)


async def one(request: web.Request) -> web.Response:
    """GET /v1/users/{id}?accountId=: one user, by e-mail, or by it without the percent signs."""
    caller = enter_v1(request, "user_management:view")
    return _answer(_find(request, await caller.edge.deployment.configuration.users()))


@takes("AccountUser")
async def create(request: web.Request) -> web.Response:
    """POST /v1/users?accountId=: make one."""
    caller = enter_v1(request, "user_management:*")
    body = await body_of(request, caller)
    email = body.get("email")
    if not isinstance(email, str) or not email.strip():
        raise refused("VALIDATION_ERROR", "Email must be specified.", "email")
    if not _EMAIL.fullmatch(email) or not email.isprintable():
        raise refused("VALIDATION_ERROR", "Email is not valid.", "email")
    fields = {**_DEFAULTS, **_fields(body), "email": email}
    made = await caller.edge.deployment.configuration.create_user(fields, caller.author)
    audit(caller, "create", "account_user")
    return _answer(made, 201)


@takes("AccountUser")
async def replace(request: web.Request) -> web.Response:
    """PUT /v1/users/{id}?accountId=: change what is given; the e-mail stays."""
    caller = enter_v1(request, "user_management:*")
    body = await body_of(request, caller)
    configuration = caller.edge.deployment.configuration
    user = _find(request, await configuration.users())
    email = body.get("email", user.email)
    if not isinstance(email, str) or email.casefold() != user.email.casefold():
        raise refused("VALIDATION_ERROR", "Email cannot be changed.", "email")
    fields = {**_fields(body), "email": user.email}
    made = await configuration.change_user(fields, caller.author, wanted_versions(request))
    if made is None:
        raise _no_user()
    audit(caller, "update", "account_user")
    return _answer(made, 202)


async def delete(request: web.Request) -> web.Response:
    """DELETE /v1/users/{id}?accountId=: delete one."""
    caller = enter_v1(request, "user_management:*")
    configuration = caller.edge.deployment.configuration
    user = _find(request, await configuration.users())
    if not await configuration.delete_user(user.email, caller.author, wanted_versions(request)):
        raise _no_user()
    audit(caller, "delete", "account_user")
    return enveloped([], TYPE, 202)


ROUTES = management_routes(
    enveloped_errors(TYPE, config_errors),
    ("GET", "/v1/users", listed),
    ("POST", "/v1/users", create),
    ("GET", "/v1/users/{user}", one),
    ("PUT", "/v1/users/{user}", replace),
    ("DELETE", "/v1/users/{user}", delete),
)


def percentless(email: str) -> str:
    """Return an e-mail percent-encoded, without the percent signs: `ann40ex2Ecom`."""
    encoded = quote(email, safe="")
    for unreserved in ".-_~":  # `quote` leaves them
        encoded = encoded.replace(unreserved, f"%{ord(unreserved):02X}")
    return encoded.replace("%", "")


def _find(request: web.Request, users: list[AccountUser]) -> AccountUser:
    name = request.match_info["user"].casefold()
    found = [each for each in users if each.email.casefold() == name]
    # Two may be written alike without percent signs, and then neither is meant.
    found = found or [each for each in users if percentless(each.email).casefold() == name]
    if len(found) != 1:
        raise _no_user()
    return found[0]


def _fields(body: Mapping[str, Any]) -> dict[str, str]:
    """Return what a body says of a user besides the e-mail; what is unknown is ignored."""
    fields = {}
    for name in _FIELDS:
        if name in body:
            value = body[name]
            if not isinstance(value, str) or len(value) > MAX_NAME or not value.isprintable():
                message = f"must be a text of at most {MAX_NAME} characters"
                raise refused("VALIDATION_ERROR", message, name)
            fields[name] = value
    return fields


def _answer(user: AccountUser, status: int = 200) -> web.Response:
    return enveloped([_shown(user)], TYPE, status, {"ETag": f'"{user.version}"'})


def _shown(user: AccountUser) -> dict[str, Any]:
    return shown_user(user) | {
        "created_on": _moment(user.created_ms),
        "created_by": user.created_by,
        "last_modified_on": _moment(user.modified_ms),
        "last_modified_by": user.modified_by,
        "data_type": TYPE,
    }


def _moment(time_ms: int) -> str:
    return moment(time_ms).removesuffix("Z")  # as version 1 writes it


def _no_user() -> Refused:
    return Refused("NOT_FOUND", "There is no such user.")
