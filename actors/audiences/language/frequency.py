"""`frequency` and `aggregate` of event criteria (spec/audiences.md, 3.1)."""

from typing import Literal, get_args

from actors.audiences.criteria import Aggregate, Frequency
from actors.audiences.language.attributes import read_attribute
from actors.audiences.language.members import Members, at_least
from actors.audiences.language.operators import ALIASES, COMPARISONS
from actors.audiences.language.value_tests import read_operator

FrequencyOperator = Literal[
    "equals",
    "not_equals",
    "greater_than",
    "greater_or_equal",
    "less_than",
    "less_than_or_equal",
    "between",
]
Of = Literal["events", "days", "sessions", "quantity"]
Function = Literal["sum", "min", "max", "average", "unique_values_count"]

_OPERATORS: tuple[FrequencyOperator, ...] = get_args(FrequencyOperator)
_OF: tuple[Of, ...] = get_args(Of)
_FUNCTIONS: tuple[Function, ...] = get_args(Function)


def read_frequency(members: Members) -> Frequency:
    """Read `frequency` of a criterion, or its shorthand `count`."""
    sent_as = members.rename("count", "frequency")
    if not members.has(sent_as):
        return Frequency()
    part = members.part("frequency", sent_as)
    frequency = _read(part)
    members.canonical["frequency"] = part.finish()
    return frequency


def _read(part: Members) -> Frequency:
    sent = part.raw("operator")
    alias = ALIASES.get(sent) if isinstance(sent, str) else None
    if alias is None:
        operator = part.word("operator", _OPERATORS)
    else:
        operator = next(known for known in _OPERATORS if known == alias)
        part.canonical["operator"] = operator
    of = part.optional_word("of", _OF) or "events"
    if operator == "between":
        least, greatest = (part.integer(name, at_least(0)) for name in ("min_value", "max_value"))
        if greatest < least and "max_value" in part.canonical:
            part.fail("min_value", "must not be greater than max_value.")
        return Frequency(operator, min_value=least, max_value=greatest, of=of)
    return Frequency(operator, part.integer("value", at_least(0)), of=of)


def read_aggregate(members: Members) -> Aggregate | None:
    """Read `aggregate` of a criterion, `None` if it has none."""
    if not members.has("aggregate"):
        members.raw("aggregate")
        return None
    part = members.part("aggregate")
    function = part.word("function", _FUNCTIONS)
    category, name = read_attribute(part)
    by_quantity = part.optional_boolean("use_product_quantity") or False
    test = read_operator(part, "number", COMPARISONS, allows_ref=False)
    members.canonical["aggregate"] = part.finish()
    return Aggregate(function, name, category, by_quantity, test)
