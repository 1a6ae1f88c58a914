"""The scenarios: one file each with a `command`; a new one is one line here."""

import click

from load_tests.scenarios import identity, ingest

SCENARIOS: tuple[click.Command, ...] = (ingest.command, identity.command)
