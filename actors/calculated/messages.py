"""The order of messages about calculated attributes (spec/calculated-attributes.md, 6.2)."""

from collections.abc import Iterable

# The beginnings of the messages, which is all of most.
_ORDER = (
    "Field 'name' is required.",
    "Field 'name' must be unique.",
    "Field 'name' must",
    "Field 'description' must",
    "Field 'draft_definition' is required.",
    "Field 'time_period.type' = 'all' is not supported.",
    "'time_period.date' must be on or after",
    "The within time period cannot exceed",
    "Invalid recipe type",
    "Invalid calculation type",
    "Invalid time period specification",
    "Invalid 'type' time period specification",
    "Invalid 'within' time period specification",
    "Invalid 'within_unit' time period specification",
    "Invalid 'count' time period specification",
    "Invalid data point specification",
    "Invalid data point custom event name",
    "Invalid data point custom event type",
    "A definition has at most",
    "Invalid condition definition",
    "Invalid condition definition type",
    "Condition attribute name must be specified",
    "Invalid string condition operator",
    "Invalid numeric condition operator",
    "Invalid boolean condition operator",
    "Invalid date condition operator",
    "String condition value must be specified",
    "Invalid numeric condition value",
    "Invalid boolean condition value",
    "Invalid date condition value",
    "In-list condition values must be specified",
    "Invalid numeric in-list condition values",
    "Invalid datetime in-list condition values",
    "A condition has at most",
    "Invalid numeric condition minimum value",
    "Invalid numeric condition maximum value",
    "Invalid date condition minimum value",
    "Invalid date condition maximum value",
    "Condition value must be empty",
    "Condition values must be empty",
    "Condition minimum value must be empty",
    "Condition maximum value must be empty",
    "Invalid seeding specification",
    "Calculated attribute name cannot be changed",
    "You have reached the account limit",
    "No draft definition was found",
    "Calculated attribute is in use.",
)


def in_order(messages: Iterable[str]) -> list[str]:
    """Return messages in the order of the table, each once."""
    return sorted(dict.fromkeys(messages), key=_place)


def _place(message: str) -> int:
    exact = (place for place, text in enumerate(_ORDER) if message == text)
    beginning = (place for place, text in enumerate(_ORDER) if message.startswith(text))
    return next(exact, next(beginning, len(_ORDER)))
