"""The `calculated_attributes` section (spec/connections.md, 10; spec/calculated-attributes.md)."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator, Field

from actors.calculated.validation import Bounds, check_definition, is_name
from config.audiences import Json
from config.errors import Found, Location
from config.fields import Model, Number, Slug


def _calculated_name(name: str) -> str:
    if not is_name(name):
        raise ValueError("must be a name of a user attribute")
    return name


class CalculatedAttribute(Model):
    """One calculated attribute; `name` is what users have it as."""

    id: Slug
    name: Annotated[str, AfterValidator(_calculated_name)]
    number: Number | None = None
    description: Annotated[str, Field(max_length=1024)] = ""
    active: bool = True
    definition: Json


def calculated_problems(
    attribute: CalculatedAttribute, where: Location, retention_days: int | None, now_ms: int
) -> Iterator[Found]:
    """List what is wrong with the definition of a calculated attribute."""
    for message in check_definition(attribute.definition, Bounds(retention_days), now_ms):
        yield (*where, "definition"), message
