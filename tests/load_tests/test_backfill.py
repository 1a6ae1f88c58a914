"""`python -m load_tests backfill`."""

import asyncio
from itertools import count
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from load_tests.__main__ import main
from load_tests.backfill.measuring import NotComplete, measure
from load_tests.backfill.results import Filled, Ingested, Options, Result
from load_tests.scenarios.backfill import BackFillReport, missed_by

SMALL = Options(users=220, events=10, requests=3, seed=1)
FILLED = Filled(users=1, cpu_us_per_user=60.0, seconds=1.0, longest_s=0.01)
INGESTED = Ingested(events=1, events_per_second=1.0, cpu_us_per_event=40.0)
WITHIN = Result(
    events=10,
    wanted=0.1,
    members=1,
    read_us_per_user=2.0,
    decode_us_per_user=18.0,
    idle=FILLED,
    alone=INGESTED,
    busy=FILLED,
    meanwhile=INGESTED,
    day_ends=FILLED,
    week_ends=FILLED,
)


def test_a_result_is_held_against_each_bar() -> None:
    """Each figure alone is enough to miss."""
    slow = msgspec.structs.replace(FILLED, cpu_us_per_user=500.0)
    late = msgspec.structs.replace(FILLED, seconds=61.0)
    long = msgspec.structs.replace(FILLED, longest_s=0.06)
    dear = msgspec.structs.replace(INGESTED, cpu_us_per_event=100.0)
    assert missed_by(WITHIN) == []
    for members, word in (
        ({"idle": slow}, "reading and decoding"),
        ({"day_ends": late}, "end of a day"),
        ({"week_ends": late}, "end of a day"),
        ({"busy": long}, "longest step"),
        ({"meanwhile": dear}, "event meanwhile"),
    ):
        [missed] = missed_by(msgspec.structs.replace(WITHIN, **members))
        assert word in missed


async def at_once(_: float) -> None:
    await asyncio.sleep(0)


async def test_everything_is_measured(tmp_path: Path) -> None:
    """On users who have histories, of whom some are members and some leave."""
    readings = count()
    result = await measure(tmp_path, SMALL, lambda: float(next(readings)), at_once)
    assert result.events == 220 * 10
    assert 0 < result.members < 220
    assert result.meanwhile.events
    assert result.idle.users == result.busy.users == 220
    for filled in (result.idle, result.busy, result.day_ends, result.week_ends):
        assert filled.users > 0
        assert filled.cpu_us_per_user > 0
        assert filled.longest_s == 1.0  # each step is two readings


async def test_a_back_fill_that_misses_somebody_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is compared with what a plain loop finds."""
    monkeypatch.setattr("load_tests.backfill.definitions._is_dear", lambda _: False)
    with pytest.raises(NotComplete, match="users are not where they should be"):
        await measure(tmp_path, SMALL, lambda: 0.0, at_once)


def test_the_command_reports_and_ends_with_what_it_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As tables for people, and as JSON for programs."""

    async def measured(*_: object) -> Result:
        return msgspec.structs.replace(
            WITHIN, day_ends=msgspec.structs.replace(FILLED, seconds=61.0)
        )

    monkeypatch.setattr("load_tests.scenarios.backfill.measure", measured)
    file = tmp_path / "report.json"
    run = CliRunner().invoke(main, ["backfill", "--json", str(file)], catch_exceptions=False)
    assert run.exit_code == 1
    assert "ABOVE seconds after the end of a day or week: 61 > 60" in run.output
    report = msgspec.json.decode(file.read_bytes(), type=BackFillReport)
    assert report.missed == ["seconds after the end of a day or week: 61 > 60"]
