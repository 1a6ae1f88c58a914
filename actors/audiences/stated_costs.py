"""What audiences will take of memory, told before anybody is in them.

Columns are measured on an engine of which only the definitions are real; rows without data take
what rows with data take. What grows with data besides, distinct values and entries, is told per
value and entry. All arrays have room to grow, and bounds include it (`engine.growing`,
`engine.segments`).
"""

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from actors.audiences.criteria import Named, Node
from actors.audiences.engine.costs import EngineCost, engine_cost
from actors.audiences.engine.engine import Engine
from actors.audiences.engine.entries import EntryStore
from actors.audiences.engine.holdings import sources_of, streams_of
from actors.audiences.engine.joint import JointEngine, joint_criterion_term
from actors.audiences.engine.plan import leaves_of
from actors.audiences.engine.records import Kept
from actors.audiences.engine.segments import CHUNK
from actors.audiences.engine.sources import Source
from actors.audiences.engine.streams import Stream
from actors.audiences.engine.terms import Term, node_term
from actors.audiences.language.dependencies import criteria_of
from actors.model.profiles import Profile, ProfileKey, Section
from actors.model.workspaces import WorkspaceInfo
from actors.profiles.retention import DAY_MS

ROWS_GROWTH = 2  # arrays by row double at most when they are full
_MEASURED = 1024  # rows: what the engine grows by at first
_ENTRY_ROOM = 1.25  # of a row's segment that moves, up to a multiple of `_ENTRIES_UNIT`
_ENTRIES_UNIT = 4
_ENTRIES_GROWTH = 3.4  # of chunks half is used at least, a third left behind; they grow by an 8th
_BYTES_OF_OWNER = 4 / _ENTRIES_UNIT
_BYTES_PER_SEGMENT = 8 + 4 + 4  # where a row's entries, its values or its wide entries lie
_BYTES_PER_EVENT_NUMBER = 4  # a row's next one
_ENTRIES_AT_LEAST = 3 * CHUNK  # of the arrays, whoever uses them


# Of a criterion: number of its audience, its place, its id, and what it reads.
_Needs = tuple[int, int, str | None, frozenset[Source], frozenset[Stream]]


class CriterionCost(Struct, frozen=True):
    """What one criterion of an audience needs; equal needs of several are met once.

    Attributes:
        audience: its number.
        id: of the criterion, `None` if it has none; `place`: in its definition, from 1.
        row_bytes: of the columns that it reads, per profile.
        columns: what they are of.
        entry_bytes: of one event that counts, per stream.
        shared_with: other criteria, of all audiences, that need some of it too.
    """

    audience: int
    id: str | None
    place: int
    row_bytes: float
    columns: tuple[str, ...]
    entry_bytes: tuple[int, ...]
    shared_with: int


class StatedCosts(Struct, frozen=True):
    """What audiences take of a shard's memory, in bytes; see `most_bytes` for the bound.

    Attributes:
        audiences, leaves, streams: how many, different ones.
        row_bytes: per profile: its row and what finds it; `membership_bytes`, `column_bytes` too.
        plain_bytes, value_bytes, wide_bytes: of one entry; of its value, if it has one; `wide`
            ones have a weight or cease by themselves.
        has_values, has_wide: whether there are any of those.
        criteria: of all audiences, in the order of their numbers.
    """

    audiences: int
    leaves: int
    streams: int
    row_bytes: float
    membership_bytes: float
    column_bytes: float
    plain_bytes: int
    value_bytes: int
    wide_bytes: int
    has_values: bool
    has_wide: bool
    criteria: tuple[CriterionCost, ...]

    @property
    def profile_bytes(self) -> float:
        """All that every profile takes."""
        return self.row_bytes + self.membership_bytes + self.column_bytes

    def bytes_of(self, profiles: int, entries: int) -> int:
        """Return what so many profiles take with so many entries each, of which none has a value.

        Without room to grow.
        """
        return round(profiles * (self.profile_bytes + entries * self.plain_bytes))

    def most_bytes(self, profiles: int, entries: int) -> int:
        """Return what profiles that never had more entries than that each take at most.

        Besides, there are the values of attributes, each once, and 4096 users whose newest entries
        wait to be merged in.
        """
        value_bytes = self.has_values * (self.value_bytes + _BYTES_OF_OWNER)
        plain_bytes = self.plain_bytes + _BYTES_OF_OWNER + value_bytes
        entry_bytes = self.wide_bytes + _BYTES_OF_OWNER if self.has_wide else plain_bytes
        room = entries * _ENTRY_ROOM + _ENTRIES_UNIT if entries else 0
        segments = (1 + self.has_values + self.has_wide) * _BYTES_PER_SEGMENT
        row_bytes = self.profile_bytes + segments + _BYTES_PER_EVENT_NUMBER
        rows = max(profiles, _MEASURED) * row_bytes * ROWS_GROWTH
        least = _ENTRIES_AT_LEAST * (plain_bytes + self.wide_bytes)
        return round(rows + profiles * _ENTRIES_GROWTH * room * entry_bytes + least)


