"""Audiences over several workspaces (spec/audiences.md, 5, rule 12).

A criterion on the user holds if it does in a live section of any of its workspaces. Events of all
of them are one history.
"""

from collections.abc import Iterable, Sequence

from msgspec.structs import asdict, replace

from actors.audiences.criteria import (
    AudienceMembership,
    CalculatedAttribute,
    CartAbandonment,
    Criterion,
    EventCriterion,
    EventFilter,
    Named,
    Node,
    Prediction,
    SegmentMembership,
)
from actors.audiences.criteria import Sequence as SequenceCriterion
from actors.audiences.engine.engine import Engine
from actors.audiences.engine.entries import Entry, EntryStore, Happened
from actors.audiences.engine.holdings import Holdings
from actors.audiences.engine.leaves.carts import CartLeaf
from actors.audiences.engine.leaves.coded import CodedLeaf, Exists
from actors.audiences.engine.leaves.numbers import NumberLeaf
from actors.audiences.engine.leaves.places import PlaceLeaf
from actors.audiences.engine.leaves.references import ReferenceLeaf
from actors.audiences.engine.matcher import Matcher
from actors.audiences.engine.mirror import Mirror
from actors.audiences.engine.plan import Defined
from actors.audiences.engine.sources import (
    CalculatedSource,
    Derived,
    LiveSource,
    NamedCalculatedSource,
    SectionSource,
    Source,
    Subject,
)
from actors.audiences.engine.streams import Stream
from actors.audiences.engine.terms import All, Not, Term, any_of, criterion_term, node_term
from actors.model.batches import StoredBatch
from actors.model.profiles import Profile, ProfileKey, Section
from actors.model.workspaces import Environment, WorkspaceInfo
from actors.profiles.retention import DAY_MS, last_active_ms

_NO_SECTION = Section(0, 0)


class JointFilter(EventFilter, frozen=True):
    """A filter of events of some workspaces; `inputs` are numbers in any of them."""

    workspaces: tuple[int, ...] = ()


def joint_term(node: Node, workspaces: Sequence[int], home: int) -> Term:
    """Return the term of an audience over workspaces: its population, and its definition.

    `home`: the workspace that has the audience; predictions and segments are of it.
    """
    definition = node_term(node, lambda named: joint_criterion_term(named, workspaces, home))
    return All((any_of(map(_is_live, workspaces)), definition))


def joint_criterion_term(named: Named, workspaces: Sequence[int], home: int) -> Term:
    """Return the term of one criterion of such an audience."""
    read_in = named.workspaces or tuple(workspaces)
    if isinstance(named.criterion, Prediction | SegmentMembership):
        read_in = tuple(each for each in read_in if each == home)
    return _criterion(named.criterion, read_in)


class JointEngine(Engine):
    """Audiences over workspaces that share the profiles of one shard; see `Engine`.

    `Derived.workspaces` has what was made of a user in each of them. An audience's population are
    those who have a live section of one of its own workspaces; a row is alive as long as one of
    the engine's has one.

    Args:
        workspaces: all that audiences may be of.
        lookback_ms: events older than this are seen by no audience.
    """

    def __init__(self, workspaces: Sequence[WorkspaceInfo], lookback_ms: int) -> None:
        super().__init__(workspaces[0], lookback_ms)
        self._idle_ms = {each.number: each.profile_idle_days * DAY_MS for each in workspaces}
        self._holdings = _JointHoldings(workspaces, self._mirror, self._entries)

    def activate_over(
        self,
        audience: int,
        environment: Environment,
        node: Node,
        workspaces: Sequence[int],
        revision: int = 0,
    ) -> None:
        """Evaluate an audience over some of the workspaces; see `Engine.activate`."""
        term = joint_term(node, workspaces, self._workspace.number)
        self.define(audience, Defined(environment, term), revision)

    def _subject(self, key: ProfileKey, profile: Profile, derived: Derived) -> Subject | None:
        return Subject(key, profile, _NO_SECTION, derived, self.groups)

    def _set_alive(self, row: int, profile: Profile) -> None:
        lifetimes_ms = [
            self._idle_ms[number]
            for number, section in profile.workspaces.items()
            if number in self._idle_ms and not section.is_aged_out
        ]
        is_in = bool(lifetimes_ms) and not profile.is_opted_out
        until_ms = last_active_ms(profile) + max(lifetimes_ms) if is_in else -1
        self._rows.alive_until_ms.array[row] = until_ms


