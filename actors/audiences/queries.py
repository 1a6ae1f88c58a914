"""Definitions that are only asked about; nothing is kept of them.

Methods raise AudienceRefused with all that is wrong.
"""

from typing import Any

from msgspec import Struct

from actors.audiences.answers import Query
from actors.audiences.core import Core
from actors.audiences.criteria import AudienceMembership, Named, Node
from actors.audiences.language.dependencies import criteria_of
from actors.audiences.live import span_of
from actors.audiences.objects import Audience, DateRange
from actors.audiences.readings import Frame
from actors.audiences.rules import check_places, frame_of, refused
from actors.model.workspaces import Environment


class Asked(Struct, frozen=True):
    """A query, and what its criteria are called: their `id`, or else their place (JSON pointer)."""

    query: Query
    criteria: tuple[str, ...]
    warnings: tuple[tuple[str, str], ...] = ()


class Queries:
    """Makes queries that shards understand."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def ask(
        self,
        sent: Any,
        workspaces: tuple[int, ...],
        inputs: tuple[int, ...],
        environment: Environment,
    ) -> Asked:
        """Understand a definition as one of a real-time audience.

        Args:
            sent: as a caller has sent it.
            workspaces, inputs: numbers; none are all of them.
            environment: whose users are asked about.
        """
        core = self._core
        workspaces = tuple(dict.fromkeys(workspaces)) or (core.catalog.workspace,)
        check_places(core.catalog, core.neighbours(), workspaces, inputs)
        frame = Frame(number=None, type="real_time", workspaces=workspaces, inputs=inputs)
        definition, node = core.readings.read(sent, frame, core.state)
        query = Query(node=node, environment=environment, workspaces=workspaces)
        return Asked(query, _names(node), definition.warnings)

    async def ask_of(self, number: int, sent: Any = None) -> Asked | None:
        """Return the definition of an audience, or what it would be with another one.

        A static audience's is that a user is on its list. `None` if there is no such audience.
        Raises AudienceRefused if it has no definition.
        """
        core = self._core
        audience = core.state.audiences.get(number)
        if audience is None:
            return None
        if sent is None:
            node = core.node_of(audience)
            if audience.type == "static":
                node = Named(AudienceMembership(number, is_member=True))
            if node is None:
                raise refused("INVALID_STATE", "The audience has no definition.")
            return Asked(_query(audience, node), _names(node))
        if audience.type == "static" or audience.journey is not None:
            raise refused("INVALID_STATE", "The audience has no definition of its own.")
        definition, node = core.readings.read(sent, frame_of(audience), core.state)
        return Asked(_query(audience, node), _names(node), definition.warnings)


def _query(audience: Audience, node: Node) -> Query:
    return Query(
        node=node,
        environment=audience.environment,
        span=span_of(audience.range or DateRange()) if audience.type == "standard" else None,
        workspaces=audience.workspaces,
    )


def _names(node: Node) -> tuple[str, ...]:
    """Return what criteria are called: two of the same id both keep their place."""
    named = list(criteria_of(node))
    ids = [each.id for each in named]
    return tuple(
        each.id if each.id is not None and ids.count(each.id) == 1 else place
        for each, place in zip(named, _places(node, "/criteria"), strict=True)
    )


def _places(node: Node, at: str) -> list[str]:
    if isinstance(node, Named):
        return [at]
    return [
        place
        for index, each in enumerate(node.nodes)
        for place in _places(each, f"{at}/nodes/{index}")
    ]
