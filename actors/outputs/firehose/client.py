"""Posts messages to a module, and reads its answers (spec/connections.md, 4)."""

import logging
from collections.abc import Mapping
from uuid import UUID, uuid5

import aiohttp
import msgspec
from msgspec import Struct

from actors.outputs.contract import Delivered, Fatal, Outcome
from actors.outputs.environment import OutputEnvironment
from actors.outputs.firehose.latency import Latency
from actors.outputs.firehose.messages import Answer, Message, decode_answer, encode
from actors.outputs.firehose.settings import FirehoseSettings
from actors.outputs.http_answers import (
    CONNECT_TIMEOUT_S,
    excerpt,
    network_outcome,
    outcome_of,
    read_bounded,
)

logger = logging.getLogger("headwater.forwarder")

# Namespace of the UUIDs made of delivery ids; modules may know messages again by them.
_NAMESPACE = UUID("0d0f5c52-6f1e-4a53-9a0e-2f0f8e0c7b19")


def message_uuid(name: str) -> str:
    """Return the id of the message that carries a delivery, always the same one."""
    return str(uuid5(_NAMESPACE, name))


class Reply(Struct, frozen=True):
    """What came of a message: `answer` and `body` only if the module answered as it should."""

    outcome: Outcome
    answer: Answer | None = None
    body: bytes = b""


class ModuleClient:
    """The HTTP side of one output."""

    def __init__(self, settings: FirehoseSettings, environment: OutputEnvironment) -> None:
        self._settings = settings
        self._environment = environment
        self._latency = Latency(environment.output, environment.clock)
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Open the session."""
        settings = self._settings
        self._session = self._environment.egress.session(
            timeout=aiohttp.ClientTimeout(
                total=settings.timeout_s, sock_connect=min(CONNECT_TIMEOUT_S, settings.timeout_s)
            ),
            auto_decompress=False,
        )

    async def close(self) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()

    async def ask(
        self,
        url: str,
        message: Message,
        authorization: Mapping[str, str],
        *,
        delivery_id: str | None = None,
        attempt: int = 1,
    ) -> Reply:
        """Post a message, and judge the answer: a 2xx has to be the response to its type.

        Args:
            authorization: headers that show who we are.
            delivery_id: what the message delivers, if it does.
        """
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Headwater",
            "Accept-Encoding": "identity",
            "X-CDP-Attempt": str(attempt),
        }
        if delivery_id is not None:
            headers["X-CDP-Delivery-Id"] = delivery_id
        session, clock = self._session, self._environment.clock
        assert session is not None, "open() comes first"
        began = clock.monotonic()
        try:
            async with session.post(
                url,
                data=encode(message),
                headers=headers | dict(authorization),
                allow_redirects=False,
                ssl=self._settings.verify_tls,
            ) as response:
                body = await read_bounded(response)
                outcome = outcome_of(response, excerpt(body), clock.now_ms())
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Reply(network_outcome(error))
        self._latency.took(clock.monotonic() - began)
        if not isinstance(outcome, Delivered):
            return Reply(outcome)
        return self._read(message, outcome, body)

    async def post_form(self, url: str, form: dict[str, str]) -> tuple[int, bytes]:
        """Post a form, as OAuth 2 asks for; return status and body.

        Raises:
            aiohttp.ClientError, TimeoutError, OSError: there is no answer.
        """
        assert self._session is not None, "open() comes first"
        async with self._session.post(
            url,
            data=form,
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
            allow_redirects=False,
            ssl=self._settings.verify_tls,
        ) as response:
            return response.status, await read_bounded(response)

    def _read(self, message: Message, outcome: Delivered, body: bytes) -> Reply:
        wanted = str(message.__struct_config__.tag).replace("_request", "_response")
        try:
            answer = decode_answer(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            answer = None
        if answer is not None and answer.type == wanted:
            if answer.suspend_subscription:
                outcome = Delivered(outcome.http_status, outcome.excerpt, is_suspension=True)
            return Reply(outcome, answer, body)
        if self._settings.strict_responses:
            fatal = Fatal("invalid_module_response", excerpt(body), outcome.http_status)
            return Reply(fatal)
        logger.warning(
            "A module accepted a message without the answer that the protocol asks for",
            extra={
                "event": "invalid_module_response",
                "output": self._environment.output,
                "alert": "invalid_module_response",
                "message_type": wanted,
            },
        )
        return Reply(outcome)
