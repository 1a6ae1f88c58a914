"""The machine's clock, as everybody reads it."""

import time

import pytest

from actors.clock import SystemClock


class Machine:
    """A machine whose clock can be set."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.s = 1000
        self.ahead_s = 0
        patch.setattr(SystemClock, "_last_ns", 0)  # nobody has read it yet
        patch.setattr(SystemClock, "_last_s", 0.0)
        patch.setattr(time, "time_ns", lambda: (self.s + self.ahead_s) * 1_000_000_000)
        patch.setattr(time, "monotonic", lambda: float(self.s))


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def test_it_is_the_machines(machine: Machine) -> None:
    clock = SystemClock()
    for _ in range(5):
        assert clock.now_ms() == machine.s * 1000
        machine.s += 7


def test_it_goes_ahead_at_once_and_back_at_half_the_speed(machine: Machine) -> None:
    clock = SystemClock()
    clock.now_ms()
    machine.ahead_s = 3600
    assert clock.now_ms() == (1000 + 3600) * 1000
    machine.ahead_s = 0
    assert clock.now_ms() == (1000 + 3600) * 1000
    machine.s += 100
    assert clock.now_ms() == (1000 + 3600 + 50) * 1000
    machine.s += 10_000
    assert clock.now_ms() == machine.s * 1000


def test_all_of_a_process_agree(machine: Machine) -> None:
    """What one has put off another one finds due."""
    first, second = SystemClock(), SystemClock()
    second.now_ms()
    machine.ahead_s = 3600
    first.now_ms()
    machine.ahead_s = 0
    assert first.now_ms() == second.now_ms() == SystemClock().now_ms() == (1000 + 3600) * 1000


def test_a_step_back_alone_is_made_up_for(machine: Machine) -> None:
    clock = SystemClock()
    clock.now_ms()
    machine.ahead_s = -60
    seen = []
    for _ in range(30):
        seen.append(clock.now_ms())
        machine.s += 10
    assert seen == sorted(seen)
    assert seen[-1] == (machine.s - 10 - 60) * 1000
