"""Output `webhook`: signed JSON over HTTP (spec/connections.md, 7.1)."""

import asyncio
import base64
import gzip
import hashlib
import hmac
from collections.abc import Sequence

import aiohttp
import orjson

from actors.model import Delivery
from actors.outputs import retry
from actors.outputs.contract import (
    HIDDEN,
    Delivered,
    Fatal,
    Outcome,
    OutputEnvironment,
    OutputModule,
    RequestLimits,
    Retry,
    Split,
)
from actors.outputs.egress import EgressRefused
from actors.outputs.webhook_settings import WebhookSettings

CONNECT_TIMEOUT_S = 5.0
READ_BYTES = 64 * 1024
EXCERPT_BYTES = 10 * 1024
THREAD_GZIP_BYTES = 32 * 1024  # from about here compressing takes longer than changing threads

_CONTENT_TYPES = {
    "object": "application/json",
    "array": "application/json",
    "ndjson": "application/x-ndjson",
}


def signature(keys: Sequence[bytes], webhook_id: str, timestamp_s: int, body: bytes) -> str:
    """Sign the bytes on the wire: one `v1,<base64>` per key (the Standard Webhooks scheme)."""
    signed = f"{webhook_id}.{timestamp_s}.".encode() + body
    digests = (hmac.digest(key, signed, hashlib.sha256) for key in keys)
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)


def body_id(deliveries: Sequence[Delivery]) -> str:
    """Return the id of a body: the delivery's own, or one made of all that are inside."""
    if len(deliveries) == 1:
        return deliveries[0].delivery_id
    joined = "|".join(delivery.delivery_id for delivery in deliveries)
    return f"dl_{hashlib.sha256(joined.encode()).hexdigest()[:32]}"


def _plain_headers(settings: WebhookSettings) -> dict[str, str]:
    headers = {
        "Content-Type": _CONTENT_TYPES[settings.body],
        "User-Agent": "Headwater",
        # A compressed answer would have to be inflated to be shown, within bounds.
        "Accept-Encoding": "identity",
    }
    if settings.compression == "gzip":
        headers["Content-Encoding"] = "gzip"
    return headers


def _secret_headers(settings: WebhookSettings) -> dict[str, str]:
    headers = settings.headers
    if settings.authorization_header is not None:
        headers = {"Authorization": settings.authorization_header} | headers
    return {name: value.get_secret_value() for name, value in headers.items()}


def shown_headers(settings: WebhookSettings) -> dict[str, str]:
    """Return the headers of every request, without what is secret in them."""
    return _plain_headers(settings) | dict.fromkeys(_secret_headers(settings), HIDDEN)


