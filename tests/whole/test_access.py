"""Every endpoint's authentication and authorization, caller by caller.

Sources: spec/platform-api.md, 1 to 3; spec/events-api.md, 2; spec/identity.md, 4.2.

The endpoints are the router's; a route without a row in `tests/whole/access.py` fails here.
"""

import hmac
import re
from collections.abc import AsyncIterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse

from actors.clock import ManualClock
from config.roles import STANDARD
from server import tokens
from server.app import ROUTES
from tests.whole.access import rows
from tests.whole.world import DOCUMENT, World, basic, changed, named, serving

CREDENTIALS = [
    {"client_id": f"c-{name}", "client_secret": "secret", "role": role, "apis": apis}
    for name, role, apis in (
        ("admin", "admin", ["platform", "profile"]),
        *((name, name, ["platform"]) for name in sorted(STANDARD.keys() - {"admin"})),
        ("profile_api_alone", "admin", ["profile"]),
        ("roles_api_alone", "admin", ["custom_roles"]),
        ("roles_api_to_look", "read_only", ["custom_roles"]),
        ("platform_api_alone", "admin", ["platform"]),
        ("plans_api_alone", "admin", ["data_planning"]),
        ("plans_api_to_look", "read_only", ["data_planning"]),
    )
] + [
    {
        "client_id": "c-switched_off",
        "client_secret": "secret",
        "role": "admin",
        "apis": ["platform", "profile"],
        "status": "inactive",
    }
]
INPUTS = [
    each
    | (
        {"keys": [*each["keys"], {"key": "k9-revoked", "secret": "s9", "status": "revoked"}]}
        if each["id"] == "backend"
        else {}
    )
    for each in DOCUMENT["inputs"]
]
ONE = changed(
    DOCUMENT,
    workspace={
        "dsr_credentials": {"key": "kd-workspace", "secret": "sd"},
        "client_audience_api": True,
        "limits": {
            "identity_requests_per_second": 0,
            "profile_requests_per_second": 100_000,
            "platform_requests_per_minute": 0,
        },
    },
    api_credentials=CREDENTIALS,
    inputs=INPUTS,
)
TWO = changed(named("w2"), account={"id": "other", "name": "Other"})
# Objects that do not exist: what is allowed must change as little as possible.
VALUES = {
    "workspace": "1",
    "account": "1",
    "org": "1",
    "scope": "1",
    "environment": "production",
    "mpid": "99",
}
DATE = "Thu, 01 Jan 2026 00:00:00 GMT"
SECRETS = {"k2-ios-app": "s2", "kw-web-site": "sw", "k9-revoked": "s9"}
ALLOWED = "allowed"  # neither 401 nor 403, nor a workspace that is another's
ADMINS = ("admin", "admin_and_compliance")
ROLES = (*ADMINS, "support_access", "user", "compliance", "read_only", "audiences_only")
BEARERS = (
    *ROLES,
    "profile_api_alone",
    "platform_api_alone",
    "roles_api_alone",
    "roles_api_to_look",
    "plans_api_alone",
    "plans_api_to_look",
)

_NO_TOKEN = dict.fromkeys(
    ("nobody", "no token", "expired token", "forged token", "input key", "switched off"), 401
)


def _platform(*allowed: str) -> dict[str, Any]:
    roles = {role: ALLOWED if role in allowed else 403 for role in ROLES}
    return (
        _NO_TOKEN
        | roles
        | {"profile_api_alone": 403, "roles_api_alone": 403, "other workspace": 404}
    )


