"""Conditions of a definition: checked, read and shown (spec/calculated-attributes.md, 3.1)."""

from collections.abc import Callable, Iterable
from typing import Any

from actors.audiences.criteria import Condition, EventCategory, Scalar, Test
from actors.audiences.values import date_span, parse_boolean, parse_number
from actors.batches.coerce import text_of

MAX_CONDITIONS = 20
MAX_IN_LIST = 1000

_PRESENCE = frozenset({"exists", "not_exists", "empty"})
_RANGES = frozenset({"between", "between_dates"})
OPERATORS: dict[str, frozenset[str]] = {
    "string": _PRESENCE
    | {"equals", "not_equals", "in_list", "contains", "not_contains", "pattern"},
    "number": _PRESENCE
    | {
        *("equals", "not_equals", "in_list", "between"),
        *("greater_than", "greater_or_equal", "less_than", "less_than_or_equal"),
    },
    "boolean": _PRESENCE | {"equals"},
    "date": _PRESENCE | {"equals", "before", "after", "between_dates"},
}
_WORDS = {"string": "string", "number": "numeric", "boolean": "boolean", "date": "date"}
_IN_LIST_MESSAGES = {
    "string": "In-list condition values must be specified",
    "number": "Invalid numeric in-list condition values",
    "date": "Invalid datetime in-list condition values",
}


def check_condition(condition: Any) -> Iterable[str]:
    """Yield what is wrong with one condition."""
    if not isinstance(condition, dict):
        yield "Invalid condition definition"
        return
    name = condition.get("attribute_name")
    if not isinstance(name, str) or not name.strip():
        yield "Condition attribute name must be specified"
    kind = condition.get("type")
    if not isinstance(kind, str) or kind not in OPERATORS:
        yield "Invalid condition definition type"
        return
    operator = condition.get("operator")
    if not isinstance(operator, str) or operator not in OPERATORS[kind]:
        yield f"Invalid {_WORDS[kind]} condition operator"
        return
    yield from _check_operands(condition, kind, operator)


def read_condition(condition: dict[str, Any], category: EventCategory) -> Condition:
    """Return a condition that is valid, of a data point of this category."""
    kind, operator = condition["type"], condition["operator"]
    parse = _PARSERS[kind]
    test = Test(kind, operator)
    if operator in _RANGES:
        test = Test(
            kind,
            operator,
            min_value=parse(_text(condition["min_value"])),
            max_value=parse(_text(condition["max_value"])),
        )
    elif operator == "in_list":
        found = (parse(_text(each)) for each in condition["values"])
        test = Test(kind, operator, values=tuple(each for each in found if each is not None))
    elif operator not in _PRESENCE:
        test = Test(kind, operator, value=parse(_text(condition["value"])))
    return Condition(condition["attribute_name"], category, test)


def shown_condition(condition: dict[str, Any]) -> dict[str, Any]:
    """Return a condition that is valid in its canonical form: operands as text, all members."""
    operator = condition["operator"]
    is_range, is_list = operator in _RANGES, operator == "in_list"
    is_single = not (is_range or is_list or operator in _PRESENCE)
    return {
        "type": condition["type"],
        "operator": operator,
        "attribute_name": condition["attribute_name"],
        "value": _text(condition["value"]) if is_single else None,
        "values": [_text(each) for each in condition["values"]] if is_list else None,
        "min_value": _text(condition["min_value"]) if is_range else None,
        "max_value": _text(condition["max_value"]) if is_range else None,
    }


def _check_operands(condition: dict[str, Any], kind: str, operator: str) -> Iterable[str]:
    value, values = condition.get("value"), condition.get("values")
    least, greatest = condition.get("min_value"), condition.get("max_value")
    if operator in _RANGES:
        for bound, word in ((least, "minimum"), (greatest, "maximum")):
            if not _is_operand(bound, kind):
                yield f"Invalid {_WORDS[kind]} condition {word} value"
        if not _is_empty(value):
            yield "Condition value must be empty"
    elif operator == "in_list":
        is_list = isinstance(values, list) and bool(values)
        if not is_list or not all(_is_operand(each, kind) for each in values or ()):
            yield _IN_LIST_MESSAGES[kind]
        elif len(values or ()) > MAX_IN_LIST:
            yield f"A condition has at most {MAX_IN_LIST} values."
    elif operator not in _PRESENCE and not _is_operand(value, kind):
        if kind == "string":
            yield "String condition value must be specified"
        else:
            yield f"Invalid {_WORDS[kind]} condition value"
    if operator != "in_list" and not _is_empty(values):
        yield "Condition values must be empty"
    if operator not in _RANGES:
        if not _is_empty(least):
            yield "Condition minimum value must be empty"
        if not _is_empty(greatest):
            yield "Condition maximum value must be empty"


def _is_operand(value: Any, kind: str) -> bool:
    if not isinstance(value, str | int | float):  # JSON knows no others that have a text
        return False
    return _PARSERS[kind](_text(value)) is not None


def _is_empty(value: Any) -> bool:
    return value is None or value in ("", [])


def _text(value: Any) -> str:
    return value if isinstance(value, str) else text_of(value)


def _date(text: str) -> str | None:
    """Return a date operand, of which a plain date stands for the whole day."""
    return None if date_span(text) is None else text


_PARSERS: dict[str, Callable[[str], Scalar | None]] = {
    "string": lambda text: text,
    "number": parse_number,
    "boolean": parse_boolean,
    "date": _date,
}
