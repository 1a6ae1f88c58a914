"""What can go wrong inside the actors, by who has to act."""

from msgspec import Struct


class Problem(Struct, frozen=True, array_like=True):
    """One thing that is wrong with a batch.

    `path` is the place inside the batch (`events[2].data.label`), `None` for the batch as a whole.
    `message` names the field and never holds a value that the sender sent.
    """

    message: str
    path: str | None = None


class BatchRejected(Exception):
    """One batch cannot be applied; the others of its micro-batch are not affected.

    Carries every problem found, in document order, at most 20 (spec/events-api.md, 3.4).
    """

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(problems)
        self.problems = problems


class StoreFull(Exception):
    """The store has no room; nothing was applied. The edge answers 503."""


class StoreDamaged(Exception):
    """The store does not work, and not for want of room; only opening it anew can help."""


class ShardUnavailable(Exception):
    """The owner of a slot did not answer in time; what was sent may or may not be applied."""


class SlotsMoving(ShardUnavailable):
    """Who was asked does not answer as long as slots are moving, and is to be asked again."""


class SlotsMoved(ShardUnavailable):
    """Slots of the shard have moved since the caller heard who owns which; nothing was applied."""


class ActorFailed(ShardUnavailable):
    """An actor cannot be started, and is not tried again: its constructor has failed. Says why."""


class CannotListen(OSError):
    """A port cannot be listened on. Says which, and why."""


class DataFolderError(Exception):
    """The data folder cannot be used: in use, of a newer format, or damaged. Says what to do."""


class IdentitiesShared(Exception):
    """A type cannot be made unique: users share values of it. `values`: how many, by type."""

    def __init__(self, values: dict[str, int]) -> None:
        super().__init__(values)
        self.values = values


class HotIdentity(Exception):
    """Too many calls wait for one identity, or one has waited too long; nothing was decided.

    The edge answers 429 (spec/identity.md, 4.3).
    """


class StaleTerm(Exception):
    """The coordinator that asks is not the last one, or knows less than it did; nothing was done.

    `start` is the last start of a coordinator that the shard knows of, `intent` the number of the
    last intent that it has.
    """

    def __init__(self, start: int, intent: int) -> None:
        super().__init__(start, intent)
        self.start = start
        self.intent = intent


class GroupExists(Exception):
    """There is a group definition of this id already; the caller gets a 409."""


class GroupInvalid(Exception):
    """A group definition cannot stand beside the others; the caller gets a 400 with the message."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class StaleGroupRun(Exception):
    """A shard is not where a run of the group job thinks that it is; nothing was written."""

    def __init__(self, last: int) -> None:
        super().__init__(last)
        self.last = last  # number of the last run that the shard knows of


class AudienceRefused(Exception):
    """Something of audiences cannot be done; the caller gets the status that goes with `code`.

    The paths of problems are JSON pointers into the caller's body (spec/audiences.md, 14).
    """

    def __init__(self, code: str, problems: list[Problem]) -> None:
        super().__init__(code, problems)
        self.code = code
        self.problems = problems


class HeldByFile(Exception):
    """A configuration file has the object; the API may change it once the file has let go of it.

    `section` and `name`: of the document.
    """

    def __init__(self, section: str, name: str) -> None:
        super().__init__(section, name)
        self.section = section
        self.name = name


class CalculatedRefused(Exception):
    """Something of calculated attributes cannot be done; `code` decides the caller's status."""

    def __init__(self, code: str, messages: list[str]) -> None:
        super().__init__(code, messages)
        self.code = code
        self.messages = messages


class SubjectRequestRefused(Exception):
    """A data subject request is not taken or not changed (spec/privacy.md, 3.6).

    `status` is that of the answer. `retry_after_ms`: when it would be taken, if that is known.
    """

    def __init__(self, status: int, message: str, retry_after_ms: int | None = None) -> None:
        super().__init__(status, message, retry_after_ms)
        self.status = status
        self.message = message
        self.retry_after_ms = retry_after_ms


class ConfigurationRefused(Exception):
    """A configuration is not applied; nothing was changed.

    `code`: decides the caller's status (`server.config_problems`). The paths of problems are places
    in the workspace document (`connections[2].output`).
    """

    def __init__(self, code: str, problems: list[Problem]) -> None:
        super().__init__(code, problems)
        self.code = code
        self.problems = problems


class CursorInvalid(Exception):
    """A cursor was not given out by the page before; the caller gets a 400."""
