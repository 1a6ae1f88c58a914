"""Bodies about calculated attributes, read (spec/calculated-attributes.md, 6).

Every reader raises `actors.errors.CalculatedRefused`.
"""

from typing import Any

from msgspec import Struct

from actors.calculated.definition import Definition
from actors.calculated.objects import AttributeFields
from actors.calculated.reading import canonical, read_definition
from actors.calculated.validation import Bounds, check_definition, date_ms
from actors.errors import CalculatedRefused
from server.calculated_views import READ_BACK
from server.parameters import INT64_END

MAX_PREVIEWED = 100

_FIELDS = frozenset({"name", "description", "draft_definition"})
_PREVIEW = frozenset({"definition", "mpids", "as_of"})


class Preview(Struct, frozen=True):
    """A definition, of whom its values are asked for, and when they are to be so."""

    definition: Definition
    mpids: list[int]
    as_of_ms: int


def read_fields(body: dict[str, Any]) -> AttributeFields:
    """Read an attribute; what is computed may be sent back, as it was shown."""
    _check_known(body, _FIELDS | READ_BACK)
    return AttributeFields(
        name=body.get("name"),
        description=body.get("description"),
        draft_definition=body.get("draft_definition"),
    )


def read_preview(body: dict[str, Any], has_extended_windows: bool, now_ms: int) -> Preview:
    """Read what values are asked for.

    Args:
        body: as it was sent.
        has_extended_windows: of the workspace.
        now_ms: the instant that is meant where the body names none.
    """
    _check_known(body, _PREVIEW)
    definition, mpids, as_of = body.get("definition"), body.get("mpids"), body.get("as_of")
    if not isinstance(definition, dict):
        raise CalculatedRefused("VALIDATION_ERROR", ["Field 'definition' is required."])
    if not isinstance(mpids, list) or not all(_is_mpid(each) for each in mpids):
        raise CalculatedRefused("VALIDATION_ERROR", ["Field 'mpids' must be an array of MPIDs."])
    if not 1 <= len(mpids) <= MAX_PREVIEWED:
        message = f"Field 'mpids' must have 1 to {MAX_PREVIEWED} MPIDs."
        raise CalculatedRefused("VALIDATION_ERROR", [message])
    as_of_ms = now_ms if as_of is None else date_ms(as_of)
    if as_of_ms is None:
        message = "Field 'as_of' must be an ISO date or timestamp."
        raise CalculatedRefused("VALIDATION_ERROR", [message])
    messages = check_definition(definition, Bounds(None, has_extended_windows), as_of_ms)
    if messages:
        raise CalculatedRefused("VALIDATION_ERROR", messages)
    return Preview(read_definition(canonical(definition)), mpids, as_of_ms)


def _check_known(body: dict[str, Any], names: frozenset[str]) -> None:
    """Check that a body has no others (spec/platform-api.md, 1)."""
    unknown = [f"Field '{name}' is not known." for name in body if name not in names]
    if unknown:
        raise CalculatedRefused("VALIDATION_ERROR", unknown)


def _is_mpid(value: Any) -> bool:
    return type(value) is int and -INT64_END <= value < INT64_END
