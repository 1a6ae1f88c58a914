"""What validation finds (spec/data-plans.md, 3.3)."""

from typing import Any, Literal

import orjson
from msgspec import Struct

Kind = Literal["unplanned", "missing_required", "invalid_value", "unknown"]
Path = tuple[str | int, ...]
# Where a value is while it is looked at: what holds it, and its name there. `None`: the root.
Where = tuple[Any, str | int] | None

# The keywords whose violations are "Invalid Data Type" and "Invalid Expected Value"; those of
# others are "Unknown".
VALUE_KEYWORDS = frozenset(
    {
        *("type", "const", "enum", "multipleOf", "minimum", "maximum"),
        *("exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "pattern", "format"),
    }
)


class Finding(Struct, frozen=True):
    """One violation.

    Attributes:
        key: what is at fault: an attribute, or of something missing the object that lacks it.
        path: below the event or object that was looked at, as names and indexes.
        expected, actual: texts, `None` where there is none to tell.
        keyword: of the schema; `None` where no data point matches.
    """

    kind: Kind
    key: str | None
    path: Path = ()
    expected: str | None = None
    actual: str | None = None
    keyword: str | None = None

    @property
    def pointer(self) -> str:
        """The path as the spec writes it."""
        return "/".join(["#", *map(_escaped, self.path)])


def path_of(where: Where) -> Path:
    """Write out where a value is."""
    parts: list[str | int] = []
    while where is not None:
        where, name = where
        parts.append(name)
    return tuple(reversed(parts))


def name_of(where: Where) -> str | None:
    """Return what the value there is called, `None` at the root."""
    return None if where is None else str(where[1])


def shown(value: Any) -> str:
    """Write a value for people: texts bare, anything else as JSON."""
    if isinstance(value, str):
        return value
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # an integer beyond 64 bits
        return str(value)


def _escaped(part: str | int) -> str:
    return str(part).replace("~", "~0").replace("/", "~1")