def stated_costs(nodes: Mapping[int, Node], workspace: WorkspaceInfo) -> StatedCosts:
    """Tell what real-time audiences of one workspace will take.

    Args:
        nodes: number of each audience to its definition.
        workspace: whose audiences they are.
    """
    engine = Engine(workspace, workspace.audience_event_days * DAY_MS)
    for number, node in nodes.items():
        engine.activate(number, "production", node)
    return _stated(engine, [workspace], nodes, lambda _, named: node_term(named))


def joint_costs(
    nodes: Mapping[int, Node],
    over: Mapping[int, Sequence[int]],
    workspaces: Sequence[WorkspaceInfo],
) -> StatedCosts:
    """Tell what real-time audiences over several workspaces will take, in columns of their own.

    Args:
        nodes: number of each audience to its definition.
        over: number of each to the numbers of its workspaces.
        workspaces: all of them, that which has the audiences first; every user is in all.
    """
    home = workspaces[0]
    engine = JointEngine(workspaces, home.audience_event_days * DAY_MS)
    for number, node in nodes.items():
        engine.activate_over(number, "production", node, over[number])
    return _stated(
        engine,
        workspaces,
        nodes,
        lambda number, named: joint_criterion_term(named, over[number], home.number),
    )


def _stated(
    engine: Engine,
    workspaces: Sequence[WorkspaceInfo],
    nodes: Mapping[int, Node],
    term_of: Callable[[int, Named], Term],
) -> StatedCosts:
    """Tell of an engine; `term_of` returns what a criterion of an audience, by its number, is."""
    before = _measured(engine, workspaces, 1)
    after = _measured(engine, workspaces, _MEASURED + 1)
    columns = {
        each.source: (each.array_bytes - former.array_bytes) / _MEASURED
        for each, former in zip(after.sources, before.sources, strict=True)
    }
    rows, _, entries, memberships, _ = engine.parts
    needs = [
        (number, place, named.id, *_needs(term_of(number, named)))
        for number, node in sorted(nodes.items())
        for place, named in enumerate(criteria_of(node), 1)
    ]
    streams = frozenset(stream for *_, some in needs for stream in some)
    return StatedCosts(
        audiences=len(nodes),
        leaves=after.leaves,
        streams=after.streams,
        row_bytes=rows.nbytes / rows.capacity + rows.index_bytes / len(rows),
        membership_bytes=memberships.nbytes / rows.capacity,
        column_bytes=sum(columns.values()),
        plain_bytes=entries.entry_bytes,
        value_bytes=entries.value_bytes,
        wide_bytes=entries.wide_entry_bytes,
        has_values=any(each.has_values and not each.is_wide for each in streams),
        has_wide=any(each.is_wide for each in streams),
        criteria=_criteria(needs, columns, entries),
    )


def _measured(engine: Engine, workspaces: Sequence[WorkspaceInfo], rows: int) -> EngineCost:
    """Return what the engine takes with so many empty profiles."""
    profile = Profile(created_timestamp_ms=0)
    for each in workspaces:
        profile.workspaces[each.number] = Section(first_seen_ms=0, last_seen_ms=0)
    for mpid in range(1, rows + 1):
        engine.load(ProfileKey(workspaces[0].scope, "production", mpid), profile, Kept())
    return engine_cost(engine)


def _criteria(
    needs: Sequence[_Needs], columns: Mapping[str, float], entries: EntryStore
) -> tuple[CriterionCost, ...]:
    return tuple(
        CriterionCost(
            audience=number,
            id=name,
            place=place,
            row_bytes=sum(columns[repr(source)] for source in sources),
            columns=tuple(sorted(map(repr, sources))),
            entry_bytes=tuple(_entry_bytes(each, entries) for each in streams),
            shared_with=sum(
                not (sources.isdisjoint(others) and streams.isdisjoint(their_streams))
                for *_, others, their_streams in needs
            )
            - bool(sources or streams),  # itself
        )
        for number, place, name, sources, streams in needs
    )


def _entry_bytes(stream: Stream, entries: EntryStore) -> int:
    if stream.is_wide:
        return entries.wide_entry_bytes
    return entries.entry_bytes + stream.has_values * entries.value_bytes


def _needs(term: Term) -> tuple[frozenset[Source], frozenset[Stream]]:
    leaves = leaves_of(term)
    return (
        frozenset(source for leaf in leaves for source in sources_of(leaf)),
        frozenset(stream for leaf in leaves for stream in streams_of(leaf)),
    )
