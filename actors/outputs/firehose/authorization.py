"""Shows a module who we are: a token of its own, or OAuth 2 tokens that are kept fresh.

Source: spec/connections.md, 4 and 4.2. Tokens are kept with the output's state and shown nowhere.
"""

import logging
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

import aiohttp
import msgspec
from msgspec import Struct

from actors.clock import Randomness
from actors.outputs.environment import OutputEnvironment
from actors.outputs.firehose.client import ModuleClient
from actors.outputs.firehose.registration import Authentication
from actors.outputs.firehose.settings import FirehoseSettings, endpoint_problem
from actors.outputs.firehose.tokens import PREFIX, KeptTokens, Tokens

logger = logging.getLogger("headwater.forwarder")

REFRESH_AHEAD_MS = 5 * 60 * 1000
DEFAULT_EXPIRES_IN_S = 3600
BEGUN_MS = 10 * 60 * 1000
# What a token endpoint says when it will not give a token (RFC 6749, 5.2).
REFUSALS = frozenset({400, 401, 403})


class AuthorizationMissing(Exception):
    """Somebody has to authorize the output, again or for the first time; `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TokenUnavailable(Exception):
    """No token can be had just now; it may work later."""


class _TokenAnswer(Struct):
    access_token: str
    refresh_token: str | None = None
    expires_in: int | str | None = None


class Authorization:
    """The credentials of one output at its module, in one of its environments."""

    def __init__(
        self,
        settings: FirehoseSettings,
        environment: OutputEnvironment,
        client: ModuleClient,
        tokens: KeptTokens,
        randomness: Randomness,
    ) -> None:
        """Args: `tokens` of the output, `randomness` of what somebody is known again by."""
        self._randomness = randomness
        self._settings = settings
        self._environment = environment
        self._client = client
        self._tokens = tokens
        self._begun: dict[str, tuple[int, str]] = {}  # state: until when, where to

    async def headers(self, wanted: Authentication | None) -> dict[str, str]:
        """Return the headers of a message.

        Args:
            wanted: what the module has registered, `None` if a fixed token is enough.

        Raises:
            AuthorizationMissing: there are no tokens, or the module refuses to renew them.
            TokenUnavailable: the module does not answer.
            ShardUnavailable, StoreFull: tokens are refused, and it is not known whether there are
                newer ones.
        """
        headers = {}
        if self._settings.token is not None:
            headers["Authorization"] = f"Token {self._settings.token.get_secret_value()}"
        if wanted is None:
            return headers
        token = await self._access_token(wanted)
        if wanted.access_token_type == "custom_header":  # noqa: S105
            assert wanted.custom_header_name is not None, "a registration without it is refused"
            headers[wanted.custom_header_name] = token
        else:
            headers["Authorization"] = f"Bearer {token}"
        return headers

    def begin(self, wanted: Authentication, redirect_uri: str) -> str:
        """Return where somebody is sent to authorize the output.

        Args:
            redirect_uri: where the module sends them back to, with a code, within ten minutes.
        """
        now_ms = self._environment.clock.now_ms()
        state = f"{self._randomness.bits(256):064x}"
        self._begun = {
            each: (until_ms, uri)
            for each, (until_ms, uri) in self._begun.items()
            if until_ms > now_ms
        }
        self._begun[state] = now_ms + BEGUN_MS, redirect_uri
        query = {
            "response_type": "code",
            wanted.param_client_id_name: wanted.client_id,
            "redirect_uri": redirect_uri,
            "state": state,
        }
        if wanted.scopes:
            query["scope"] = " ".join(each.name for each in wanted.scopes)
        joint = "&" if "?" in wanted.authorization_url else "?"
        return f"{wanted.authorization_url}{joint}{urlencode(query)}"

    async def end(self, wanted: Authentication, code: str, state: str) -> None:
        """Exchange the code of somebody who came back with the state that they were sent with.

        Raises:
            AuthorizationMissing: nobody was sent with it lately, or the code is refused.
            TokenUnavailable: the module does not answer.
        """
        until_ms, redirect_uri = self._begun.pop(state, (0, ""))
        if until_ms <= self._environment.clock.now_ms():
            raise AuthorizationMissing("nobody was sent to the module with this state lately")
        form = {"grant_type": wanted.grant_type, "code": code, "redirect_uri": redirect_uri}
        async with self._tokens.renewing(_name(wanted)):
            await self._request(wanted, wanted.token_url, form, None)

    async def _access_token(self, wanted: Authentication) -> str:
        name = _name(wanted)
        async with self._tokens.renewing(name):  # else every message that finds it old renews it
            tokens = self._tokens.get(name)
            if tokens is None:
                raise AuthorizationMissing("the output has not been authorized")
            try:
                return (await self._holding(wanted, tokens)).access_token
            except AuthorizationMissing:
                newer = await self._tokens.reread(name)
                if newer is None or newer == tokens:
                    raise
                return (await self._holding(wanted, newer)).access_token

    async def _holding(self, wanted: Authentication, tokens: Tokens) -> Tokens:
        """Return tokens that hold, renewed if they are about to expire."""
        now_ms = self._environment.clock.now_ms()
        if now_ms < tokens.expires_ms - REFRESH_AHEAD_MS:
            return tokens
        try:
            return await self._refreshed(wanted, tokens)
        except TokenUnavailable:
            if now_ms < tokens.expires_ms:
                return tokens
            raise

    async def _refreshed(self, wanted: Authentication, tokens: Tokens) -> Tokens:
        if tokens.refresh_token is None:
            if self._environment.clock.now_ms() < tokens.expires_ms:
                return tokens
            raise AuthorizationMissing("the access token has expired and cannot be renewed")
        form = {"grant_type": "refresh_token", "refresh_token": tokens.refresh_token}
        url = wanted.refresh_url or wanted.token_url
        return await self._request(wanted, url, form, tokens.refresh_token)

    async def _request(
        self, wanted: Authentication, url: str, form: dict[str, str], refresh_token: str | None
    ) -> Tokens:
        problem = endpoint_problem(url, allow_insecure=self._settings.allow_insecure)
        if problem is not None:  # written in the document, or kept before that was looked at
            raise AuthorizationMissing(f"the URL of the token endpoint {problem}")
        form[wanted.param_client_id_name] = wanted.client_id
        if self._settings.client_secret is not None:
            form[wanted.param_secret_name] = self._settings.client_secret.get_secret_value()
        try:
            status, body = await self._client.post_form(url, form)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise TokenUnavailable(type(error).__name__) from None
        if status in REFUSALS:
            logger.error(
                "A module refuses a token",
                extra={
                    "event": "token_refused",
                    "output": self._environment.output,
                    "status": status,
                },
            )
            raise AuthorizationMissing(f"the module refused a token with status {status}")
        if status // 100 != 2:
            raise TokenUnavailable(f"status {status} of the token endpoint")
        try:
            answer = msgspec.json.decode(body, type=_TokenAnswer)
            expires_in_s = int(
                answer.expires_in or wanted.default_expires_in or DEFAULT_EXPIRES_IN_S
            )
        except (msgspec.DecodeError, ValueError, RecursionError):
            raise TokenUnavailable(f"status {status} without a token") from None
        tokens = Tokens(
            answer.access_token,
            answer.refresh_token or refresh_token,
            self._environment.clock.now_ms() + expires_in_s * 1000,
        )
        await self._tokens.put(_name(wanted), tokens)
        return tokens


def _name(wanted: Authentication) -> str:
    """Return by which name tokens are kept; those of another module are never used."""
    digest: Any = sha256(f"{wanted.token_url}|{wanted.client_id}".encode())
    return f"{PREFIX}{digest.hexdigest()[:16]}"
