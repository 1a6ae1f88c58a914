"""All results of a bench, and what they are held against."""

from msgspec import Struct


class HttpFloor(Struct, frozen=True, kw_only=True):
    """An edge that makes no work of requests, over as many connections as the deployment has.

    Attributes:
        us_per_request: of the edge's processor time, at the most that it takes.
        requests_per_second: the most that it takes.
        latency_ms: percentiles, at the rate at which the deployment was at half of its highest;
            empty where that was not measured.
    """

    us_per_request: float
    requests_per_second: float
    latency_ms: dict[str, float]


class ModeFloors(Struct, frozen=True, kw_only=True):
    """Floors in the sizes that one mode of the load has. Microseconds of processor time.

    Attributes:
        store_per_event: in groups of `batches_per_group`, as many as a micro-batch had.
        ray_per_call: of a micro-batch of `micro_batch_bytes`.
    """

    store_per_event: float
    http: HttpFloor
    ray_per_call: float
    micro_batch_bytes: int
    batches_per_group: int


class Floors(Struct, frozen=True, kw_only=True):
    """Each part alone in single processes.

    Attributes:
        parse_per_event: microseconds of processor time, of the same bytes.
        modes: what depends on the mode of the load.
    """

    parse_per_event: float
    modes: dict[str, ModeFloors]

    def of_event(self, mode: str) -> float:
        """Return the microseconds of processor time to parse and store an event."""
        return self.parse_per_event + self.modes[mode].store_per_event


class Answers(Struct, frozen=True, kw_only=True):
    """What became of the requests of one run, beside those that were acknowledged at once.

    Attributes:
        statuses: of all answers, also of those after which a request came again.
        retries: requests sent again, by reason.
        unsent: requests that were due but for which no connection was free until the end.
    """

    statuses: dict[str, int]
    retries: dict[str, int]
    unsent: int


class Point(Struct, frozen=True, kw_only=True):
    """Latency of acknowledgement at a share of the highest rate.

    Attributes:
        offered_per_second: batches, that were due.
        achieved_per_second: batches, acknowledged before the end of the run.
        requests: how many of them the percentiles are of.
        latency_ms: percentiles.
    """

    share: float
    offered_per_second: float
    achieved_per_second: float
    requests: int
    latency_ms: dict[str, float]
    answers: Answers


PAUSE_PROFILES = 1_000_000  # up to which no call may keep a shard for long
_INGESTION = ("edge", "coordinator", "shard", "ray")


class Capacity(Struct, frozen=True, kw_only=True):
    """What a deployment takes as fast as it can, and how long it takes at less.

    Attributes:
        cpu_us_per_event, memory_bytes: by role, without the generator.
        stages_us_per_event: time of the shards by stage, by the clock: what others do on the
            machine is in it, and that of `commit` is mostly the disk's.
        parse_us_per_event: the floor, measured right before and after the highest rate.
        points: at shares of the highest rate.
        reads, reads_ms: reads of the Profile API while the highest rate was sent: how many there
            were, and percentiles.
        answers: at the highest rate.
    """

    mode: str
    events_per_second: float
    batches_per_second: float
    requests_per_second: float
    events_per_batch: float
    events_per_micro_batch: float
    latency_ms: dict[str, float]
    cpu_us_per_event: dict[str, float]
    memory_bytes: dict[str, int]
    stages_us_per_event: dict[str, float]
    parse_us_per_event: float
    points: list[Point]
    reads: int
    reads_ms: dict[str, float]
    answers: Answers

    @property
    def cpu_us(self) -> float:
        """Processor time per event of all processes."""
        return sum(self.cpu_us_per_event.values())

    def latency_at(self, share: float) -> dict[str, float]:
        """Return milliseconds by percentile at a share of the highest rate, if it was measured."""
        found = (point.latency_ms for point in self.points if point.share == share)
        return next(found, {})

    @property
    def ingestion_us(self) -> float:
        """Processor time per event of all that has to do with it until it is acknowledged."""
        return sum(self.cpu_us_per_event.get(role, 0.0) for role in _INGESTION)

    @property
    def ingestion_to_parsing(self) -> float:
        """That as a ratio to its floor: the same, however fast the processor is."""
        return self.ingestion_us / self.parse_us_per_event

    def floors_us(self, floors: Floors) -> dict[str, float]:
        """Return the floors of an event in the sizes that it came in, by part."""
        mode = floors.modes[self.mode]
        requests_per_event = self.requests_per_second / self.events_per_second
        return {
            "HTTP": mode.http.us_per_request * requests_per_event,
            "calls of Ray": mode.ray_per_call / self.events_per_micro_batch,
            "parse": floors.parse_per_event,
            "store": mode.store_per_event,
        }


