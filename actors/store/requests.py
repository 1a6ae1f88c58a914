"""Answers to requests that carried an `Idempotency-Key`, for a day (spec/platform-api.md, 1).

Beside the answers of logouts, in the coordinator's store.
"""

from msgspec import Struct

from actors.store.kept_answers import AnswerShelf

RETENTION_MS = 24 * 60 * 60 * 1000
MAX_BYTES = 64 * 1024 * 1024

ANSWERS = AnswerShelf(b"r", b"s", b"t", RETENTION_MS, MAX_BYTES)


class KeptAnswer(Struct, frozen=True, array_like=True):
    """An answer as it was sent. `content`: digest of what had been asked; `etag`: may be empty."""

    content: bytes
    status: int
    content_type: str
    body: bytes
    etag: str = ""
