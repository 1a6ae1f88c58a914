"""The scenarios: one file each with a `command`; a new one is one line here."""

import click

from load_tests.scenarios import (
    audiences,
    backfill,
    bad_input,
    bench,
    dead_queue,
    faults,
    identity,
    identity_memory,
    ingest,
    ingest_cost,
    outputs,
    overload,
    reaction,
    recovery,
)

SCENARIOS: tuple[click.Command, ...] = (
    ingest.command,
    identity.command,
    identity_memory.command,
    audiences.command,
    ingest_cost.command,
    backfill.command,
    outputs.command,
    dead_queue.command,
    reaction.command,
    bad_input.command,
    bench.command,
    faults.command,
    recovery.command,
    overload.command,
)
