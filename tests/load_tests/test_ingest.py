"""The command, from flags to exit code, against a fake server in a thread of its own."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from aiohttp import web
from click.testing import CliRunner, Result

from load_tests import verify
from load_tests.__main__ import main
from tests.load_tests.fake_server import FakeServer

Invoke = Callable[..., Result]


class _Thread(threading.Thread):
    """Serves until it is told to stop."""

    def __init__(self, server: FakeServer) -> None:
        super().__init__()
        self._server = server
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self.ready = threading.Event()
        self.port = 0

    def run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        runner = web.AppRunner(self._server.app())
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        self.ready.set()
        await self._stopping.wait()
        await runner.cleanup()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self.join()


@pytest.fixture
def fake() -> FakeServer:
    return FakeServer()


@pytest.fixture
def invoke(fake: FakeServer) -> Iterator[Invoke]:
    thread = _Thread(fake)
    thread.start()
    assert thread.ready.wait(10)

    def call(*flags: str) -> Result:
        url = f"http://127.0.0.1:{thread.port}"
        common = (
            f"ingest --url {url} --key k1 --secret s1 --seconds 0.5 --users 10 --arrivals fixed"
        )
        rate = () if "--rate" in flags else ("--rate", "200")
        return CliRunner().invoke(main, [*common.split(), *rate, *flags])

    yield call
    thread.stop()


_VERIFY = ("--verify", "--client-id", "reader", "--client-secret", "sesame")


def test_a_verified_run_ends_well_and_writes_all_its_results(
    invoke: Invoke, tmp_path: Path
) -> None:
    """Table, JSON and picture; no secret in any of them."""
    results, picture = tmp_path / "run.json", tmp_path / "run.png"
    flags = ("--batches-per-request", "5", "--json", str(results), "--plot", str(picture))
    begun_ms = time.time_ns() // 1_000_000
    result = invoke(*flags, *_VERIFY)
    assert result.exit_code == 0, result.output
    report = json.loads(results.read_bytes())
    assert report["is_exact"] is True
    assert report["verification"]["lost"] == report["verification"]["doubled"] == 0
    assert report["verification"]["verified"] == report["acknowledged"]["events"] > 0
    assert report["throughput"]["events_per_second"] > 0
    assert report["requests"] == 20  # 200 batches per second for half a second, five each
    assert begun_ms <= report["started_ms"] <= time.time_ns() // 1_000_000 - 500
    assert list(report["latency_ms"]) == ["p50", "p90", "p99", "p99.9", "max"]
    assert report["roles"]["generator"]["cpu_us_per_event"] > 0
    assert sum(report["by_second"]["events"]) <= report["acknowledged"]["events"]
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "latency p99.9" in result.output
    assert "exact" in result.output
    assert "sesame" not in result.output + results.read_text()


def test_a_run_that_lost_something_ends_with_1(
    invoke: Invoke, fake: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And says so. What is missing here stays missing: no need to wait for it as long."""
    monkeypatch.setattr(verify, "FRESHNESS_S", 0.3)
    fake.lose = lambda request_id: request_id.endswith("5")
    result = invoke("--batches-per-request", "5", *_VERIFY)
    assert result.exit_code == 1
    assert "NOT EXACT" in result.output


@pytest.mark.parametrize("mode", ["bulk", "single"])
def test_a_run_at_full_speed_sends_bodies_of_its_mode(
    invoke: Invoke, fake: FakeServer, mode: str
) -> None:
    """Arrays of the wanted length, or one batch each."""
    flags = ("--batches-per-request", "4", "--connections", "2")
    result = invoke("--rate", "max", "--mode", mode, *flags)
    assert result.exit_code == 0, result.output
    documents = [json.loads(body) for body in fake.bodies]
    assert len(documents) > 2
    if mode == "bulk":
        assert {len(document) for document in documents} == {4}
    else:
        assert all(isinstance(document, dict) for document in documents)


def test_a_run_of_which_nothing_was_acknowledged_ends_with_1(
    invoke: Invoke, fake: FakeServer
) -> None:
    """A wrong key must not look like a measurement."""
    fake.refuse = lambda number: (403, {})
    result = invoke()
    assert result.exit_code == 1
    assert "status 403" in result.output


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--verify",), "needs --client-id"),
        (("--verify-users", "3"), "needs --verify"),
        (("--rate", "0"), "positive number, or max"),
        (("--rate", "fast"), "positive number, or max"),
        (("--url", "nowhere"), "not an http or https URL"),
        (("--url", "http://127.0.0.1:1"), "Connect"),
        (("--events-per-batch", "50"), "take fewer batches per request"),
        (("--pid", "4194305"), "no process"),
        (("--client-id", "reader", "--client-secret", "wrong", "--verify"), "status 401"),
    ],
)
def test_flags_that_cannot_work_are_explained(
    invoke: Invoke, flags: tuple[str, ...], message: str
) -> None:
    """One line, no traceback."""
    result = invoke(*flags)
    assert result.exit_code in (1, 2)
    assert message in result.output
    assert isinstance(result.exception, SystemExit)
