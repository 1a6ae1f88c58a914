"""What a bench measures of a deployment: the load, the metrics, the reads."""

import asyncio
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock, patch

import pytest
from msgspec.structs import replace

from actors.clock import ManualClock, SystemClock
from config.load import load_workspaces
from config.numbers import KeptNumbers, assign_all
from config.settings import load_settings
from load_tests.bench import deployment, growth, reads
from load_tests.bench.reads import Reads
from load_tests.bench.report import Answers, Capacity
from load_tests.generator import LoadFailed
from load_tests.people import Person
from load_tests.reader import ReadBackFailed
from load_tests.server_process import ServerProcess

OPTIONS = deployment.LoadOptions(
    mode="bulk",
    seconds=1.0,
    shares=(0.5, 0.75),
    attributes=20,
    audiences=100,
    users=100,
    seed=1,
)
BEGAN_MS = 1_700_000_000_000


def test_the_deployment_has_the_full_feature_set(tmp_path: Path) -> None:
    path = deployment.write_workspace(tmp_path, OPTIONS)
    [document] = load_workspaces([path], {"HEADWATER_DATA_DIR": str(tmp_path)})
    assign_all([document], KeptNumbers())
    assert len(document.connections) == growth.CONNECTIONS
    assert len(document.calculated_attributes) == 20
    assert len(document.audiences) == 100
    assert document.identity.strategy == "profile_conversion"


def test_metrics_of_the_deployment_are_collected_often() -> None:
    interval_s = load_settings({}, deployment.ENVIRON).metrics_interval_s
    assert interval_s == deployment.METRICS_INTERVAL_S
    assert interval_s < load_settings({}, {}).metrics_interval_s


class Load:
    """Answers runs as `ingest` would, of a deployment that takes 200 batches per second.

    Attributes:
        runs: what was asked for: batches per second and seconds.
        kept: how many of the requests that are due it sends.
    """

    def __init__(self, batches_per_request: int = 100, kept: float = 1.0) -> None:
        self.runs: list[tuple[float | None, float]] = []
        self.kept = kept
        self._per_request = batches_per_request

    async def run(self, rate: float | None, seconds: float) -> dict[str, Any]:
        self.runs.append((rate, seconds))
        due = (200.0 if rate is None else rate) * seconds / self._per_request
        return {
            "started_ms": BEGAN_MS,
            "requests": round(due * self.kept),
            "throughput": {
                "requests_per_second": 2.0,
                "batches_per_second": 200.0 if rate is None else rate * 0.9,
                "events_per_second": 1000.0,
            },
            "latency_ms": {"p50": 1.0, "p99": 2.0},
            "acknowledged": {"batches": 200, "events": 1000},
            "statuses": {"202": 2, "503": 1},
            "retries": {"503": 1},
            "unsent": 4,
            "roles": {
                "shard": {"cpu_us_per_event": 30.0, "peak_rss_bytes": 5},
                "generator": {"cpu_us_per_event": 10.0, "peak_rss_bytes": 5},
            },
        }


class NoReads(Reads):
    """Reads that have all been made, one of them before the load began and one after it."""

    async def __aenter__(self) -> Reads:
        begun_ms = (BEGAN_MS - 1, BEGAN_MS, BEGAN_MS + 999, BEGAN_MS + 1000)
        self._reads = list(zip(begun_ms, (9.0, 0.001, 0.002, 9.0), strict=True))
        return self

    async def __aexit__(self, *_: object) -> None:
        return


async def _measure(
    folder: Path, load: Load, options: deployment.LoadOptions = OPTIONS
) -> tuple[Capacity, dict[str, object]]:
    """Measure a deployment that is not there; return the flags of the load, too."""
    pages = iter([_metrics(decode=1.0, commit=2.0, count=10), _metrics(3.0, 6.0, count=30)])
    flags: dict[str, object] = {}

    @contextmanager
    def answer(url: str, timeout: float) -> Iterator[io.BytesIO]:
        assert url == "http://admin/metrics"
        yield io.BytesIO(next(pages))

    def generator(*_: object, **given: object) -> Load:
        flags.update(given)
        return load

    server = ServerProcess(folder, SystemClock())
    server.url = "http://127.0.0.1:1"
    server.admin_url = "http://admin"
    floors = iter([1.0, 2.0])
    with (
        patch.object(deployment, "urlopen", answer),
        patch.object(deployment, "Generator", generator),
        patch.object(deployment, "Reads", NoReads),
        patch.object(deployment, "METRICS_INTERVAL_S", 0.0),
        patch.object(ServerProcess, "pid", 7),
    ):
        found = await deployment.measure(
            server, folder, options, SystemClock(), lambda: next(floors)
        )
    return found, flags


async def test_the_time_of_each_stage_is_that_of_the_measured_run_alone(tmp_path: Path) -> None:
    load = Load()
    found, flags = await _measure(tmp_path, load)
    assert flags == {
        "mode": "bulk",
        "connections": 32,
        "batches_per_request": 100,
        "users": 100,
        "seed": 1,
    }
    assert load.runs[:2] == [(None, deployment.WARM_UP_S), (None, 1.0)]
    assert found.stages_us_per_event == {"decode": 2000.0, "commit": 4000.0}
    assert found.events_per_micro_batch == 50.0
    assert found.cpu_us_per_event == {"shard": 30.0}
    assert found.parse_us_per_event == 1.5  # before and after
    assert found.answers == Answers(statuses={"202": 2, "503": 1}, retries={"503": 1}, unsent=4)


