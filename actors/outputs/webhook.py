"""Output `webhook`: signed JSON over HTTP (spec/connections.md, 7.1)."""

import asyncio
import base64
import gzip
import hashlib
import hmac
from collections.abc import Sequence
from urllib.parse import urlsplit

import aiohttp

from actors.model.deliveries import Delivery
from actors.outputs import dsr_messages
from actors.outputs.audience_messages import is_membership, together
from actors.outputs.contract import Fatal, Outcome, RequestLimits, Split
from actors.outputs.environment import OutputEnvironment
from actors.outputs.http_answers import (
    CONNECT_TIMEOUT_S,
    body_id,
    excerpt,
    network_outcome,
    outcome_of,
    read_bounded,
)
from actors.outputs.module import HIDDEN, OutputModule, Target
from actors.outputs.synthetic import synthetic_delivery, synthetic_subject_request
from actors.outputs.webhook_settings import WebhookSettings

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
            max_changes=settings.max_profiles_per_request,
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
        """Send one synthetic batch, or data subject request; its header says that it is one."""
        environment = self._environment
        is_dsr = environment.place.kind == "dsr"
        made = synthetic_subject_request if is_dsr else synthetic_delivery
        delivery = made(environment.output, environment.clock)
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
                text = excerpt(await read_bounded(response))
                return outcome_of(response, text, self._environment.clock.now_ms())
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return network_outcome(error)

    def _body(self, deliveries: Sequence[Delivery]) -> bytes:
        place = self._environment.place
        if place.kind == "dsr":
            payloads = [dsr_messages.body_of(each.payload, place.number) for each in deliveries]
        elif is_membership(deliveries[0].payload):
            payloads = [together(deliveries, body_id(deliveries))]
        else:
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


async def _compress(body: bytes) -> bytes:
    """Gzip a body; the same body gives the same bytes."""
    if len(body) < THREAD_GZIP_BYTES:
        return gzip.compress(body, mtime=0)
    return await asyncio.to_thread(gzip.compress, body, mtime=0)


MODULE = OutputModule(
    module="webhook",
    kinds=frozenset({"event", "audience", "dsr"}),
    accepts_unbound=True,
    accepts_attribute_feed=True,
    settings_model=WebhookSettings,
    send_as_batch_default=False,
    batch_wait_s=600.0,
    retry_profile="stream",
    open=WebhookOutput,
    headers=shown_headers,
    domain=lambda settings: urlsplit(settings.url).hostname or "",
    targets=lambda settings: [Target("url", settings.url, settings.allow_insecure)],
    whole_batches=lambda _: (),
)
