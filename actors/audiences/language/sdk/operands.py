"""The operands of audience-sdk documents, schema 1.6.0 (spec/audiences.md, 14.1)."""

from typing import Any

from msgspec import Struct

from actors.audiences.language.members import Json, is_number
from actors.audiences.language.problems import pointer

USER = "user"
EVENTS = "events"

_AGGREGATIONS = ("count", "sum", "min", "max", "avg", "list")


class NotTranslatable(Exception):
    """Something has no counterpart in the language of criteria; it is refused with its place."""

    def __init__(self, place: str, message: str) -> None:
        super().__init__(place, message)
        self.place = place
        self.message = message


class Literal(Struct, frozen=True):
    """A text, number or boolean, or a list of them."""

    place: str
    value: Any


class AliasPath(Struct, frozen=True):
    """A member of the event of an earlier step."""

    place: str
    alias: str
    path: str


class AbsoluteDate(Struct, frozen=True):
    """A date or timestamp, as text."""

    place: str
    text: str


class RelativeDate(Struct, frozen=True):
    """An instant so far from now, or from a step; or a border of the calendar unit it is in."""

    place: str
    offset: float
    unit: str
    boundary: str | None = None
    relative_to: AliasPath | None = None


class Path(Struct, frozen=True):
    """A member of a model: of the user, or of an event."""

    place: str
    model: str
    path: str


class Model(Struct, frozen=True):
    """A model itself: the user."""

    place: str
    model: str


class Audience(Struct, frozen=True):
    """An audience by its number."""

    place: str
    number: int


class Aggregation(Struct, frozen=True):
    """A value made of all events of a user that satisfy a condition."""

    place: str
    operator: str
    operand: Path
    condition: Any = None

    @property
    def condition_place(self) -> str:
        """Where the condition stands."""
        return pointer(self.place, "condition")


class Location(Struct, frozen=True):
    """A place on the globe, and how far around it."""

    place: str
    members: Json


Date = AbsoluteDate | RelativeDate
Operand = Literal | AliasPath | Date | Path | Model | Audience | Aggregation | Location


def read_operand(value: Any, place: str) -> Operand:
    """Read one operand.

    Raises:
        NotTranslatable: it is none that the translation knows.
    """
    if isinstance(value, (str, bool)) or is_number(value) or isinstance(value, list):
        return Literal(place, value)
    if not isinstance(value, dict):
        raise NotTranslatable(place, "is no operand.")
    if "operator" in value:
        return _read_aggregation(value, place)
    if "date" in value:
        check_members(value, place, "date")
        return _read_date(value["date"], pointer(place, "date"))
    if "audience" in value:
        check_members(value, place, "audience")
        return _read_audience(value["audience"], pointer(place, "audience"))
    if "location" in value:
        check_members(value, place, "location")
        return Location(pointer(place, "location"), value["location"])
    if "alias" in value:
        check_members(value, place, "alias", "path")
        return AliasPath(place, text_of(value, "alias", place), text_of(value, "path", place))
    model = text_of(value, "model", place)
    if model not in (USER, EVENTS):
        raise NotTranslatable(pointer(place, "model"), f"must be {USER} or {EVENTS}.")
    check_members(value, place, "model", "path")
    if "path" not in value:
        return Model(place, model)
    return Path(place, model, text_of(value, "path", place))


def check_members(value: Json, place: str, *known: str) -> None:
    """Refuse an object that has other members."""
    for name in value:
        if name not in known:
            raise NotTranslatable(pointer(place, name), "is not known here.")


def text_of(value: Json, name: str, place: str) -> str:
    """Return a member that has to be a text that is not empty."""
    member = value.get(name)
    if not isinstance(member, str) or not member:
        raise NotTranslatable(pointer(place, name), "must be a text that is not empty.")
    return member


def _read_audience(value: Any, place: str) -> Audience:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        return Audience(place, int(value))
    raise NotTranslatable(place, "must be the id of an audience, as a text.")


def _read_date(value: Any, place: str) -> Date:
    if not isinstance(value, dict):
        raise NotTranslatable(place, "must be an object.")
    if "absolute" in value:
        check_members(value, place, "absolute")
        return AbsoluteDate(pointer(place, "absolute"), text_of(value, "absolute", place))
    check_members(value, place, "relative")
    return _read_relative(value.get("relative"), pointer(place, "relative"))


def _read_relative(value: Any, place: str) -> RelativeDate:
    if not isinstance(value, dict):
        raise NotTranslatable(place, "must be an object.")
    check_members(value, place, "offset", "unit", "boundary", "relative_to")
    offset: Any = value.get("offset")
    if not is_number(offset):
        raise NotTranslatable(pointer(place, "offset"), "must be a number.")
    boundary = value.get("boundary")
    if boundary not in (None, "start", "end"):
        raise NotTranslatable(pointer(place, "boundary"), "must be start or end.")
    relative_to = value.get("relative_to")
    anchor: AliasPath | None = None
    if relative_to is not None:
        operand = read_operand(relative_to, pointer(place, "relative_to"))
        if not isinstance(operand, AliasPath):
            raise NotTranslatable(operand.place, "must name a step by its alias.")
        anchor = operand
    return RelativeDate(place, float(offset), text_of(value, "unit", place), boundary, anchor)


def _read_aggregation(value: Json, place: str) -> Aggregation:
    check_members(value, place, "operator", "group_by_model", "operand", "condition")
    operator = value["operator"]
    if operator not in _AGGREGATIONS:
        listed = ", ".join(_AGGREGATIONS)
        raise NotTranslatable(pointer(place, "operator"), f"must be one of {listed}.")
    if value.get("group_by_model") != USER:
        raise NotTranslatable(pointer(place, "group_by_model"), f"must be {USER}.")
    operand = read_operand(value.get("operand"), pointer(place, "operand"))
    if not isinstance(operand, Path) or operand.model != EVENTS:
        raise NotTranslatable(pointer(place, "operand"), f"must be a path of model {EVENTS}.")
    return Aggregation(place, operator, operand, value.get("condition"))
