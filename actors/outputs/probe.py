"""Settings of an output, tried on its receiver: what `POST /outputs/{id}/test` answers with.

Source: spec/connections.md, 3.3 (`interactive`: one attempt) and 7.1; spec/platform-api.md.
"""

import asyncio
import tempfile
from dataclasses import replace
from pathlib import Path

from msgspec import Struct

from actors.outputs import retry
from actors.outputs.contract import Delivered, Outcome
from actors.outputs.environment import OutputEnvironment
from actors.outputs.module import OutputModule, OutputSettings

# Longer than a request may take by default, shorter than a person's proxy waits.
TIMEOUT_S = 45.0


class ProbeResult(Struct, frozen=True):
    """What became of one attempt; `error` is `None` if all is well."""

    ok: bool
    http_status: int | None
    latency_ms: int
    response_excerpt: str | None
    error: str | None


async def probe(
    module: OutputModule, settings: OutputSettings, environment: OutputEnvironment
) -> ProbeResult:
    """Send one probe through an output of its own, beside the one that may be running.

    Args:
        module: of the output.
        settings: its validated settings for one environment, saved or not.
        environment: the spool folder is not used: it may be that of the running output. What is
            kept is the same as the running output's, which gets to know of tokens that were renewed
            for the probe.
    """
    began = environment.clock.monotonic()
    outcome: Outcome | None = None
    error = f"no answer within {TIMEOUT_S:.0f} s"
    with tempfile.TemporaryDirectory(prefix="headwater-probe-") as folder:
        try:
            outcome = await _attempt(module, settings, replace(environment, spool_dir=Path(folder)))
        except TimeoutError:
            pass
        except Exception as raised:  # a mistake of an output; its text may hold secrets
            error = type(raised).__name__
    latency_ms = round((environment.clock.monotonic() - began) * 1000)
    if outcome is None:
        return ProbeResult(False, None, latency_ms, None, error)
    return ProbeResult(
        isinstance(outcome, Delivered),
        outcome.http_status,
        latency_ms,
        outcome.excerpt if outcome.http_status is not None else None,
        _problem(outcome),
    )


async def _attempt(
    module: OutputModule, settings: OutputSettings, environment: OutputEnvironment
) -> Outcome:
    output = module.open(settings, environment)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await output.start()
            return await output.test()
    finally:
        await output.stop()


def _problem(outcome: Outcome) -> str | None:
    """Say what is wrong; what the receiver itself said is shown beside it."""
    if isinstance(outcome, Delivered):
        return None
    if outcome.http_status is not None:
        return retry.alert_name(outcome.http_status)
    return outcome.excerpt