async def test_metrics_are_read_once_what_was_done_is_in_them() -> None:
    waited_s: list[float] = []

    async def sleep(seconds: float) -> None:
        waited_s.append(seconds)

    @contextmanager
    def answer(url: str, timeout: float) -> Iterator[io.BytesIO]:
        assert waited_s == [2 * deployment.METRICS_INTERVAL_S]
        yield io.BytesIO(_metrics(1.0, 2.0, 3))

    with patch.object(deployment, "urlopen", answer), patch("asyncio.sleep", sleep):
        found = await deployment._stage_seconds("http://admin")
    assert found == {"decode": 1.0, "commit": 2.0, "micro-batches": 3.0}


async def test_reads_before_and_after_the_load_do_not_count(tmp_path: Path) -> None:
    found, _ = await _measure(tmp_path, Load())
    assert found.reads == 2
    assert found.reads_ms["max"] == 2.0


async def test_latency_is_that_of_enough_requests_in_a_bounded_time(tmp_path: Path) -> None:
    """300 in bulk, for which a second is too short, and 1,000 of single batches."""
    load = Load()
    found, _ = await _measure(tmp_path, load, replace(OPTIONS, shares=(0.1, 0.5)))
    assert load.runs[2:] == [(20.0, 40.0), (100.0, 40.0)]
    assert [each.requests for each in found.points] == [8, 40]
    assert [each.offered_per_second for each in found.points] == [20.0, 100.0]
    assert [each.achieved_per_second for each in found.points] == [18.0, 90.0]
    single = Load(batches_per_request=1)
    options = replace(OPTIONS, mode="single", seconds=6.0, shares=(0.5, 1.0))
    found, flags = await _measure(tmp_path, single, options)
    assert flags["connections"] == 256
    assert single.runs[2:] == [(100.0, 10.0), (200.0, 6.0)]
    assert [each.requests for each in found.points] == [1000, 1200]


async def test_a_rate_that_was_not_sent_is_no_result(tmp_path: Path) -> None:
    with pytest.raises(LoadFailed, match=r"only 970 of the 1000 requests"):
        await _measure(tmp_path, Load(1, kept=0.97), replace(OPTIONS, mode="single"))


class Users:
    """A deployment that knows customers and devices; `asked` are the MPIDs that were read.

    A read takes as many seconds as its MPID says.
    """

    def __init__(self, known: dict[str, list[int]]) -> None:
        self.clock = ManualClock(BEGAN_MS)
        self.asked: list[int] = []
        self.is_closed = False
        self._known = known

    async def find(self, identity: str) -> list[int]:
        return self._known.get(identity, [])

    async def profile(self, mpid: int, fields: str) -> dict[str, Any]:
        self.asked.append(mpid)
        self.clock.advance(mpid * 1000)
        return {}

    def close(self) -> None:
        self.is_closed = True


@contextmanager
def _reading(users: Users, people: int) -> Iterator[Reads]:
    with (
        patch.object(reads, "Reader", lambda *_: users),
        patch.object(reads, "fetch_token", AsyncMock(return_value="token")),
        patch.object(reads, "_PAUSE_S", 0.0),
    ):
        yield Reads("http://127.0.0.1:1", people, 1, users.clock)


async def _until(users: Users, count: int) -> None:
    async with asyncio.timeout(5.0):
        while len(users.asked) < count:  # noqa: ASYNC110  # nobody sets an event
            await asyncio.sleep(0)


async def test_profiles_are_read_until_the_load_ends() -> None:
    users = Users({Person(1, 0).customer_id: [1, 2]})
    with _reading(users, people=1) as reading:
        async with reading:
            await _until(users, 5)
        assert users.asked[:5] == [1, 2, 1, 2, 1]
        assert users.is_closed
        # They began 0, 1, 3 and 4 seconds after the first.
        assert reading.taken_s(BEGAN_MS, BEGAN_MS + 3000) == [1.0, 2.0]
        assert reading.taken_s(BEGAN_MS + 1000, BEGAN_MS + 4000) == [2.0, 1.0]
        with pytest.raises(ReadBackFailed, match="no profile was read while"):
            reading.taken_s(BEGAN_MS - 1000, BEGAN_MS)


async def test_profiles_are_those_of_anybody_who_sends() -> None:
    """Of those who are seldom active and of those who never log in, each once."""
    people = [Person(1, number) for number in range(50)]
    known = {person.customer_id: [number + 1] for number, person in enumerate(people)}
    known |= {person.devices[0].stamp: [1000] for person in people}
    users = Users(known)
    with _reading(users, people=50) as reading:
        async with reading:
            await _until(users, 51)
    assert sorted(users.asked[:51]) == [*range(1, 51), 1000]


async def test_a_read_that_fails_ends_the_measurement() -> None:
    users = Users({Person(1, 0).customer_id: [1]})
    with (
        _reading(users, people=1) as failing,
        patch.object(users, "profile", AsyncMock(side_effect=ReadBackFailed("404"))),
        pytest.raises(ReadBackFailed, match="404"),
    ):
        async with failing:
            await asyncio.wait((failing._reading,))


async def test_without_a_profile_to_read_there_is_no_measurement() -> None:
    users = Users({})
    with _reading(users, people=1) as nobody:
        with pytest.raises(ReadBackFailed, match="no profile of those who send"):
            async with asyncio.timeout(5.0), nobody:
                pass
        assert users.is_closed


def _metrics(decode: float, commit: float, count: int) -> bytes:
    name = "headwater_shard_batch_duration_seconds"
    lines = [f"# TYPE {name} histogram"]
    for stage, seconds in (("decode", decode), ("commit", commit)):
        lines += [
            f'{name}_bucket{{shard="0",stage="{stage}",le="+Inf"}} {count}',
            f'{name}_count{{shard="0",stage="{stage}"}} {count}',
            f'{name}_sum{{shard="0",stage="{stage}"}} {seconds}',
        ]
    return ("\n".join(lines) + "\n").encode()
