"""OAuth 2 at a module. Source: spec/connections.md, 4.2: authentication."""

from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from aiohttp import web

from actors.errors import ShardUnavailable, StoreFull
from actors.outputs.contract import Delivered, Refused
from actors.outputs.firehose.authorization import REFRESH_AHEAD_MS
from actors.outputs.firehose.output import FirehoseOutput
from actors.outputs.firehose.settings import FirehoseSettings
from actors.outputs.registry import open_outputs
from tests.actors.outputs.firehose.support import Module, Place, batch, event, registration, sent

HOUR_MS = 3_600_000
BACK = "https://console.example.com/back"


class Tokens:
    """A token endpoint: the module itself, where it is sent forms.

    `is_rotating`: every renewal ends the refresh token that it was asked for with.
    """

    def __init__(self, module: Module, *, is_rotating: bool = False) -> None:
        self.forms: list[dict[str, str]] = []
        self.status = 200
        holds: str | None = None
        respond = module.answer

        def answer(request: web.Request) -> web.Response:
            body = module.requests[-1][1]
            if body[:1] == b"{":
                return respond(request)
            nonlocal holds
            form = dict(parse_qsl(body.decode()))
            self.forms.append(form)
            if is_rotating and form.get("refresh_token") not in (None, holds):
                return web.json_response({"error": "invalid_grant"}, status=400)
            holds = f"r-{len(self.forms)}" if is_rotating else "r"
            token = {
                "access_token": f"t-{len(self.forms)}",
                "refresh_token": holds,
                "expires_in": 3600,
            }
            return web.json_response(token, status=self.status)

        module.answer = answer


def registered(module: Module, **changes: Any) -> dict[str, Any]:
    authentication = {
        "type": "oauth2",
        "authorization_url": "https://acme.example/auth?x=1",
        "token_url": module.url,
        "client_id": "headwater",
        "scopes": [{"name": "mail"}, {"name": "lists"}],
    } | changes
    takes = {"supported_event_types": ["custom_event"], "authentication": authentication}
    return registration(event_processing_registration=takes)


async def authorized(module: Module, place: Place, **changes: Any) -> FirehoseOutput:
    module.registration = registered(module, **changes)
    output = place.open(module.url, token="sesame", client_secret="hush")
    await output.start()
    await authorize(output)
    return output


async def authorize(output: FirehoseOutput) -> None:
    url = await output.begin_authorization(BACK)
    assert url is not None
    state = parse_qs(urlsplit(url).query)["state"][0]
    assert await output.end_authorization("c-1", state) is None


NOT_SECRET = "must be https, unless allow_insecure is set"
NO_URL = "must be an http or https URL"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://acme.example/token", NOT_SECRET),
        ("foo", NO_URL),
        ("https:///token", NO_URL),
        ("https://[x/token", NO_URL),
    ],
)
async def test_a_secret_is_sent_to_no_endpoint_in_the_clear(
    module: Module, url: str, problem: str
) -> None:
    """A written registration too; and what is no URL is not tried again for a day."""
    place = Place()
    module.registration = registered(module, token_url=url)
    asked = place.open(module.url)
    await asked.start()
    where = "event_processing_registration.authentication.token_url"
    assert await asked.refresh_registration() == [f"{where}: {problem}"]
    await asked.stop()
    written = place.open(registration=dict(module.registration), event_url=module.url)
    await written.start()
    back = await written.begin_authorization(BACK)
    assert back is not None
    state = parse_qs(urlsplit(back).query)["state"][0]
    said = await written.end_authorization("c-1", state)
    assert said == f"the URL of the token endpoint {problem}"
    await written.stop()


@pytest.mark.parametrize("name", ["authorization_url", "refresh_url"])
async def test_every_endpoint_of_a_module_is_looked_at(module: Module, name: str) -> None:
    place = Place()
    module.registration = registered(module, **{name: "http://acme.example/x"})
    for allow_insecure, problems in ((False, [NOT_SECRET]), (True, [])):
        output = place.open(module.url, allow_insecure=allow_insecure)
        await output.start()
        found = await output.refresh_registration()
        assert [each.split(": ")[1] for each in found] == problems
        await output.stop()


def events_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [getattr(each, "event", "") for each in caplog.records]


async def send(output: FirehoseOutput) -> Any:
    [outcome] = await output.send([sent(1, batch(event()))])
    return outcome


def header(module: Module, name: str) -> str | None:
    return module.requests[-1][0].get(name)


async def test_without_authorization_the_connection_is_faulted(module: Module) -> None:
    module.registration = registered(module)
    output = Place().open(module.url)
    await output.start()
    assert await send(output) == Refused(
        "authorization_refused", "the output has not been authorized"
    )
    url = await output.begin_authorization(BACK)
    assert url is not None
    assert url.startswith("https://acme.example/auth?x=1&")
    query = parse_qs(urlsplit(url).query)
    assert query["client_id"] == ["headwater"]
    assert query["redirect_uri"] == [BACK]
    assert query["scope"] == ["mail lists"]
    await output.stop()


