"""A compiled schema: looks at values and tells all that is wrong with them."""

from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

from actors.plans.findings import (
    VALUE_KEYWORDS,
    Finding,
    Kind,
    Where,
    name_of,
    path_of,
    shown,
)
from actors.plans.values import SCALARS, canonical, convert, to_number, to_text, type_name

_NOTHING: frozenset[str] = frozenset()


class Check(NamedTuple):
    """One keyword: whether a value satisfies it, and what is written of it."""

    keyword: str
    holds: Callable[[Any], bool]
    expected: str


class Options:
    """The values of `enum`, or the one of `const`: found as they are or after conversion."""

    def __init__(self, values: Sequence[Any], types: Sequence[str]) -> None:
        # Without a type, texts and what they stand for are the same all the same.
        self._types = [each for each in types if each in SCALARS] if types else ["string"]
        self._whole = frozenset(map(canonical, values))
        self._converted: frozenset[Hashable] = frozenset(
            (kind, converted)
            for kind in self._types
            for each in values
            if (converted := convert(each, kind)) is not None
        )

    def have(self, value: Any) -> bool:
        """Tell whether a value is one of them."""
        if canonical(value) in self._whole:
            return True
        return any(
            converted is not None and (kind, converted) in self._converted
            for kind in self._types
            for converted in (convert(value, kind),)
        )


class Member(NamedTuple):
    """One of the `properties` of an object."""

    name: str
    node: "Node"
    is_required: bool


class Node:
    """One schema. What it does not ask for stays empty, and costs nothing.

    Attributes:
        types: one of them is to be satisfied; empty: any.
        numeric, textual, listed, sized, fixed: checks of numbers, texts, arrays, of the number of
            an object's members, and of any value.
        members: in the order of the schema; `named`: their names.
        needed: required members that are not among those.
        closed_to: whether other members are unplanned; `rest`: else what they have to satisfy.
        exempt: names that are planned in any case.
        names: what the names of members have to satisfy, with the schema as it is written.
        items, contains: schemas of the elements of an array.
    """

    def __init__(self) -> None:
        self.types: tuple[str, ...] = ()
        self.numeric: list[Check] = []
        self.textual: list[Check] = []
        self.listed: list[Check] = []
        self.sized: list[Check] = []
        self.fixed: list[Check] = []
        self.members: tuple[Member, ...] = ()
        self.named: frozenset[str] = _NOTHING
        self.needed: tuple[str, ...] = ()
        self.is_closed = False
        self.rest: Node | None = None
        self.exempt: frozenset[str] = _NOTHING
        self.names: tuple[Node, str] | None = None
        self.items: Node | None = None
        self.contains: tuple[Node, str] | None = None

    def check(self, value: Any, where: Where, found: list[Finding]) -> None:
        """Add what is wrong with a value at a place; of an object's members none is null."""
        types = self.types
        if types and not any(_satisfies(value, kind) for kind in types):
            found.append(_failed("type", where, ",".join(types), type_name(value)))
            return
        if isinstance(value, dict):
            self._check_object(value, where, found)
        elif isinstance(value, list):
            self._check_array(value, where, found)
        else:
            self._check_scalar(value, where, found)
        _run(self.fixed, value, value, where, found)

    def _check_scalar(self, value: Any, where: Where, found: list[Finding]) -> None:
        if self.numeric and (number := self._number(value)) is not None:
            _run(self.numeric, number, value, where, found)
        if self.textual and value is not None and (not self.types or "string" in self.types):
            _run(self.textual, to_text(value), value, where, found)

    def _number(self, value: Any) -> int | float | None:
        if not self.types or "number" in self.types:
            return to_number(value)
        return convert(value, "integer") if "integer" in self.types else None  # type: ignore[return-value]

    def _check_array(self, value: list[Any], where: Where, found: list[Finding]) -> None:
        _run(self.listed, value, value, where, found)
        if self.contains is not None:
            node, expected = self.contains
            if not any(map(node.accepts, value)):
                found.append(_failed("contains", where, expected, shown(value)))
        if self.items is not None:
            for index, each in enumerate(value):
                self.items.check(each, (where, index), found)

    def _check_object(self, value: dict[str, Any], where: Where, found: list[Finding]) -> None:
        _run(self.sized, value, value, where, found)
        if self.names is not None:
            node, expected = self.names
            for name, each in value.items():
                if each is not None and not node.accepts(name):
                    path = path_of(where)
                    found.append(Finding("unknown", name, path, expected, name, "propertyNames"))
        found += [_missing(name, where) for name in self.needed if value.get(name) is None]
        if self.is_closed or self.rest is not None:
            self._check_others(value, where, found)
        for name, node, is_required in self.members:
            each = value.get(name)
            if each is not None:
                node.check(each, (where, name), found)
            elif is_required:
                found.append(_missing(name, where))

    def _check_others(self, value: dict[str, Any], where: Where, found: list[Finding]) -> None:
        named, exempt = self.named, self.exempt
        for name, each in value.items():
            if each is None or name in named or name in exempt:
                continue
            if self.rest is not None:
                self.rest.check(each, (where, name), found)
            else:
                path = path_of(where)
                keyword = "additionalProperties"
                found.append(Finding("unplanned", name, path, None, name, keyword))

    def accepts(self, value: Any) -> bool:
        """Tell whether nothing is wrong with a value."""
        found: list[Finding] = []
        self.check(value, None, found)
        return not found


def _run(
    checks: Sequence[Check], converted: Any, value: Any, where: Where, found: list[Finding]
) -> None:
    """Add the checks that a value, converted to what they take, does not pass."""
    found += [
        _failed(check.keyword, where, check.expected, shown(value))
        for check in checks
        if not check.holds(converted)
    ]


def _satisfies(value: Any, kind: str) -> bool:
    if kind == "object":
        return isinstance(value, dict)
    if kind == "array":
        return isinstance(value, list)
    return value is None if kind == "null" else convert(value, kind) is not None


def _failed(keyword: str, where: Where, expected: str, actual: str) -> Finding:
    kind: Kind = "invalid_value" if keyword in VALUE_KEYWORDS else "unknown"
    return Finding(kind, name_of(where), path_of(where), expected, actual, keyword)


def _missing(name: str, where: Where) -> Finding:
    return Finding("missing_required", name_of(where), path_of(where), name, None, "required")
