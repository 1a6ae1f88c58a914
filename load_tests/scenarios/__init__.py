"""The scenarios: one file each with a `command`; a new one is one line here."""

import click

from load_tests.scenarios import audiences, identity, identity_memory, ingest, ingest_cost, reaction

SCENARIOS: tuple[click.Command, ...] = (
    ingest.command,
    identity.command,
    identity_memory.command,
    audiences.command,
    ingest_cost.command,
    reaction.command,
)
