"""What is wrong with settings or a workspace document, for the person who writes them."""

from collections.abc import Iterable, Iterator
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

Location = tuple[str | int, ...]
Found = tuple[Location, str]  # where, and what is wrong there

_MESSAGES = {
    "missing": "required",
    "extra_forbidden": "unknown key",
    "invalid_key": "unknown key",
    "string_type": "must be a string",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "set_type": "must be a list",
    "frozen_set_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "path_type": "must be a path",
}
_BOUND_ERRORS = {"greater_than", "greater_than_equal", "less_than", "less_than_equal"}
_ABSENT = object()


class ConfigError(Exception):
    """Settings or a workspace document cannot be used; nothing of it takes effect.

    Attributes:
        problems: every problem found, as (path, message); the path is empty where the whole
            document is meant. Messages never hold the value of a secret.
    """

    def __init__(self, problems: Iterable[tuple[str, str]]) -> None:
        self.problems = list(problems)
        super().__init__(self.problems)

    def lines(self) -> list[str]:
        """Return one `path: message` per problem."""
        return [f"{path}: {message}" if path else message for path, message in self.problems]

    def __str__(self) -> str:
        return "\n".join(self.lines())


def format_path(location: Location) -> str:
    """Write a location as it is read in the file: `connections[2].output`."""
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += f".{part}" if path else part
    return path


def found_by_model(
    error: ValidationError, model: type[BaseModel], data: object, under: Location = ()
) -> list[Found]:
    """Turn what pydantic found into locations and messages that show no values.

    Args:
        error: raised by validating `data` with `model`.
        model: tells the bounds that a number was outside of.
        data: what was validated; parts of a location that are not in it name pydantic's own
            steps (a member of a union) and are left out.
        under: where `data` stands in the document.
    """
    found = [
        (_location_in(data, details), details["type"], _message(details, model))
        for details in error.errors(include_url=False, include_input=False)
    ]
    # pydantic counts the good entries of a list alone: a bad one makes it too short as well.
    parents = {location[:-1] for location, _, _ in found if location}
    return list(
        dict.fromkeys(
            (under + location, message)
            for location, kind, message in found
            if kind != "too_short" or not _is_above(location, parents)
        )
    )


def _is_above(location: Location, parents: set[Location]) -> bool:
    return any(parent[: len(location)] == location for parent in parents)


def is_written(data: Any, location: Location) -> bool:
    """Tell whether data has something at a location."""
    for part in location:
        data = _child(data, part)
    return data is not _ABSENT


def _child(data: Any, part: str | int) -> Any:
    if isinstance(data, dict):
        return data.get(part, _ABSENT)
    if isinstance(data, list | tuple) and isinstance(part, int) and part < len(data):
        return data[part]
    return _ABSENT


def _location_in(data: Any, details: ErrorDetails) -> Location:
    location: list[str | int] = []
    for part in details["loc"]:
        child = _child(data, part)
        if child is not _ABSENT:
            location.append(part)
            data = child
    if details["type"] == "missing":
        location.append(details["loc"][-1])
    return tuple(location)


def _message(details: ErrorDetails, model: type[BaseModel]) -> str:
    kind, context = details["type"], details.get("ctx", {})
    if kind in _MESSAGES:
        return _MESSAGES[kind]
    if kind in _BOUND_ERRORS:
        return _bounds_message(_bounds(model, details["loc"]), context)
    if kind in {"literal_error", "enum"}:
        return f"must be {context['expected']}"
    if kind == "union_tag_invalid":
        return f"{_plain(context['discriminator'])} must be one of {context['expected_tags']}"
    if kind == "union_tag_not_found":
        return f"{_plain(context['discriminator'])} is required"
    if kind == "value_error":
        return str(context["error"])
    if kind in {"string_too_short", "too_short"}:
        least = context["min_length"]
        return "must not be empty" if least == 1 else f"must have a length of at least {least}"
    if kind in {"string_too_long", "too_long"}:
        return f"must have a length of at most {context['max_length']}"
    return details["msg"][:1].lower() + details["msg"][1:]


def _plain(quoted: str) -> str:
    return quoted.strip("'")


def _bounds_message(bounds: dict[str, Any], context: dict[str, Any]) -> str:
    bounds = bounds or context
    low, high = bounds.get("ge"), bounds.get("le")
    if low is not None and high is not None:
        return f"must be between {low} and {high}"
    words = {"ge": "at least", "gt": "greater than", "le": "at most", "lt": "less than"}
    return "must be " + " and ".join(f"{words[name]} {bound}" for name, bound in bounds.items())


def _bounds(model: type[BaseModel], location: Location) -> dict[str, Any]:
    """Find the bounds of the field at a location: `{"ge": 0, "le": 100}`."""
    annotations: list[Any] = [model]
    for part in location:
        fields = [
            inner.model_fields[part]
            for annotation in annotations
            for inner in _models(annotation)
            if part in inner.model_fields
        ]
        annotations = [[field.annotation, field.metadata] for field in fields] or annotations
    return {
        name: getattr(bound, name)
        for bound in _leaves(annotations)
        for name in ("ge", "gt", "le", "lt")
        if hasattr(bound, name)
    }


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    for leaf in _leaves(annotation):
        if isinstance(leaf, type) and issubclass(leaf, BaseModel):
            yield leaf


def _leaves(annotation: Any) -> Iterator[Any]:
    """Walk an annotation down to its types and metadata."""
    if isinstance(annotation, FieldInfo):
        inner: Iterable[Any] = annotation.metadata
    elif isinstance(annotation, list):
        inner = annotation
    else:
        inner = get_args(annotation)
        if not inner:
            yield annotation
    for each in inner:
        yield from _leaves(each)