class Memory(Struct, frozen=True, kw_only=True):
    """What a process keeps in memory, not mapped from files. Bytes.

    Attributes:
        columns_per_profile: of each profile, hot or not; `None`: there are too few to tell.
        hot_profiles: copies that are in memory after as many users have sent a batch each.
        per_hot_profile: what each of them has added; `None`: they are too few to tell, or have not
            all stayed.
        beyond_columns: all that came to be beside the columns, after reading twice as many
            profiles as stay in memory; `None`: there are not so many.
        cache_bytes: of all shards, that hot profiles may take (`profile_cache_bytes`).
    """

    columns_per_profile: float | None
    hot_profiles: int
    per_hot_profile: float | None
    beyond_columns: int | None
    cache_bytes: int

    @property
    def of_hot_profile(self) -> float | None:
        """What a hot profile takes, with its part of the columns, if both were measured."""
        if self.columns_per_profile is None or self.per_hot_profile is None:
            return None
        return self.columns_per_profile + self.per_hot_profile


class Growth(Struct, frozen=True, kw_only=True):
    """One process with so many profiles in its stores, evenly in those of all shards.

    Attributes:
        events_per_second: of random users among all of them, by the clock: in requests of one
            client, one after the other.
        cpu_us_per_event: of the same events.
        parse_us_per_event: the floor of the same events, measured in turns with them.
        disk_per_profile: bytes.
        disk_per_event: bytes that an event adds, deliveries that wait included.
        open_s: to open the stores and load what is kept in memory, processor time.
        longest_s: processor time of the longest call of a shard, by what was called
            (`load_tests.bench.pauses`).
        longest_wall_s: the same by the clock, for micro-batches.
        full_batches: how many were in a micro-batch that was full.
    """

    profiles: int
    shards: int
    events_per_second: float
    cpu_us_per_event: float
    parse_us_per_event: float
    memory: Memory
    disk_per_profile: float
    disk_per_event: float
    open_s: float
    longest_s: dict[str, float]
    longest_wall_s: dict[str, float]
    full_batches: int

    @property
    def to_parsing(self) -> float:
        """Processor time as a ratio to its floor: the same, however fast the processor is."""
        return self.cpu_us_per_event / self.parse_us_per_event

    @property
    def pause_s(self) -> float:
        """For how long one call has kept a shard at most: by the clock, where that was measured."""
        return max([*self.longest_s.values(), *self.longest_wall_s.values()])


class Start(Struct, frozen=True, kw_only=True):
    """How long a deployment takes to start, until `/readyz` says that all shards serve.

    Attributes:
        profiles: of its first shard.
        ready_s: by the clock, from the command on.
    """

    profiles: int
    ready_s: float


class Bar(Struct, frozen=True, kw_only=True):
    """One figure and the bound that it is held against."""

    what: str
    value: float
    bound: float
    unit: str
    is_at_least: bool = False

    @property
    def is_met(self) -> bool:
        """Whether the value is on the right side."""
        return self.value >= self.bound if self.is_at_least else self.value <= self.bound


