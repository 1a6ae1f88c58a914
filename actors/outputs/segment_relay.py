"""Output `segment_relay`: batches for Segment, RudderStack and Jitsu (spec/connections.md, 7.5)."""

import asyncio
import base64
import gzip
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal, NamedTuple
from urllib.parse import urlsplit

import aiohttp
import orjson
from pydantic import AfterValidator, Field, SecretStr

from actors.batches.identities import canonical_name
from actors.model.deliveries import Delivery
from actors.outputs.contract import Delivered, Fatal, Outcome, RequestLimits, Retry, Split
from actors.outputs.environment import OutputEnvironment
from actors.outputs.http_answers import (
    CONNECT_TIMEOUT_S,
    excerpt,
    network_outcome,
    outcome_of,
    read_bounded,
)
from actors.outputs.module import HIDDEN, OutputModule, OutputSettings, Target
from actors.outputs.segment_messages import EVENT_TYPES, messages_of
from actors.outputs.user_order import PRECEDED, UserOrder
from actors.outputs.web_urls import web_url
from actors.pipeline.settings import Takes

MAX_BODY_BYTES = 500 * 1024
MAX_MESSAGE_BYTES = 32 * 1024
BATCH_PATH = "/v1/batch"
_FRAME_BYTES = 64  # of a body around its messages: its name, and when it was sent


def _url(url: str) -> str:
    parts = web_url(url)
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("must not hold credentials, a query or a fragment")
    return url.rstrip("/")


class SegmentRelaySettings(OutputSettings):
    """Settings of the module `segment_relay`. `user_id`: type of the identity that is `userId`."""

    url: Annotated[str, AfterValidator(_url)]
    write_key: SecretStr
    path: Annotated[str, Field(pattern=r"^/[\w./~-]*$")] = BATCH_PATH
    user_id: Annotated[str, AfterValidator(lambda name: canonical_name(name) or name)] = (
        "customer_id"
    )
    include_traits: bool = False
    compression: Literal["none", "gzip"] = "none"
    timeout_s: float = Field(default=30.0, gt=0, le=600)
    verify_tls: bool = True
    allow_insecure: bool = False


TAKES = Takes(event_types=EVENT_TYPES)


class SegmentRelayConnectionSettings(OutputSettings):
    """What a connection sets; `user_split_group` is the pipeline's."""

    user_split_group: str | None = None


class Built(NamedTuple):
    """The messages of one delivery as they are sent; see `segment_messages.Made`."""

    messages: list[bytes]
    unsupported: int

    @property
    def size(self) -> int:
        """Bytes that they take in a body."""
        return sum(map(len, self.messages)) + len(self.messages)


