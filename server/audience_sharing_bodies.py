"""Bodies about sharing, read (spec/audiences.md, 12.1).

Every reader raises `actors.errors.AudienceRefused` with all that is wrong.
"""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from actors.audiences.objects import AccessRequest, Level
from actors.audiences.sharing import LEVELS
from actors.errors import AudienceRefused
from server.audience_members import BodyReader

OWNER = "owner"  # the level that is shown of the audience's own account
MAX_ACCOUNTS = 1000
MAX_TYPES, MAX_TYPE = 100, 256
MAX_PLATFORMS, MAX_PLATFORM, MAX_DETAILS = 100, 256, 4096


def read_sharing(
    body: dict[str, Any], owner: int, shown: Mapping[str, Any]
) -> tuple[Level | None, dict[int, Level] | None]:
    """Read the levels of an audience: that of all accounts, and account to its own.

    What is not given is `None`.

    Args:
        body: as it was sent; it may name the owner as such, as what is shown does.
        owner: account of the audience.
        shown: who may use it, as that is shown.
    """
    read = BodyReader(body)
    read.read_only(shown, ("requests",))
    default = read.word("default_level", LEVELS)
    levels: dict[int, Level] | None = None
    if read.has("accounts"):
        levels = {}
        for inner in _accounts(read, "accounts"):
            account = inner.integer("account_id", 1, required=True)
            if account == owner and inner.raw("level") == OWNER:
                continue
            level = inner.word("level", LEVELS, required=True)
            if account is not None and level is not None:
                levels[account] = cast(Level, level)
    read.finish()
    return cast(Level | None, default), levels


def read_sharing_default(
    body: dict[str, Any],
) -> tuple[Level | None, dict[int, tuple[str, ...]] | None]:
    """Read what holds for an account: the level of new audiences, and account to identity types."""
    read = BodyReader(body)
    level = read.word("default_level", LEVELS)
    withheld: dict[int, tuple[str, ...]] | None = None
    if read.has("withheld_identities"):
        withheld = {}
        for inner in _accounts(read, "withheld_identities"):
            account = inner.integer("account_id", 1, required=True)
            types = inner.texts("identity_types", MAX_TYPES, MAX_TYPE, required=True)
            if account is not None and types is not None:
                withheld[account] = types
    read.finish()
    return cast(Level | None, level), withheld


def read_access_request(body: dict[str, Any], actor: str, now_ms: int) -> AccessRequest:
    """Read what an account asks for."""
    read = BodyReader(body)
    asked = AccessRequest(
        level=cast(Level, read.word("level", LEVELS, required=True)),
        start=read.day("start"),
        end=read.day("end"),
        details=read.text("details", MAX_DETAILS, 0) or "",
        platforms=read.texts("platforms", MAX_PLATFORMS, MAX_PLATFORM) or (),
        requested_by=actor,
        requested_ms=now_ms,
    )
    if asked.start is not None and asked.end is not None and asked.end < asked.start:
        read.fail("end", "must not be before start")
    read.finish()
    return asked


def _accounts(read: BodyReader, name: str) -> Iterator[BodyReader]:
    """Yield readers of the objects of a list; what is wrong in them is noted with the rest."""
    for index, each in enumerate(read.entries(name, MAX_ACCOUNTS) or ()):
        at = f"{name}/{index}"
        if not isinstance(each, dict):
            read.fail(at, "must be an object")
            continue
        inner = BodyReader(each, f"/{at}")
        yield inner
        try:
            inner.finish()
        except AudienceRefused as error:
            read.problems += error.problems
