"""Which operators a type has, and what operand each takes (spec/audiences.md, 4)."""

from typing import Literal, get_args

from actors.audiences.criteria import ValueType

Operand = Literal["none", "value", "values", "range", "duration", "size"]

VALUE_TYPES: tuple[ValueType, ...] = get_args(ValueType)

ALIASES = {
    "greater_than_or_equal": "greater_or_equal",
    "less_or_equal": "less_than_or_equal",
}

_PRESENCE: dict[str, Operand] = {"exists": "none", "not_exists": "none", "empty": "none"}
_ORDER: dict[str, Operand] = {
    "greater_than": "value",
    "greater_or_equal": "value",
    "less_than": "value",
    "less_than_or_equal": "value",
    "between": "range",
}

# What frequencies and aggregates can be compared by (3.1).
COMPARISONS: dict[str, Operand] = {"equals": "value", "not_equals": "value", **_ORDER}

OPERATORS: dict[ValueType, dict[str, Operand]] = {
    "string": {
        **_PRESENCE,
        "equals": "value",
        "not_equals": "value",
        "contains": "value",
        "not_contains": "value",
        "pattern": "value",
        "not_pattern": "value",
        "starts_with": "value",
        "not_starts_with": "value",
        "ends_with": "value",
        "not_ends_with": "value",
        "in_list": "values",
        "not_in_list": "values",
    },
    "number": {**_PRESENCE, **COMPARISONS, "in_list": "values", "not_in_list": "values"},
    "boolean": {**_PRESENCE, "equals": "value"},
    "date": {
        **_PRESENCE,
        "equals": "value",
        "before": "value",
        "after": "value",
        "on": "value",
        "between_dates": "range",
        "within_last": "duration",
        "older_than": "duration",
        "within_next": "duration",
    },
    "version": {**_PRESENCE, **COMPARISONS},
    "list": {
        **_PRESENCE,
        "includes": "value",
        "not_includes": "value",
        "partial_match": "value",
        "not_partial_match": "value",
        "includes_any": "values",
        "includes_all": "values",
        "includes_none": "values",
        "size_equals": "size",
        "size_greater_than": "size",
        "size_less_than": "size",
    },
}