class SegmentRelayOutput:
    """Posts messages, in bodies of at most 500 KiB."""

    limits = RequestLimits(max_deliveries=100, max_bytes=256 * 1024)

    def __init__(self, settings: SegmentRelaySettings, environment: OutputEnvironment) -> None:
        self._settings = settings
        self._environment = environment
        self._session: aiohttp.ClientSession | None = None
        key = f"{settings.write_key.get_secret_value()}:".encode()
        self._headers = _plain_headers(settings)
        self._headers["Authorization"] = f"Basic {base64.b64encode(key).decode()}"

    async def start(self) -> None:
        """Open the session."""
        settings = self._settings
        is_plain = urlsplit(settings.url).scheme == "http"
        self._session = self._environment.egress.session(
            listed_only=is_plain and not settings.allow_insecure,
            timeout=aiohttp.ClientTimeout(
                total=settings.timeout_s, sock_connect=min(CONNECT_TIMEOUT_S, settings.timeout_s)
            ),
            auto_decompress=False,
        )

    async def stop(self) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()

    async def test(self) -> Outcome:
        """Send one track of nobody, whose header and name say what it is."""
        now_ms = self._environment.clock.now_ms()
        message = {
            "type": "track",
            "event": "Headwater Test",
            "anonymousId": "headwater-test",
            "messageId": f"headwater-test-{now_ms}",
            "properties": {},
        }
        return await self._post([orjson.dumps(message)], {"X-CDP-Test": "true"})

    async def send(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        """Post body after body; what follows one that is to be sent again waits for it.

        After one that is too large, what its users have in later ones waits.
        """
        outcomes: list[Outcome] = [Delivered()] * len(deliveries)
        order = UserOrder()
        body: list[bytes] = []
        inside: list[int] = []  # whose messages are in the body
        unsupported: dict[int, int] = {}  # how many events of a delivery have none
        size = _FRAME_BYTES
        stopped: Retry | None = None

        async def close_body() -> None:
            nonlocal body, inside, size, stopped
            outcome = stopped or (await self._post(body, {}) if body else Delivered())
            if isinstance(outcome, Retry):
                stopped = outcome
            for index in inside:
                outcomes[index] = outcome
                order.note(deliveries[index], outcome)
                self._count(deliveries[index], unsupported[index], outcome)
            body, inside, size = [], [], _FRAME_BYTES

        for index, delivery in enumerate(deliveries):
            built = self._build(delivery)
            own = built.size if isinstance(built, Built) else 0
            if body and size + own > MAX_BODY_BYTES:
                await close_body()
            if not isinstance(built, Built):
                outcomes[index] = built
                order.note(delivery, built)
            elif order.holds(delivery):
                outcomes[index] = stopped or PRECEDED
                self._count(delivery, built.unsupported, outcomes[index])
            else:
                body += built.messages
                inside.append(index)
                unsupported[index] = built.unsupported
                size += own
        await close_body()
        return outcomes

    def _count(self, delivery: Delivery, unsupported: int, outcome: Outcome) -> None:
        """Count what is left out, once: parts of what is split count their own."""
        if unsupported and not delivery.attempts and not isinstance(outcome, Split):
            self._environment.count_drop(delivery.connection, "unsupported_type", unsupported)

    def _build(self, delivery: Delivery) -> Built | Outcome:
        """Return the messages of a delivery, or what becomes of one that cannot be sent so."""
        settings = self._settings
        try:
            made = messages_of(delivery, settings.user_id, include_traits=settings.include_traits)
            built = Built(list(map(orjson.dumps, made.messages)), made.unsupported)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return Fatal("build_error", type(error).__name__)
        is_too_large = any(len(each) > MAX_MESSAGE_BYTES for each in built.messages)
        if not is_too_large and _FRAME_BYTES + built.size <= MAX_BODY_BYTES:
            return built
        what = "a message is larger than 32 KiB" if is_too_large else "larger than 500 KiB"
        return Split(what) if delivery.event_count > 1 else Fatal("payload_too_large", what)

    async def _post(self, messages: Sequence[bytes], extra: dict[str, str]) -> Outcome:
        now_ms = self._environment.clock.now_ms()
        sent_at = datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(timespec="milliseconds")
        body = b'{"batch":[%b],"sentAt":"%b"}' % (
            b",".join(messages),
            sent_at.replace("+00:00", "Z").encode(),
        )
        if self._settings.compression == "gzip":
            body = await asyncio.to_thread(gzip.compress, body, mtime=0)
        assert self._session is not None, "start() comes first"
        try:
            async with self._session.post(
                self._settings.url + self._settings.path,
                data=body,
                headers=self._headers | extra,
                allow_redirects=False,
                ssl=self._settings.verify_tls,
            ) as response:
                return outcome_of(response, excerpt(await read_bounded(response)), now_ms)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return network_outcome(error)


def _plain_headers(settings: SegmentRelaySettings) -> dict[str, str]:
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Headwater",
        "Accept-Encoding": "identity",
    }
    if settings.compression == "gzip":
        headers["Content-Encoding"] = "gzip"
    return headers


MODULE = OutputModule(
    module="segment_relay",
    kinds=frozenset({"event"}),
    accepts_unbound=True,
    accepts_attribute_feed=True,
    settings_model=SegmentRelaySettings,
    send_as_batch_default=True,
    gets_aliases=True,
    retry_profile="stream",
    open=SegmentRelayOutput,
    takes=lambda _: TAKES,
    always_takes=TAKES,
    targets=lambda settings: [Target("url", settings.url, settings.allow_insecure)],
    headers=lambda settings: _plain_headers(settings) | {"Authorization": HIDDEN},
    connection_settings_model=SegmentRelayConnectionSettings,
)
