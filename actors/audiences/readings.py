"""Definitions of audiences as they are kept, and what they mean."""

from collections.abc import Iterable
from typing import Any

from actors.audiences import references
from actors.audiences.catalog import Catalog
from actors.audiences.criteria import Node
from actors.audiences.objects import Definition
from actors.audiences.reading import Names, ReadDefinition, Reader
from actors.errors import AudienceRefused, Problem


class Readings:
    """Reads definitions; remembers what those that are kept mean."""

    def __init__(self, reader: Reader, catalog: Catalog) -> None:
        self._reader = reader
        self._catalog = catalog
        self._known: dict[int, tuple[Definition, Node]] = {}  # by identity of the definition

    def read(
        self,
        sent: Any,
        workspaces: Iterable[int],
        inputs: Iterable[int],
        is_real_time: bool,
        path: str = "/definition",
    ) -> tuple[Definition, Node]:
        """Understand a definition.

        Args:
            sent: the JSON value, at `path` of what a caller has sent.
            workspaces, inputs: of the audience; no inputs are all of them.
            is_real_time: sees no further back than the lookback.

        Raises:
            AudienceRefused: with all that is wrong with it.
        """
        catalog = self._catalog
        names = Names(
            workspaces=frozenset(workspaces),
            inputs=frozenset(inputs) or frozenset(catalog.inputs),
            calculated=catalog.calculated,
            lookback_days=catalog.lookback_days if is_real_time else None,
        )
        found = self._read(sent, names, path)
        used = references.calculated_attributes(found.node)
        calculated = {name: each for name, each in catalog.calculated.items() if each in used}
        definition = Definition(sent, found.canonical, calculated, found.warnings)
        self._remember(definition, found.node)
        return definition, found.node

    def node(self, definition: Definition) -> Node:
        """Return what a kept definition means, also if what it names is gone."""
        known = self._known.get(id(definition))
        if known is not None and known[0] is definition:
            return known[1]
        names = Names(
            workspaces=frozenset(_numbers(definition.canonical, "workspace_ids"))
            | {self._catalog.workspace},
            inputs=frozenset(_numbers(definition.canonical, "input_ids"))
            | frozenset(self._catalog.inputs),
            calculated=self._catalog.calculated | definition.calculated,
            lookback_days=None,
        )
        node = self._reader(definition.canonical, names).node
        self._remember(definition, node)
        return node

    def _remember(self, definition: Definition, node: Node) -> None:
        self._known[id(definition)] = (definition, node)

    def forget_all_but(self, kept: Iterable[Definition]) -> None:
        """Let go of definitions that nobody has any more."""
        wanted = {id(each) for each in kept}
        self._known = {place: each for place, each in self._known.items() if place in wanted}

    def _read(self, sent: Any, names: Names, path: str) -> ReadDefinition:
        try:
            return self._reader(sent, names)
        except AudienceRefused as error:
            problems = [Problem(each.message, path + (each.path or "")) for each in error.problems]
            raise AudienceRefused(error.code, problems) from None


def _numbers(value: Any, key: str) -> list[int]:
    """Return all numbers that a definition has under a key."""
    found: list[int] = []
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == key and isinstance(inner, list):
                found += [each for each in inner if isinstance(each, int)]
            else:
                found += _numbers(inner, key)
    elif isinstance(value, list):
        for inner in value:
            found += _numbers(inner, key)
    return found
