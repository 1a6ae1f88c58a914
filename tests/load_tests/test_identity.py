"""The command that compares resolution by identities with resolution by MPID, on a small scale."""

import gc
import json
import statistics
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from click.testing import CliRunner

from actors.clock import SystemClock
from actors.identity.registry import STRATEGIES
from load_tests.__main__ import main
from load_tests.in_process import InProcess, document
from load_tests.scenarios.identity import compare
from load_tests.steady import NotSteady, SteadyOptions, measure

SMALL = SteadyOptions(users=7, rounds=4, events_per_batch=3, seed=1)


@pytest.fixture
def settled() -> Iterator[None]:
    """What the command does to the garbage collector ends with the test."""
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


def flags(*more: str) -> list[str]:
    return ["identity", "--users", "5", "--rounds", "2", "--shards", "3", *more]


async def test_every_strategy_and_kind_of_users_is_compared(tmp_path: Path) -> None:
    """The processor clock moves by one whenever it is read: each way costs one per request."""
    readings = count()
    report = await compare(
        tuple(STRATEGIES), SMALL, 2, 1.0, tmp_path, SystemClock(), lambda: float(next(readings))
    )
    made = [(each.strategy, each.users) for each in report.results]
    assert made == [(name, users) for name in STRATEGIES for users in ("customers", "devices")]
    for each in report.results:
        assert each.events == 7 * 3 * 4
        assert each.by_mpid_us == each.by_identities_us == pytest.approx(4 / (7 * 3 * 4) * 1e6)
        assert (each.ratios, each.ratio) == ([1.0] * 4, 1.0)
    assert report.is_within


async def test_a_dear_way_is_above_the_bar(tmp_path: Path) -> None:
    """Every second reading comes late by one more for what is sent by identities."""

    class Clock:
        """Charges two for each request that asks for a user by identities, one for others."""

        def __init__(self) -> None:
            self.now = 0.0
            self.order = 0

        def __call__(self) -> float:
            # Three sendings prepare; of the measured ones the first of each pair changes its turn.
            self.order += 1
            if self.order % 2 == 0:
                sending = self.order // 2 - 4
                pair, place = divmod(sending, 2)
                is_identified = (pair % 2 == 0) == (place == 0)
                self.now += 2.0 if sending >= 0 and is_identified else 1.0
            return self.now

    deployment = InProcess(tmp_path, document(strategy="default"), 1, SystemClock())
    try:
        found = await measure(deployment, "default", "customers", SMALL, SystemClock(), Clock())
    finally:
        deployment.close()
    assert found.ratios == [2.0] * 4
    assert found.by_identities_us == 2 * found.by_mpid_us


async def test_what_is_not_steady_is_not_measured(tmp_path: Path) -> None:
    """Users whose identities are taken away between the rounds are resolved anew."""
    deployment = InProcess(tmp_path, document(strategy="default"), 2, SystemClock())
    readings = count()

    def cpu() -> float:
        reading = next(readings)
        if reading == 7:  # all was sent, and is measured from now on
            for shard in deployment.shards:
                with shard.store.write() as txn:
                    for key, _ in list(txn.scan("identities")):
                        txn.delete("identities", key)
        return float(reading)

    try:
        with pytest.raises(NotSteady):
            await measure(deployment, "default", "devices", SMALL, SystemClock(), cpu)
    finally:
        deployment.close()


@pytest.mark.usefixtures("settled")
def test_the_command_shows_and_writes_what_it_measured(tmp_path: Path) -> None:
    """The numbers agree with each other; whether the machine is quick is not asked."""
    results = tmp_path / "identity.json"
    shown = CliRunner().invoke(
        main, flags("--strategy", "best_match", "--at-most", "1e9", "--json", str(results))
    )
    assert shown.exit_code == 0, shown.output
    report = json.loads(results.read_text())
    assert (report["scenario"], report["shards"], report["is_within"]) == ("identity", 3, True)
    for each in report["results"]:
        assert each["events"] == 5 * 5 * 2
        assert each["by_mpid_us"] > 0 < each["by_identities_us"]
        assert each["ratio"] == statistics.median(each["ratios"])
        assert f"{each['ratio']:.3f}" in shown.output


@pytest.mark.usefixtures("settled")
def test_the_command_fails_above_the_bar() -> None:
    shown = CliRunner().invoke(main, flags("--strategy", "default", "--at-most", "0"))
    assert shown.exit_code == 1
    assert "ABOVE" in shown.output
