"""What is planned: the same for a seed, and everything for somebody."""

import msgspec

from load_tests.faults.clients import ATTEMPTS_S
from load_tests.faults.kept import SHARD_TIMEOUT_S
from load_tests.faults.plan import (
    JUMPS_S,
    OUTPUT_MODES,
    ROLES,
    ROOTS,
    deaths_of,
    plan_of,
)


def test_a_seed_gives_the_same_faults_again_and_another_others() -> None:
    plans = [plan_of(seed, 3.0, has_disk=True) for seed in range(300)]
    assert plans == [plan_of(seed, 3.0, has_disk=True) for seed in range(300)]
    assert len({msgspec.json.encode(plan) for plan in plans}) == 300
    for plan in plans:
        times = [fault.at_s for fault in plan]
        assert times == sorted(times)
        assert all(0 <= each <= 3.0 for each in times)


def test_every_kind_of_fault_befalls_everybody() -> None:
    plans = [plan_of(seed, 3.0, has_disk=True) for seed in range(1000)]
    seen = {(fault.kind, fault.target) for plan in plans for fault in plan}
    assert seen >= {("kill", each) for each in (*ROLES, *ROOTS)}
    assert seen >= {("restart", each) for each in ROLES}
    assert seen >= {("stop", each) for each in (*ROLES, "raylet", "gcs_server", "driver")}
    assert seen >= {("output", each) for each in OUTPUT_MODES}
    assert seen >= {("clock", f"{each:+d}") for each in JUMPS_S}
    assert seen >= {("restart", "deployment"), ("disk", "full"), ("freeze", "Shard")}
    frozen = [fault.seconds for plan in plans for fault in plan if fault.kind == "freeze"]
    assert min(ATTEMPTS_S) < SHARD_TIMEOUT_S < 2 * SHARD_TIMEOUT_S < min(frozen)
    assert max(frozen) < max(ATTEMPTS_S)
    assert not any(f.kind == "disk" for n in range(100) for f in plan_of(n, 3.0, has_disk=False))


def test_everybody_dies_while_slots_move() -> None:
    plans = [deaths_of(seed, 3.0) for seed in range(300)]
    assert plans == [deaths_of(seed, 3.0) for seed in range(300)]
    victims = [fault.target for plan in plans for fault in plan]
    assert set(victims) == {*ROLES, "driver", "everything"}
    assert victims.count("Shard") > len(victims) / 3
    assert {fault.kind for plan in plans for fault in plan} == {"kill"}
