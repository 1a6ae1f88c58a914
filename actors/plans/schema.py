"""Compiles the part of JSON Schema that data plans may use (spec/data-plans.md, 2.3)."""

import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from msgspec import Struct

from actors.plans.findings import Path, shown
from actors.plans.formats import FORMATS
from actors.plans.nodes import Check, Member, Node, Options
from actors.plans.patterns import PatternRefused, Patterns
from actors.plans.values import canonical

TYPES = ("string", "number", "integer", "boolean", "array", "object", "null")
MAX_DEPTH = 64
ANNOTATIONS = frozenset(
    {
        *("title", "description", "default", "examples", "$comment", "$schema", "$id"),
        *("readOnly", "writeOnly"),
    }
)
ELEMENT = "*"  # stands for any index in the paths of `Exempt`
# Path of an object to the names that are planned there whatever the schema says.
Exempt = Mapping[Path, frozenset[str]]


class SchemaProblem(Struct, frozen=True):
    """Something that is wrong with a document.

    Attributes:
        path: of the place, below what was read.
        keyword: at fault; `value`: what is written there, as text.
    """

    message: str
    path: Path
    keyword: str | None = None
    value: str | None = None


def compile_schema(
    definition: Any, exempt: Exempt, patterns: Patterns, problems: list[SchemaProblem]
) -> Node:
    """Compile a schema; what is wrong with it is added to `problems`, and left out."""
    reader = _Reader(exempt, patterns, problems)
    return reader.read(definition, (), ())


class _Reader:
    def __init__(self, exempt: Exempt, patterns: Patterns, problems: list[SchemaProblem]) -> None:
        self._exempt = exempt
        self._patterns = patterns
        self._problems = problems

    def read(self, definition: Any, at: Path, path: Path) -> Node:
        """Read the schema at a place, which is of the values at a path."""
        node = Node()
        node.exempt = self._exempt.get(path, frozenset())
        if not isinstance(definition, dict):
            self._refuse("must be an object", at)
            return node
        if len(path) > MAX_DEPTH:
            self._refuse(f"must not be nested deeper than {MAX_DEPTH} levels", at)
            return node
        for keyword, value in definition.items():
            place = (*at, keyword)
            if keyword in ANNOTATIONS:
                continue
            read = _KEYWORDS.get(keyword)
            if read is None:
                message = f"the keyword '{keyword}' is not supported"
                self._problems.append(SchemaProblem(message, place, keyword, shown(value)))
            elif (message := read(self, node, value, place, path) or "") != "":
                self._problems.append(SchemaProblem(message, place, keyword, shown(value)))
        self._finish(node, definition)
        return node

    def _refuse(self, message: str, at: Path) -> None:
        keyword = next((str(each) for each in reversed(at) if isinstance(each, str)), None)
        self._problems.append(SchemaProblem(message, at, keyword))

    def _finish(self, node: Node, definition: dict[str, Any]) -> None:
        """Add what follows from several keywords."""
        required = definition.get("required")
        listed = required if isinstance(required, list) else []
        names = [each for each in listed if isinstance(each, str)]
        node.members = tuple(each._replace(is_required=each.name in names) for each in node.members)
        node.named = frozenset(each.name for each in node.members)
        node.needed = tuple(each for each in names if each not in node.named)
        if "const" in definition:
            options = Options([definition["const"]], node.types)
            node.fixed.append(Check("const", options.have, shown(definition["const"])))
        values = definition.get("enum")
        if isinstance(values, list):
            node.fixed.append(Check("enum", Options(values, node.types).have, shown(values)))

    # -- Keywords: each returns what is wrong with its value ---------------------------------------

    def types(self, node: Node, value: Any, at: Path, path: Path) -> str | None:
        kinds = value if isinstance(value, list) else [value]
        if not kinds or any(not isinstance(each, str) or each not in TYPES for each in kinds):
            return f"must be one of {', '.join(TYPES)}, or a list of them"
        node.types = tuple(kinds)
        return None

    def properties(self, node: Node, value: Any, at: Path, path: Path) -> str | None:
        if not isinstance(value, dict):
            return "must be an object"
        node.members = tuple(
            Member(name, self.read(each, (*at, name), (*path, name)), is_required=False)
            for name, each in value.items()
        )
        return None

    def required(self, node: Node, value: Any, at: Path, path: Path) -> str | None:
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            return "must be a list of names"
        return "must not name anything twice" if len(set(value)) < len(value) else None

    def additional(self, node: Node, value: Any, at: Path, path: Path) -> str | None:
        if isinstance(value, bool):
            node.is_closed = not value
        elif isinstance(value, dict):
            node.rest = self.read(value, at, (*path, ELEMENT))
        else:
            return "must be true, false or a schema"
        return None

    def names(self, node: Node, value: Any, at: Path, path: Path) -> str | None:
        node.names = self.read(value, at, (*path, ELEMENT)), shown(value)
        return None

    def items(self, node: Node, value: Any, at: Path, path: Path) -> str | None:
        node.items = self.read(value, at, (*path, ELEMENT))
        return None

    def contains(self, node: Node, value: Any, at: Path, path: Path) -> str | None:
        node.contains = self.read(value, at, (*path, ELEMENT)), shown(value)
        return None

    def unique(self, node: Node, value: Any, at: Path, path: Path) -> str | None:
        if not isinstance(value, bool):
            return "must be true or false"
        if value:
            node.listed.append(Check("uniqueItems", _is_unique, "true"))
        return None

    def enum(self, node: Node, value: Any, at: Path, path: Path) -> str | None:
        return None if isinstance(value, list) and value else "must be a list that is not empty"

    def constant(self, node: Node, value: Any, at: Path, path: Path) -> str | None:
        return None  # any value will do

    def multiple(self, node: Node, value: Any, at: Path, path: Path) -> str | None:
        if not _is_number(value) or value <= 0:
            return "must be a number above 0"
        node.numeric.append(
            Check("multipleOf", lambda number: _is_multiple(number, value), shown(value))
        )
        return None

    def pattern(self, node: Node, value: Any, at: Path, path: Path) -> str | None:
        if not isinstance(value, str):
            return "must be a text"
        try:
            compiled = self._patterns.compile(value)
        except PatternRefused as error:
            return str(error)
        node.textual.append(Check("pattern", lambda text: bool(compiled.search(text)), value))
        return None

    def format(self, node: Node, value: Any, at: Path, path: Path) -> str | None:
        check = FORMATS.get(value) if isinstance(value, str) else None
        if check is None:
            return f"must be one of {', '.join(FORMATS)}"
        node.textual.append(Check("format", check, value))
        return None