class BenchReport(Struct, kw_only=True):
    """The result of a run; parts that were left out are `None` or empty.

    Attributes:
        bare: bulk without calculated attributes and audiences, all else the same.
    """

    scenario: str
    floors: Floors | None
    capacity: list[Capacity]
    bare: Capacity | None
    growth: list[Growth]
    start: Start | None
    bars: list[Bar]


def bars_of(
    floors: Floors | None,
    capacity: list[Capacity],
    bare: Capacity | None,
    growth: list[Growth],
    start: Start | None,
) -> list[Bar]:
    """Hold the figures of a run against the bounds that Headwater sets itself."""
    bars: list[Bar] = []
    for each in capacity:
        name = each.mode
        if name == "bulk":
            bars.append(_at_least("bulk, events", each.events_per_second, 50_000, "/s"))
        else:
            bars.append(_at_least("single, requests", each.requests_per_second, 4_000, "/s"))
        if half := each.latency_at(0.5):
            bars.append(_at_most(f"{name}, p50 at half", half["p50"], 10, "ms"))
            bars.append(_at_most(f"{name}, p99 at half", half["p99"], 50, "ms"))
        if each.reads_ms:
            bars.append(_at_most(f"{name}, p99 of reads", each.reads_ms["p99"], 25, "ms"))
        if floors is not None:
            bars.append(_beside_floors(each, floors))
        if bare is not None and name == bare.mode:
            ratio = each.ingestion_to_parsing / bare.ingestion_to_parsing
            what = "CPU of ingestion with attributes and audiences, to without"
            bars.append(_at_most(what, ratio, 1.6, "×"))
    if len(sizes := [each for each in growth if each.shards == growth[0].shards]) > 1:
        ratio = sizes[-1].to_parsing / sizes[0].to_parsing
        what = f"CPU at {sizes[-1].profiles:,} profiles, to {sizes[0].profiles:,}"
        bars.append(_at_most(what, ratio, 1.3, "×"))
        bars += _of_memory([size.memory for size in sizes])
        if held := [size for size in sizes if size.profiles <= PAUSE_PROFILES]:
            longest_ms = held[-1].pause_s * 1000
            bars.append(_at_most(f"pause at {held[-1].profiles:,} profiles", longest_ms, 50, "ms"))
    if start is not None:
        bars.append(_at_most(f"start with {start.profiles:,} profiles", start.ready_s, 5, "s"))
    return bars


def _of_memory(sizes: list[Memory]) -> list[Bar]:
    """Hold the last figure of each kind against its bound."""
    bars: list[Bar] = []
    if hot := [each.of_hot_profile for each in sizes if each.of_hot_profile is not None]:
        bars.append(_at_most("memory per hot profile, with columns", hot[-1], 1024, "bytes"))
    if beyond := [
        each.beyond_columns / each.cache_bytes
        for each in sizes
        if each.beyond_columns is not None and each.cache_bytes
    ]:
        what = "memory beyond columns, to profile_cache_bytes"
        bars.append(_at_most(what, beyond[-1], 1, "×"))
    return bars


def _beside_floors(each: Capacity, floors: Floors) -> Bar:
    """Hold processor time against the sum of the floors that the mode cannot do without."""
    if each.mode == "bulk":
        ratio = each.cpu_us / floors.of_event(each.mode)
        return _at_most("bulk, CPU to parse + store", ratio, 3.0, "×")
    ratio = each.cpu_us / sum(each.floors_us(floors).values())
    return _at_most("single, CPU to HTTP + Ray + parse + store", ratio, 2.5, "×")


def _at_least(what: str, value: float, bound: float, unit: str) -> Bar:
    return Bar(what=what, value=value, bound=bound, unit=unit, is_at_least=True)


def _at_most(what: str, value: float, bound: float, unit: str) -> Bar:
    return Bar(what=what, value=value, bound=bound, unit=unit)
