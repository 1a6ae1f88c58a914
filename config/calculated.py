"""The `calculated_attributes` section (spec/connections.md, 10; spec/calculated-attributes.md)."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator

from actors.calculated.validation import Bounds, check_definition, is_name
from config.audiences import Json
from config.errors import Found, Location
from config.fields import Model, Number, Slug


def _attribute_name(name: str) -> str:
    if not is_name(name):
        raise ValueError("must not be blank")
    return name


class CalculatedAttribute(Model):
    """One calculated attribute; `name` is what users have it as."""

    id: Slug
    name: Annotated[str, AfterValidator(_attribute_name)]
    number: Number | None = None
    description: str = ""
    active: bool = True
    definition: Json


def calculated_problems(
    attribute: CalculatedAttribute, where: Location, *, has_extended_windows: bool
) -> Iterator[Found]:
    """List what is wrong with a calculated attribute's definition.

    How far back it may reach is not looked at: a document that was right stays so as time passes.
    """
    bounds = Bounds(None, has_extended_windows)
    for message in check_definition(attribute.definition, bounds, 0):
        yield (*where, "definition"), message.removesuffix(".")
