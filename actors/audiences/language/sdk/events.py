"""Comparisons of one event, as the members of an event criterion (spec/audiences.md, 14.1)."""

from collections.abc import Iterable
from typing import Any

from msgspec import Struct, field

from actors.audiences.language.members import Json
from actors.audiences.language.problems import pointer
from actors.audiences.language.sdk.comparisons import Comparison, read_comparison, tree_of
from actors.audiences.language.sdk.dates import Bounds, ahead
from actors.audiences.language.sdk.operands import (
    EVENTS,
    AbsoluteDate,
    AliasPath,
    Literal,
    NotTranslatable,
    Path,
    RelativeDate,
    check_members,
)

LOGICAL = ("and", "or")

# Prefix of a path to category of the attribute that it names.
_CATEGORIES = {
    "custom_attributes.": "event_attribute",
    "product.": "product_attribute",
    "promotion.": "promotion_attribute",
}
_NAMES = ("event_name", "custom_event_type")
_TIME = "timestamp"
_SESSION = "session_id"


class EventMembers(Struct):
    """The members of an event criterion, or of a step of a sequence, as they are found.

    `previous` is the alias of the step before, `None` where there is none.
    """

    place: str
    previous: str | None = None
    members: Json = field(default_factory=dict)
    conditions: list[Json] = field(default_factory=list)
    bounds: Bounds = field(default_factory=Bounds)
    within: Json | None = None
    same: list[str] = field(default_factory=list)

    def add_expression(self, expression: Any, place: str) -> None:
        """Add a condition on the event: one comparison, or an `and` of several.

        Raises:
            NotTranslatable: part of it has no counterpart.
        """
        if not isinstance(expression, dict):
            raise NotTranslatable(place, "must be an object.")
        if expression.get("operator") == "and":
            for inner, at in expressions_of(expression, place):
                self.add_expression(inner, at)
        elif expression.get("operator") == "or":
            self.conditions.append(_where(expression, place))
        else:
            self.add(read_comparison(expression, place))

    def add(self, comparison: Comparison) -> None:
        """Add one comparison of a member of the event.

        Raises:
            NotTranslatable: it has no counterpart.
        """
        path = event_path(comparison)
        if isinstance(comparison.right, AliasPath):
            self._add_alias(comparison, path, comparison.right)
        elif path.path == _TIME:
            self._add_time(comparison)
        elif path.path == "event_type":
            self._set("event_type", _equal_text(comparison), comparison)
        elif path.path in _NAMES:
            self._set(path.path, _equal_texts(comparison), comparison)
        else:
            self.conditions.append(_condition(comparison, path))

    def _set(self, name: str, value: Any, comparison: Comparison) -> None:
        if name in self.members:
            raise NotTranslatable(comparison.place, f"says {name} a second time.")
        self.members[name] = value

    def _add_time(self, comparison: Comparison) -> None:
        right = comparison.right
        if not isinstance(right, (AbsoluteDate, RelativeDate)):
            raise NotTranslatable(comparison.place, "must compare a timestamp with a date.")
        if isinstance(right, RelativeDate) and right.relative_to is not None:
            self._check_alias(right.relative_to, _TIME)
            if comparison.operator not in ("less_than", "less_than_equal") or right.boundary:
                raise NotTranslatable(comparison.place, "must be at most so long after a step.")
            self.within = ahead(right)
        elif self.previous is not None:
            raise NotTranslatable(comparison.place, "must be relative to the step before.")
        else:
            self.bounds.add(comparison.scalar_operator, right, comparison.place)

    def _add_alias(self, comparison: Comparison, path: Path, alias: AliasPath) -> None:
        self._check_alias(alias, path.path)
        if path.path == _TIME and comparison.operator == "greater_than":
            return  # steps are in this order anyway
        if comparison.operator != "equals" or path.path == _TIME:
            raise NotTranslatable(comparison.place, "must be equal in both steps.")
        if path.path == _SESSION:
            self.same.append(_SESSION)
        elif path.path.startswith("custom_attributes."):
            self.same.append(path.path.removeprefix("custom_attributes."))
        else:
            raise NotTranslatable(pointer(path.place, "path"), "cannot be compared across steps.")

    def _check_alias(self, alias: AliasPath, path: str) -> None:
        if alias.alias != self.previous:
            raise NotTranslatable(pointer(alias.place, "alias"), "must be that of the step before.")
        if alias.path != path:
            raise NotTranslatable(pointer(alias.place, "path"), f"must be {path}.")

    def to_members(self) -> Json:
        """Return the members that say which events match."""
        event_type = "custom_event" if "event_name" in self.members else "any"
        members: Json = {"event_type": event_type} | self.members
        if self.conditions:
            only, *more = self.conditions
            members["where"] = {"op": "and", "nodes": self.conditions} if more else only
        return members

    def to_criterion(self) -> Json:
        """Return an event criterion that one event satisfies.

        Raises:
            NotTranslatable: no recency says when it happens.
        """
        criterion = {"type": "event", **self.to_members()}
        recency = self.bounds.to_recency(self.place)
        return criterion if recency is None else criterion | {"recency": recency}


def expressions_of(expression: Json, place: str) -> Iterable[tuple[Any, str]]:
    """Return the members of a logical expression, each with its place.

    Raises:
        NotTranslatable: there are none.
    """
    check_members(expression, place, "operator", "expressions")
    inner = expression.get("expressions")
    at = pointer(place, "expressions")
    if not isinstance(inner, list) or not inner:
        raise NotTranslatable(at, "must be a list with at least one entry.")
    return [(value, pointer(at, index)) for index, value in enumerate(inner)]


def event_path(comparison: Comparison) -> Path:
    """Return the member of an event that a comparison is of.

    Raises:
        NotTranslatable: it is of something else.
    """
    left = comparison.left
    if isinstance(left, Path) and left.model == EVENTS:
        return left
    raise NotTranslatable(left.place, f"must be a path of model {EVENTS}.")


def attribute_of(path: Path) -> Json:
    """Return name and category of the attribute that a path names.

    Raises:
        NotTranslatable: it names none.
    """
    for prefix, category in _CATEGORIES.items():
        if path.path.startswith(prefix):
            name = path.path.removeprefix(prefix)
            return {"attribute_name": name, "attribute_category": category}
    raise NotTranslatable(pointer(path.place, "path"), "is no path that is known here.")


def _condition(comparison: Comparison, path: Path) -> Json:
    if isinstance(comparison.right, Path):
        raise NotTranslatable(comparison.right.place, "cannot be compared with an event.")
    return tree_of(comparison, attribute_of(path), "type")


def _where(expression: Any, place: str) -> Json:
    """Return a tree of conditions on one event's attributes."""
    if not isinstance(expression, dict):
        raise NotTranslatable(place, "must be an object.")
    operator = expression.get("operator")
    if operator in LOGICAL:
        nodes = [_where(inner, at) for inner, at in expressions_of(expression, place)]
        return {"op": operator, "nodes": nodes}
    comparison = read_comparison(expression, place)
    return _condition(comparison, event_path(comparison))


def _equal_text(comparison: Comparison) -> str:
    texts = _equal_texts(comparison)
    if isinstance(texts, str):
        return texts
    raise NotTranslatable(comparison.place, "must be equal to a text.")


def _equal_texts(comparison: Comparison) -> Any:
    right = comparison.right
    if isinstance(right, Literal) and comparison.operator in ("equals", "in"):
        return right.value
    raise NotTranslatable(comparison.place, "must be equal to a text.")
