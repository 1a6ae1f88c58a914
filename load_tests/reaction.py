"""From an event to the webhook that tells of it, while a deployment is busy.

The deployment is that of the bench, with its full feature set, and tells a webhook of some of its
audiences. Another process sends it load at a share of the highest rate, which is measured first, as
the bench does. Beside it, now and then, somebody sends the one event that makes a member of them.
What counts is the time from when that event was due to be sent until the webhook is told.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from actors.clock import Clock
from load_tests.bench import deployment
from load_tests.bench.deployment import CONNECTIONS, ENVIRON, WARM_UP_S
from load_tests.drive import DriveOptions, arrival_times
from load_tests.generator import Generator, LoadFailed
from load_tests.measurements import PERCENTILES, percentiles_ms
from load_tests.probes import EVENT, Probe, Probes
from load_tests.receiver import Receiver
from load_tests.server_process import ServerProcess

AUDIENCE = "probed"
SETTLE_S = 2.0  # from the beginning of the load to the first probe that counts
PREPARE_S = 30.0  # that the load's process may take until it sends, with probes enough for it
PATIENCE_S = 10.0  # after the last probe


class ReactionOptions(Struct, frozen=True, kw_only=True):
    """How to run.

    Attributes:
        seconds: how long probes count; the highest rate is measured for `rate_seconds`.
        share: of the highest rate, that is sent beside the probes.
        mode: `bulk` or `single`, of the load; a probe is always one batch.
        audiences: with that of the probes; the webhook is told of it and of `told` others.
    """

    seconds: float
    rate_seconds: float
    share: float
    mode: str
    probes_per_second: float
    attributes: int
    audiences: int
    told: int
    users: int
    seed: int


class Latencies(Struct, kw_only=True):
    """How long it took for some probes.

    Attributes:
        probes: how many; `missing` of them were not told of in time.
        acknowledged_ms: percentiles, from when one was due until it was answered.
        latency_ms: percentiles over those that were told of, until then.
    """

    probes: int
    missing: int
    acknowledged_ms: dict[str, float]
    latency_ms: dict[str, float]


class ReactionResult(Struct, kw_only=True):
    """What was measured.

    Attributes:
        highest_rate: batches per second, as fast as it goes; `offered_rate`: the share of it that
            was due beside the probes; `load_rate`: as much as was acknowledged of that.
        messages: that the webhook got.
        latencies: of probes that were due while the load was sent, by whose they are: `all`, `new`
            users and `known` ones.
    """

    highest_rate: float
    offered_rate: float
    load_rate: float
    messages: int
    latencies: dict[str, Latencies]


def workspace_document(options: ReactionOptions, url: str) -> dict[str, Any]:
    """Return the document of the bench, with the webhook and what it is told of."""
    document = deployment.workspace_document(
        options.attributes, options.audiences - 1, options.seed
    )
    document["outputs"].append(
        {
            "id": "hook",
            "kind": "audience",
            "module": "webhook",
            "name": "Hook",
            "settings": {"url": url, "allow_insecure": True},
        }
    )
    probed = {"type": "event", "event_type": "custom_event", "event_name": EVENT}
    own = {"id": AUDIENCE, "name": AUDIENCE, "definition": {"and": [probed]}}
    for each in (*document["audiences"][: options.told], own):
        each["subscriptions"] = [{"output": "hook"}]
    document["audiences"].append(own)
    return document


async def react(options: ReactionOptions, folder: Path, clock: Clock) -> ReactionResult:
    """Run a deployment on a folder and measure.

    Raises:
        RuntimeError: the deployment did not start.
        LoadFailed: its load could not be sent, or users could not be made known.
        OSError: nothing answers.
    """
    receiver = Receiver(clock.monotonic, AUDIENCE)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(receiver.listening())
        workspace = folder / "workspace.yaml"
        workspace.write_bytes(msgspec.json.encode(workspace_document(options, receiver.url)))
        server = ServerProcess(
            folder / "data",
            clock,
            *("--workspace", str(workspace)),
            environ=ENVIRON | {"HEADWATER_EGRESS_ALLOW": urlsplit(receiver.url).netloc},
        )
        await asyncio.to_thread(server.start)
        stack.push_async_callback(asyncio.to_thread, server.stop)
        load = Generator(
            server.url,
            server.pid,
            folder,
            mode=options.mode,
            connections=CONNECTIONS[options.mode],
            users=options.users,
            seed=options.seed,
        )
        await load.run(None, WARM_UP_S)
        rate = (await load.run(None, options.rate_seconds))["throughput"]
        highest = rate["batches_per_second"]
        if not highest:
            raise LoadFailed(f"nothing was acknowledged within {options.rate_seconds:g} s")
        probes = Probes(server.url, _offsets_s(options), clock)
        await probes.introduce()
        offered, seconds = highest * options.share, SETTLE_S + options.seconds
        sending = asyncio.create_task(load.run(offered, seconds))
        sent = await probes.send(sending.done)
        report = await sending
        await _await_all(receiver, sent, clock)
    begun_s = report["started_ms"] / 1000 - clock.now_ms() / 1000 + clock.monotonic()
    counting = [each for each in sent if SETTLE_S <= each.due_s - begun_s < seconds]
    return ReactionResult(
        highest_rate=highest,
        offered_rate=offered,
        load_rate=report["throughput"]["batches_per_second"],
        messages=receiver.messages,
        latencies={
            "all": _latencies(counting, receiver),
            "new": _latencies([each for each in counting if not each.is_known], receiver),
            "known": _latencies([each for each in counting if each.is_known], receiver),
        },
    )


def _offsets_s(options: ReactionOptions) -> list[float]:
    """Return when probes are due, enough for all of a run."""
    seconds = PREPARE_S + SETTLE_S + options.seconds
    drive = DriveOptions(seconds=seconds, connections=0, seed=options.seed)
    return list(arrival_times(options.probes_per_second, drive))


def _latencies(probes: Sequence[Probe], receiver: Receiver) -> Latencies:
    told_s = receiver.told_s
    told = [told_s[each.customer] - each.due_s for each in probes if each.customer in told_s]
    answered = [each.answered_s - each.due_s for each in probes if each.answered_s is not None]
    return Latencies(
        probes=len(probes),
        missing=len(probes) - len(told),
        acknowledged_ms=_percentiles_ms(answered),
        latency_ms=_percentiles_ms(told),
    )


def _percentiles_ms(latencies: list[float]) -> dict[str, float]:
    return percentiles_ms(latencies) or dict.fromkeys(PERCENTILES, float("inf"))


async def _await_all(receiver: Receiver, probes: Sequence[Probe], clock: Clock) -> None:
    deadline_s = clock.monotonic() + PATIENCE_S
    while clock.monotonic() < deadline_s:
        if all(each.customer in receiver.told_s for each in probes):
            return
        await asyncio.sleep(0.1)
