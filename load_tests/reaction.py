"""From an event to the webhook that tells of it, while a deployment is busy.

The deployment keeps calculated attributes and audiences current, and tells a webhook of some of
them. Another process sends it load at a share of the highest rate, which is measured first. Beside
it, now and then, somebody new sends the one event that makes a member of them. What counts is the
time from when that event was due to be sent until the webhook is told.
"""

import asyncio
import contextlib
from base64 import b64encode
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct
from ruamel.yaml import YAML

from actors.clock import Clock
from load_tests.calculated import attribute_documents
from load_tests.client import Channel, Target, request_bytes
from load_tests.drive import DriveOptions, arrival_times
from load_tests.generator import Generator, LoadFailed
from load_tests.ingest_cost import audience_documents
from load_tests.measurements import PERCENTILES, percentiles_ms
from load_tests.receiver import Receiver
from load_tests.server_process import KEY, WORKSPACE, ServerProcess

PROBE = "Probe"
PROBE_CHANNELS = 16
SETTLE_S = 2.0  # from the beginning of the load to the first probe
RETRY_S = 0.05  # after a refusal
PATIENCE_S = 10.0  # after the last probe


class ReactionOptions(Struct, frozen=True, kw_only=True):
    """How to run.

    Attributes:
        seconds: how long probes are sent; the highest rate is measured for `rate_seconds`.
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


class ReactionResult(Struct, kw_only=True):
    """What was measured.

    Attributes:
        highest_rate, load_rate: batches per second; `load_rate` as it was sent.
        probes: sent; `missing` of them were not told of in time.
        messages: that the webhook got.
        acknowledged_ms: percentiles over the probes, from when one was due until it was answered.
        latency_ms: percentiles over the probes that were told of.
    """

    highest_rate: float
    load_rate: float
    probes: int
    missing: int
    messages: int
    acknowledged_ms: dict[str, float]
    latency_ms: dict[str, float]


def workspace_document(options: ReactionOptions, url: str) -> dict[str, Any]:
    """Return the document of `make load` with what has to be kept current, and the webhook."""
    document: dict[str, Any] = YAML(typ="safe").load(WORKSPACE)
    document["outputs"].append(
        {
            "id": "hook",
            "kind": "audience",
            "module": "webhook",
            "name": "Hook",
            "settings": {"url": url, "allow_insecure": True},
        }
    )
    document["calculated_attributes"] = [
        {"id": f"ca{number}", "name": f"ca{number}", "definition": each}
        for number, each in enumerate(attribute_documents(options.attributes))
    ]
    told = {"subscriptions": [{"output": "hook"}]}
    document["audiences"] = [
        {"id": f"a{number}", "name": f"a{number}", "definition": each}
        | (told if number < options.told else {})
        for number, each in enumerate(audience_documents(options.audiences - 1, options.seed))
    ]
    probed = {"type": "event", "event_type": "custom_event", "event_name": PROBE}
    document["audiences"].append(
        {"id": "probed", "name": "probed", "definition": {"and": [probed]}, **told}
    )
    return document


async def react(options: ReactionOptions, folder: Path, clock: Clock) -> ReactionResult:
    """Run a deployment on a folder and measure.

    Raises:
        RuntimeError: the deployment did not start.
        LoadFailed: its load could not be sent.
        OSError: nothing answers.
    """
    receiver = Receiver(clock.monotonic)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(receiver.listening())
        workspace = folder / "workspace.yaml"
        workspace.write_bytes(msgspec.json.encode(workspace_document(options, receiver.url)))
        server = ServerProcess(
            folder / "data",
            clock,
            *("--workspace", str(workspace)),
            environ={
                "HEADWATER_LOG_LEVEL": "warning",
                "HEADWATER_EGRESS_ALLOW": urlsplit(receiver.url).netloc,
            },
        )
        await asyncio.to_thread(server.start)
        stack.push_async_callback(asyncio.to_thread, server.stop)
        kind = {"mode": options.mode, "users": options.users, "seed": options.seed}
        load = Generator(server.url, server.pid, folder, **kind)
        rate = (await load.run(None, options.rate_seconds))["throughput"]
        highest = rate["batches_per_second"]
        if not highest:
            raise LoadFailed(f"nothing was acknowledged within {options.rate_seconds:g} s")
        seconds = SETTLE_S + options.seconds
        sending = asyncio.create_task(load.run(highest * options.share, seconds))
        await asyncio.sleep(SETTLE_S)
        due_s, answered_s = await _probe(Target.of(server.url), options, clock)
        sent = (await sending)["throughput"]
        await _await_all(receiver, due_s, clock)
    told_s = receiver.told_s
    latencies = _since(due_s, told_s)
    return ReactionResult(
        highest_rate=highest,
        load_rate=sent["batches_per_second"],
        probes=len(due_s),
        missing=len(due_s) - len(latencies),
        messages=receiver.messages,
        acknowledged_ms=_percentiles_ms(_since(due_s, answered_s)),
        latency_ms=_percentiles_ms(latencies),
    )


def _since(due_s: Mapping[str, float], at_s: Mapping[str, float]) -> list[float]:
    return [at_s[each] - due for each, due in due_s.items() if each in at_s]


def _percentiles_ms(latencies: list[float]) -> dict[str, float]:
    return percentiles_ms(latencies) or dict.fromkeys(PERCENTILES, float("inf"))


async def _probe(
    target: Target, options: ReactionOptions, clock: Clock
) -> tuple[dict[str, float], dict[str, float]]:
    """Send probes; return customer id to when it was due, and to when it was answered."""
    due: asyncio.Queue[str] = asyncio.Queue()
    due_s: dict[str, float] = {}
    answered_s: dict[str, float] = {}
    drive = DriveOptions(seconds=options.seconds, connections=0, seed=options.seed)
    async with asyncio.TaskGroup() as group:
        sending = (_send_probes(target, due, answered_s, clock) for _ in range(PROBE_CHANNELS))
        workers = [group.create_task(each) for each in sending]
        started_s = clock.monotonic()
        for offset_s in arrival_times(options.probes_per_second, drive):
            at_s = started_s + offset_s
            await asyncio.sleep(max(at_s - clock.monotonic(), 0.0))
            customer = f"probe-{len(due_s)}"
            due_s[customer] = at_s
            due.put_nowait(customer)
        await due.join()
        for worker in workers:
            worker.cancel()
    return due_s, answered_s


async def _send_probes(
    target: Target, due: "asyncio.Queue[str]", answered_s: dict[str, float], clock: Clock
) -> None:
    channel = Channel(target)
    event = {"event_type": "custom_event", "data": {"event_name": PROBE}}
    authorization = "Basic " + b64encode(f"{KEY[1]}:{KEY[3]}".encode()).decode()
    try:
        while True:
            customer = await due.get()
            batch = {
                "environment": "production",
                "user_identities": {"customer_id": customer},
                "events": [event],
            }
            body = msgspec.json.encode(batch)
            request = request_bytes(target, "POST", "/v2/events", authorization, body)
            with contextlib.suppress(OSError):  # it is then among those that are missing
                while (await channel.exchange(request)).status in (429, 503):  # noqa: ASYNC110  # retries
                    await asyncio.sleep(RETRY_S)
                answered_s[customer] = clock.monotonic()
            due.task_done()
    finally:
        channel.close()


async def _await_all(receiver: Receiver, customers: Iterable[str], clock: Clock) -> None:
    deadline_s = clock.monotonic() + PATIENCE_S
    while clock.monotonic() < deadline_s:
        if all(each in receiver.told_s for each in customers):
            return
        await asyncio.sleep(0.1)
