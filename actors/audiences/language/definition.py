"""Reads an audience's definition: the one way from JSON to criteria (spec/audiences.md, 3)."""

import json
from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct

from actors.audiences.criteria import Node
from actors.audiences.language.context import Context
from actors.audiences.language.members import Json, Members
from actors.audiences.language.nodes import read_tree
from actors.audiences.language.problems import DefinitionProblem, DefinitionWarning, pointer
from actors.audiences.language.references import References
from actors.audiences.language.sdk.document import is_sdk_document, read_sdk_document

VERSION = 1
MAX_BYTES = 256 * 1024  # of the JSON without blanks (spec/audiences.md, 15)
_TOO_LARGE = f"must be at most {MAX_BYTES // 1024} KB of JSON."
# More than the language can use (groups and conditions are bounded far below), so that reading
# anything else cannot exhaust the stack.
MAX_JSON_DEPTH = 64


class Definition(Struct, frozen=True):
    """A definition that has been read.

    Attributes:
        canonical: the form to store and show: `{"version": 1, "criteria": ...}`. Reading it again
            gives the same.
        node: what to evaluate. Whatever it refers to that does not exist never has a value.
        warnings: what is allowed and perhaps not meant.
        problems: rules about other state that are broken (422); it may not be saved with any.
    """

    canonical: Json
    node: Node
    warnings: list[DefinitionWarning]
    problems: list[DefinitionProblem]


class DefinitionInvalid(Exception):
    """The document itself is wrong (400), or too large to be read (`LIMIT_EXCEEDED`, 422).

    Carries every problem, in document order.
    """

    def __init__(self, problems: list[DefinitionProblem]) -> None:
        super().__init__(problems)
        self.problems = problems


def read_definition(
    document: Any, references: References, place: str = "/definition"
) -> Definition:
    """Read a definition in its full form, as a bare node, or as an audience-sdk document.

    Of the last the caller keeps what was sent beside the canonical form (14.1).

    Args:
        document: JSON values as sent.
        references: what it may refer to.
        place: JSON pointer of the document in the request body.

    Raises:
        DefinitionInvalid: a member is unknown, missing or wrong; or nothing can be read.
    """
    context = Context(references)
    node: Node | None = None
    canonical: Json = {}
    if _is_readable(document, place, context):
        node, canonical = _reader_of(document)(document, place, context)
    invalid = [problem for problem in context.problems if problem.code == "VALIDATION_ERROR"]
    if invalid or node is None:
        raise DefinitionInvalid(invalid or context.problems)
    canonical = {"version": VERSION, "criteria": canonical}
    if _size(canonical) > MAX_BYTES and not references.is_kept:  # so that it can be read again
        context.fail(place, _TOO_LARGE, "LIMIT_EXCEEDED")
    return Definition(canonical, node, context.warnings, context.problems)


def _reader_of(document: Any) -> Callable[[Any, str, Context], tuple[Node | None, Json]]:
    if is_sdk_document(document):
        return read_sdk_document
    if isinstance(document, dict) and {"criteria", "version"} & document.keys():
        return _read_whole
    return read_tree


def _read_whole(document: Json, place: str, context: Context) -> tuple[Node | None, Json]:
    members = Members(document, place, context)
    members.integer("version", lambda version: None if version == VERSION else "must be 1.")
    sent = members.raw("criteria")
    if sent is None:
        members.missing("criteria")
        return None, {}
    members.finish()
    return read_tree(sent, pointer(place, "criteria"), context)


def _is_readable(document: Any, place: str, context: Context) -> bool:
    """Refuse what is larger or deeper than any definition."""
    problem = None
    if not _has_depth_within(document, MAX_JSON_DEPTH):
        problem = f"is nested deeper than {MAX_JSON_DEPTH} levels."
    elif _size(document) > MAX_BYTES and not context.references.is_kept:
        problem = _TOO_LARGE
    if problem is not None:
        context.fail(place, problem, "LIMIT_EXCEEDED")
    return problem is None


def _has_depth_within(document: Any, depth: int) -> bool:
    level = [document]
    for _ in range(depth):
        level = [child for value in level for child in _children(value)]
        if len(level) > MAX_BYTES:  # parts that stand in many places, as YAML allows
            return False
    return not level


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _size(document: Any) -> int:
    """Return the bytes of the JSON; the library that also takes what YAML can hold."""
    try:
        text = json.dumps(
            document, ensure_ascii=False, separators=(",", ":"), skipkeys=True, default=str
        )
    except ValueError:  # a number with more digits than Python writes
        return MAX_BYTES + 1
    return len(text.encode(errors="replace"))
