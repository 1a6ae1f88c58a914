"""What people asked for, as long as it may be fetched (spec/privacy.md, 5.1)."""

import base64
from collections import Counter
from collections.abc import Sequence
from hmac import compare_digest
from typing import Literal

from msgspec.structs import replace

from actors.clock import Randomness
from actors.output_states import Seal
from actors.privacy.exporting import Exporter
from actors.privacy.requests import Result, Subject, SubjectRequest
from actors.store import subject_requests
from actors.store.environment import Store

TOKEN_BYTES = 32

Found = Literal["here", "gone", "unknown"]


class Results:
    """Makes results, hands them out, and lets go of them. What writes raises StoreFull."""

    def __init__(
        self, store: Store, exporter: Exporter, seal: Seal, randomness: Randomness
    ) -> None:
        """Args: `store` of the workspace; `seal`: of what is kept of whom a result is about."""
        self._store = store
        self._exporter = exporter
        self._seal = seal
        self._randomness = randomness

    async def make(self, request: SubjectRequest, expires_ms: int, *, has_profiles: bool) -> Result:
        """Collect what a request asks for. Raises ShardUnavailable and StoreFull."""
        subjects = request.subjects or ()
        if subjects:
            await self._exporter.export(request.id, subjects, has_profiles=has_profiles)
        token = self._randomness.bits(8 * TOKEN_BYTES).to_bytes(TOKEN_BYTES, "big")
        text = base64.urlsafe_b64encode(token).rstrip(b"=").decode()
        return Result(text, expires_ms, is_empty=not subjects)

    def find(self, request_id: str, token: str) -> Found:
        """Tell whether a result can be fetched by a token."""
        with self._store.read() as txn:
            request = subject_requests.read(txn, request_id)
        result = None if request is None else request.result
        if result is None or not compare_digest(
            result.token.encode(), token.encode("utf-8", "replace")
        ):
            return "unknown"
        if result.is_gone:
            return "gone"
        return "unknown" if result.is_empty else "here"

    async def read(self, request_id: str, offset: int) -> bytes:
        """Return the next bytes of a result that can be fetched."""
        return await self._exporter.read(request_id, offset)

    def expire(self, now_ms: int) -> None:
        """Delete the results whose time is over."""
        with self._store.read() as txn:
            old = list(subject_requests.with_results(txn, now_ms))
        for request in old:
            self._forget(request.id)

    async def forget_about(self, users: Sequence[Subject]) -> dict[Subject, int]:
        """Delete the results that are about some users; return how many there were of each."""
        prints = {fingerprint(self._seal, user): user for user in users}
        removed: Counter[Subject] = Counter()
        with self._store.read() as txn:
            kept = list(subject_requests.with_results(txn))
        for request in kept:
            about = [prints[each] for each in request.about if each in prints]
            if about:
                removed.update(about[:1])
                self._forget(request.id)
        return removed

    def _forget(self, request_id: str) -> None:
        self._exporter.remove(request_id)
        with self._store.write() as txn:
            request = subject_requests.existing(txn, request_id)
            if request.result is not None:
                gone = replace(request.result, is_gone=True)
                subject_requests.write(txn, replace(request, result=gone))


def fingerprint(seal: Seal, user: Subject) -> bytes:
    """Return what is kept of a user whose data is gone."""
    environment, mpid = user
    return seal.fingerprint(f"{environment}\0{mpid}".encode())
