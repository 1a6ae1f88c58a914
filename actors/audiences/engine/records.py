"""What goes into the engine of a profile's record, and what comes out to be recorded."""

from collections.abc import Collection
from typing import NamedTuple

from msgspec import Struct

from actors.audiences.engine.sources import NO_DERIVED, Derived
from actors.model.profiles import Profile, ProfileKey


class Change(Struct, frozen=True, gc=False):
    """Somebody entered an audience, or left it.

    `expiration_ms`: of an entry, when the definition will cease to hold without new data; `None`
    if it never will.
    """

    key: ProfileKey
    audience: int
    entered: bool
    expiration_ms: int | None = None


class Kept(Struct, frozen=True):
    """What a profile's record has for the engine.

    Attributes:
        entries: packed, see `packing`.
        audiences: the user's memberships.
        revision: of the definitions that the entries were made for.
    """

    entries: bytes = b""
    audiences: Collection[int] = ()
    revision: int = 0


class Loaded(NamedTuple):
    """A profile as its record is, with what others make of it."""

    key: ProfileKey
    profile: Profile
    kept: Kept
    derived: Derived = NO_DERIVED
