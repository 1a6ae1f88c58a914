"""`python -m load_tests audiences`."""

import io
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from msgspec.structs import replace
from rich.console import Console

from load_tests.__main__ import main
from load_tests.audience_mix import Mix
from load_tests.audience_report import (
    AudiencesReport,
    FullPass,
    Touched,
    missed_by,
    print_audiences,
)
from load_tests.scenarios.audiences import make_people, measure_full_pass, prepare_bare


def test_a_small_run_reports_everything(tmp_path: Path) -> None:
    """As a table for people, and as JSON for programs."""
    file = tmp_path / "report.json"
    flags = ["--audiences", "20,5", "--rows", "1100", "--micro-batches", "2"]
    flags += ["--pass-rows", "1500", "--json", str(file)]
    run = CliRunner().invoke(main, ["audiences", *flags], catch_exceptions=False)
    assert "bare numpy loop" in run.output
    report = msgspec.json.decode(file.read_bytes(), type=AudiencesReport)
    assert run.exit_code == bool(report.missed)  # of so few profiles either may be
    assert [one.audiences for one in report.touched] == [20, 5]
    assert report.full_pass is not None
    assert (report.full_pass.rows, report.full_pass.audiences) == (1500, 100)
    assert report.full_pass.members > 0
    assert report.full_pass.bare_bytes_per_row > 0
    for one in report.touched:
        assert one.bare > 0
        assert 0 < one.bare_audiences <= one.audiences
        assert one.bare_bytes_per_row > 0


TOUCHED = Touched(
    audiences=1000,
    criteria=1,
    streams=1,
    rows=100,
    observe=90.0,
    evaluate=60.0,
    expirations=0.0,
    changes=0.0,
    array_bytes_per_row=1.0,
    entries_per_row=1.0,
    entry_bytes=28,
    bare=100.0,
    bare_audiences=800,
    bare_bytes_per_row=1.0,
)
PASS = FullPass(
    audiences=100,
    rows=100,
    first=9.0,
    engine=3.0,
    bare=1.0,
    first_ratio=9.0,
    ratio=3.0,
    members=1,
    engine_bytes_per_row=1.0,
    bare_bytes_per_row=1.0,
)


def test_a_result_is_held_against_each_bar() -> None:
    """It may be as much, and no more; there is none for more audiences."""
    assert missed_by([TOUCHED], PASS) == []
    assert missed_by([TOUCHED], None) == []
    dear = replace(TOUCHED, evaluate=60.2)
    assert missed_by([dear], PASS) == ["1000 audiences for a profile: 60.2 µs > 60"]
    assert missed_by([replace(dear, audiences=1001)], PASS) == []
    slow = replace(PASS, ratio=3.01)
    assert missed_by([TOUCHED], slow) == ["second full pass to bare loop: 3.01 > 3"]


def test_audiences_that_no_bare_loop_is_for_are_left_out_of_it() -> None:
    """And no others: a mix without sequences, carts and places is compared as a whole."""
    mix = Mix(2)
    plain, all_kinds = mix.definitions(60, is_plain=True), mix.definitions(60)
    people = make_people(mix, 3, 5)
    assert len(prepare_bare(people, plain)[1]) == 60
    assert 0 < len(prepare_bare(people, all_kinds)[1]) < 60


def test_engine_and_bare_loop_are_compared_before_they_are_timed() -> None:
    """For other rows than the people that they are made of, too."""
    found = measure_full_pass(5, 1700, lambda _: None)
    assert found.ratio == found.engine / found.bare > 0
    assert found.first_ratio == found.first / found.bare > 0


def test_both_passes_are_shown_beside_the_bare_loop() -> None:
    """Which is which is said in words; the bar stands at the second one."""
    text = io.StringIO()
    report = AudiencesReport(
        scenario="audiences", seed=1, touched=[], full_pass=replace(PASS, ratio=2.5), missed=[]
    )
    print_audiences(report, Console(file=text, width=120))
    rows = [[cell.strip() for cell in line.split("│")[1:3]] for line in text.getvalue().split("\n")]
    assert ["first pass to bare loop", "9.00"] in rows
    assert ["second pass to bare loop, bar 3", "2.50"] in rows


def test_the_same_seed_gives_the_same_mix() -> None:
    """Whoever runs it again measures the same."""
    assert Mix(3).definitions(50) == Mix(3).definitions(50)
    assert Mix(3).definitions(50) != Mix(4).definitions(50)


def test_numbers_of_audiences_are_numbers() -> None:
    """Anything else is refused before the run."""
    run = CliRunner().invoke(main, ["audiences", "--audiences", "ten"])
    assert run.exit_code == 2
    assert "must be numbers joined by commas" in run.output


@pytest.mark.parametrize("flag", ["--rows", "--micro-batches"])
def test_no_run_is_empty(flag: str) -> None:
    """There would be nothing to report."""
    assert CliRunner().invoke(main, ["audiences", flag, "0"]).exit_code == 2
