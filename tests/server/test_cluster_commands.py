"""How `headwater cluster rebalance` goes on pass by pass, and what it waits for."""

from typing import Any, cast

import click
import pytest

from actors.clock import ManualClock
from actors.store.slots import SlotMap, even
from server.cluster_commands import PATIENCE_S, PAUSE_S, _move
from server.platform_client import ApiRefused, PlatformApi, Unanswered
from server.rebalance import Move, shown

WANTED = Move(0, 99, 1)


class FakeApi:
    """An admin port that moves 40 slots in a pass, and fails as it is told to."""

    def __init__(self, *failures: Exception) -> None:
        self.slots: SlotMap = even(2)
        self.passes: list[Move] = []
        self.failures = list(failures)

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        assert path == "/admin/slots"
        if body is not None:
            if self.failures:
                raise self.failures.pop(0)
            move = Move(**body)
            done = min(move.first + 39, move.last)
            self.passes.append(Move(move.first, done, move.to))
            self.slots = self.slots.moved(move.first, done, move.to)
        return shown(self.slots, None)


class World:
    """A fake deployment, and a clock that sleeping advances."""

    def __init__(self, *failures: Exception) -> None:
        self.api = FakeApi(*failures)
        self.clock = ManualClock()
        self.slept_s: list[float] = []

    def move(self, wanted: Move = WANTED) -> None:
        _move(cast(PlatformApi, self.api), wanted, self.clock.monotonic, self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.clock.advance(int(seconds * 1000))


def refused(status: int) -> ApiRefused:
    return ApiRefused(status, [f"No slots have moved: {status}"])


def test_a_move_goes_on_until_all_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    world = World()
    world.move()
    assert world.api.passes == [Move(0, 39, 1), Move(40, 79, 1), Move(80, 99, 1)]
    assert world.slept_s == [PAUSE_S] * 3
    assert capsys.readouterr().out.splitlines() == [
        f"{share} % of them are on shard 1" for share in (40, 80, 100)
    ]
    world.move()
    assert len(world.api.passes) == 3, "it is there already"


def test_what_may_pass_is_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    world = World(refused(503), refused(409), Unanswered("it does not answer"))
    world.move()
    assert len(world.api.passes) == 3
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "waiting: 503: No slots have moved: 503"
    assert len(told) == 3


def test_what_has_moved_though_the_answer_was_lost_does_not_move_again() -> None:
    world = World(Unanswered("it does not answer"))
    world.api.slots = world.api.slots.moved(0, 59, 1)
    world.move()
    assert world.api.passes == [Move(60, 99, 1)]


@pytest.mark.parametrize("status", [400, 401, 403])
def test_what_does_not_pass_ends_it_at_once(status: int) -> None:
    world = World(refused(status))
    with pytest.raises(ApiRefused, match=str(status)):
        world.move()
    assert world.slept_s == []


def test_patience_ends_without_any_progress() -> None:
    world = World(*[refused(503)] * 1000)
    with pytest.raises(click.ClickException, match="503"):
        world.move()
    assert PATIENCE_S < sum(world.slept_s) <= PATIENCE_S + 2 * PAUSE_S
