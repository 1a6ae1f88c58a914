"""Connections of audiences: followed, faulted, resumed (spec/connections.md, 4.4 and 5)."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from actors.audiences.fields import AudienceFields, SubscriptionFields
from actors.clock import ManualClock
from actors.forwarder import Forwarder
from actors.forwarding.follower import SubscriptionFollower
from actors.forwarding.subscriptions import inheriting, superfluous
from actors.model.deliveries import Delivery
from actors.outputs.audience_messages import Action, decode
from actors.outputs.contract import Delivered, Fatal, Outcome, Retry
from tests.actors.audiences.desks import ACTOR, HOOK, Desk, attribute, open_desk
from tests.actors.forwarding.support import (
    NUMBER,
    MemoryOutbox,
    ScriptedOutput,
    Simulation,
    change,
    delivery,
    followed,
)
from tests.oracle.audiences.fixture import make_users

DAY_S = 86_400


def sent(output: ScriptedOutput) -> list[tuple[int, str]]:
    """Return (MPID, action) of all changes that the receiver has."""
    of_users = [each for each in output.delivered if each.mpid is not None]
    changes = [decode(each.payload).changes[0] for each in of_users]
    return [(each.mpid, each.action) for each in changes]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def simulation(clock: ManualClock) -> Simulation:
    return Simulation(clock)


@pytest.fixture
def desk(tmp_path: Path, clock: ManualClock) -> Iterator[Desk]:
    with open_desk(tmp_path, make_users(), clock=clock) as opened:
        yield opened


async def connected(desk: Desk) -> int:
    """Connect an audience to the output `hook`; return its id."""
    made = await desk.calls.create_audience(
        AudienceFields(name="A", definition=attribute("premium")), ACTOR
    )
    await desk.calls.activate_audience(made.number, ACTOR)
    await desk.calls.create_subscription(made.number, SubscriptionFields(output=HOOK), ACTOR)
    return made.number


def ids(deliveries: list[Delivery]) -> list[int]:
    return [each.sequence for each in deliveries]


@pytest.mark.parametrize(
    ("actions", "dropped"),
    [
        (["add"], []),
        (["add", "delete"], [1, 2]),
        (["delete", "add"], [1, 2]),
        (["add", "delete", "add"], [1, 2]),
        (["delete", "add", "delete"], [1, 2]),
        (["add", "attribute_update"], []),
        (["attribute_update", "attribute_update"], [1]),
        (["attribute_update", "delete"], [1]),
        (["add", "attribute_update", "delete"], [1, 2, 3]),
        (["delete", "add", "attribute_update"], [1, 2]),
        (["attribute_update", "delete", "add"], [1, 2, 3]),
    ],
)
def test_changes_that_wait_together_come_to_the_last_or_to_nothing(
    actions: list[Action], dropped: list[int]
) -> None:
    """Worked case 30 of the connections."""
    other = change(9, 2, "add")
    waiting = [change(number, 1, action) for number, action in enumerate(actions, 1)]
    assert sorted(ids(superfluous([*waiting, other]))) == dropped


def test_who_came_back_is_told_of_once_more_where_attributes_are_shared() -> None:
    left, back = change(1, 1, "delete"), change(2, 1, "add", user_attributes={"plan": "gold"})
    assert ids(superfluous([left, back])) == [1]


def test_a_change_that_is_repeated_is_followed_by_what_came_after_it() -> None:
    """After a crash: what comes before it is overtaken, and it may have been delivered."""
    actions: list[Action] = ["add", "delete", "add", "delete"]
    waiting = [change(number, 1, action) for number, action in enumerate(actions, 1)]
    assert sorted(ids(superfluous(waiting, {3}))) == [1, 2]
    assert sorted(ids(superfluous(waiting[:3], {3}))) == [1, 2]
    assert sorted(ids(superfluous(waiting[:3], {1}))) == [2, 3]
    assert sorted(ids(superfluous(waiting, {1}))) == [2, 3]


def test_what_takes_the_place_of_a_change_that_was_tried_counts_as_tried() -> None:
    """Else it would come to nothing with what follows, and the tried one never come."""
    waiting = [change(1, 1, "add", attempts=2), change(2, 1, "delete")]
    dropped = superfluous(waiting)
    assert ids(inheriting(waiting, dropped)) == [2]
    assert waiting[1].attempts == 2
    assert ids(superfluous([waiting[1], change(3, 1, "add")])) == [2]


def test_what_may_have_been_delivered_is_taken_back() -> None:
    tried = change(1, 1, "add", attempts=1)
    assert ids(superfluous([tried, change(2, 1, "delete")])) == [1]


async def test_a_subscription_is_followed_while_it_is_there(
    clock: ManualClock, simulation: Simulation
) -> None:
    outbox = MemoryOutbox([change(1, 1, "add"), delivery(2)])
    output = ScriptedOutput(clock)
    forwarder = simulation.start(output, [outbox])
    await simulation.run(1)
    assert output.sequences == [2]
    forwarder.follow([followed()])
    await simulation.run(1)
    assert output.sequences == [2, 1]
    assert forwarder.last_sent_ms(NUMBER) is not None
    forwarder.follow([])
    outbox.add(change(3, 2, "add"))
    forwarder.wake(0)
    await simulation.run(60)
    assert output.sequences == [2, 1]
    forwarder.follow([followed()])
    await simulation.run(60)
    assert output.sequences == [2, 1, 3]
    await simulation.stop()


async def test_a_refusal_faults_at_once_and_holds_what_waits(
    clock: ManualClock, simulation: Simulation
) -> None:
    """Worked case 48; case 32 of the connections."""
    answers: list[Outcome] = [Fatal("fatal_response", "no", 401)]
    outbox = MemoryOutbox([change(1, 1, "add")])
    output = ScriptedOutput(clock, lambda _: answers[0] if answers else Delivered(200))
    forwarder = simulation.start(output, [outbox], [])
    forwarder.follow([followed()])
    await simulation.run(1)
    fault = forwarder.fault(NUMBER)
    assert fault is not None
    assert (fault.reason_code, fault.first_delivery_id) == ("401-Unauthorized", "dl_1")
    outbox.add(change(2, 2, "add"), change(3, 3, "add"), change(4, 1, "delete"))
    forwarder.wake(0)
    await simulation.run(DAY_S)
    assert output.sequences == [1]
    assert outbox.dead == []
    answers.clear()
    forwarder.follow([followed(resumed=1)])
    await simulation.run(60)
    assert sorted(sent(output)) == [(2, "add"), (3, "add")]
    assert outbox.waiting == {}
    assert forwarder.fault(NUMBER) is None
    await simulation.stop()


async def test_a_receiver_that_never_answers_faults_when_it_is_given_up(
    clock: ManualClock, simulation: Simulation
) -> None:
    """Case 32 of the connections: nothing is sent until it is resumed, nothing is lost."""
    is_dead = [True]
    outbox = MemoryOutbox([change(1, 1, "add")])
    output = ScriptedOutput(clock, lambda _: Retry("busy", 429) if is_dead else Delivered(200))
    forwarder = simulation.start(output, [outbox], [])
    forwarder.follow([followed()])
    await simulation.run(2 * DAY_S)
    assert forwarder.fault(NUMBER) is not None
    tried = len(output.requests)
    await simulation.run(9 * DAY_S)  # what waits for an input's connection is given up before
    assert len(output.requests) == tried
    assert outbox.dead == []
    is_dead.clear()
    outbox.add(change(2, 1, "delete"))
    forwarder.follow([followed(resumed=1)])
    await simulation.run(60)
    assert sent(output) == [(1, "delete")]  # the receiver may have had the first
    assert outbox.waiting == {}
    await simulation.stop()


async def test_the_coordinator_and_the_forwarder_learn_of_each_other(
    clock: ManualClock, simulation: Simulation, desk: Desk
) -> None:
    """A fault becomes the subscription's, and resuming that lets the forwarder go on."""
    audience = await connected(desk)
    answers: list[Outcome] = [Fatal("fatal_response", "no", 403)]
    outbox = MemoryOutbox([change(1, 1, "add")])
    output = ScriptedOutput(clock, lambda _: answers[0] if answers else Delivered(200))
    forwarder: Forwarder = simulation.start(output, [outbox], [])
    follower = SubscriptionFollower("hook", 3, {3: desk.calls}, clock)
    await follower.step(forwarder)
    await simulation.run(1)
    await follower.step(forwarder)
    [faulted] = cast(list[Any], await desk.calls.subscriptions(audience))
    assert faulted.fault.reason_code == "403-Forbidden"
    assert faulted.fault.first_job_id == "dl_1"
    answers.clear()
    await follower.step(forwarder)
    await simulation.run(1)
    assert sent(output) == []
    await desk.calls.resume_subscription(audience, faulted.number)
    await follower.step(forwarder)
    await simulation.run(1)
    assert sent(output) == [(1, "add")]
    await follower.step(forwarder)
    [resumed] = cast(list[Any], await desk.calls.subscriptions(audience))
    assert resumed.fault is None
    assert resumed.last_sent_ms is not None
    await desk.calls.delete_subscription(audience, resumed.number)
    await follower.step(forwarder)
    outbox.add(change(2, 2, "add"))
    forwarder.wake(0)
    await simulation.run(60)
    assert sent(output) == [(1, "add")]
    assert await desk.calls.subscriptions_at("files") == []
    await simulation.stop()


