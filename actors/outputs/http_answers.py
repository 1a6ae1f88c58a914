"""What the answers to HTTP requests mean for what was sent (spec/connections.md, 3.2)."""

import hashlib
from collections.abc import Sequence

import aiohttp

from actors.model.deliveries import Delivery
from actors.outputs import retry
from actors.outputs.contract import Delivered, Fatal, Outcome, Retry, Split
from actors.outputs.egress import EgressRefused

CONNECT_TIMEOUT_S = 5.0
READ_BYTES = 64 * 1024
EXCERPT_BYTES = 10 * 1024


def body_id(deliveries: Sequence[Delivery]) -> str:
    """Return the id of a body: the delivery's own, or one made of all that are inside."""
    if len(deliveries) == 1:
        return deliveries[0].delivery_id
    joined = "|".join(delivery.delivery_id for delivery in deliveries)
    return f"dl_{hashlib.sha256(joined.encode()).hexdigest()[:32]}"


async def read_bounded(response: aiohttp.ClientResponse) -> bytes:
    """Read a bounded part of an answer."""
    read = bytearray()
    try:
        while len(read) < READ_BYTES and (chunk := await response.content.read(READ_BYTES)):
            read += chunk
    except (aiohttp.ClientError, TimeoutError):
        # The status has been read and decides; a body that breaks off changes nothing.
        response.close()
    if not response.content.at_eof():
        response.close()  # what is left would be read before the connection could be used again
    return bytes(read)


def excerpt(body: bytes) -> str:
    """Return what is kept of an answer."""
    return body[:EXCERPT_BYTES].decode("utf-8", "replace")


def outcome_of(response: aiohttp.ClientResponse, text: str, now_ms: int) -> Outcome:
    """Say what a status means; `text` is what is kept of the answer."""
    status = response.status
    result = retry.classify(status)
    if result == "success":
        return Delivered(status, text)
    if result == "split":
        return Split(text, status)
    if result == "fatal":
        return Fatal("fatal_response", text, status)
    wait_s = None
    if status in retry.RETRY_AFTER_STATUSES:
        wait_s = retry.parse_retry_after(response.headers.get("Retry-After"), now_ms)
    return Retry(text, status, wait_s)


def network_outcome(error: Exception) -> Retry | Fatal:
    """Say what a request without an answer means."""
    if isinstance(error, aiohttp.ClientSSLError):
        return Fatal("fatal_response", retry.TLS_ALERT)
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    # Unusual spellings of addresses are refused by aiohttp itself.
    if isinstance(cause, EgressRefused | aiohttp.InvalidURL):
        return Fatal("egress_refused", str(cause))
    return Retry(f"{retry.NETWORK_ALERT}: {type(error).__name__}")
