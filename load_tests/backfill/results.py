"""What a run of `python -m load_tests backfill` has measured."""

from msgspec import Struct


class Options(Struct, frozen=True, kw_only=True):
    """How much is stored and sent.

    Attributes:
        users: with `events` each.
        requests: that are sent for comparison; 0: none ever, also not while a back-fill is done.
    """

    users: int
    events: int
    requests: int
    seed: int


class Floor(Struct, kw_only=True):
    """Processor time of a bare loop, in microseconds per user.

    Attributes:
        read_us: to read his batches from the store.
        decode_us: to decode them.
        write_us: to read, decode, encode and write his profile.
    """

    read_us: float
    decode_us: float
    write_us: float


class Filled(Struct, kw_only=True):
    """One back-fill: of how much, and what it took.

    Attributes:
        users: of whom it was.
        cpu_us_per_user: processor time of the shard's steps.
        seconds: until it was complete, pauses included.
        longest_s: processor time of the longest step, for which all else waits.
    """

    users: int
    cpu_us_per_user: float
    seconds: float
    longest_s: float


class Ingested(Struct, kw_only=True):
    """What was taken in: how many events a second, and for how much processor time each."""

    events: int
    events_per_second: float
    cpu_us_per_event: float


class Shared(Struct, kw_only=True):
    """A back-fill while batches come: `meanwhile` is what was taken in, beside what is `alone`."""

    filled: Filled
    alone: Ingested
    meanwhile: Ingested


class Result(Struct, kw_only=True):
    """All that was measured.

    Attributes:
        events: stored events; `wanted` is the share that a definition looks for.
        members: of its audience.
        floor: what there is no way around.
        idle, shared: back-fills, without and with batches that come.
        day_ends: for those who searched on it, all of whom leave an audience.
        week_ends: for those who were there in it, everybody, of whom none was in the audience.
    """

    events: int
    wanted: float
    members: int
    floor: Floor
    idle: Filled
    shared: Shared | None
    day_ends: Filled
    week_ends: Filled