async def test_tokens_are_used_kept_and_renewed_before_they_expire(module: Module) -> None:
    tokens, place = Tokens(module), Place()
    output = await authorized(module, place)
    assert tokens.forms == [
        {
            "grant_type": "authorization_code",
            "code": "c-1",
            "redirect_uri": BACK,
            "client_id": "headwater",
            "client_secret": "hush",
        }
    ]
    assert isinstance(await send(output), Delivered)
    assert header(module, "authorization") == "Bearer t-1"
    await output.stop()
    place.restart()
    again = place.open(module.url, client_secret="hush")
    await again.start()
    place.clock.advance(HOUR_MS - REFRESH_AHEAD_MS - 1)
    await send(again)
    assert header(module, "authorization") == "Bearer t-1"
    place.clock.advance(1)
    await send(again)
    assert header(module, "authorization") == "Bearer t-2"
    assert tokens.forms[-1]["grant_type"] == "refresh_token"
    assert tokens.forms[-1]["refresh_token"] == "r"
    await again.stop()


async def test_a_header_of_its_own_goes_beside_the_token(module: Module) -> None:
    Tokens(module)
    changes = {"access_token_type": "custom_header", "custom_header_name": "X-Acme"}
    output = await authorized(module, Place(), **changes)
    await send(output)
    await output.stop()
    assert header(module, "authorization") == "Token sesame"
    assert header(module, "x-acme") == "t-1"


@pytest.mark.parametrize("status", [400, 401, 403])
async def test_a_refused_renewal_faults_the_connection(module: Module, status: int) -> None:
    tokens, place = Tokens(module), Place()
    output = await authorized(module, place)
    tokens.status = status
    place.clock.advance(HOUR_MS)
    outcome = await send(output)
    await output.stop()
    assert outcome == Refused(
        "authorization_refused", f"the module refused a token with status {status}"
    )


async def test_a_token_endpoint_that_is_away_costs_nothing_while_the_token_holds(
    module: Module,
) -> None:
    tokens, place = Tokens(module), Place()
    output = await authorized(module, place)
    tokens.status = 503
    place.clock.advance(HOUR_MS - 1)
    assert isinstance(await send(output), Delivered)
    assert header(module, "authorization") == "Bearer t-1"
    await output.stop()


@pytest.mark.parametrize("error", [StoreFull(), ShardUnavailable("coordinator")])
async def test_tokens_that_cannot_be_kept_are_used_and_kept_when_that_is_possible(
    module: Module, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    Tokens(module, is_rotating=True)
    place = Place()
    output = await authorized(module, place)
    place.state.failing = error
    for access_token in ("t-2", "t-3"):
        place.clock.advance(HOUR_MS)
        assert isinstance(await send(output), Delivered)
        assert header(module, "authorization") == f"Bearer {access_token}"
    await output.keep_up()
    assert events_of(caplog).count("tokens_not_kept") == 1
    place.state.failing = None
    await output.keep_up()
    place.restart()
    again = place.open(module.url)
    await again.start()
    assert isinstance(await send(again), Delivered)
    assert header(module, "authorization") == "Bearer t-3"
    await again.stop()
    await output.stop()


async def test_tokens_that_could_not_be_kept_so_far_are_kept_at_the_end(module: Module) -> None:
    Tokens(module, is_rotating=True)
    place = Place()
    place.state.failing = StoreFull()
    output = place.open(registration=registered(module), event_url=module.url)
    await output.start()
    await authorize(output)
    place.state.failing = None
    await output.stop()
    place.restart()
    again = place.open(registration=registered(module), event_url=module.url)
    await again.start()
    assert isinstance(await send(again), Delivered)
    await again.stop()


async def test_environments_with_other_settings_share_what_somebody_has_authorized(
    module: Module,
) -> None:
    tokens, place = Tokens(module, is_rotating=True), Place()
    module.registration = registered(module)
    of_both = {"registration_url": module.url}
    outputs = open_outputs(
        "firehose",
        {
            "development": FirehoseSettings.model_validate(of_both | {"timeout_s": 5.0}),
            "production": FirehoseSettings.model_validate(of_both),
        },
        place.environment,
    )
    development, production = outputs["development"], outputs["production"]
    assert isinstance(development, FirehoseOutput)
    assert isinstance(production, FirehoseOutput)
    await development.start()
    await production.start()
    await authorize(development)
    for access_token in ("t-1", "t-2", "t-3"):
        for output in (production, development):
            assert isinstance(await send(output), Delivered)
            assert header(module, "authorization") == f"Bearer {access_token}"
        place.clock.advance(HOUR_MS)
    await development.stop()
    await production.stop()
    assert len(tokens.forms) == 3


async def test_who_is_refused_goes_on_with_what_another_process_has_renewed(
    module: Module,
) -> None:
    tokens, place = Tokens(module, is_rotating=True), Place()
    output = await authorized(module, place)
    place.restart()
    other = place.open(module.url)
    await other.start()
    place.clock.advance(HOUR_MS)
    assert isinstance(await send(other), Delivered)
    assert isinstance(await send(output), Delivered)
    assert header(module, "authorization") == "Bearer t-2"
    tokens.status = 400
    place.clock.advance(HOUR_MS)
    assert isinstance(await send(output), Refused)
    await other.stop()
    await output.stop()


async def test_nobody_comes_back_who_was_not_sent(module: Module) -> None:
    Tokens(module)
    place = Place()
    output = await authorized(module, place)
    assert "state" in (await output.end_authorization("c-2", "made up") or "")
    url = await output.begin_authorization(BACK)
    assert url is not None
    state = parse_qs(urlsplit(url).query)["state"][0]
    place.clock.advance(10 * 60 * 1000)
    assert "state" in (await output.end_authorization("c-2", state) or "")
    await output.stop()
