"""Definitions of audiences as they are kept, and what they mean."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from actors.audiences.catalog import Catalog
from actors.audiences.criteria import Node
from actors.audiences.language.dependencies import dependencies_of
from actors.audiences.language.references import (
    AudienceReference,
    CalculatedAttributeReference,
    References,
)
from actors.audiences.objects import AudienceType, Definition, Status
from actors.audiences.reading import as_refused, understand
from actors.audiences.receivers import Neighbours
from actors.audiences.state import AudienceState
from actors.audiences.trees import definitions_of
from actors.clock import Clock
from actors.errors import AudienceRefused, Problem

DAY_MS = 86_400_000
_TIERS = ("personalize", "preserve", "connect")  # each hides more from audiences
# Whose members can be asked for; those of an expired audience stay (spec/audiences.md, 2.1).
READABLE: frozenset[Status] = frozenset({"activating", "active", "ready", "expired"})


class Frame(Struct, frozen=True, kw_only=True):
    """The audience that a definition is read for; no inputs are all of them.

    `number`: `None` if it is only asked about.
    """

    number: int | None
    type: AudienceType
    workspaces: tuple[int, ...]
    inputs: tuple[int, ...]


class Readings:
    """Reads definitions; remembers what those that are kept mean."""

    def __init__(
        self, catalog: Catalog, clock: Clock, neighbours: Callable[[], Neighbours] = dict
    ) -> None:
        """Args: `neighbours`: returns the catalogs of the deployment's other workspaces."""
        self._catalog = catalog
        self._clock = clock
        self._neighbours = neighbours
        self._known: dict[int, tuple[Definition, Node]] = {}  # by identity of the definition

    def read(
        self, sent: Any, frame: Frame, state: AudienceState, path: str = "/definition"
    ) -> tuple[Definition, Node]:
        """Understand a definition that was sent.

        Args:
            sent: the JSON value, at `path` of what a caller has sent.
            frame: whose definition it is.
            state: what there is that it may refer to.

        Raises:
            AudienceRefused: with all that is wrong with it.
        """
        found = understand(sent, self._references(frame, state, is_activation=False), path)
        if found.problems:
            raise as_refused(found.problems)
        used = dependencies_of(found.node).calculated_attributes
        references = self._calculated(frame)
        definition = Definition(
            sent,
            found.canonical,
            frame.inputs,
            {each.name: each.number for each in references if each.number in used},
            tuple((each.path, each.message) for each in found.warnings),
        )
        self._remember(definition, found.node)
        return definition, found.node

    def check(self, definition: Definition, frame: Frame, state: AudienceState) -> None:
        """Check that all that a definition refers to is there and active.

        Raises:
            AudienceRefused: something is not, or its events are not kept for audiences.
        """
        known = self._references(frame, state, is_activation=True)
        problems = understand(definition.canonical, known).problems
        if problems:
            raise as_refused(problems)
        # What it refers to may have another name by now, and something else its former one.
        active = {number for each in self._places(frame) for number in each.calculated.values()}
        for name, number in definition.calculated.items():
            if number not in active:
                message = f"The calculated attribute that was {name} is not active."
                raise AudienceRefused("INVALID_STATE", [Problem(message, "/definition")])

    def node(self, definition: Definition) -> Node:
        """Return what a kept definition means, also if what it names is gone."""
        kept = self._known.get(id(definition))
        if kept is not None and kept[0] is definition:
            return kept[1]
        known_names = References(
            workspaces=frozenset(),
            now_ms=self._clock.now_ms(),
            inputs=definition.inputs,
            calculated_attributes=_references_to(self._catalog.calculated | definition.calculated),
            is_kept=True,
        )
        # What does not exist any more never has a value; it is no reason not to evaluate the rest.
        node = understand(definition.canonical, known_names).node
        self._remember(definition, node)
        return node

    def targets(self, state: AudienceState, number: int) -> set[int]:
        """Return the audiences whose members the definition of one asks for."""
        audience = state.audiences[number]
        if audience.journey is not None:
            definitions = definitions_of(state.journeys[audience.journey], number)
        else:
            definitions = [] if audience.definition is None else [audience.definition]
        found = [dependencies_of(self.node(each)).audiences for each in definitions]
        return {target for each in found for target in each}

    def referring(self, state: AudienceState, number: int) -> list[int]:
        """Return the audiences whose definition refers to one."""
        return sorted(each for each in state.audiences if number in self.targets(state, each))

    def forget_all_but(self, kept: Iterable[Definition]) -> None:
        """Let go of definitions that nobody has any more."""
        wanted = {id(each) for each in kept}
        self._known = {place: each for place, each in self._known.items() if place in wanted}

    def _remember(self, definition: Definition, node: Node) -> None:
        self._known[id(definition)] = (definition, node)

    def _references(self, frame: Frame, state: AudienceState, *, is_activation: bool) -> References:
        catalog = self._catalog
        places = self._places(frame)
        default_tier, tiers = strictest_tiers([(each.default_tier, each.tiers) for each in places])
        is_real_time = frame.type == "real_time"
        # The tier decides what can be activated; until then it may still be changed.
        visible = {"personalize"}
        if not is_real_time:
            visible.add("preserve")
        if not is_activation:
            visible |= {"preserve", "connect"}
        return References(
            workspaces=frozenset(frame.workspaces),
            now_ms=self._clock.now_ms(),
            inputs=frame.inputs,
            known_inputs=frozenset(number for each in places for number in each.inputs),
            calculated_attributes=self._calculated(frame),
            audiences={
                number: AudienceReference(
                    reads_membership=bool(self.targets(state, number)),
                    is_elsewhere=len(audience.workspaces) > 1 and len(frame.workspaces) == 1,
                    is_active=audience.status in READABLE or audience.type == "static",
                )
                for number, audience in state.audiences.items()
            },
            audience=frame.number,
            is_referenced=frame.number in state.audiences
            and frame.number is not None
            and bool(self.referring(state, frame.number)),
            predictions=frozenset(
                number
                for number, each in state.predictions.items()
                if not each.is_leaving
                and (is_activation or each.status(self._clock.now_ms()) != "inactive")
            ),
            tiers=tiers,
            default_tier=default_tier,
            visible_tiers=frozenset(visible),
            lookback_ms=catalog.lookback_days * DAY_MS if is_real_time else None,
            is_activation=is_activation,
        )

    def _places(self, frame: Frame) -> list[Catalog]:
        """Return the catalogs of an audience's workspaces, its own first."""
        others = self._neighbours()
        return [self._catalog, *(others[each] for each in frame.workspaces if each in others)]

    def _calculated(self, frame: Frame) -> tuple[CalculatedAttributeReference, ...]:
        """Return the calculated attributes; of several of a name an active one, or else the first,
        counts."""
        active: dict[str, int] = {}
        drafts: dict[str, int] = {}
        for each in reversed(self._places(frame)):
            active |= each.calculated
            drafts |= each.drafts
        active = self._catalog.calculated | active
        drafts = {name: number for name, number in drafts.items() if name not in active}
        return _references_to(active) + _references_to(drafts, is_active=False)


def strictest_tiers(
    places: Sequence[tuple[str, Mapping[str, str]]],
) -> tuple[str, dict[str, str]]:
    """Return the default tier and the others that hold for events in all of some workspaces.

    `places`: the default tier and the others of each.
    """
    names = {name for _, tiers in places for name in tiers}
    strictest = {
        name: max((tiers.get(name, default) for default, tiers in places), key=_TIERS.index)
        for name in names
    }
    return max((default for default, _ in places), key=_TIERS.index), strictest


def _references_to(
    names: Mapping[str, int], *, is_active: bool = True
) -> tuple[CalculatedAttributeReference, ...]:
    return tuple(
        CalculatedAttributeReference(number, name, is_active) for name, number in names.items()
    )
