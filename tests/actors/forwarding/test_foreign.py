"""Outboxes of several workspaces as one (spec/audiences.md, 12.1)."""

from pathlib import Path
from typing import Any, cast

from msgspec.structs import replace

from actors.audiences.announce import FIRST_NUMBER
from actors.clock import ManualClock
from actors.forwarding.follower import SubscriptionFollower
from actors.forwarding.foreign import JoinedSource, alias
from actors.model.deliveries import DeadLetter, Settlement
from actors.outputs.contract import Delivered, Fatal, Outcome
from tests.actors.audiences.desks import open_desk
from tests.actors.forwarding.support import MemoryOutbox, ScriptedOutput, Simulation, change
from tests.actors.forwarding.test_subscriptions import connected, sent
from tests.oracle.audiences.fixture import make_users


async def test_subscriptions_of_one_number_in_two_workspaces_are_two(tmp_path: Path) -> None:
    """Faults go to the workspace that they are of, and what is settled to its outbox."""
    clock = ManualClock()
    simulation = Simulation(clock)
    own, foreign = MemoryOutbox([change(1, 1, "add")]), MemoryOutbox([change(1, 2, "add")])
    answers: dict[int | None, Outcome] = {2: Fatal("fatal_response", "no", 403)}
    output = ScriptedOutput(clock, lambda each: answers.get(each.mpid, Delivered(200)))
    forwarder = simulation.start(output, cast(Any, [JoinedSource({0: own, 9: foreign})]), [])
    with (
        open_desk(tmp_path / "own", make_users(), clock=clock) as ours,
        open_desk(tmp_path / "foreign", make_users(), clock=clock, workspace=9) as theirs,
    ):
        audiences = [await connected(each) for each in (ours, theirs)]
        desks = {3: ours.calls, 9: theirs.calls}
        follower = SubscriptionFollower("hook", 3, desks, clock)
        await follower.step(forwarder)
        await simulation.run(1)
        await follower.step(forwarder)
        assert sent(output) == [(1, "add")]
        assert not own.waiting
        assert list(foreign.waiting) == [(FIRST_NUMBER + 1, 1)]
        faults = [
            cast(Any, await desk.subscriptions(audience))[0].fault
            for desk, audience in zip(desks.values(), audiences, strict=True)
        ]
        assert [each is not None for each in faults] == [False, True]

        answers.clear()
        await theirs.calls.resume_subscription(audiences[1], 1)
        await follower.step(forwarder)
        await simulation.run(1)
        assert sent(output) == [(1, "add"), (2, "add")]
        assert not foreign.waiting
        await theirs.calls.delete_subscription(audiences[1], 1)
        await follower.step(forwarder)
        assert await theirs.calls.removals_at("hook") == []
        assert len(output.delivered) == 3
    await simulation.stop()


async def test_what_is_read_comes_under_the_alias_and_goes_back_under_its_own_number() -> None:
    outbox = MemoryOutbox([change(1, 1, "add"), change(2, 2, "add")])
    number = FIRST_NUMBER + 1
    source = JoinedSource({0: MemoryOutbox(), 9: outbox})
    found = await source.read(alias(9, number), 0, 10, 1 << 20)
    assert [(each.connection, each.sequence) for each in found] == [
        (alias(9, number), 1),
        (alias(9, number), 2),
    ]
    assert await source.read(number, 0, 10, 1 << 20) == []
    dead = DeadLetter(found[0], "fatal_response", 5, 5)
    delayed = replace(found[1], attempts=1)
    await source.settle(Settlement(alias(9, number), [], [dead], [delayed]))
    assert [each.delivery.connection for each in outbox.dead] == [number]
    assert [(each.connection, each.attempts) for each in outbox.waiting.values()] == [(number, 1)]
