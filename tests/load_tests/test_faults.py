"""The command that runs a deployment with faults: what it plans, does, and notices."""

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from actors import remote
from config.audience_catalog import audience_catalog
from config.load import load_workspaces
from config.numbers import KeptNumbers, assign_all
from load_tests.__main__ import main
from load_tests.faults.campaign import Check, Report
from load_tests.faults.checks import Found, summed
from load_tests.faults.document import HOOKS, THRESHOLDS, workspace_document
from load_tests.faults.plan import (
    CONTROL_PATIENCE_S,
    Fault,
    deaths_of,
    plan_of,
)
from load_tests.faults.record import Record, first_seen, out_of_order
from load_tests.faults.runs import FaultsOptions, RunResult
from load_tests.scenarios.faults import again_of, disk_left_out, line_of, report_of

OPTIONS = FaultsOptions(seed=1, runs=3, seconds=1.2, patience_s=0.5, renew=250, has_disk=False)
FIRST_SEED, RUNS = 2196, 6


def test_the_document_is_valid(tmp_path: Path) -> None:
    file = tmp_path / "workspace.yaml"
    urls = dict.fromkeys(HOOKS, "http://127.0.0.1:9001/in")
    file.write_bytes(msgspec.json.encode(workspace_document(urls, "http://127.0.0.1:9002/in")))
    [document] = load_workspaces([file], {})
    _, [numbers] = assign_all([document], KeptNumbers())
    assert len(audience_catalog(document, numbers).audiences) == len(THRESHOLDS)
    assert len(document.connections) == len(HOOKS)


def test_only_what_was_sent_after_an_acknowledgement_has_to_come_later() -> None:
    """spec/events-api.md, 5.2."""
    record = Record(1)
    first, second = record.begin(0, 0.0), record.begin(0, 0.0)  # under way at once
    record.acknowledge(second, 1.0)
    record.acknowledge(first, 1.0)
    third = record.begin(0, 2.0)
    record.acknowledge(third, 3.0)
    assert out_of_order([first, second, third]) == out_of_order([second, first, third]) == 0
    assert out_of_order([first, third, second]) == 1
    assert out_of_order([third, first, second]) == 1
    record.acknowledge(third, 9.0)
    assert (record.repeats, record.longest_wait_s, record.acknowledged) == (1, 1.0, 3)
    assert first_seen([3, 1, 3, 2, 1]) == [3, 1, 2]


def result(seed: int, **changes: Any) -> RunResult:
    given: dict[str, Any] = {
        "faults": [Fault(at_s=1.0, kind="kill", target="Shard")],
        "acknowledged": 10,
        "repeats": 1,
        "longest_wait_s": 2.5,
        "first_s": 0.01,
        "before_s": 0.01,
        "after_s": 0.01,
        "found": Found(details=[]),
    }
    return RunResult(seed=seed, **(given | changes))


def test_a_report_names_the_seeds_that_went_wrong_and_counts_by_fault() -> None:
    lost = Found(details=[])
    lost.add("lost", 2, "two batches")
    away = Fault(at_s=0.5, kind="stop", target="Edge")
    both = [*result(3).faults, away]
    runs = [result(1), result(2, found=lost), result(3, after_s=1.0, faults=both, missed=[away])]
    report = report_of(OPTIONS, runs, [])
    assert (report.wrong, report.acknowledged, report.found.lost) == ([2, 3], 30, 2)
    assert not report.is_right
    [killed] = report.faults
    assert (killed.fault, killed.runs, killed.wrong, killed.missed) == ("kill:Shard", 3, 2, 0)
    assert summed([lost, lost]).details == ["lost 2: two batches"] * 2
    line, detail = line_of(runs[1]).splitlines()
    assert "seed 2 WRONG acknowledged 10 lost 2" in line
    assert line.endswith("kill:Shard@1.0")
    full = result(4, refused={"not stored": 3, "not reached": 1})
    assert " refused 4, 1 not reached, 3 not stored, " in line_of(full)
    assert detail == "  lost 2: two batches"
    assert "seed 1 ok" in line_of(runs[0])


def _stopped(target: str, seconds: float) -> Fault:
    return Fault(at_s=1.0, kind="stop", target=target, seconds=seconds)


@pytest.mark.parametrize(
    ("fault", "is_explained"),
    [
        (Fault(at_s=1.0, kind="kill", target="raylet"), True),
        (Fault(at_s=1.0, kind="kill", target="everything"), True),
        (Fault(at_s=1.0, kind="restart", target="deployment"), True),
        (_stopped("gcs_server", CONTROL_PATIENCE_S + 1), True),
        (_stopped("gcs_server", CONTROL_PATIENCE_S - 1), False),
        (_stopped("driver", CONTROL_PATIENCE_S + 1), False),
        (Fault(at_s=1.0, kind="kill", target="Coordinator"), False),
        (Fault(at_s=1.0, kind="disk", target="full"), False),
    ],
    ids=str,
)
def test_a_deployment_that_ends_by_itself_is_wrong(fault: Fault, is_explained: bool) -> None:
    ended = result(2, starts=1, faults=[fault])
    missed = result(3, starts=1, faults=[fault], missed=[fault])
    runs = [result(1, faults=[fault]), ended, missed]
    wrong = [3] if is_explained else [2, 3]
    assert (report_of(OPTIONS, runs, []).wrong, report_of(OPTIONS, runs, []).ended) == (
        wrong,
        wrong,
    )
    assert line_of(missed).splitlines()[1:] == ["  the deployment ended by itself"]


