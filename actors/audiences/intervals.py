"""Tests of numbers as sets of intervals over doubles (spec/audiences.md, 4 and 5, rule 8).

An engine that has the numbers of many users in one array compares all of them with two borders.
"""

from math import inf, nextafter

from actors.audiences.criteria import Frequency, Scalar, Test

Interval = tuple[float, float]  # both borders included

ALL: Interval = (-inf, inf)


def number_intervals(test: Test) -> tuple[Interval, ...]:
    """Return the numbers that pass a number test, in ascending order; `()` if none can.

    A test on presence has none of its own: it does not ask for the number.

    Raises:
        ValueError: the test has a `value_ref`, asks for presence, or is of another type.
    """
    if test.type != "number" or test.value_ref is not None:
        raise ValueError(f"a test of a {test.type} by {test.operator} has no intervals")
    match test.operator:
        case "between":
            return ((_number(test.min_value), _number(test.max_value)),)
        case "in_list":
            return tuple((value, value) for value in _ascending(test.values))
        case "not_in_list":
            return _gaps(_ascending(test.values))
        case operator:
            return _compared(operator, _number(test.value))


def frequency_intervals(frequency: Frequency) -> tuple[Interval, ...]:
    """Return the counts that satisfy a frequency, in ascending order."""
    if frequency.operator == "between":
        return ((float(frequency.min_value), float(frequency.max_value)),)
    return _compared(frequency.operator, float(frequency.value))


def is_within(number: float, intervals: tuple[Interval, ...]) -> bool:
    """Tell whether a number is in one of the intervals."""
    return any(least <= number <= greatest for least, greatest in intervals)


def _compared(operator: str, value: float) -> tuple[Interval, ...]:
    match operator:
        case "equals":
            return ((value, value),)
        case "not_equals":
            return _gaps([value])
        case "greater_than":
            return ((_after(value), inf),)
        case "greater_or_equal":
            return ((value, inf),)
        case "less_than":
            return ((-inf, _before(value)),)
        case "less_than_or_equal":
            return ((-inf, value),)
    raise ValueError(f"{operator} has no intervals")


def _gaps(values: list[float]) -> tuple[Interval, ...]:
    """Return what is left of all numbers without some, in ascending order."""
    starts = [-inf, *(_after(value) for value in values)]
    ends = [*(_before(value) for value in values), inf]
    return tuple((start, end) for start, end in zip(starts, ends, strict=True) if start <= end)


def _after(value: float) -> float:
    return nextafter(value, inf)


def _before(value: float) -> float:
    return nextafter(value, -inf)


def _ascending(values: tuple[Scalar, ...]) -> list[float]:
    return sorted({_number(value) for value in values})


def _number(value: Scalar | None) -> float:
    if not isinstance(value, float):
        raise ValueError("the operand is no number")
    return value
