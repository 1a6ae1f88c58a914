"""A deployment with the full feature set: how much it takes, what that costs, how long it takes."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import msgspec
from msgspec import Struct
from prometheus_client.parser import text_string_to_metric_families
from ruamel.yaml import YAML

from actors.clock import Clock
from load_tests.bench.reads import Reads
from load_tests.bench.report import Answers, Capacity, Point
from load_tests.calculated import attribute_documents
from load_tests.generator import Generator, LoadFailed
from load_tests.ingest_cost import audience_documents
from load_tests.measurements import percentiles_ms
from load_tests.server_process import WORKSPACE, ServerProcess
from load_tests.stages import GENERATOR

_STAGES = "headwater_shard_batch_duration_seconds"
# So many that shards never wait for requests; a bulk request holds 100 batches.
CONNECTIONS = {"bulk": 32, "single": 256}  # by mode
WARM_UP_S = 5.0  # sent before anything is measured: most users are known then
METRICS_INTERVAL_S = 1.0  # oftener than usual, so that little waiting makes them current
ENVIRON = {
    "HEADWATER_LOG_LEVEL": "warning",
    "HEADWATER_METRICS_INTERVAL_S": str(METRICS_INTERVAL_S),
}
_BATCHES_PER_REQUEST = {"bulk": 100, "single": 1}
# What percentiles are of, at shares of the highest rate; a run gets longer for them, up to a bound.
_FEWEST_REQUESTS = {"bulk": 300, "single": 1000}
_LONGEST_S = 40.0
_LEAST_SENT = 0.98  # of what is due, else it was another rate


class LoadOptions(Struct, frozen=True, kw_only=True):
    """How a deployment is loaded.

    Attributes:
        mode: `bulk` or `single`.
        seconds: of each measurement, without `WARM_UP_S` before the first. One at a share of the
            highest rate may take longer, for enough requests.
        shares: of the highest rate, at which latency is measured.
    """

    mode: str
    seconds: float
    shares: tuple[float, ...]
    attributes: int
    audiences: int
    users: int
    seed: int


def workspace_document(attributes: int, audiences: int, seed: int) -> dict[str, Any]:
    """Return the document of `make load` with the full feature set.

    That is calculated attributes, audiences, three connections, deduplication and the profile
    conversion strategy.
    """
    document: dict[str, Any] = YAML(typ="safe").load(WORKSPACE)
    document["identity"] = {"strategy": "profile_conversion"}
    [files] = document["outputs"]
    document["outputs"] += [
        files | {"id": "columns", "name": "Columns"}
        | {"settings": files["settings"] | {"format": "parquet"}},
        {"id": "nowhere", "kind": "event", "module": "devnull", "name": "Nowhere"},
    ]  # fmt: skip
    document["connections"] += [
        {"id": f"backend-{output}", "input": "backend", "output": output}
        for output in ("columns", "nowhere")
    ]
    document["calculated_attributes"] = [
        {"id": f"ca{number}", "name": f"ca{number}", "definition": each}
        for number, each in enumerate(attribute_documents(attributes))
    ]
    document["audiences"] = [
        {"id": f"a{number}", "name": f"a{number}", "definition": each}
        for number, each in enumerate(audience_documents(audiences, seed))
    ]
    return document


async def measure(
    server: ServerProcess,
    folder: Path,
    options: LoadOptions,
    clock: Clock,
    parse_us: Callable[[], float],
) -> Capacity:
    """Measure a deployment that has started.

    Args: `parse_us`: measures the floor of parsing an event, at the speed of the processor now.

    Raises:
        LoadFailed: its load could not be sent, or not at the rate that was due.
        ReadBackFailed: its profiles could not be read.
    """
    load = Generator(
        server.url,
        server.pid,
        folder,
        mode=options.mode,
        connections=CONNECTIONS[options.mode],
        batches_per_request=_BATCHES_PER_REQUEST[options.mode],
        users=options.users,
        seed=options.seed,
    )
    await load.run(None, WARM_UP_S)
    parsing_us = [parse_us()]
    before = await _stage_seconds(server.admin_url)
    async with Reads(server.url, options.users, options.seed, clock) as reads:
        full = await load.run(None, options.seconds)
    after = await _stage_seconds(server.admin_url)
    parsing_us.append(parse_us())
    stages = {stage: seconds - before.get(stage, 0.0) for stage, seconds in after.items()}
    events = full["acknowledged"]["events"]
    highest = full["throughput"]["batches_per_second"]
    if not highest:
        raise LoadFailed(f"nothing was acknowledged within {options.seconds:g} s")
    began_ms = full["started_ms"]
    read_s = reads.taken_s(began_ms, began_ms + round(options.seconds * 1000))
    roles = full["roles"]
    return Capacity(
        mode=options.mode,
        events_per_second=full["throughput"]["events_per_second"],
        batches_per_second=highest,
        requests_per_second=full["throughput"]["requests_per_second"],
        events_per_batch=events / full["acknowledged"]["batches"],
        events_per_micro_batch=events / max(stages.pop("micro-batches"), 1),
        latency_ms=full["latency_ms"],
        cpu_us_per_event={
            role: usage["cpu_us_per_event"] for role, usage in roles.items() if role != GENERATOR
        },
        memory_bytes={
            role: usage["peak_rss_bytes"] for role, usage in roles.items() if role != GENERATOR
        },
        stages_us_per_event={stage: taken / events * 1e6 for stage, taken in stages.items()},
        parse_us_per_event=sum(parsing_us) / len(parsing_us),
        points=[await _point(load, options, highest, share) for share in options.shares],
        reads=len(read_s),
        reads_ms=percentiles_ms(read_s),
        answers=_answers(full),
    )


async def _point(load: Generator, options: LoadOptions, highest: float, share: float) -> Point:
    """Send at a share of the highest rate. Raises LoadFailed."""
    per_request = _BATCHES_PER_REQUEST[options.mode]
    requests_per_second = highest * share / per_request
    enough_s = _FEWEST_REQUESTS[options.mode] / requests_per_second
    seconds = max(options.seconds, min(enough_s, _LONGEST_S))
    report = await load.run(highest * share, seconds)
    due, requests = round(requests_per_second * seconds), report["requests"]
    if requests < due * _LEAST_SENT:
        raise LoadFailed(f"only {requests} of the {due} requests that were due could be sent")
    return Point(
        share=share,
        offered_per_second=requests * per_request / seconds,
        achieved_per_second=report["throughput"]["batches_per_second"],
        requests=requests,
        latency_ms=report["latency_ms"],
        answers=_answers(report),
    )


def _answers(report: dict[str, Any]) -> Answers:
    names = ("statuses", "retries", "unsent")
    return Answers(**{name: report[name] for name in names})


def write_workspace(folder: Path, options: LoadOptions) -> Path:
    """Write the document into a folder; return its path."""
    path = folder / "workspace.yaml"
    document = workspace_document(options.attributes, options.audiences, options.seed)
    path.write_bytes(msgspec.json.encode(document))
    return path


async def _stage_seconds(admin_url: str) -> dict[str, float]:
    """Return how long all shards have spent in each stage, and how many micro-batches they had.

    Waits until what was done before is in the metrics, which are collected now and then.
    """
    await asyncio.sleep(2 * METRICS_INTERVAL_S)
    text = await asyncio.to_thread(_metrics, admin_url)
    found: defaultdict[str, float] = defaultdict(float)
    for family in text_string_to_metric_families(text):
        if family.name != _STAGES:
            continue
        for sample in family.samples:
            if sample.name.endswith("_sum"):
                found[sample.labels["stage"]] += sample.value
            elif sample.name.endswith("_count") and sample.labels["stage"] == "commit":
                found["micro-batches"] += sample.value
    return found


def _metrics(admin_url: str) -> str:
    with urlopen(f"{admin_url}/metrics", timeout=10) as answer:  # noqa: S310 - our own server
        return bytes(answer.read()).decode()