class _JointHoldings(Holdings):
    """Holdings whose events are matched by the rules of the workspace that they came to."""

    def __init__(
        self, workspaces: Sequence[WorkspaceInfo], mirror: Mirror, entries: EntryStore
    ) -> None:
        super().__init__(workspaces[0], mirror, entries)
        self._workspaces = workspaces

    @property
    def matcher(self) -> Matcher:
        """The streams, ready to match events."""
        if self._matcher is None:
            streams = [(number, each) for each, number in self._number_of.items()]
            self._matcher = _JointMatcher(self._workspaces, streams)
        return self._matcher


class _JointMatcher(Matcher):
    def __init__(
        self, workspaces: Sequence[WorkspaceInfo], streams: Iterable[tuple[int, Stream]]
    ) -> None:
        super().__init__(workspaces[0], ())
        found = list(streams)
        self._by_workspace = {
            each.number: Matcher(
                each, [(number, stream) for number, stream in found if _is_of(stream, each.number)]
            )
            for each in workspaces
        }

    def found(
        self, stored: StoredBatch, first_event: int, since_ms: int
    ) -> tuple[list[Happened], list[Entry]]:
        matcher = self._by_workspace.get(stored.workspace)
        return ([], []) if matcher is None else matcher.found(stored, first_event, since_ms)


def _is_of(stream: Stream, workspace: int) -> bool:
    return isinstance(stream.filter, JointFilter) and workspace in stream.filter.workspaces


def _is_live(workspace: int) -> Term:
    return CodedLeaf(LiveSource(workspace), Exists())


def _criterion(criterion: Criterion, workspaces: tuple[int, ...]) -> Term:
    match criterion:
        case AudienceMembership():
            return criterion_term(criterion)
        case EventCriterion(filter=wanted):
            return criterion_term(replace(criterion, filter=_joint(wanted, workspaces)))
        case CartAbandonment(filter=wanted):
            term = criterion_term(criterion)
            assert isinstance(term, CartLeaf), "it is one leaf"
            return replace(
                term,
                added=_joint_stream(term.added, workspaces),
                bought=_joint_stream(term.bought, workspaces),
            )
        case SequenceCriterion(steps=steps):
            joint = tuple(replace(step, filter=_joint(step.filter, workspaces)) for step in steps)
            return criterion_term(replace(criterion, steps=joint))
    name = criterion.attribute_name if isinstance(criterion, CalculatedAttribute) else ""
    term = criterion_term(criterion)
    return any_of(All((_is_live(each), _in_section(term, each, name))) for each in workspaces)


def _joint(wanted: EventFilter, workspaces: tuple[int, ...]) -> JointFilter:
    return JointFilter(**asdict(wanted), workspaces=workspaces)


def _joint_stream(stream: Stream, workspaces: tuple[int, ...]) -> Stream:
    return replace(stream, filter=_joint(stream.filter, workspaces))


def _in_section(term: Term, workspace: int, name: str) -> Term:
    """Return a term on the user that reads one workspace's section.

    `name`: of the calculated attribute that it is about, if any.
    """
    match term:
        case All(terms):
            return All(tuple(_in_section(each, workspace, name) for each in terms))
        case Not(inner):
            return Not(_in_section(inner, workspace, name))
        case CodedLeaf() | NumberLeaf():
            return replace(term, source=_source(term.source, workspace, name))
        case ReferenceLeaf(source, other, test):
            reference = test.value_ref
            return replace(
                term,
                source=_source(source, workspace, name),
                other=_source(
                    other, workspace, "" if reference is None else reference.attribute_name
                ),
            )
        case PlaceLeaf():
            return replace(term, workspace=workspace)
    return term


def _source(source: Source, workspace: int, name: str) -> Source:
    if isinstance(source, CalculatedSource):
        source = NamedCalculatedSource(name)
    return SectionSource(workspace, source)
