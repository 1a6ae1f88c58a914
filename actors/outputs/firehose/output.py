"""Output `firehose`: a service that speaks the outbound protocol (spec/connections.md, 4)."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from actors.clock import SystemRandomness
from actors.errors import ShardUnavailable, StoreFull
from actors.model.deliveries import Delivery
from actors.outputs.contract import (
    Delivered,
    Outcome,
    Refused,
    RequestLimits,
    Retry,
    SubscriptionTerms,
)
from actors.outputs.environment import OutputEnvironment
from actors.outputs.firehose.audience_sender import AudienceSender
from actors.outputs.firehose.authorization import (
    Authorization,
    AuthorizationMissing,
    TokenUnavailable,
)
from actors.outputs.firehose.client import ModuleClient
from actors.outputs.firehose.dsr_sender import DsrSender
from actors.outputs.firehose.event_sender import EventSender
from actors.outputs.firehose.messages import Account
from actors.outputs.firehose.registration import Authentication
from actors.outputs.firehose.registrations import Registrations
from actors.outputs.firehose.sending import Ready, Sender
from actors.outputs.firehose.setting_values import sent_values, value_problems
from actors.outputs.firehose.settings import (
    FirehoseConnectionSettings,
    FirehoseSettings,
    output_problems,
)
from actors.outputs.firehose.takes import takes
from actors.outputs.firehose.tokens import tokens_of
from actors.outputs.module import OutputModule, Target

logger = logging.getLogger("headwater.forwarder")

PROBE_AFTER_MS = 60 * 60 * 1000
UPKEEP_S = 30.0

_SENDERS: dict[str, type[Sender]] = {
    "event": EventSender,
    "audience": AudienceSender,
    "dsr": DsrSender,
}


class FirehoseOutput:
    """Sends messages to one module, once it is known what the module wants."""

    def __init__(self, settings: FirehoseSettings, environment: OutputEnvironment) -> None:
        self._settings = settings
        self._environment = environment
        self._kind = environment.place.kind
        self._client = ModuleClient(settings, environment)
        self._registrations = Registrations(settings, environment, self._client)
        self._tokens = tokens_of(environment)
        self._authorization = Authorization(
            settings, environment, self._client, self._tokens, SystemRandomness()
        )
        self._sender = _SENDERS[environment.place.kind](settings, environment, self._client)
        self._last_ms = environment.clock.now_ms()
        self._upkeep: asyncio.Task[None] | None = None
        self._is_upkeep_failing = False

    @property
    def limits(self) -> RequestLimits:
        """What the forwarder may put into one `send`."""
        return self._sender.limits(self._registrations.in_force)

    async def start(self) -> None:
        """Take up what was kept, and ask the module what it is if that is not known.

        Raises:
            ShardUnavailable: what was kept cannot be read.
        """
        await self._client.open()
        state = await self._environment.state.output_state(self._environment.output)
        self._registrations.load(state)
        self._tokens.load(state)
        self._sender.load(state)
        await self.keep_up()
        self._upkeep = asyncio.get_running_loop().create_task(self._keep_up())

    async def stop(self) -> None:
        """Close the session, and keep what could not be kept so far."""
        if self._upkeep is not None:
            self._upkeep.cancel()
            await asyncio.gather(self._upkeep, return_exceptions=True)
        await self._client.close()
        await self._tokens.keep()

    async def test(self) -> Outcome:
        """Ask the module whether it is there, as after an idle hour."""
        return await self._probe()

    async def send(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        """Post one message for all deliveries."""
        self._last_ms = self._environment.clock.now_ms()
        ready = await self._ready()
        if not isinstance(ready, Ready):
            return [ready] * len(deliveries)
        return await self._sender.send(ready, deliveries)

    async def subscribe(self, terms: SubscriptionTerms) -> Outcome:
        """Have the module agree to a subscription; see `SubscribedOutput`."""
        assert isinstance(self._sender, AudienceSender), "others have no subscriptions"
        ready = await self._ready()
        if not isinstance(ready, Ready):
            return ready
        return await self._sender.subscribe(ready, terms)

    async def refresh_registration(self) -> list[str]:
        """Ask the module what it is, and return every problem; see `Registrations.refresh`."""
        try:
            return await self._registrations.refresh()
        except (ShardUnavailable, StoreFull) as error:
            return [f"the registration could not be kept: {type(error).__name__}"]

    async def registration(self) -> dict[str, Any] | None:
        """Return the registration in force."""
        found = self._registrations.in_force
        return None if found is None else found.model_dump(mode="json", exclude_none=True)

    async def begin_authorization(self, redirect_uri: str) -> str | None:
        """Return where somebody is sent to authorize the output; `None` if it needs none."""
        wanted = self._authentication
        return None if wanted is None else self._authorization.begin(wanted, redirect_uri)

    async def end_authorization(self, code: str, state: str) -> str | None:
        """Exchange the code that somebody came back with; return what is wrong, if anything."""
        wanted = self._authentication
        if wanted is None:
            return "the module asks for no authorization"
        try:
            await self._authorization.end(wanted, code, state)
        except (AuthorizationMissing, TokenUnavailable) as error:
            return str(error)
        return None

    @property
    def _authentication(self) -> Authentication | None:
        registration = self._registrations.in_force
        takes = None if registration is None else registration.processing(self._kind)
        return getattr(takes, "authentication", None)

    async def keep_up(self) -> None:
        """Ask for a registration that is missing; after an idle hour, whether the module is there.

        Never raises: nobody would do it again. Source: spec/connections.md, 4.1.
        """
        try:
            await self._look_after()
        except Exception:
            if not self._is_upkeep_failing:
                logger.exception(
                    "A module could not be looked after; it is tried again",
                    extra={"event": "module_upkeep_failed", "output": self._environment.output},
                )
            self._is_upkeep_failing = True
        else:
            self._is_upkeep_failing = False

    async def _look_after(self) -> None:
        await self._tokens.keep()
        if self._registrations.in_force is None:
            await self.refresh_registration()
            return
        now_ms = self._environment.clock.now_ms()
        if now_ms - self._last_ms < PROBE_AFTER_MS:
            return
        self._last_ms = now_ms
        if not isinstance(await self._probe(), Delivered):
            logger.warning(
                "A module does not answer while there is nothing to send",
                extra={"event": "module_probe_failed", "output": self._environment.output},
            )

    async def _keep_up(self) -> None:
        while True:
            await asyncio.sleep(UPKEEP_S)
            await self.keep_up()

    async def _probe(self) -> Outcome:
        ready = await self._ready()
        return await self._sender.probe(ready) if isinstance(ready, Ready) else ready

    async def _ready(self) -> Ready | Retry | Refused:
        """Return what a message needs besides its content, or why none can be sent."""
        registration, kind = self._registrations.in_force, self._kind
        if registration is None:
            return Retry(f"what the module wants is not known: {self._registrations.problem}")
        takes = registration.processing(kind)
        if takes is None:
            return Refused("invalid_settings", f"the module takes no output of kind {kind}")
        values = self._settings.account_settings
        for name, problem in value_problems(takes.account_settings, values):
            return Refused("invalid_settings", f"account_settings.{name}: {problem}")
        account = Account(
            self._environment.place.number, sent_values(takes.account_settings, values)
        )
        wanted = getattr(takes, "authentication", None)
        try:
            headers = await self._authorization.headers(wanted)
        except AuthorizationMissing as error:
            return Refused("authorization_refused", error.reason)
        except (TokenUnavailable, ShardUnavailable, StoreFull) as error:
            return Retry(f"no access token: {error}")
        return Ready(registration, account, headers)


MODULE = OutputModule(
    module="firehose",
    kinds=frozenset({"event", "audience", "dsr"}),
    accepts_unbound=True,
    accepts_attribute_feed=True,
    settings_model=FirehoseSettings,
    send_as_batch_default=True,
    retry_profile="stream",
    open=FirehoseOutput,
    connection_settings_model=FirehoseConnectionSettings,
    takes=takes,
    problems=output_problems,
    domain=lambda settings: urlsplit(settings.url_of("dsr") or "").hostname or "",
    targets=lambda settings: [
        Target(name, url, settings.allow_insecure) for name, url in settings.urls.items()
    ],
)
