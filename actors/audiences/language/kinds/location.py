"""`location`, in its three forms (spec/audiences.md, 3.2)."""

from math import inf
from typing import Literal, get_args

from actors.audiences.criteria import LocationEquals, LocationWithin, LocationWithinBox
from actors.audiences.language.members import Members
from actors.audiences.language.operands import WrongOperand, canonical_operand
from actors.audiences.language.scope import Scope

LocationOperator = Literal["equals", "within", "within_box"]
LocationField = Literal["country", "state", "city", "zip", "dma"]
LengthUnit = Literal["meters", "kilometers", "miles"]

METERS: dict[LengthUnit, float] = {"meters": 1.0, "kilometers": 1000.0, "miles": 1609.344}

_OPERATORS: tuple[LocationOperator, ...] = get_args(LocationOperator)
_FIELDS: tuple[LocationField, ...] = get_args(LocationField)


def read_location(
    members: Members, _: Scope
) -> LocationEquals | LocationWithin | LocationWithinBox:
    """Read a criterion on the location."""
    operator = members.word("operator", _OPERATORS)
    match operator:
        case "equals":
            return LocationEquals(members.word("field", _FIELDS), _read_values(members))
        case "within":
            latitude = members.number("latitude", -90, 90)
            longitude = members.number("longitude", -180, 180)
            distance = members.number("distance", 0, inf)
            unit = members.word("unit", tuple(METERS))
            return LocationWithin(latitude, longitude, distance * METERS[unit])
        case "within_box":
            north, south = members.number("north", -90, 90), members.number("south", -90, 90)
            if north < south and {"north", "south"} <= members.canonical.keys():
                members.fail("north", "must not be south of south.")
            east, west = members.number("east", -180, 180), members.number("west", -180, 180)
            return LocationWithinBox(north, south, east, west)


def _read_values(members: Members) -> tuple[str, ...]:
    value, values = members.raw("value"), members.raw("values")
    if value is None and values is None:
        members.missing("value")
        return ()
    if values is None:
        return (_text(members, members.at("value"), value, "value"),)
    if value is not None:
        members.fail("value", "cannot stand beside values.")
        return ()
    places = enumerate(members.entries("values", values))
    texts = [_text(members, members.at("values", index), entry) for index, entry in places]
    members.canonical["values"] = texts
    return tuple(texts)


def _text(members: Members, place: str, value: object, name: str | None = None) -> str:
    try:
        text = str(canonical_operand("string", value))
    except WrongOperand as wrong:
        members.context.fail(place, str(wrong))
        return ""
    if name is not None:
        members.canonical[name] = text
    return text
