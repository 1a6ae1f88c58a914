"""What audiences of a document may name: ids of the document in place of numbers."""

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]


def with_numbers(definition: Any, inputs: Mapping[str, int], audiences: Mapping[str, int]) -> Any:
    """Return a definition with ids made numbers; what is no id of the document stays as it is.

    Args:
        definition: of the criteria language; `input_ids` and `audience_id` may hold ids.
        inputs, audiences: id to number.
    """
    if isinstance(definition, list):
        return [with_numbers(each, inputs, audiences) for each in definition]
    if not isinstance(definition, dict):
        return definition
    made: Json = {}
    for key, value in definition.items():
        if key == "input_ids" and isinstance(value, list):
            made[key] = [_number(each, inputs) for each in value]
        elif key == "audience_id":
            made[key] = _number(value, audiences)
        else:
            made[key] = with_numbers(value, inputs, audiences)
    return made


def _number(value: Any, numbers: Mapping[str, int]) -> Any:
    return numbers.get(value, value) if isinstance(value, str) else value
