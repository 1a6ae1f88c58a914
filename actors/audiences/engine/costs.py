"""What the engine takes of memory, and for what."""

from msgspec import Struct

from actors.audiences.engine.engine import Engine
from actors.audiences.engine.mirror import SourceCost


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
