"""Import of audience-sdk documents, schema 1.x (spec/audiences.md, 14.1)."""

import re
from typing import Any

from actors.audiences.criteria import Node
from actors.audiences.language.context import Context
from actors.audiences.language.members import Json, Members
from actors.audiences.language.nodes import read_tree
from actors.audiences.language.problems import pointer
from actors.audiences.language.sdk.aggregations import aggregation_criterion
from actors.audiences.language.sdk.comparisons import Comparison, read_comparison
from actors.audiences.language.sdk.events import LOGICAL, EventMembers, expressions_of
from actors.audiences.language.sdk.operands import (
    EVENTS,
    USER,
    Aggregation,
    Model,
    NotTranslatable,
    Path,
)
from actors.audiences.language.sdk.sequences import sequence_criterion
from actors.audiences.language.sdk.users import membership, user_criterion

_VERSION = re.compile(r"1(\.[0-9]+){1,2}(-[0-9A-Za-z.-]+)?")


def is_sdk_document(document: Any) -> bool:
    """Tell whether a definition is an audience-sdk document."""
    return isinstance(document, dict) and bool({"schema_version", "audience"} & document.keys())


def read_sdk_document(document: Json, place: str, context: Context) -> tuple[Node | None, Json]:
    """Translate and read a document. Every problem has the place of what it comes from."""
    members = Members(document, place, context)
    version = members.text("schema_version")
    if version and not _VERSION.fullmatch(version):
        members.fail("schema_version", "must be 1.x.y.")
    expression = members.raw("audience")
    if expression is None:
        members.missing("audience")
    members.finish()
    if context.problems:
        return None, {}
    translation = _Translation(context)
    tree = translation.translate(expression, pointer(place, "audience"))
    if context.problems:
        return None, {}
    return translation.read(tree)


class _Translation:
    """Translates one document, and remembers where each criterion comes from."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._origins: list[tuple[Json, str]] = []

    def translate(self, expression: Any, place: str) -> Json:
        """Translate an expression; what cannot be is noted, and something stands for it."""
        try:
            return self._expression(expression, place)
        except NotTranslatable as error:
            self._context.fail(error.place, error.message)
            return {}

    def read(self, tree: Json) -> tuple[Node, Json]:
        """Read the translation; problems with it are noted where it comes from."""
        inner = Context(self._context.references)
        node, canonical = read_tree(tree, "", inner)
        places = dict(reversed(self._places(tree, "")))  # of two origins the inner one
        for problem in inner.problems:
            place = _nearest(problem.path, places)
            self._context.fail(place, problem.message, problem.code)
        for warning in inner.warnings:
            self._context.warn(_nearest(warning.path, places), warning.message)
        return node, canonical

    def _expression(self, expression: Any, place: str) -> Json:
        if not isinstance(expression, dict):
            raise NotTranslatable(place, "must be an object.")
        operator = expression.get("operator")
        if operator in LOGICAL:
            return self._from(place, self._group(expression, place))
        if operator == "then":
            return self._from(place, sequence_criterion(expression, place))
        comparison = read_comparison(expression, place)
        match comparison.left:
            case Path(model=model) as path if model == USER:
                return self._from(place, user_criterion(comparison, path))
            case Path():
                return self._event([comparison], place)
            case Aggregation() as left:
                return self._from(place, aggregation_criterion(comparison, left))
            case Model() as left:
                return self._from(place, membership(comparison, left))
        raise NotTranslatable(comparison.left.place, "cannot be what is compared.")

    def _group(self, expression: Json, place: str) -> Json:
        """Translate a group; the comparisons of events in an `and` are all of one event."""
        op = expression["operator"]
        of_event: list[Comparison] = []
        nodes: list[Json] = []
        for inner, at in expressions_of(expression, place):
            comparison = _comparison_of_event(inner, at) if op == "and" else None
            if comparison is None:
                nodes.append(self.translate(inner, at))
            else:
                of_event.append(comparison)
        if of_event:
            try:
                nodes.append(self._event(of_event, place))
            except NotTranslatable as error:
                self._context.fail(error.place, error.message)
        return nodes[0] if len(nodes) == 1 else {"op": op, "nodes": nodes}

    def _event(self, comparisons: list[Comparison], place: str) -> Json:
        found = EventMembers(place)
        for comparison in comparisons:
            found.add(comparison)
        return self._from(place, found.to_criterion())

    def _from(self, place: str, node: Json) -> Json:
        self._origins.append((node, place))
        return node

    def _places(self, node: Json, at: str) -> list[tuple[str, str]]:
        """Return the place of origin of each node of a translation, by pointer into that."""
        places = [(at, place) for known, place in self._origins if known is node]
        for index, inner in enumerate(node.get("nodes", ())):
            places += self._places(inner, pointer(at, "nodes", index))
        return places


def _comparison_of_event(expression: Any, place: str) -> Comparison | None:
    """Return an expression as a comparison of a member of an event, `None` if it is none.

    What cannot be read is left to whoever translates it.
    """
    if not isinstance(expression, dict) or expression.get("operator") in (*LOGICAL, "then"):
        return None
    try:
        comparison = read_comparison(expression, place)
    except NotTranslatable:
        return None
    left = comparison.left
    return comparison if isinstance(left, Path) and left.model == EVENTS else None


def _nearest(path: str, places: dict[str, str]) -> str:
    """Return where the innermost node with a known origin comes from."""
    while path not in places and path:
        path = path.rpartition("/")[0]
    return places.get(path, "")
