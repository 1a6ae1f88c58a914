"""The command that times events to a webhook."""

import asyncio
import io
from collections import Counter
from pathlib import Path
from typing import Any
from unittest.mock import patch

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from msgspec.structs import replace
from rich.console import Console

from actors.clock import ManualClock, SystemClock
from config.audience_catalog import audience_catalog
from config.load import load_workspaces
from config.numbers import KeptNumbers, assign_all
from load_tests import probes, reaction
from load_tests.bench import deployment
from load_tests.bench.deployment import CONNECTIONS, WARM_UP_S
from load_tests.generator import LoadFailed
from load_tests.probes import EVENT, INTRODUCTION, Probes
from load_tests.reaction import (
    AUDIENCE,
    Latencies,
    ReactionOptions,
    ReactionResult,
    react,
    workspace_document,
)
from load_tests.receiver import Receiver
from load_tests.scenarios.reaction import report_of, tables_of, verdict_of

SMALL = ReactionOptions(
    seconds=2.0,
    rate_seconds=4.0,
    share=0.2,
    mode="single",
    probes_per_second=10.0,
    attributes=20,
    audiences=100,
    told=10,
    users=50,
    seed=1,
)
SOME = Latencies(
    probes=5,
    missing=0,
    acknowledged_ms={"p50": 1.0, "p90": 2.0, "p99": 3.0, "p99.9": 4.0, "max": 5.0},
    latency_ms={"p50": 2.0, "p90": 4.0, "p99": 20.0, "p99.9": 30.0, "max": 40.0},
)
RESULT = ReactionResult(
    highest_rate=100.0,
    offered_rate=50.0,
    load_rate=50.0,
    messages=10,
    latencies={"all": SOME, "new": SOME, "known": SOME},
)


class Deployment:
    """Takes batches, and tells the webhook of whoever sends the event of the probes.

    Attributes:
        sent: (customer id, event name), in the order of coming.
        refused: as many requests are refused at first, with `status`.
        url: of the webhook, as soon as it is known.
        introduced_ms: when somebody was last made known.
    """

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []
        self.refused = 0
        self.status = 503
        self.url = ""
        self.introduced_ms = 0
        self._changed = asyncio.Event()

    async def has_got(self, count: int) -> None:
        """Wait for events of that many probes."""
        while self.probes < count:
            self._changed.clear()
            await self._changed.wait()

    @property
    def probes(self) -> int:
        """How many came."""
        return sum(name == EVENT for _, name in self.sent)

    def app(self) -> web.Application:
        """Build the application."""
        app = web.Application()
        app.router.add_post("/v2/events", self._take)
        return app

    async def _take(self, request: web.Request) -> web.Response:
        if self.refused:
            self.refused -= 1
            return web.Response(status=self.status)
        batch = await request.json()
        customer = batch["user_identities"]["customer_id"]
        name = batch["events"][0]["data"]["event_name"]
        self.sent.append((customer, name))
        if name == INTRODUCTION:
            self.introduced_ms = SystemClock().now_ms()
        self._changed.set()
        if name == EVENT and self.url:
            async with aiohttp.ClientSession() as session:
                await session.post(self.url, json=message(AUDIENCE, ("add", customer)))
        return web.Response(status=202)


def message(audience: str, *changes: tuple[str, str]) -> dict[str, object]:
    return {
        "type": "audience_membership_change",
        "audience": {"id": 1, "name": audience, "external_name": audience},
        "changes": [
            {"mpid": 1, "action": action, "identities": {"customer_id": customer}}
            for action, customer in changes
        ],
    }


def test_the_document_is_that_of_the_bench_with_the_webhook(tmp_path: Path) -> None:
    made = workspace_document(SMALL, "http://127.0.0.1:9/in")
    bench = deployment.workspace_document(20, 99, 1)
    assert made.keys() == bench.keys()
    for part in made.keys() - {"outputs", "audiences"}:
        assert made[part] == bench[part]
    assert [each for each in made["outputs"] if each["id"] != "hook"] == bench["outputs"]
    file = tmp_path / "workspace.yaml"
    file.write_bytes(msgspec.json.encode(made))
    [document] = load_workspaces([file], {"HEADWATER_DATA_DIR": str(tmp_path)})
    _, [numbers] = assign_all([document], KeptNumbers())
    assert len(document.audiences) == len(audience_catalog(document, numbers).audiences) == 100
    assert sum(bool(each.subscriptions) for each in document.audiences) == 11
    assert len(document.calculated_attributes) == 20