CHANGERS = (*ADMINS, "support_access", "user")
_ROLES_API = _NO_TOKEN | {"roles_api_alone": ALLOWED, "admin": 403, "other workspace": 403}
_PLANS_API = _NO_TOKEN | {"plans_api_alone": ALLOWED, "admin": 403, "other workspace": 403}
_EVERYBODY = dict.fromkeys(("nobody", "no token", "input key", "wrong secret", "admin"), ALLOWED)
# Guard -> caller -> status.
EXPECTED: Mapping[str, Mapping[str, Any]] = {
    "nobody": _EVERYBODY,
    "user:core": _platform(*ROLES),
    "connections:view": _platform(*CHANGERS, "compliance", "read_only"),
    "connections:configure_inputs": _platform(*CHANGERS),
    "connections:configure_outputs": _platform(*CHANGERS),
    "connections:connect_integration": _platform(*CHANGERS, "compliance"),
    "data_filter:view": _platform(*CHANGERS, "compliance", "read_only"),
    "data_filter:*": _platform(*CHANGERS),
    "calculated_attributes:view": _platform(*CHANGERS, "read_only"),
    "calculated_attributes:*": _platform(*CHANGERS),
    "audiences:view": _platform(*ROLES),
    "audiences:*": _platform(*CHANGERS, "audiences_only"),
    "workspace changer": _platform(*CHANGERS, "compliance"),
    "privacy:settings": _platform(*ADMINS, "support_access", "compliance"),
    "identity_settings:view": _platform(*ADMINS, "support_access", "compliance", "read_only"),
    "identity_settings:*": _platform(*ADMINS, "support_access"),
    "identities changer": _platform(*ADMINS, "support_access"),
    "user_activity:view": _platform(*ADMINS, "support_access"),
    "user_management:view": _platform(*ADMINS, "compliance"),
    "user_management:*": _platform(*ADMINS),
    "api_credentials:*": _platform(*ADMINS, "support_access"),
    "all of a document": _platform(*ADMINS),
    "roles reader": _ROLES_API | {"roles_api_to_look": ALLOWED},
    "roles changer": _ROLES_API | {"roles_api_to_look": 403},
    "plans reader": _PLANS_API | {"plans_api_to_look": ALLOWED},
    "plans changer": _PLANS_API | {"plans_api_to_look": 403},
    "profile": _NO_TOKEN
    | {"admin": ALLOWED, "profile_api_alone": ALLOWED}
    | {"platform_api_alone": 403, "other workspace": 403},
    "input": {
        "nobody": 401,
        "no token": 403,
        "admin": 403,
        "wrong secret": 403,
        "unknown key": 403,
        "revoked key": 403,
        "workspace key": 403,
        "input key": ALLOWED,
    },
    "workspace key": {
        "nobody": 401,
        "admin": 403,
        "wrong secret": 403,
        "unknown key": 403,
        "input key": 403,
        "workspace key": ALLOWED,
    },
    "requests' key": {
        **dict.fromkeys(("nobody", "admin", "wrong secret", "unknown key", "input key"), 401),
        "workspace key": ALLOWED,
    },
    "identity": {
        "nobody": 401,
        "admin": 401,
        "wrong secret": 401,
        "unknown key": 401,
        "revoked key": 401,
        "x-mp-key:nope": 401,
        "x-mp-key:k9-revoked": 401,
        "x-mp-key:k2-ios-app": 401,  # an app signs
        "x-mp-key:kw-web-site": ALLOWED,
        "forged:k2-ios-app": 401,
        "forged:kw-web-site": 401,
        "signed:k9-revoked": 401,
        "signed:k2-ios-app": ALLOWED,
        "input key": ALLOWED,
    },
    "writer": {
        "nobody": 401,
        "admin": 401,
        "unknown write key": 401,
        "revoked write key": 401,
        "write key": ALLOWED,
    },
    "web key in path": {"key:kw-web-site": ALLOWED}
    | dict.fromkeys(("key:nope", "key:k2-ios-app", "key:k9-revoked"), 403),
    "page key in path": {"key:kw-web-site": ALLOWED}
    | dict.fromkeys(("key:nope", "key:k2-ios-app", "key:k9-revoked"), 401),
    "app key in path": {"signed:k2-ios-app": ALLOWED}
    | dict.fromkeys(("key:nope", "key:k2-ios-app", "forged:k2-ios-app", "signed:k9-revoked"), 403),
    "any key in path": {"key:k2-ios-app": ALLOWED, "key:kw-web-site": ALLOWED}
    | {"key:nope": 401, "key:k9-revoked": 401, "forged:k2-ios-app": 403},
    "identity key in path": {"key:kw-web-site": ALLOWED, "signed:k2-ios-app": ALLOWED}
    | dict.fromkeys(("key:nope", "key:k2-ios-app", "forged:k2-ios-app", "key:k9-revoked"), 401),
    "write key in path": {"key:kw-web-site": ALLOWED}
    | dict.fromkeys(("key:nope", "key:k2-ios-app", "key:k9-revoked"), 404),
}


def test_every_endpoint_has_one_row_and_every_row_an_endpoint() -> None:
    asked = [(method, path) for method, path, _ in rows()]
    assert len(asked) == len(set(asked))
    assert set(asked) == {(route.method, route.path) for route in ROUTES}
    assert {guard for _, _, guard in rows()} == set(EXPECTED)


