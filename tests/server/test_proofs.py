"""Who guesses at the secret of a key is slowed down, and nobody else (spec/events-api.md, 2.1)."""

from collections.abc import Awaitable, Callable
from ipaddress import ip_network

import msgspec
import pytest
from aiohttp import ClientResponse

from server.addresses import FAILURES_AT_ONCE
from server.edge_config import WorkspaceKey, digest
from tests.server.conftest import World, basic, key_info
from tests.server.routes.identity import ALIAS, KEY, KEY_ONLY, SECRET, body, post, set_up, signed

DATE = "Thu, 01 Jan 2026 00:00:00 GMT"
GUESSER, BYSTANDER = "203.0.113.7", "203.0.113.8"

Ask = Callable[[str, str], Awaitable[ClientResponse]]  # of a secret and an address


@pytest.fixture
def proxied(world: World) -> World:
    """Clients have addresses of their own."""
    set_up(world, key_info("other", "s-other", 1))
    world.config.current = msgspec.structs.replace(
        world.config.current,
        trusted_proxies=(ip_network("127.0.0.0/8"),),
        workspace_key=WorkspaceKey(key="kw", secret_digest=digest(SECRET)),
    )
    return world


def asking(world: World, how: str) -> Ask:
    """Return what asks with the key of `KEY`, or of the workspace, and a secret."""

    async def ask(secret: str, address: str) -> ClientResponse:
        said = {"X-Forwarded-For": address}
        match how:
            case "events":
                return await post(world, "/v2/events", b"{}", basic(f"{KEY}:{secret}") | said)
            case "bulk deletion":
                path = "/userprofile/experimental/bulkdelete"
                return await post(world, path, b"{}", basic(f"{KEY}:{secret}") | said)
            case "seeds":
                return await post(
                    world, "/v2/calculatedattributes", b"[", basic(f"kw:{secret}") | said
                )
        return await post(world, "/v1/login", body(), basic(f"{KEY}:{secret}") | said)

    return ask


WAYS = (
    "events",
    "bulk deletion",
    "seeds",
    "identity",
)


@pytest.mark.parametrize("how", WAYS)
async def test_who_guesses_is_not_looked_at_after_a_while(proxied: World, how: str) -> None:
    ask = asking(proxied, how)
    wrong = [(await ask("guessed", GUESSER)).status for _ in range(FAILURES_AT_ONCE)]
    assert set(wrong) <= {401, 403}
    refused = await ask("guessed", GUESSER)
    assert (refused.status, refused.headers["Retry-After"]) == (429, "1")
    assert (await ask(SECRET, GUESSER)).status == 429  # or it would have been found
    assert (await ask(SECRET, BYSTANDER)).status not in (401, 403, 429)
    proxied.clock.advance(1000)
    assert (await ask(SECRET, GUESSER)).status not in (401, 403, 429)


async def test_who_has_shown_the_secret_before_is_not_concerned(proxied: World) -> None:
    """A sender behind the guesser's address goes on, with its key and with others."""
    ask = asking(proxied, "events")
    before = (await ask(SECRET, GUESSER)).status
    for _ in range(2 * FAILURES_AT_ONCE):
        await ask("guessed", GUESSER)
    assert (await ask("guessed", GUESSER)).status == 429
    assert (await ask(SECRET, GUESSER)).status == before == 202
    other = basic("other:s-other") | {"X-Forwarded-For": GUESSER}
    assert (await post(proxied, "/v1/login", body(), other)).status == 200


async def test_a_change_of_the_configuration_forgets_nobody(proxied: World) -> None:
    ask = asking(proxied, "events")
    assert (await ask(SECRET, GUESSER)).status == 202
    for _ in range(2 * FAILURES_AT_ONCE):
        await ask("guessed", GUESSER)
    for _ in range(2):
        proxied.config.current = msgspec.structs.replace(proxied.config.current)
        assert (await ask("guessed", GUESSER)).status == 429
    assert (await ask(SECRET, GUESSER)).status == 202


async def test_what_is_right_does_not_count(proxied: World) -> None:
    ask = asking(proxied, "seeds")
    for _ in range(2 * FAILURES_AT_ONCE):
        assert (await ask(SECRET, GUESSER)).status == 400


async def test_a_key_that_is_used_alone_is_not_concerned(proxied: World) -> None:
    """It proves nothing: there is nothing to guess."""
    ask = asking(proxied, "identity")
    for _ in range(2 * FAILURES_AT_ONCE):
        await ask("guessed", GUESSER)
    headers = KEY_ONLY | {"X-Forwarded-For": GUESSER}
    assert (await post(proxied, "/v1/login", body(), headers)).status == 200


async def test_keys_that_do_not_exist_are_one(proxied: World) -> None:
    """They are answered as one that does, and fill no memory."""

    async def ask(key: str) -> int:
        headers = basic(f"{key}:guessed") | {"X-Forwarded-For": GUESSER}
        return (await post(proxied, "/v2/events", b"{}", headers)).status

    statuses = [await ask(f"k{number}") for number in range(FAILURES_AT_ONCE + 1)]
    assert statuses == [403] * FAILURES_AT_ONCE + [429]
    assert await ask("other") == 403


@pytest.mark.parametrize("path", ["/v1/login", ALIAS, f"/v2/{KEY}/events"])
async def test_a_wrong_signature_keeps_no_app_out(proxied: World, path: str) -> None:
    """All users of an app may come from one address, and each of them has its key."""
    said = {"X-Forwarded-For": GUESSER}
    wrong, right = (signed(path, b"{", DATE, secret=secret) for secret in ("guessed", SECRET))
    for _ in range(2 * FAILURES_AT_ONCE):
        assert (await post(proxied, path, b"{", wrong | said)).status in (401, 403)
    assert (await post(proxied, path, b"{", right | said)).status == 400