async def test_the_receiver_notes_when_it_is_first_told_of_a_customer() -> None:
    clock = ManualClock(0)
    receiver = Receiver(clock.monotonic, "probed")
    async with receiver.listening(), aiohttp.ClientSession() as session:
        for body in (
            message("another", ("add", "b")),
            message("probed", ("add", "a"), ("delete", "b")),
            [message("probed", ("add", "a")), message("probed", ("add", "b"))],
            {"type": "audience_subscription", "audience": {"name": "probed"}, "action": "remove"},
        ):
            clock.advance(1000)
            async with session.post(receiver.url, json=body) as answer:
                assert answer.status == 200
    assert receiver.told_s["b"] - receiver.told_s["a"] == 1.0
    assert receiver.messages == 5


async def test_every_other_probe_is_of_a_user_who_has_sent_before() -> None:
    own = Deployment()
    own.refused = 2
    async with TestServer(own.app(), host="127.0.0.1") as server:
        users = Probes(str(server.make_url("/")), [0.0, 0.01, 0.02, 0.03, 0.04], SystemClock())
        with patch.object(probes, "_RETRY_S", 0.0):
            await users.introduce()
            assert sorted(own.sent) == [("probe-1", INTRODUCTION), ("probe-3", INTRODUCTION)]
            sent = await users.send(lambda: False)
    assert [(each.customer, each.is_known) for each in sent] == [
        ("probe-0", False),
        ("probe-1", True),
        ("probe-2", False),
        ("probe-3", True),
        ("probe-4", False),
    ]
    assert Counter(own.sent[2:]) == Counter((each.customer, EVENT) for each in sent)
    for each, offset_s in zip(sent, (0.0, 0.01, 0.02, 0.03, 0.04), strict=True):
        assert each.due_s - sent[0].due_s == pytest.approx(offset_s)
        assert each.answered_s is not None
        assert each.answered_s > each.due_s


async def test_no_probe_is_sent_when_the_load_is_over() -> None:
    own = Deployment()
    async with TestServer(own.app(), host="127.0.0.1") as server:
        users = Probes(str(server.make_url("/")), [0.0, 0.0, 0.0, 3600.0], SystemClock())
        over = iter([False, False, True])
        assert len(await users.send(lambda: next(over))) == own.probes == 2


async def test_what_is_not_acknowledged_is_not_taken_for_it() -> None:
    own = Deployment()
    own.refused, own.status = 1, 400
    async with TestServer(own.app(), host="127.0.0.1") as server:
        users = Probes(str(server.make_url("/")), [0.0, 0.0], SystemClock())
        with pytest.raises(LoadFailed, match="1 users could not be made known"):
            await users.introduce()
        own.refused = 2
        assert [each.answered_s for each in await users.send(lambda: False)] == [None, None]


