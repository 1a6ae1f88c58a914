"""What audiences of a document may name: ids of the document in place of numbers."""

from collections.abc import Mapping
from typing import Any, NamedTuple

Json = dict[str, Any]


class NumbersOfIds(NamedTuple):
    """Id to number. Inputs of any workspace are there as `workspace/input` too."""

    workspaces: Mapping[str, int]
    inputs: Mapping[str, int]
    audiences: Mapping[str, int]


def with_numbers(definition: Any, numbers: NumbersOfIds) -> Any:
    """Return a definition with ids made numbers; what is no id of the documents stays as it is.

    Args:
        definition: of the criteria language; `workspace_ids`, `input_ids` and `audience_id` may
            hold ids.
        numbers: of what may be named.
    """
    if isinstance(definition, list):
        return [with_numbers(each, numbers) for each in definition]
    if not isinstance(definition, dict):
        return definition
    lists = {"workspace_ids": numbers.workspaces, "input_ids": numbers.inputs}
    made: Json = {}
    for key, value in definition.items():
        if key in lists and isinstance(value, list):
            made[key] = [_number(each, lists[key]) for each in value]
        elif key == "audience_id":
            made[key] = _number(value, numbers.audiences)
        else:
            made[key] = with_numbers(value, numbers)
    return made


def _number(value: Any, numbers: Mapping[str, int]) -> Any:
    return numbers.get(value, value) if isinstance(value, str) else value
