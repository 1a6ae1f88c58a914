"""The registration in force: asked for, checked and kept (spec/connections.md, 4.2)."""

import logging
from collections.abc import Iterator
from hashlib import sha256

import orjson

from actors.outputs.contract import Delivered
from actors.outputs.environment import OutputEnvironment
from actors.outputs.firehose.client import ModuleClient, message_uuid
from actors.outputs.firehose.messages import VERSION, RegistrationRequest
from actors.outputs.firehose.registration import (
    Registration,
    RegistrationInvalid,
    parse_registration,
)
from actors.outputs.firehose.settings import FirehoseSettings, endpoint_problem

logger = logging.getLogger("headwater.forwarder")

# Of a refusal, wherever nobody asked for all of it: the words are the module's, and may be many.
SHOWN_PROBLEMS = 10
SHOWN_CHARACTERS = 200


class Registrations:
    """Knows what a module has said of itself last, if that was right.

    Attributes:
        in_force: `None` until there is one.
        problem: why there is none, or why the last answer is not in force, in short.
    """

    def __init__(
        self, settings: FirehoseSettings, environment: OutputEnvironment, client: ModuleClient
    ) -> None:
        self._url = settings.registration_url
        self._is_written = settings.registration is not None
        self._allow_insecure = settings.allow_insecure
        self._environment = environment
        self._client = client
        self._name = f"registration-{sha256((self._url or '').encode()).hexdigest()[:16]}"
        self.in_force = settings.registration
        self.problem: str | None = None
        self._logged: list[str] = []

    def load(self, state: dict[str, bytes]) -> None:
        """Take up what was kept, unless the document has a registration itself."""
        kept = state.get(self._name)
        if self._is_written or kept is None:
            return
        try:
            self.in_force = parse_registration(orjson.loads(kept))
        except RegistrationInvalid as error:  # this version asks for more than the one that kept it
            self._refuse(error.problems)

    async def refresh(self) -> list[str]:
        """Ask the module what it is; an answer without problems is in force, and kept.

        Returns:
            Every problem; the registration that was in force before then stays.

        Raises:
            ShardUnavailable, StoreFull: it could not be kept; it is not in force.
        """
        if self._url is None:
            return ["the registration is part of the document and is not asked for"]
        now_ms = self._environment.clock.now_ms()
        name = f"{self._environment.output}|{now_ms}"
        request = RegistrationRequest(
            id=message_uuid(name), timestamp_ms=now_ms, firehose_version=VERSION
        )
        reply = await self._client.ask(self._url, request, {})
        if not isinstance(reply.outcome, Delivered):
            return self._refuse([f"the module cannot be asked: {reply.outcome.excerpt}"])
        try:
            found = self._parsed(reply.body)
        except RegistrationInvalid as error:
            return self._refuse(error.problems)
        kept = {self._name: reply.body}
        await self._environment.state.keep_output_state(self._environment.output, kept)
        self.in_force, self.problem, self._logged = found, None, []
        return []

    def _parsed(self, body: bytes) -> Registration:
        try:
            found = orjson.loads(body)  # stricter than what has read its type: it reads all of it
        except orjson.JSONDecodeError:
            problem = "the answer is not a module_registration_response, as JSON in UTF-8"
            raise RegistrationInvalid([problem]) from None
        registration = parse_registration(found, self.in_force)
        if problems := list(self._endpoint_problems(registration)):
            raise RegistrationInvalid(problems)
        return registration

    def _endpoint_problems(self, registration: Registration) -> Iterator[str]:
        for kind in ("event", "audience"):
            name = f"{kind}_processing_registration"
            wanted = getattr(registration.processing(kind), "authentication", None)
            for field in ("authorization_url", "token_url", "refresh_url"):
                url = getattr(wanted, field, None)
                if url is None:
                    continue
                problem = endpoint_problem(url, allow_insecure=self._allow_insecure)
                if problem is not None:
                    yield f"{name}.authentication.{field}: {problem}"

    def _refuse(self, problems: list[str]) -> list[str]:
        shown = [each[:SHOWN_CHARACTERS] for each in problems[:SHOWN_PROBLEMS]]
        self.problem = shown[0]
        if shown == self._logged:
            return problems
        self._logged = shown
        logger.warning(
            "A module's registration cannot be used",
            extra={
                "event": "registration_refused",
                "output": self._environment.output,
                "problems": shown,
                "in_force": self.in_force is not None,
            },
        )
        return problems
