"""What callers of an actor see when it dies; Ray's actor is played by a list of answers."""

import pickle
from collections.abc import Callable
from typing import Any

import pytest
from ray.exceptions import ActorDiedError, OutOfMemoryError, RayActorError, RayTaskError

from actors import remote
from actors.errors import (
    ActorFailed,
    CannotListen,
    DataFolderError,
    ShardUnavailable,
    SlotsMoved,
    SlotsMoving,
)
from actors.remote import Handle


class Reference:
    """What Ray hands out for an answer, which may be an error."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def _on_completed(self, give: Callable[[Any], None]) -> None:
        give(self._answer)


class Actor:
    """Its method `ask` gives or raises one answer per call, the last one for ever."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.ask = self

    def remote(self) -> Reference:
        return Reference(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "RETRY_PAUSE_S", 0.0)
    monkeypatch.setattr(remote, "MOVING_PAUSE_S", 0.0)


OUT_OF_MEMORY: Exception = OutOfMemoryError("killed")  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("death", [RayActorError(), ActorDiedError(), OUT_OF_MEMORY])
async def test_an_actor_that_has_died_is_asked_again(death: Exception) -> None:
    """Whatever it died of: Ray itself kills processes when the machine's memory runs out."""
    assert await Handle("shard-0", Actor(death, death, 7)).ask() == 7


async def test_why_an_edge_does_not_listen_is_told_in_its_words() -> None:
    error = pickle.loads(pickle.dumps(CannotListen("0.0.0.0:80 cannot be listened on: taken")))
    actor = Actor(RayTaskError("start", "trace", error))  # type: ignore[no-untyped-call]
    with pytest.raises(CannotListen, match=r"^0\.0\.0\.0:80 cannot be listened on: taken$"):
        await Handle("edge-0", actor).ask()


async def test_an_actor_whose_slots_are_moving_is_asked_again_and_one_whose_have_moved_is_not() -> (
    None
):
    moving, moved = (
        RayTaskError("ask", "trace", error)  # type: ignore[no-untyped-call]
        for error in (SlotsMoving("slots are being moved"), SlotsMoved("slots have moved"))
    )
    assert await Handle("shard-0", Actor(moving, moving, 7)).ask() == 7
    with pytest.raises(SlotsMoved):
        await Handle("shard-0", Actor(moving, moved, 7)).ask()
    with pytest.raises(ShardUnavailable, match="shard-0 does not answer"):
        await Handle("shard-0", Actor(moving), timeout_s=0.01).ask()


async def test_an_actor_that_stays_away_is_unavailable() -> None:
    with pytest.raises(ShardUnavailable, match="shard-0 does not answer"):
        await Handle("shard-0", Actor(RayActorError()), timeout_s=0.01).ask()


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (DataFolderError("/data/shard-0000: cannot be opened"), "/data/shard-0000: cannot be"),
        (KeyError("ann@example.com"), "KeyError$"),
    ],
)
async def test_an_actor_whose_constructor_fails_is_not_waited_for(
    raised: Exception, said: str
) -> None:
    """Ray does not start it again. An error of ours says why; others may hold what was sent."""
    name = f"{type(raised).__module__}.{type(raised).__name__}".removeprefix("builtins.")
    trace = f"ray::Shard.__init__()\n  File ...\n{name}: {raised}"
    cause = RayTaskError("__init__", trace, raised)  # type: ignore[no-untyped-call]
    with pytest.raises(ActorFailed, match=f"shard-0: {said}"):
        await Handle("shard-0", Actor(ActorDiedError(cause))).ask()
