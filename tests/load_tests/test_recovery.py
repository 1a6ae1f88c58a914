"""The scenario of processes that are killed."""

from pathlib import Path

import msgspec
from click.testing import CliRunner
from msgspec.structs import replace
from rich.console import Console

from load_tests.__main__ import main
from load_tests.recovery import Kill, RecoveryOptions, RecoveryResult
from load_tests.scenarios.recovery import RecoveryReport, report_of, table_of

KILL = Kill(back_s=2.5, cpu_s=1.5, unserved_s=2.0, others_refused=0, others_s=0.1, before_s=0.1)
OPTIONS = RecoveryOptions(profiles=10, kills=1, attributes=1, audiences=1, seed=1)


def report(shard: Kill = KILL, edge: Kill = KILL) -> RecoveryReport:
    """Judge two kills."""
    result = RecoveryResult(start_s=9.0, loaded_s=1.0, shards=[shard], edges=[edge])
    return report_of(OPTIONS, result)


def test_a_shard_has_five_seconds_and_an_edge_three() -> None:
    assert report().is_within
    assert report(shard=replace(KILL, back_s=4.9)).is_within
    assert not report(shard=replace(KILL, back_s=5.1)).is_within
    assert report(edge=replace(KILL, back_s=2.9)).is_within
    assert not report(edge=replace(KILL, back_s=3.1)).is_within
    assert not report(edge=replace(KILL, unserved_s=3.1)).is_within


def test_nobody_else_may_be_refused() -> None:
    assert not report(shard=replace(KILL, others_refused=1)).is_within


def test_the_table_says_what_was_missed() -> None:
    console = Console(width=120, record=True)
    table = table_of(report(edge=replace(KILL, back_s=3.1)))
    console.print(table)
    assert "3.10" in console.export_text()
    assert "NOT within 5 s for a shard, 3 s for an edge" in str(table.caption)


def test_a_deployment_serves_again_after_the_death_of_a_shard_and_of_an_edge(
    tmp_path: Path,
) -> None:
    """How soon depends on what else the machine does: only the rest is held to anything."""
    json = tmp_path / "recovery.json"
    flags = ("--profiles", "2000", "--kills", "1", "--attributes", "2", "--audiences", "3")
    done = CliRunner().invoke(main, ["recovery", *flags, "--json", str(json)])
    assert done.exit_code in (0, 1), done.output
    found = msgspec.json.decode(json.read_bytes(), type=RecoveryReport)
    for kill in (*found.result.shards, *found.result.edges):
        assert kill.cpu_s > 0
        assert kill.others_refused == 0
        assert kill.others_s > 0
