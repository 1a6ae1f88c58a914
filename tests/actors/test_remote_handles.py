"""What the coordinator is asked by other processes; Ray's actor is played by a list of answers."""

from collections.abc import Callable
from typing import Any

import pytest
import ray
from ray.exceptions import ActorDiedError

from actors import remote
from actors.remote_handles import RemoteConfiguration, RemoteCoordinator


class Reference:
    """What Ray hands out for an answer, which may be an error."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def _on_completed(self, give: Callable[[Any], None]) -> None:
        give(self._answer)


class Actor:
    """Dies at every first call, and answers the second; `asked`: with what it was called."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.call = self.configure = self

    def remote(self, *arguments: Any) -> Reference:
        self.asked.append(arguments)
        return Reference(ActorDiedError() if len(self.asked) % 2 else "done")


@pytest.fixture
def actor(monkeypatch: pytest.MonkeyPatch) -> Actor:
    made = Actor()
    monkeypatch.setattr(remote, "RETRY_PAUSE_S", 0.0)
    monkeypatch.setattr(ray, "get_actor", lambda *_: made)
    return made


async def test_the_repeat_of_a_change_has_the_id_of_the_change_and_the_next_one_another(
    actor: Actor,
) -> None:
    coordinator = RemoteCoordinator(7)
    for _ in range(2):
        assert await coordinator.delete_group("household") == "done"
    assert await coordinator.call_audiences("clone_audience", 3, "ann") == "done"
    first, again, second, _, clone, _ = actor.asked
    assert first == again
    assert first != second
    assert (first[:2], first[3:]) == ((7, "once"), ("delete_group", "household"))
    assert (clone[:2], clone[3:]) == ((7, "once"), ("call_audiences", "clone_audience", 3, "ann"))
    assert len({first[2], second[2], clone[2]}) == 3


async def test_the_repeat_of_an_edit_has_the_id_of_the_edit(actor: Actor) -> None:
    await RemoteConfiguration().edit(7, 3, {})
    first, again = actor.asked
    assert first == again
    assert (first[0], first[2:]) == ("once", ("edit", 7, 3, {}))


async def test_what_batches_and_identity_calls_ask_for_has_no_id(actor: Actor) -> None:
    """It is harmless to repeat, and asked for all the time."""
    await RemoteCoordinator(7).resolve([])
    await RemoteCoordinator(7).admit_event_names([])
    await RemoteConfiguration().sheet(7)
    assert actor.asked[1::2] == [(7, "resolve", []), (7, "admit_event_names", []), ("sheet", 7)]
