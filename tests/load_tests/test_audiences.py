"""`python -m load_tests audiences`."""

from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from load_tests.__main__ import main
from load_tests.audience_mix import Mix
from load_tests.scenarios.audiences import AudiencesReport, measure_full_pass


def test_a_small_run_reports_everything(tmp_path: Path) -> None:
    """As a table for people, and as JSON for programs."""
    file = tmp_path / "report.json"
    flags = ["--audiences", "20,5", "--rows", "1100", "--micro-batches", "2"]
    flags += ["--pass-rows", "1500", "--json", str(file)]
    run = CliRunner().invoke(main, ["audiences", *flags], catch_exceptions=False)
    assert run.exit_code == 0
    assert "bare numpy loop" in run.output
    report = msgspec.json.decode(file.read_bytes(), type=AudiencesReport)
    assert [one.audiences for one in report.touched] == [20, 5]
    assert report.full_pass is not None
    assert (report.full_pass.rows, report.full_pass.audiences) == (1500, 100)
    assert report.full_pass.members > 0


def test_engine_and_bare_loop_are_compared_before_they_are_timed() -> None:
    """For other rows than the people that they are made of, too."""
    assert measure_full_pass(5, 1700, lambda _: None).ratio > 0


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