async def test_the_output_is_told_once_that_a_subscription_has_ended(
    clock: ManualClock, simulation: Simulation, desk: Desk
) -> None:
    """Worked case 35: of the members nothing is said."""
    audience = await connected(desk)
    answers: list[Outcome] = [Retry("busy", 503)]
    output = ScriptedOutput(clock, lambda _: answers[0] if answers else Delivered(200))
    forwarder = simulation.start(output, [MemoryOutbox()], [])
    follower = SubscriptionFollower("hook", 3, {3: desk.calls}, clock)
    await desk.calls.delete_audience(audience)
    await follower.step(forwarder)
    await simulation.run(1)
    await follower.step(forwarder)
    assert len(output.requests) == 1
    answers.clear()
    await simulation.run(10)
    for _ in range(2):
        await follower.step(forwarder)
    [notice] = output.delivered
    body = json.loads(notice.payload)
    assert (body["type"], body["action"]) == ("audience_subscription", "remove")
    assert body["audience"] == {"id": audience, "name": "A", "external_name": "A"}
    assert body["id"] == notice.delivery_id
    assert notice.delivery_id.startswith("dl_")
    await simulation.stop()


async def test_of_an_inactive_subscription_nobody_is_told(
    clock: ManualClock, simulation: Simulation, desk: Desk
) -> None:
    audience = await connected(desk)
    [only] = cast(list[Any], await desk.calls.subscriptions(audience))
    await desk.calls.replace_subscription(
        audience, only.number, SubscriptionFields(is_active=False)
    )
    await desk.calls.delete_subscription(audience, only.number)
    assert await desk.calls.removals_at("hook") == []


async def test_a_forwarder_that_begins_again_knows_of_the_fault(
    clock: ManualClock, simulation: Simulation
) -> None:
    outbox = MemoryOutbox([change(1, 1, "add")])
    output = ScriptedOutput(clock)
    forwarder = simulation.start(output, [outbox], [])
    forwarder.follow([followed(is_faulted=True)])
    await simulation.run(60)
    assert output.sequences == []
    forwarder.follow([followed(resumed=1)])
    await simulation.run(1)
    assert output.sequences == [1]
    await simulation.stop()