class WebhookOutput:
    """Posts payloads to one URL."""

    def __init__(self, settings: WebhookSettings, environment: OutputEnvironment) -> None:
        self._settings = settings
        self._environment = environment
        self._keys = settings.keys
        self._headers = _plain_headers(settings) | _secret_headers(settings)
        self._session: aiohttp.ClientSession | None = None
        several = settings.body != "object"
        self.limits = RequestLimits(
            max_deliveries=settings.batch.max_batches if several else 1,
            # Brackets and separators come on top of the payloads.
            max_bytes=settings.max_body_bytes - (settings.batch.max_batches + 2 if several else 0),
            max_wait_ms=settings.batch.max_wait_ms if several else 0,
        )

    async def start(self) -> None:
        """Open the session."""
        settings = self._settings
        self._session = self._environment.egress.session(
            listed_only=settings.is_bound_to_list,
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
        """Send one synthetic batch, whose header says that it is one."""
        now_ms = self._environment.clock.now_ms()
        payload = orjson.dumps(
            {
                "schema_version": 2,
                "environment": "development",
                "mpid": None,
                "batch_id": 0,
                "timestamp_unixtime_ms": now_ms,
                "user_identities": [],
                "user_attributes": {},
                "events": [],
            }
        )
        digest = hashlib.sha256(f"test|{self._environment.output}|{now_ms}".encode()).hexdigest()
        delivery = Delivery(
            sequence=0,
            connection=0,
            delivery_id=f"dl_{digest[:32]}",
            mpid=None,
            payload=payload,
            created_ms=now_ms,
            environment="development",
        )
        return await self._post([delivery], {"X-CDP-Test": "true"})

    async def send(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        """Post one body; its answer holds for all deliveries in it."""
        outcome = await self._post(deliveries, {})
        return [outcome] * len(deliveries)

    async def _post(self, deliveries: Sequence[Delivery], extra: dict[str, str]) -> Outcome:
        body = self._body(deliveries)
        if len(body) > self._settings.max_body_bytes:
            if len(deliveries) > 1 or deliveries[0].event_count > 1:
                return Split("the body is larger than max_body_bytes")
            return Fatal("payload_too_large", "the body is larger than max_body_bytes")
        if self._settings.compression == "gzip":
            body = await _compress(body)
        headers = self._headers | self._delivery_headers(deliveries, body) | extra
        assert self._session is not None, "start() comes first"
        try:
            async with self._session.post(
                self._settings.url,
                data=body,
                headers=headers,
                allow_redirects=False,
                ssl=self._settings.verify_tls,
            ) as response:
                return await self._judge(response)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return _network_outcome(error)

    def _body(self, deliveries: Sequence[Delivery]) -> bytes:
        payloads = [delivery.payload for delivery in deliveries]
        if self._settings.body == "array":
            return b"[" + b",".join(payloads) + b"]"
        if self._settings.body == "ndjson":
            return b"\n".join(payloads) + b"\n"
        return payloads[0]

    def _delivery_headers(self, deliveries: Sequence[Delivery], body: bytes) -> dict[str, str]:
        identifier = body_id(deliveries)
        headers = {
            "X-CDP-Delivery-Id": identifier,
            "X-CDP-Attempt": str(1 + max(delivery.attempts for delivery in deliveries)),
        }
        if self._keys:
            timestamp_s = self._environment.clock.now_ms() // 1000
            headers["webhook-id"] = identifier
            headers["webhook-timestamp"] = str(timestamp_s)
            headers["webhook-signature"] = signature(self._keys, identifier, timestamp_s, body)
        return headers

    async def _judge(self, response: aiohttp.ClientResponse) -> Outcome:
        status = response.status
        text = await _read_excerpt(response)
        result = retry.classify(status)
        if result == "success":
            return Delivered(status, text)
        if result == "split":
            return Split(text, status)
        if result == "fatal":
            return Fatal("fatal_response", text, status)
        wait_s = None
        if status in retry.RETRY_AFTER_STATUSES:
            wait_s = retry.parse_retry_after(
                response.headers.get("Retry-After"), self._environment.clock.now_ms()
            )
        return Retry(text, status, wait_s)


async def _compress(body: bytes) -> bytes:
    """Gzip a body; the same body gives the same bytes."""
    if len(body) < THREAD_GZIP_BYTES:
        return gzip.compress(body, mtime=0)
    return await asyncio.to_thread(gzip.compress, body, mtime=0)


async def _read_excerpt(response: aiohttp.ClientResponse) -> str:
    """Read a bounded part of an answer and return what is kept of it."""
    read = bytearray()
    try:
        while len(read) < READ_BYTES and (chunk := await response.content.read(READ_BYTES)):
            read += chunk
    except (aiohttp.ClientError, TimeoutError):
        # The status has been read and decides; a body that breaks off changes nothing.
        response.close()
    if not response.content.at_eof():
        response.close()  # what is left would be read before the connection could be used again
    return bytes(read[:EXCERPT_BYTES]).decode("utf-8", "replace")


def _network_outcome(error: Exception) -> Outcome:
    """Say what a request without an answer means."""
    if isinstance(error, aiohttp.ClientSSLError):
        return Fatal("fatal_response", retry.TLS_ALERT)
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    # Unusual spellings of addresses are refused by aiohttp itself.
    if isinstance(cause, EgressRefused | aiohttp.InvalidURL):
        return Fatal("egress_refused", str(cause))
    return Retry(f"{retry.NETWORK_ALERT}: {type(error).__name__}")


MODULE = OutputModule(
    module="webhook",
    kinds=frozenset({"event", "audience"}),
    accepts_unbound=True,
    accepts_attribute_feed=True,
    settings_model=WebhookSettings,
    send_as_batch_default=False,
    retry_profile="stream",
    open=WebhookOutput,
    headers=shown_headers,
)
