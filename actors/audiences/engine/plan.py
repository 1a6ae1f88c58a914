"""All criteria of some audiences as one evaluation."""

from collections.abc import Iterable, Mapping
from itertools import chain

import numpy as np
from msgspec import Struct

from actors.audiences.criteria import Recency
from actors.audiences.engine.arrays import (
    ONES,
    Bools,
    Ints,
    Places,
    Words,
    line_bytes,
)
from actors.audiences.engine.cells import Cells, Series, SeriesTable
from actors.audiences.engine.entries import Entries, EntryStore
from actors.audiences.engine.gates import TRUE_LITERAL, Network, bits_at
from actors.audiences.engine.holdings import Holdings
from actors.audiences.engine.leaves.carts import CartFamily, CartLeaf
from actors.audiences.engine.leaves.coded import CodedFamily, CodedLeaf
from actors.audiences.engine.leaves.events import EventFamily, EventLeaf
from actors.audiences.engine.leaves.family import Family
from actors.audiences.engine.leaves.numbers import NumberFamily, NumberLeaf
from actors.audiences.engine.leaves.places import PlaceFamily, PlaceLeaf
from actors.audiences.engine.leaves.population import PopulationFamily
from actors.audiences.engine.leaves.references import ReferenceFamily, ReferenceLeaf
from actors.audiences.engine.leaves.sequences import SequenceFamily, SequenceLeaf
from actors.audiences.engine.moment import Flips, Moment
from actors.audiences.engine.rows import Rows
from actors.audiences.engine.terms import All, Leaf, Member, Not, Term, listed
from actors.model.workspaces import ENVIRONMENTS, Environment


class Defined(Struct, frozen=True):
    """An audience of an engine: the term of its definition, and for whom it is."""

    environment: Environment
    term: Term


class Plan:
    """The joint evaluation of audiences; it holds as long as `holdings` do not change.

    Args:
        audiences: by number, with all that they refer to by `Member` and that is defined.
        revisions: of their definitions.
        wanted: whose memberships are asked for.
    """

    def __init__(
        self,
        audiences: Mapping[int, Defined],
        revisions: Mapping[int, int],
        wanted: Iterable[int],
        holdings: Holdings,
        rows: Rows,
        lookback_ms: int,
    ) -> None:
        self.wanted = tuple(wanted)
        self._audiences = audiences
        needed = with_targets(self.wanted, audiences)
        leaves = dict.fromkeys(
            leaf for number in needed for leaf in leaves_of(audiences[number].term)
        )
        self._families: list[tuple[Family, int]] = []  # with their first lines
        self._place: dict[Leaf, tuple[Family, int]] = {}
        lines = 1
        families, self._series = _families(list(leaves), holdings, lookback_ms)
        for family, own in families:
            self._families.append((family, lines))
            for leaf in own:
                self._place[leaf] = family, lines + family.line_of(leaf)
            lines += family.size
        population = PopulationFamily(rows)
        self._families.append((population, lines))
        self._alive = 2 * lines
        lines += population.size
        self.leaf_lines = lines
        self.network = Network(lines)
        self._literals: dict[int, int] = {}
        for number in self.wanted:
            self._literal(number)
        self.network.finish()
        self.roots = np.array([self._literals[number] for number in self.wanted], np.int64)
        self._family_bits = np.array(
            [self._bits_of_families(number) for number in self.wanted], np.int64
        )
        timeless = sum(
            1 << at
            for at, (family, _) in enumerate(self._families)
            if isinstance(family, CodedFamily | PlaceFamily | ReferenceFamily)
        )
        self.is_timed = self._family_bits & ~timeless != 0
        self.revisions = np.array(
            [
                max(revisions[each] for each in with_targets([number], audiences))
                for number in self.wanted
            ],
            np.int64,
        )
        self.environments = np.array(
            [ENVIRONMENTS.index(audiences[number].environment) for number in self.wanted], np.int64
        )

    def evaluate(
        self, entries: EntryStore, rows: Places, ticks: Ints, families: int = -1
    ) -> "Evaluation":
        """Evaluate everything for some rows.

        Args:
            entries: of all rows; nothing may wait in it.
            rows: which; also several times, with different ticks.
            ticks: one for all rows, or one for each.
            families: bits of those that matter, see `families_of`; the lines of others are wrong.
        """
        events: tuple[Entries, Cells] | None = None
        if self._series.number_of:
            read = entries.read(rows, ticks)
            events = read, self._series.cells(ticks, read)
        moment = Moment(rows, ticks, events)
        truth = np.zeros((self.network.lines, line_bytes(len(rows))), np.uint8)
        truth[0] = 0xFF
        flips = Flips()
        for number, (family, first) in enumerate(self._families):
            if families >> number & 1:
                family.evaluate(moment, truth[first : first + family.size], first, flips)
        words: Words = truth.view(np.uint64)
        self.network.evaluate(words)
        return Evaluation(self, moment, words, flips)

    def literal(self, term: Leaf | Member, environment: Environment) -> int:
        """Return the literal of a leaf of the plan, or of being in another audience."""
        if isinstance(term, Member):
            return self._member(term.audience, environment)
        return 2 * self._line(term)

    def explain(self, leaf: Leaf, moment: Moment) -> object:
        """Return the value that decided on a leaf, for the first of the rows."""
        family, _ = self._place[leaf]
        return family.explain(leaf, moment)

    def families_of(self, wanted: Ints) -> int:
        """Return the bits of the families that these audiences depend on."""
        return int(np.bitwise_or.reduce(self._family_bits[wanted]))

    def _bits_of_families(self, number: int) -> int:
        """Return the bits of the families that an audience and its targets depend on."""
        numbers = with_targets([number], self._audiences)
        families = {
            self._place[leaf][0]
            for each in numbers
            for leaf in leaves_of(self._audiences[each].term)
        }
        bits = sum(1 << at for at, (family, _) in enumerate(self._families) if family in families)
        of_population = 1 << len(self._families) - 1
        return bits | (of_population if len(numbers) > 1 else 0)

    def _line(self, leaf: Leaf) -> int:
        return self._place[leaf][1]

    def _literal(self, number: int) -> int:
        if number not in self._literals:
            audience = self._audiences[number]
            self._literals[number] = self.network.add(
                audience.term, self._line, lambda target: self._member(target, audience.environment)
            )
        return self._literals[number]

    def _member(self, target: int, environment: Environment) -> int:
        """Return the literal of being in another audience, as somebody of the population."""
        defined = self._audiences.get(target)
        if defined is None:
            return 2 * self._line(listed(target))
        if defined.environment != environment:
            return TRUE_LITERAL ^ 1
        return self.network.both(self._literal(target), self._alive)


