"""How runs follow one another on deployments, and what is looked at when one has ended."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from actors.clock import ManualClock
from load_tests.faults import campaign
from load_tests.faults.campaign import Campaign, Report
from load_tests.faults.checks import Found
from load_tests.faults.runs import FaultsOptions, RunResult
from load_tests.scenarios.faults import report_of

OPTIONS = FaultsOptions(seed=1, runs=5, seconds=1.2, patience_s=0.5, renew=2, has_disk=False)


class FakeRunner:
    """A deployment on which seed 4 ends it, and that has printed and stored what it is told to.

    Attributes:
        told: what each was asked, in order.
        is_serving: whether it has not ended.
    """

    afterwards = Found(details=[])

    def __init__(self, *_: object) -> None:
        self.told: list[str] = []
        self.is_serving = False
        made.append(self)

    @contextlib.asynccontextmanager
    async def serving(self, folder: Path) -> AsyncIterator[None]:
        (folder / "data").mkdir()
        self.is_serving = True
        yield
        self.is_serving = False

    async def run(self, seed: int) -> RunResult:
        self.told.append(f"run {seed}")
        return RunResult(
            seed=seed,
            faults=[],
            acknowledged=1,
            repeats=0,
            cuts=0,
            starts=int(seed == 4),
            longest_wait_s=0.0,
            first_s=0.01,
            before_s=0.01,
            after_s=0.01,
            found=Found(details=[]),
        )

    async def check_all(self) -> Found:
        assert self.is_serving
        self.told.append("check")
        return Found(details=[])

    async def look_back(self) -> Found:
        assert not self.is_serving
        self.told.append("look back")
        return self.afterwards

    def orphans(self) -> list[str]:
        return []

    def printed(self) -> str:
        return "all that it printed"


made: list[FakeRunner] = []


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Report:
    made.clear()
    monkeypatch.setattr(campaign, "Runner", FakeRunner)
    return Report(None, OPTIONS)


async def make_runs(report: Report, kept: Path) -> list[str]:
    said: list[str] = []
    runs = Campaign(report, OPTIONS, kept, ManualClock(), said.append)
    await runs.run(lambda result: f"seed {result.seed}")
    return said


async def test_every_deployment_is_looked_at_when_it_has_ended(
    report: Report, tmp_path: Path
) -> None:
    """One that ended by itself is kept and followed by a new one, at whichever run that was."""
    said = await make_runs(report, tmp_path)
    assert [each.told for each in made] == [
        ["run 1", "run 2", "check", "look back"],
        ["run 3", "run 4", "look back"],
        ["run 5", "check", "look back"],
    ]
    kept = tmp_path / "seed-4"
    assert [line for line in said if str(tmp_path) in line] == [said[4]]
    assert said[4].endswith(f": {kept}")
    assert (kept / "data").is_dir()
    assert (kept / "printed.log").read_text() == "all that it printed"
    assert report_of(OPTIONS, report.runs, report.checks).wrong == [4]


@pytest.mark.parametrize("kind", ["damaged", "leaked"])
def test_what_is_wrong_after_a_deployment_makes_the_runs_wrong(
    report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    found = Found(details=[])
    found.add(kind, 1, "something")
    monkeypatch.setattr(FakeRunner, "afterwards", found)
    asyncio.run(make_runs(report, tmp_path))
    assert [getattr(each.found, kind) for each in report.checks] == [1, 1, 1]
    assert not report_of(OPTIONS, report.runs, report.checks).is_right
    assert sorted(each.name for each in tmp_path.iterdir()) == ["seed-2", "seed-4", "seed-5"]
