"""Whether one text matches a test (spec/audiences.md, 4 and 5, rules 4 to 8).

A matcher takes a text and gives `None` if the text does not parse as the type of the test.
"""

from collections.abc import Callable

from actors.audiences.criteria import Scalar, Test, ValueType
from actors.audiences.intervals import is_within, number_intervals
from actors.audiences.values import (
    Version,
    fold,
    parse_boolean,
    parse_number,
    parse_version,
    pattern_matcher,
)

Matcher = Callable[[str], bool | None]

NEGATIVE_OPERATORS = frozenset(
    {
        *("not_equals", "not_contains", "not_pattern", "not_starts_with", "not_ends_with"),
        *("not_in_list", "not_includes", "not_partial_match", "includes_none"),
    }
)

_TextTest = Callable[[str], bool]  # of a folded text


def string_matcher(test: Test) -> Matcher:
    """Compile a string test with an operand; every text parses."""
    operator = test.operator.removeprefix("not_")
    matches = _TEXT_TESTS[operator](test)
    if operator == test.operator:
        return lambda text: matches(fold(text))
    return lambda text: not matches(fold(text))


def number_matcher(test: Test) -> Matcher:
    """Compile a number test with an operand."""
    intervals = number_intervals(test)

    def matches(text: str) -> bool | None:
        number = parse_number(text)
        return None if number is None else is_within(number, intervals)

    return matches


def boolean_matcher(test: Test) -> Matcher:
    """Compile `equals` of a boolean."""
    wanted = test.value

    def matches(text: str) -> bool | None:
        truth = parse_boolean(text)
        return None if truth is None else truth is wanted

    return matches


def version_matcher(test: Test) -> Matcher:
    """Compile a version test with an operand."""
    if test.operator == "between":
        least, greatest = _version(test.min_value), _version(test.max_value)

        def compare(version: Version) -> bool:
            return least <= version <= greatest
    else:
        comparison, operand = _COMPARISONS[test.operator], _version(test.value)

        def compare(version: Version) -> bool:
            return comparison(version, operand)

    def matches(text: str) -> bool | None:
        version = parse_version(text)
        return None if version is None else compare(version)

    return matches


MATCHERS: dict[ValueType, Callable[[Test], Matcher]] = {
    "string": string_matcher,
    "number": number_matcher,
    "boolean": boolean_matcher,
    "version": version_matcher,
}

_COMPARISONS: dict[str, Callable[[Version, Version], bool]] = {
    "equals": lambda version, operand: version == operand,
    "not_equals": lambda version, operand: version != operand,
    "greater_than": lambda version, operand: version > operand,
    "greater_or_equal": lambda version, operand: version >= operand,
    "less_than": lambda version, operand: version < operand,
    "less_than_or_equal": lambda version, operand: version <= operand,
}


def _equals(test: Test) -> _TextTest:
    operand = folded(test.value)
    return lambda text: text == operand


def _contains(test: Test) -> _TextTest:
    operand = folded(test.value)
    return lambda text: operand in text


def _pattern(test: Test) -> _TextTest:
    return pattern_matcher(str(test.value))


def _starts_with(test: Test) -> _TextTest:
    operand = folded(test.value)
    return lambda text: text.startswith(operand)


def _ends_with(test: Test) -> _TextTest:
    operand = folded(test.value)
    return lambda text: text.endswith(operand)


def _in_list(test: Test) -> _TextTest:
    operands = frozenset(folded(value) for value in test.values)
    return lambda text: text in operands


_TEXT_TESTS: dict[str, Callable[[Test], _TextTest]] = {
    "equals": _equals,
    "contains": _contains,
    "pattern": _pattern,
    "starts_with": _starts_with,
    "ends_with": _ends_with,
    "in_list": _in_list,
}


def folded(operand: Scalar | None) -> str:
    """Return an operand of a string or list test as it is compared."""
    if not isinstance(operand, str):
        raise ValueError("the operand is no text")
    return fold(operand)


def _version(operand: Scalar | None) -> Version:
    version = parse_version(operand) if isinstance(operand, str) else None
    if version is None:
        raise ValueError("the operand is no version")
    return version