class Evaluation(Struct, frozen=True):
    """What a plan found: packed truth of all lines, and when it may change."""

    plan: Plan
    moment: Moment
    truth: Words
    flips: Flips

    def roots(self) -> Words:
        """Return packed whether the rows satisfy each wanted audience; padding is arbitrary."""
        literals = self.plan.roots
        opposite = np.where(literals & 1, ONES, np.uint64(0))[:, None]
        found: Words = self.truth.take(literals >> 1, axis=0) ^ opposite
        return found

    def holds(self, literal: int, places: Ints) -> Bools:
        """Return the truth of a literal for some of the rows."""
        line = np.full(len(places), literal >> 1)
        return bits_at(self.truth, line, places) ^ bool(literal & 1)

    def satisfies(self, wanted: Ints, places: Ints) -> Bools:
        """Tell for pairs of a wanted audience and a row whether the definition holds."""
        literals = self.plan.roots[wanted]
        result: Bools = bits_at(self.truth, literals >> 1, places) != (literals & 1 != 0)
        return result

    def next_tick(self) -> Ints:
        """Return for each row the first tick at which anything may change."""
        return self.flips.by_row(len(self.moment.rows))


def leaves_of(term: Term) -> list[Leaf]:
    """Return the leaves of a term; for `Member` the one that stands in if nothing is defined."""
    match term:
        case Not(inner):
            return leaves_of(inner)
        case All(terms):
            return [leaf for each in terms for leaf in leaves_of(each)]
        case Member(audience):
            return [listed(audience)]
    return [term]


def targets_of(term: Term) -> set[int]:
    """Return the audiences that a term refers to."""
    match term:
        case Not(inner):
            return targets_of(inner)
        case All(terms):
            return {target for each in terms for target in targets_of(each)}
        case Member(audience):
            return {audience}
    return set()


def with_targets(wanted: Iterable[int], audiences: Mapping[int, Defined]) -> list[int]:
    """Return audiences with all that they refer to, each once."""
    found: dict[int, None] = {}
    waiting = list(wanted)
    while waiting:
        number = waiting.pop()
        if number not in found and number in audiences:
            found[number] = None
            waiting.extend(targets_of(audiences[number].term))
    return list(found)


def _families(
    leaves: list[Leaf], holdings: Holdings, lookback_ms: int
) -> tuple[list[tuple[Family, list[Leaf]]], SeriesTable]:
    """Return the families that there are leaves of, with their leaves; and the series they read."""
    found: list[tuple[Family, list[Leaf]]] = []
    if coded := [leaf for leaf in leaves if isinstance(leaf, CodedLeaf)]:
        found.append((CodedFamily({leaf: holdings.slot(leaf) for leaf in coded}), [*coded]))
    if numbers := [leaf for leaf in leaves if isinstance(leaf, NumberLeaf)]:
        found.append((NumberFamily({leaf: holdings.numbers(leaf) for leaf in numbers}), [*numbers]))
    areas = [leaf for leaf in leaves if isinstance(leaf, PlaceLeaf)]
    for workspace in dict.fromkeys(leaf.workspace for leaf in areas):
        places = [leaf for leaf in areas if leaf.workspace == workspace]
        found.append((PlaceFamily(places, *holdings.coordinates(workspace)), [*places]))
    if references := [leaf for leaf in leaves if isinstance(leaf, ReferenceLeaf)]:
        pairs = {leaf: holdings.pair(leaf) for leaf in references}
        found.append((ReferenceFamily(pairs), [*references]))
    events: dict[EventLeaf, Series] = {}
    carts: dict[CartLeaf, tuple[Series, Series]] = {}
    sequences: dict[SequenceLeaf, list[tuple[Series, Series]]] = {}
    for leaf in leaves:
        match leaf:
            case EventLeaf():
                events[leaf] = holdings.number(leaf.stream), leaf.recency
            case CartLeaf():
                added, bought = holdings.number(leaf.added), holdings.number(leaf.bought)
                carts[leaf] = (added, leaf.recency), (bought, Recency())
            case SequenceLeaf():
                recencies = [leaf.recency, *[Recency()] * (len(leaf.steps) - 1)]
                sequences[leaf] = [
                    ((holdings.number(step.before), each), (holdings.number(step.after), each))
                    for step, each in zip(leaf.steps, recencies, strict=True)
                ]
    pairs_read = [*carts.values(), *chain.from_iterable(sequences.values())]
    series = [*events.values(), *chain.from_iterable(pairs_read)]
    table = SeriesTable(list(dict.fromkeys(series)), lookback_ms)
    if events:
        found.append((EventFamily(events, table), [*events]))
    if carts:
        found.append((CartFamily(carts, table), [*carts]))
    if sequences:
        found.append((SequenceFamily(sequences, table), [*sequences]))
    return found, table
