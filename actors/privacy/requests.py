"""Data subject requests as they are kept (spec/privacy.md, 3 and 4)."""

from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from actors.identity.keys import canonical
from actors.model.workspaces import Environment

Version = Literal["1.0", "2.0", "3.0"]
RequestType = Literal["erasure", "access", "portability"]
Status = Literal["pending", "in_progress", "completed", "cancelled"]
ForwardStatus = Literal["pending", "skipped", "sent", "failed"]

Subject = tuple[Environment, int]  # and MPID
Identities = tuple[tuple[str, str], ...]  # IDSync type and value of each

UNFINISHED: tuple[Status, ...] = ("pending", "in_progress")
CALLBACK_LIMIT_MS = 72 * 3600 * 1000
_BACKOFF_MS = tuple(minutes * 60_000 for minutes in (1, 5, 15, 60))


class Submission(Struct, frozen=True, kw_only=True):
    """A request as an edge has read and checked it.

    Attributes:
        version: of the API that it came by; `regulation` is `None` in version 1.
        identities: (IDSync type, value), each once.
        mpids: named as such.
    """

    id: str
    type: RequestType
    version: Version
    regulation: Literal["gdpr", "ccpa"] | None
    submitted_ms: int
    group: str | None
    skips_waiting: bool
    identities: Identities
    mpids: tuple[int, ...]
    callback_urls: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Submission({self.id!r})"


class Notice(Struct, frozen=True):
    """A status that a callback URL has not been told yet.

    `url` is its place among the request's. `attempts` have failed, and the next is due at `due_ms`.
    """

    url: int
    status: Status
    expected_ms: int | None
    made_ms: int
    due_ms: int
    attempts: int = 0

    @property
    def is_hopeless(self) -> bool:
        """Whether it has been tried for as long as anything is."""
        return self.due_ms - self.made_ms > CALLBACK_LIMIT_MS

    def failed(self, now_ms: int) -> "Notice":
        """Return what is left to do after one more attempt has failed."""
        pause_ms = _BACKOFF_MS[min(self.attempts, len(_BACKOFF_MS) - 1)]
        return replace(self, attempts=self.attempts + 1, due_ms=now_ms + pause_ms)


class Forward(Struct, frozen=True):
    """What has become of a request at an output (spec/privacy.md, 6).

    Attributes:
        connection: its number in the outbox; `output`: the output's id.
        name, domain: what people call the output, and where it is.
        message: why it was skipped or has failed.
        sequence: of what waits for it in the outbox, 0 if nothing ever did.
    """

    connection: int
    output: str
    name: str
    domain: str
    status: ForwardStatus = "pending"
    message: str | None = None
    sequence: int = 0


class Stage(Struct, frozen=True):
    """A part of an erasure that is done: what was removed, and how many records of it."""

    store: str
    removed: int
    finished_ms: int


class Result(Struct, frozen=True):
    """What somebody asked for, to be fetched by whoever knows the token.

    `is_empty`: nobody was found. `is_gone`: there is nothing to be fetched any more.
    """

    token: str
    expires_ms: int
    is_empty: bool = False
    is_gone: bool = False

    def __repr__(self) -> str:
        return f"Result(expires_ms={self.expires_ms})"


class SubjectRequest(Struct, frozen=True, kw_only=True):
    """A request and what has become of it.

    Attributes:
        sent: as it came; without identities once it is over.
        fingerprint: the same for the same identities and type; nobody can tell them by it.
        due_ms: when the run is that fulfils it; `expected_ms`: when it is completed at the latest,
            `None` if it is cancelled.
        notices: in the order of their statuses.
        forwards: to outputs, `None` of a request that is never forwarded.
        subjects: the profiles that it is about, known from its run on until it is over.
        stages: of its erasure, as far as it has come.
        about: fingerprints of the profiles, from its end on.
        result: of one that is not an erasure.
    """

    sent: Submission
    received_ms: int
    fingerprint: bytes
    status: Status
    due_ms: int
    expected_ms: int | None
    changed_ms: int
    notices: tuple[Notice, ...] = ()
    forwards: tuple[Forward, ...] | None = None
    subjects: tuple[Subject, ...] | None = None
    stages: tuple[Stage, ...] = ()
    about: tuple[bytes, ...] = ()
    result: Result | None = None

    @property
    def id(self) -> str:
        """Its id, which the sender has chosen."""
        return self.sent.id

    @property
    def next_notice_ms(self) -> int | None:
        """When somebody is to be told something next; each URL hears the statuses in order."""
        firsts: dict[int, int] = {}
        for each in self.notices:
            firsts.setdefault(each.url, each.due_ms)
        return min(firsts.values(), default=None)

    def __repr__(self) -> str:
        return f"SubjectRequest({self.id!r}, {self.status!r})"


def content_of(sent: Submission) -> bytes:
    """Return what two requests have in common that ask for the same of the same people.

    Values that IDSync takes for one are one here (spec/identity.md, 2).
    """
    names = {(kind, canonical(kind, value)) for kind, value in sent.identities}
    parts = [sent.type, *(f"{kind}\0{value}" for kind, value in sorted(names))]
    return "\n".join([*parts, *map(str, sorted(set(sent.mpids)))]).encode()


def without_identities(sent: Submission) -> Submission:
    """Return what may be kept of a request when it is over."""
    return replace(sent, identities=(), mpids=())
