"""The one place where what is kept here asks for the criteria language."""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from actors.audiences.criteria import Node
from actors.audiences.objects import Canonical


class Names(Struct, frozen=True, kw_only=True):
    """What a definition may name.

    Attributes:
        workspaces: numbers, those of the audience.
        inputs: numbers, those of the audience.
        calculated: name to number of the calculated attributes that there are.
        lookback_days: a window that reaches further gets a warning; `None` for no limit.
    """

    workspaces: frozenset[int]
    inputs: frozenset[int]
    calculated: Mapping[str, int]
    lookback_days: int | None


class ReadDefinition(Struct, frozen=True):
    """A definition understood; `warnings` are for its author."""

    canonical: Canonical
    node: Node
    warnings: tuple[str, ...] = ()


# Raises AudienceRefused: `VALIDATION_ERROR`, `LIMIT_EXCEEDED`, or `REFERENCE_NOT_FOUND` for an
# input, workspace or calculated attribute; pointers begin below the definition.
Reader = Callable[[Any, Names], ReadDefinition]