def test_a_stop_is_as_long_for_the_runs_as_for_a_deployment() -> None:
    assert CONTROL_PATIENCE_S == remote.CONTROL_PATIENCE_S


@pytest.mark.parametrize(
    ("first_s", "before_s", "after_s", "is_right"),
    [
        (0.01, 0.01, 0.079, True),
        (0.01, 0.01, 0.081, False),
        (0.01, 0.079, 0.081, False),  # slower from run to run
        (0.079, 0.01, 0.081, False),
    ],
)
def test_a_run_is_as_fast_as_before_it_and_before_all_runs(
    first_s: float, before_s: float, after_s: float, is_right: bool
) -> None:
    run = result(1, first_s=first_s, before_s=before_s, after_s=after_s)
    assert run.is_right == is_right
    assert f"(at first {first_s * 1000:.0f} ms)" in line_of(run)


def test_a_run_is_made_again_with_all_that_it_depends_on() -> None:
    options = msgspec.structs.replace(OPTIONS, has_disk=True, seconds=1.2345678, patience_s=7.5)
    again = "--seed 9 --runs 1 --seconds 1.2345678 --patience-s 7.5 --disk"
    assert again_of(result(9), options) == again
    moving = msgspec.structs.replace(OPTIONS, has_moves=True)
    assert again_of(result(9), moving).endswith("--patience-s 0.5 --moves")


def test_it_is_said_why_no_disk_is_filled() -> None:
    filling = msgspec.structs.replace(OPTIONS, has_disk=True)
    assert disk_left_out(filling, is_root=True) is None
    assert "needs root" in (disk_left_out(filling, is_root=False) or "")
    assert "--disk is not given" in (disk_left_out(OPTIONS, is_root=True) or "")
    moving = msgspec.structs.replace(filling, has_moves=True)
    assert "--moves" in (disk_left_out(moving, is_root=True) or "")


def test_what_is_wrong_only_at_the_end_of_a_deployment_counts() -> None:
    late = Check(seeds=[1, 2], found=Found(orphans=1, details=["orphans 1: ray::Shard"]))
    report = report_of(OPTIONS, [result(1), result(2)], [late])
    assert (report.wrong, report.found.orphans, report.is_right) == ([], 1, False)


def test_a_report_goes_on_where_it_was_cut_off(tmp_path: Path) -> None:
    file = tmp_path / "report.jsonl"
    report = Report(file, OPTIONS)
    assert report.left() == [1, 2, 3]
    report.add(result(2))
    report.add(Check(seeds=[2], found=Found(details=[])))
    again = Report(file, OPTIONS)
    assert (again.left(), [each.seed for each in again.runs]) == ([1, 3], [2])
    assert [each.seeds for each in again.checks] == [[2]]
    for other in ({"has_disk": True}, {"has_moves": True}):
        others = msgspec.structs.replace(OPTIONS, **other)
        assert Report(file, others).left() == [1, 2, 3]  # their faults are others
    file.write_text("no result\n")
    with pytest.raises(ValueError, match="line 1"):
        Report(file, OPTIONS)


@pytest.mark.ray
def test_nothing_is_lost_or_doubled_by_runs_with_faults(tmp_path: Path) -> None:
    """A part of what `--runs 1000` does; among it kills of an edge, a shard and everything."""
    seeds = range(FIRST_SEED, FIRST_SEED + RUNS)
    planned = {each.name for seed in seeds for each in plan_of(seed, 1.2, has_disk=False)}
    assert planned >= {"kill:Edge", "kill:Shard", "kill:everything", "stop:Shard"}
    results = tmp_path / "results.json"
    flags = ["faults", "--runs", str(RUNS), "--seed", str(FIRST_SEED), "--json", str(results)]
    ended = CliRunner().invoke(main, [*flags, "--keep", str(tmp_path)])
    assert ended.exit_code == 0, ended.output
    report = msgspec.json.decode(results.read_bytes())
    assert [each["seed"] for each in report["runs"]] == list(seeds)
    assert [each["seeds"] for each in report["checks"]] == [list(seeds)]
    assert all(each["acknowledged"] > 0 for each in report["runs"])


@pytest.mark.ray
def test_nothing_is_lost_or_doubled_by_deaths_while_slots_move(tmp_path: Path) -> None:
    """A shard, the coordinator and the process at the top die in moves under load.

    With more runs, by `HEADWATER_MOVE_RUNS`, everybody does, at as many points as are wanted.
    """
    seed, runs = 20, os.environ.get("HEADWATER_MOVE_RUNS", "3")
    deaths = {each.target for number in range(3) for each in deaths_of(seed + number, 3.0)}
    assert deaths == {"Shard", "Coordinator", "driver"}
    results = tmp_path / "results.json"
    flags = ["faults", "--moves", "--runs", runs, "--seed", str(seed), "--seconds", "3"]
    ended = CliRunner().invoke(main, [*flags, "--json", str(results), "--keep", str(tmp_path)])
    assert ended.exit_code == 0, ended.output
    report = msgspec.json.decode(results.read_bytes())
    assert report["acknowledged"] > 0
    assert sum(run["passes"] for run in report["runs"]) > 0