_Read = Callable[[_Reader, Node, Any, Path, Path], str | None]


def _number_check(keyword: str, holds: Callable[[Any, Any], bool]) -> _Read:
    def read(_: _Reader, node: Node, limit: Any, at: Path, path: Path) -> str | None:
        if not _is_number(limit):
            return "must be a number"
        node.numeric.append(Check(keyword, lambda number: holds(number, limit), shown(limit)))
        return None

    return read


def _size_check(
    keyword: str,
    checks: Callable[[Node], list[Check]],
    size: Callable[[Any], int],
    *,
    is_least: bool,
) -> _Read:
    def read(_: _Reader, node: Node, limit: Any, at: Path, path: Path) -> str | None:
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:
            return "must be a whole number of at least 0"

        def holds(value: Any) -> bool:
            return size(value) >= limit if is_least else size(value) <= limit

        checks(node).append(Check(keyword, holds, shown(limit)))
        return None

    return read


def _member_count(value: Mapping[str, Any]) -> int:
    return sum(each is not None for each in value.values())


# Within numbers, texts and arrays the order of the schema holds.
_KEYWORDS: dict[str, _Read] = {
    "type": _Reader.types,
    "properties": _Reader.properties,
    "required": _Reader.required,
    "additionalProperties": _Reader.additional,
    "propertyNames": _Reader.names,
    "minProperties": _size_check("minProperties", lambda n: n.sized, _member_count, is_least=True),
    "maxProperties": _size_check("maxProperties", lambda n: n.sized, _member_count, is_least=False),
    "items": _Reader.items,
    "minItems": _size_check("minItems", lambda node: node.listed, len, is_least=True),
    "maxItems": _size_check("maxItems", lambda node: node.listed, len, is_least=False),
    "uniqueItems": _Reader.unique,
    "contains": _Reader.contains,
    "enum": _Reader.enum,
    "const": _Reader.constant,
    "minimum": _number_check("minimum", lambda number, limit: number >= limit),
    "maximum": _number_check("maximum", lambda number, limit: number <= limit),
    "exclusiveMinimum": _number_check("exclusiveMinimum", lambda number, limit: number > limit),
    "exclusiveMaximum": _number_check("exclusiveMaximum", lambda number, limit: number < limit),
    "multipleOf": _Reader.multiple,
    "minLength": _size_check("minLength", lambda node: node.textual, len, is_least=True),
    "maxLength": _size_check("maxLength", lambda node: node.textual, len, is_least=False),
    "pattern": _Reader.pattern,
    "format": _Reader.format,
}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_multiple(number: int | float, of: int | float) -> bool:
    if isinstance(number, int) and isinstance(of, int):
        return number % of == 0
    if not math.isfinite(number):
        return False
    try:  # as they are written: 0.3 is a multiple of 0.1
        return Decimal(repr(number)) % Decimal(repr(of)) == 0
    except InvalidOperation:  # the quotient has more digits than count
        return False


def _is_unique(values: Sequence[Any]) -> bool:
    return len(set(map(canonical, values))) == len(values)
