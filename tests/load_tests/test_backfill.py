"""`python -m load_tests backfill`."""

import asyncio
from itertools import count
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from load_tests.__main__ import main
from load_tests.backfill.measuring import NotComplete, measure
from load_tests.backfill.results import Filled, Floor, Ingested, Options, Result, Shared
from load_tests.scenarios.backfill import BackFillReport, missed_by

SMALL = Options(users=220, events=10, requests=3, seed=1)
FILLED = Filled(users=1, cpu_us_per_user=60.0, seconds=1.0, longest_s=0.01)
INGESTED = Ingested(events=1, events_per_second=1.0, cpu_us_per_event=40.0)
SHARED = Shared(filled=FILLED, alone=INGESTED, meanwhile=INGESTED)
WITHIN = Result(
    events=10,
    wanted=0.1,
    members=1,
    floor=Floor(read_us=2.0, decode_us=18.0, write_us=20.0),
    idle=FILLED,
    shared=SHARED,
    day_ends=FILLED,
    week_ends=FILLED,
)


def test_a_result_is_held_against_each_bar() -> None:
    """Each figure alone is enough to miss."""
    slow = replace(FILLED, cpu_us_per_user=500.0)
    late = replace(FILLED, seconds=61.0)
    long = replace(FILLED, longest_s=0.06)
    dear = replace(INGESTED, cpu_us_per_event=100.0)
    assert missed_by(WITHIN) == missed_by(replace(WITHIN, shared=None)) == []
    for members, word in (
        ({"idle": slow}, "bare loop"),
        ({"day_ends": late}, "end of a day"),
        ({"week_ends": late}, "end of a day"),
        ({"idle": long}, "longest step"),
        ({"shared": replace(SHARED, filled=long)}, "longest step"),
        ({"shared": replace(SHARED, meanwhile=dear)}, "event meanwhile"),
    ):
        [missed] = missed_by(replace(WITHIN, **members))
        assert word in missed


async def at_once(_: float) -> None:
    await asyncio.sleep(0)


async def test_everything_is_measured(tmp_path: Path) -> None:
    """On users who have histories, of whom some are members and some leave."""
    readings = count()
    result = await measure(tmp_path, SMALL, lambda: float(next(readings)), at_once)
    assert result.events == 220 * 10
    assert 0 < result.members < 220
    shared = result.shared
    assert shared is not None
    assert shared.meanwhile.events
    assert result.idle.users == shared.filled.users == 220
    assert result.week_ends.users >= 220 > result.day_ends.users
    for filled in (result.idle, shared.filled, result.day_ends, result.week_ends):
        assert filled.users > 0
        assert filled.cpu_us_per_user > 0
        assert filled.longest_s == 1.0  # each step is two readings


async def test_a_back_fill_that_misses_somebody_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is compared with what a plain loop finds."""
    monkeypatch.setattr("load_tests.backfill.definitions._is_dear", lambda _: False)
    with pytest.raises(NotComplete, match="users are not where they should be"):
        await measure(tmp_path, replace(SMALL, requests=0), lambda: 0.0, at_once)


def test_the_command_reports_and_ends_with_what_it_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As tables for people, and as JSON for programs."""

    async def measured(*_: object) -> Result:
        return replace(WITHIN, day_ends=replace(FILLED, seconds=61.0))

    monkeypatch.setattr("load_tests.scenarios.backfill.measure", measured)
    file = tmp_path / "report.json"
    run = CliRunner().invoke(main, ["backfill", "--json", str(file)], catch_exceptions=False)
    assert run.exit_code == 1
    assert "ABOVE seconds after the end of a day or week: 61 > 60" in run.output
    report = msgspec.json.decode(file.read_bytes(), type=BackFillReport)
    assert report.missed == ["seconds after the end of a day or week: 61 > 60"]