@pytest.mark.parametrize("mode", ["bulk", "single"])
async def test_the_load_is_a_share_of_what_the_bench_finds(mode: str, tmp_path: Path) -> None:
    """And only the probes count that are due while it is sent."""
    own, clock = Deployment(), SystemClock()
    options = replace(SMALL, mode=mode, seconds=0.125, share=0.5)
    runs: list[tuple[float | None, float]] = []
    async with TestServer(own.app(), host="127.0.0.1") as running:

        class Server:
            pid = 7
            url = str(running.make_url("/"))

            def __init__(self, data: Path, clock: SystemClock, *flags: str, **_: object) -> None:
                document = msgspec.json.decode(Path(flags[1]).read_bytes())
                [own.url] = [
                    each["settings"]["url"] for each in document["outputs"] if each["id"] == "hook"
                ]

            def start(self) -> None:
                """Run already."""

            def stop(self) -> None:
                """Run on."""

        class Load:
            def __init__(self, *_: object, **flags: object) -> None:
                assert flags == {
                    "mode": mode,
                    "connections": CONNECTIONS[mode],
                    "users": 50,
                    "seed": 1,
                }

            async def run(self, rate: float | None, seconds: float) -> dict[str, Any]:
                runs.append((rate, seconds))
                if rate is None:
                    assert not own.sent
                    return {"throughput": {"batches_per_second": 1000.0 * len(runs)}}
                await own.has_got(20)
                started_ms = clock.now_ms()
                newest = 0  # which was due, at the earliest, so long after the introductions
                while own.introduced_ms + 10 * newest < started_ms + 200:
                    await own.has_got(own.probes + 1)
                    newest = int(own.sent[-1][0].removeprefix("probe-"))
                return {"started_ms": started_ms, "throughput": {"batches_per_second": 990.0}}

        with (
            patch.object(reaction, "ServerProcess", Server),
            patch.object(reaction, "Generator", Load),
            patch.object(reaction, "SETTLE_S", 0.0625),
            patch.object(reaction, "_offsets_s", lambda _: [0.01 * each for each in range(600)]),
        ):
            result = await react(options, tmp_path, clock)
    assert runs == [(None, WARM_UP_S), (None, 4.0), (1000.0, 0.1875)]
    assert (result.highest_rate, result.offered_rate, result.load_rate) == (2000.0, 1000.0, 990.0)
    every, new, known = (result.latencies[kind] for kind in ("all", "new", "known"))
    assert every.probes in (12, 13)  # one every 10 ms
    assert sum(name == INTRODUCTION for _, name in own.sent) == 300
    assert every.probes == new.probes + known.probes
    assert abs(new.probes - known.probes) <= 1
    assert every.missing == new.missing == known.missing == 0
    assert every.latency_ms["max"] == max(new.latency_ms["max"], known.latency_ms["max"])


@pytest.mark.parametrize(
    ("missing", "p99", "load_rate", "is_within", "verdict"),
    [
        (0, 150.0, 50.0, True, "within 150 ms"),
        (0, 150.1, 50.0, False, "within 200 ms, ABOVE 150 ms"),
        (0, 200.1, 50.0, False, "ABOVE 200 ms"),
        (1, 20.0, 50.0, False, "within 150 ms, 1 NOT TOLD OF"),
        (0, 20.0, 49.1, True, "within 150 ms"),
        (0, 20.0, 48.9, False, "within 150 ms, the load was NOT what was offered"),
        (0, 20.0, 51.1, False, "within 150 ms, the load was NOT what was offered"),
    ],
)
def test_a_run_passes_if_nothing_is_missing_or_late_beside_the_load_that_was_due(
    missing: int, p99: float, load_rate: float, is_within: bool, verdict: str
) -> None:
    every = replace(SOME, missing=missing, latency_ms=SOME.latency_ms | {"p99": p99})
    result = replace(
        RESULT, load_rate=load_rate, latencies={"all": every, "new": SOME, "known": SOME}
    )
    report = report_of(SMALL, result, 150.0)
    assert report.is_within == is_within
    assert verdict_of(report) == f"p99 of all: {verdict}"


def test_the_load_and_both_kinds_of_probes_are_shown() -> None:
    known = replace(SOME, latency_ms=SOME.latency_ms | {"p99": 17.0})
    result = replace(RESULT, load_rate=49.5, latencies=RESULT.latencies | {"known": known})
    text = io.StringIO()
    for table in tables_of(report_of(SMALL, result, 150.0)):
        Console(file=text, width=120).print(table)
    rows = [
        [cell.strip() for cell in line.split("│")[1:-1]] for line in text.getvalue().split("\n")
    ]
    assert ["load offered, batches/s", "50.0"] in rows
    assert ["load achieved, batches/s", "49.5"] in rows
    assert ["event to webhook p99", "20.0 ms", "20.0 ms", "17.0 ms"] in rows


@pytest.mark.ray
async def test_every_probe_is_told_of_beside_load(tmp_path: Path) -> None:
    result = await react(SMALL, tmp_path, SystemClock())
    for kind in ("all", "new", "known"):
        found = result.latencies[kind]
        assert found.probes > 0
        assert found.missing == 0
        assert 0 < found.acknowledged_ms["p50"] < found.latency_ms["p50"]
        assert found.latency_ms["p50"] <= found.latency_ms["max"]
    assert result.messages >= result.latencies["all"].probes
    assert 0 < result.load_rate < result.highest_rate
