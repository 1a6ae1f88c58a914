"""Seeds as they are sent: what they are for, what is wrong (spec/calculated-attributes.md, 8)."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from actors.audiences.values import date_span, parse_number
from actors.batches.coerce import text_of
from actors.calculated.definition import DAY_MS, MAX_VALUE_LENGTH
from actors.calculated.functions.registry import function_named
from actors.calculated.state import Seed

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_FORMS = ("value", "key_value_pairs", "list")
_MAX_TIME_MS = 253_402_300_799_999  # the end of year 9999
_INT64_END = 1 << 63

VALUE_REQUIRED = "Seed value is required"
LIST_REQUIRED = "Seed list is required"
PAIRS_REQUIRED = "Seed key_value_pairs is required"
NOT_NUMERIC = "Seed value must be numeric"
NOT_COUNT = "Seed count must be a positive integer"


class SeedTarget(Struct, frozen=True, array_like=True):
    """What a seed can be for: the draft or the active definition of a calculated attribute."""

    number: int
    name: str
    function: str
    cutoff_ms: int


class SeedInvalid(Exception):
    """A seed cannot be taken; `message` says of which attribute and why."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def read_seeds(sent: Any, targets: Mapping[str, Sequence[SeedTarget]]) -> dict[int, Seed]:
    """Read the seeds of one user.

    Args:
        sent: an array of them, as decoded.
        targets: name to what there is of that name.

    Returns:
        Number of the attribute to its seed.

    Raises:
        SeedsInvalid: with a message for each that is wrong.
    """
    seeds: dict[int, Seed] = {}
    messages: list[str] = []
    for each in sent:
        try:
            number, seed = _read_seed(each, targets)
            if number in seeds:
                raise SeedInvalid(f"{seed.name}: Duplicate seed")
            seeds[number] = seed
        except SeedInvalid as invalid:
            messages.append(invalid.message)
    if messages:
        raise SeedsInvalid(messages)
    return seeds


class SeedsInvalid(Exception):
    """The seeds of one user cannot be taken; `messages` in their order."""

    def __init__(self, messages: list[str]) -> None:
        super().__init__(messages)
        self.messages = messages


def _read_seed(sent: Any, targets: Mapping[str, Sequence[SeedTarget]]) -> tuple[int, Seed]:
    name = sent.get("attribute_name") if isinstance(sent, dict) else None
    if not isinstance(name, str) or not name:
        raise SeedInvalid("attribute_name is required")
    function = function_named(sent.get("calculation_type"))
    cutoff_ms = _cutoff_ms(sent.get("cutoff_date"))
    if cutoff_ms is None:
        raise SeedInvalid(f"{name}: Invalid cutoff_date")
    for target in targets.get(name, ()):
        if function is not None and (target.function, target.cutoff_ms) == (
            function.name,
            cutoff_ms,
        ):
            break
    else:
        raise SeedInvalid(f"{name}: No matching calculated attribute definition found")
    try:
        content = _content(target.function, sent.get("seed"))
    except SeedInvalid as invalid:
        raise SeedInvalid(f"{name}: {invalid.message}") from None
    return target.number, Seed(name, target.function, cutoff_ms, **content)


def _cutoff_ms(value: Any) -> int | None:
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        return None
    span = date_span(value)
    return None if span is None else span[0] // DAY_MS * DAY_MS


def _content(function: str, seed: Any) -> dict[str, Any]:
    """Return the members of `Seed` that a function's seed sets."""
    form, required, read = _READERS[function]
    sent = seed if isinstance(seed, dict) else {}
    value = sent.get(form)
    if value is None or value in ({}, []):
        raise SeedInvalid(required)
    if any(sent.get(other) is not None for other in _FORMS if other != form):
        raise SeedInvalid(f"Seed must have exactly one of {', '.join(_FORMS)}")
    return read(value)


def _read_count(value: Any) -> dict[str, Any]:
    number = _number(value)
    if number < 0 or not number.is_integer():
        raise SeedInvalid("Seed value must be an integer of at least 0")
    return {"number": number}


def _read_number(value: Any) -> dict[str, Any]:
    return {"number": _number(value)}


def _read_time(value: Any) -> dict[str, Any]:
    time_ms = _integer(value)
    if time_ms is None or not 0 <= time_ms <= _MAX_TIME_MS:
        raise SeedInvalid("Seed timestamp must be epoch milliseconds")
    return {"number": float(time_ms)}


def _read_text(value: Any) -> dict[str, Any]:
    return {"text": _text(value, VALUE_REQUIRED)}


def _read_texts(value: Any) -> dict[str, Any]:
    if not isinstance(value, list):
        raise SeedInvalid(LIST_REQUIRED)
    return {"texts": tuple(dict.fromkeys(_text(each, LIST_REQUIRED) for each in value))}


def _read_mean(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise SeedInvalid(PAIRS_REQUIRED)
    number = _number(value.get("sum"))
    return {"number": number, "count": _positive(value.get("count"))}


def _read_counts(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise SeedInvalid(PAIRS_REQUIRED)
    counts: dict[str, int] = {}
    for text, count in value.items():
        cut = text[:MAX_VALUE_LENGTH]
        counts[cut] = min(counts.get(cut, 0) + _positive(count), _INT64_END - 1)
    return {"counts": counts}


_Reader = Callable[[Any], dict[str, Any]]

# Calculation type to the form of its seed, what is said without one, and how it is read.
_READERS: dict[str, tuple[str, str, _Reader]] = {
    "count": ("value", VALUE_REQUIRED, _read_count),
    "sum": ("value", VALUE_REQUIRED, _read_number),
    "min": ("value", VALUE_REQUIRED, _read_number),
    "max": ("value", VALUE_REQUIRED, _read_number),
    "average": ("key_value_pairs", PAIRS_REQUIRED, _read_mean),
    "first_occurrence": ("value", VALUE_REQUIRED, _read_text),
    "last_occurrence": ("value", VALUE_REQUIRED, _read_text),
    "first_occurrence_timestamp": ("value", VALUE_REQUIRED, _read_time),
    "last_occurrence_timestamp": ("value", VALUE_REQUIRED, _read_time),
    "unique_list": ("list", LIST_REQUIRED, _read_texts),
    "unique_values_count": ("list", LIST_REQUIRED, _read_texts),
    "most_frequent": ("key_value_pairs", PAIRS_REQUIRED, _read_counts),
}


def _number(value: Any) -> float:
    text = _text(value, NOT_NUMERIC)
    number = parse_number(text)
    if number is None:
        raise SeedInvalid(NOT_NUMERIC)
    return number


def _integer(value: Any) -> int | None:
    number = parse_number(_text(value, "")) if isinstance(value, str | int | float) else None
    return int(number) if number is not None and number.is_integer() else None


def _positive(value: Any) -> int:
    number = None if isinstance(value, bool) else _integer(value)
    if number is None or not 0 < number < _INT64_END:
        raise SeedInvalid(NOT_COUNT)
    return number


def _text(value: Any, otherwise: str) -> str:
    """Return a string or JSON number as text."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise SeedInvalid(otherwise)
    return (value if isinstance(value, str) else text_of(value))[:MAX_VALUE_LENGTH]
