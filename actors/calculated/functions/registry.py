"""All functions, by their calculation type (spec/calculated-attributes.md, 2)."""

from collections.abc import Mapping
from typing import Any

from actors.calculated.functions.contract import Function
from actors.calculated.functions.count import Count
from actors.calculated.functions.extremes import Extreme
from actors.calculated.functions.most_frequent import MostFrequent
from actors.calculated.functions.occurrences import (
    FirstOccurrence,
    LastOccurrence,
    OccurrenceTime,
)
from actors.calculated.functions.sums import Average, Sum
from actors.calculated.functions.unique import UniqueList, UniqueValuesCount

ALIASES: Mapping[str, str] = {"minimum": "min", "maximum": "max"}

_ALL: tuple[Function[Any], ...] = (
    Count(),
    Sum(),
    Extreme("min", min),
    Extreme("max", max),
    Average(),
    MostFrequent(),
    UniqueValuesCount(),
    FirstOccurrence(),
    LastOccurrence(),
    OccurrenceTime("first_occurrence_timestamp", min, is_first=True),
    OccurrenceTime("last_occurrence_timestamp", max, is_first=False),
    UniqueList(),
)
FUNCTIONS: Mapping[str, Function[Any]] = {each.name: each for each in _ALL}


def function_named(name: object) -> Function[Any] | None:
    """Return a function by its calculation type or an alias of it."""
    if not isinstance(name, str):
        return None
    return FUNCTIONS.get(ALIASES.get(name, name))
