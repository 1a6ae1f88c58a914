"""The scenarios: one file each with a `command`; a new one is one line here."""

import click

from load_tests.scenarios import audiences, ingest

SCENARIOS: tuple[click.Command, ...] = (ingest.command, audiences.command)