def test_no_endpoint_that_takes_a_token_is_open_to_those_who_have_none() -> None:
    for guard, expected in EXPECTED.items():
        refused = [caller for caller, status in expected.items() if status != ALLOWED]
        assert refused or guard == "nobody"


class Callers:
    """Headers of everybody who may ask."""

    def __init__(self, world: World, other: World, clock: ManualClock) -> None:
        self._world, self._other, self._clock = world, other, clock
        self._known: dict[str, dict[str, str]] = {}

    async def headers(self, caller: str) -> dict[str, str]:
        if caller not in self._known:
            self._known[caller] = await self._made(caller)
        return self._known[caller]

    async def _made(self, caller: str) -> dict[str, str]:
        match caller:
            case "nobody":
                return {}
            case "no token":
                return {"Authorization": "Bearer x"}
            case "input key":
                return basic("k1-backend:s1")
            case "wrong secret":
                return basic("k1-backend:bad")
            case "unknown key":
                return basic("nope:s1")
            case "revoked key":
                return basic("k9-revoked:s9")
            case "workspace key":
                return basic("kd-workspace:sd")
            case "write key":
                return basic("kw-web-site:")
            case "unknown write key":
                return basic("nope:")
            case "revoked write key":
                return basic("k9-revoked:")
            case "other workspace":
                return await self._other.token()
            case "expired token":
                return _bearer(self._issued("c-admin", -tokens.LIFETIME_S - 120))
            case "switched off":
                return _bearer(self._issued("c-switched_off", 0))
            case "forged token":
                head, payload, _ = self._issued("c-admin", 0).split(".")
                return _bearer(f"{head}.{payload}.{'A' * 43}")
        assert caller in BEARERS, caller
        return _bearer(self._issued(f"c-{caller}", 0))

    def _issued(self, client_id: str, age_s: int) -> str:
        config = self._world.edge.config_of(self._world.number)
        then = ManualClock(self._clock.now_ms() + age_s * 1000)
        known, audience = config.credentials[client_id], config.token_audiences[0]
        return tokens.issue(known, known.secret_digest, audience, config, then)


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
async def callers(tmp_path: Path, clock: ManualClock) -> AsyncIterator[tuple[World, Callers]]:
    async with serving(tmp_path, [ONE, TWO], shards=1, clock=clock) as [world, other]:
        yield world, Callers(world, other, clock)


@pytest.mark.parametrize("guard", sorted(EXPECTED))
async def test_callers_are_answered_as_the_table_says(
    callers: tuple[World, Callers], guard: str
) -> None:
    world, known = callers
    wrong = []
    for method, path, which in rows():
        if which != guard:
            continue
        for caller, expected in EXPECTED[guard].items():
            proof, _, key = caller.partition(":")
            headers = {} if key else await known.headers(caller)
            response = await ask(world, method, path, key or "99", headers, proof)
            if not _is_as_expected(response, expected):
                wrong.append(f"{method} {path} by {caller}: {response.status}, not {expected}")
    assert not wrong, "\n".join(wrong)


async def ask(
    world: World, method: str, path: str, key: str, headers: Mapping[str, str], proof: str = ""
) -> ClientResponse:
    """Ask an endpoint with as little as it can be asked with; `proof` of a key that is named."""
    url = re.sub(r"\{(\w+)\}", lambda found: VALUES.get(found[1], key), path)
    query = (
        {"accountId": "1"}
        if path.startswith(("/v1/audiences", "/v1/users", "/v1/workspace/"))
        else {}
    )
    body = b"" if method in ("GET", "DELETE") else b"{}"
    sent = {"Content-Type": "application/json", **headers}
    if proof in ("x-mp-key", "signed", "forged"):
        sent["x-mp-key"] = key
    if proof in ("signed", "forged"):
        secret = SECRETS[key].encode() if proof == "signed" else b"guessed"
        signed = f"{method}\n{DATE}\n{url}".encode() + body
        sent["x-mp-signature"] = hmac.new(secret, signed, sha256).hexdigest()
        sent["Date"] = DATE
    return await world.client.request(method, url, params=query, headers=sent, data=body)


def _is_as_expected(response: ClientResponse, expected: Any) -> bool:
    if expected == ALLOWED:
        return response.status < 500 and response.status not in (401, 403)
    return bool(response.status == expected)
