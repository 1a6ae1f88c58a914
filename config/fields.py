"""The kinds of value that the workspace document is made of."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

T = TypeVar("T")

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}


class Model(BaseModel):
    """Part of the document: nothing unknown, nothing converted, nothing changed afterwards."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


def matching(pattern: str, problem: str) -> Callable[[str], str]:
    """Make a validator that refuses a text unless all of it matches; `problem` never shows it."""
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(problem)
        return text

    return check


def canonical_word(*words: str) -> BeforeValidator:
    """Make a validator that accepts words in any case and keeps the spelling given here."""
    spelling = {word.lower(): word for word in words}

    def restore(value: object) -> object:
        return spelling.get(value.lower(), value) if isinstance(value, str) else value

    return BeforeValidator(restore)


def _parse_duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("must be a duration such as 500ms, 10s, 15m, 24h or 30d")
    try:
        return float(found[1]) * _UNITS[found[2]]
    except OverflowError:
        raise ValueError("must be a shorter duration") from None


# A list of the file; a tuple in memory, so that a document stays what it was.
Items = Annotated[tuple[T, ...], Field(strict=False)]

Slug = Annotated[
    str,
    AfterValidator(
        matching(
            r"[a-z0-9][a-z0-9_-]{0,63}",
            "must be 1 to 64 characters of a-z, 0-9, _ and -, the first a letter or digit",
        )
    ),
]
Name = Annotated[
    str,
    Field(max_length=256),
    AfterValidator(matching(r"(?s)\S(.*\S)?", "must not be empty or begin or end with a space")),
]
ClientId = Annotated[
    str,
    AfterValidator(
        matching(
            r"[A-Za-z0-9._-]{1,128}", "must be 1 to 128 characters of A-Z, a-z, 0-9, ., _ and -"
        )
    ),
]
KeyText = Annotated[
    str,
    AfterValidator(
        matching(r"[A-Za-z0-9_-]{8,128}", "must be 8 to 128 characters of A-Z, a-z, 0-9, _ and -")
    ),
]
Secret = Annotated[SecretStr, Field(min_length=1)]
Number = Annotated[int, Field(ge=1, le=2**31 - 1)]  # an integer id of the Platform API
Duration = Annotated[timedelta, BeforeValidator(_parse_duration)]
Status = Literal["active", "inactive"]
EnvironmentName = Literal["production", "development"]
