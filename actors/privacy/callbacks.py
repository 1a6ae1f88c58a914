"""Tells callback URLs what requests have come to (spec/privacy.md, 4.2)."""

import logging
from typing import Protocol

import aiohttp
import msgspec
from msgspec.structs import replace

from actors.outputs.egress import EgressRules
from actors.outputs.http_answers import CONNECT_TIMEOUT_S
from actors.privacy.requests import Notice, SubjectRequest, Version
from actors.privacy.signing import Signer
from actors.privacy.statements import statement

TIMEOUT_S = 10.0

logger = logging.getLogger("headwater.privacy")

encode = msgspec.json.Encoder().encode


class Post(Protocol):
    """Posts a signed body to a URL."""

    async def __call__(self, url: str, version: Version, body: bytes) -> bool:
        """Tell whether the receiver took it; what it or the network does never raises."""
        ...


class SignedPost:
    """`Post` over HTTP, to where outbound requests may go."""

    def __init__(self, signer: Signer, egress: EgressRules) -> None:
        self._signer = signer
        self._egress = egress

    async def __call__(self, url: str, version: Version, body: bytes) -> bool:
        """See `Post`."""
        headers = {"Content-Type": "application/json", **self._signer.headers(version, body)}
        timeout = aiohttp.ClientTimeout(
            total=TIMEOUT_S, sock_connect=min(CONNECT_TIMEOUT_S, TIMEOUT_S)
        )
        is_public = url.startswith("https:")
        try:
            async with (
                self._egress.session(listed_only=not is_public, timeout=timeout) as session,
                session.post(url, data=body, headers=headers, allow_redirects=False) as response,
            ):
                return 200 <= response.status < 300
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return False


def notices_of(request: SubjectRequest, due_ms: int) -> SubjectRequest:
    """Return a request whose status, which is new, every callback URL is to be told."""
    added = tuple(
        Notice(place, request.status, request.expected_ms, request.changed_ms, due_ms)
        for place in range(len(request.sent.callback_urls))
    )
    return replace(request, notices=request.notices + added)


def callback_body(request: SubjectRequest, notice: Notice, controller: str, base: str) -> bytes:
    """Return what a URL is told of a status; `base`: scheme and host of the API."""
    told = statement(request, controller, base, notice.status, notice.expected_ms)
    return encode(told | {"status_callback_url": request.sent.callback_urls[notice.url]})


def due_notices(request: SubjectRequest, now_ms: int) -> list[Notice]:
    """Return the next notice of each URL, where that is due."""
    firsts: dict[int, Notice] = {}
    for each in request.notices:
        firsts.setdefault(each.url, each)
    return [each for each in firsts.values() if each.due_ms <= now_ms]


def after_attempt(
    request: SubjectRequest, notice: Notice, now_ms: int, *, is_taken: bool
) -> SubjectRequest:
    """Return a request after an attempt to tell somebody of it."""
    left = [] if is_taken else [notice.failed(now_ms)]
    if left and left[0].is_hopeless:
        logger.error(
            "a callback of a data subject request was given up",
            extra={"event": "dsr_callback_given_up", "subject_request_id": request.id},
        )
        left = []
    notices = list(request.notices)
    place = notices.index(notice)
    notices[place : place + 1] = left
    return replace(request, notices=tuple(notices))
