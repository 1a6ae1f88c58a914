"""What the engine takes of memory, and for what."""

from msgspec import Struct

from actors.audiences.criteria import Node
from actors.audiences.engine.engine import Engine
from actors.audiences.engine.holdings import sources_of, streams_of
from actors.audiences.engine.mirror import SourceCost
from actors.audiences.engine.plan import leaves_of
from actors.audiences.engine.terms import node_term


class EngineCost(Struct, frozen=True):
    """Bytes and counts of one engine.

    Attributes:
        rows: profiles.
        row_bytes: of arrays, per profile: columns, memberships, what is known of each row.
        entry_bytes: per entry of a stream.
        entries: how many there are.
        entries_bytes: of all entries, with room to grow.
        sources: each with its bytes and distinct values.
        leaves, streams: different ones.
    """

    rows: int
    row_bytes: float
    entry_bytes: int
    entries: int
    entries_bytes: int
    sources: list[SourceCost]
    leaves: int
    streams: int


class DefinitionCost(Struct, frozen=True):
    """What a definition reads.

    Attributes:
        leaves: tests that are evaluated for it.
        sources: what is mirrored of profiles.
        streams: identities of streams whose events are kept.
    """

    leaves: int
    sources: list[str]
    streams: list[int]


def engine_cost(engine: Engine) -> EngineCost:
    """Account for the memory of an engine; cost: one look at every array."""
    rows, mirror, entries, memberships, holdings = engine.parts
    sources = mirror.costs()
    arrays = rows.nbytes + memberships.nbytes + sum(source.array_bytes for source in sources)
    return EngineCost(
        len(rows),
        arrays / max(len(rows), 1),
        entries.entry_bytes,
        entries.total,
        entries.nbytes,
        sources,
        holdings.leaves,
        holdings.streams,
    )


def definition_cost(node: Node) -> DefinitionCost:
    """Say what a definition would have the engine keep."""
    leaves = set(leaves_of(node_term(node)))
    return DefinitionCost(
        len(leaves),
        sorted({repr(source) for leaf in leaves for source in sources_of(leaf)}),
        sorted({stream.identity for leaf in leaves for stream in streams_of(leaf)}),
    )
