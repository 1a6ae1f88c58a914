"""What decisions leave behind for those who ask why, and what is taken back by it."""

import asyncio

from actors.coordinator import NOTHING_TO_UNDO
from actors.identity.calls import ModifyAnswer
from actors.identity.undo import CHANGED_SINCE
from tests.actors.identity.calling import (
    PRODUCTION,
    call,
    erase,
    held,
    modify,
)
from tests.actors.identity.pool import LINK
from tests.actors.identity.simulation import SimulatedWorld, simulate


def test_every_decision_leaves_a_trail_at_each_record_that_it_changed() -> None:
    """Also across a crash, and each thing once."""

    async def story(world: SimulatedWorld) -> None:
        k = (await call(world, "login", "cid:c1 em:e1")).mpid
        f = (await call(world, "login", "em:e2")).mpid
        await asyncio.gather(call(world, "login", "cid:c1 das:d1"), call(world, "search", "em:e1"))
        world.crash_coordinator(0.0)
        await asyncio.sleep(1)
        await modify(world, k, "em", "e1", "e2")
        world.crash_coordinator(0.0)
        await asyncio.sleep(1)
        of_k, of_f = world.trail(k), world.trail(f)
        assert [(each.kind, each.mpid) for each in of_k] == [
            ("login", k),
            ("login", k),
            ("modify", k),
        ]
        assert [each.value for each in of_k[0].attached] == ["c1", "e1"]
        assert [each.value for each in of_k[1].attached] == ["d1"]
        assert [each.value for each in of_k[2].attached] == ["e2"]
        assert [each.value for each in of_k[2].removed] == ["e1"]
        assert [(each.kind, each.mpid) for each in of_f] == [("login", f), ("modify", k)]
        assert [each.value for each in of_f[1].removed] == ["e2"]
        assert of_f[1].number == of_k[2].number
        assert [each.number for each in of_k] == sorted({each.number for each in of_k})

    for seed in range(10):
        simulate(3, LINK, seed, story)


def test_the_trail_of_a_record_keeps_its_last_hundred() -> None:
    async def story(world: SimulatedWorld) -> None:
        k = (await call(world, "login", "cid:c1")).mpid
        for number in range(120):
            await modify(world, k, "em", None, str(number))
        kept = world.trail(k)
        assert [each.attached[0].value for each in kept] == [str(each) for each in range(20, 120)]
        assert await erase(world, k)
        assert world.trail(k) == []

    simulate(1, LINK, 1, story)


def test_a_takeover_is_undone_on_both_records() -> None:
    async def story(world: SimulatedWorld) -> None:
        k = (await call(world, "login", "cid:c1 em:e1")).mpid
        f = (await call(world, "login", "em:e2")).mpid
        await modify(world, k, "em", "e1", "e2")
        answer = await world.ask(lambda to: to.undo(PRODUCTION, k))
        assert isinstance(answer, ModifyAnswer)
        assert await held(world, k) == {"cid:c1", "em:e1"}
        assert await held(world, f) == {"em:e2"}
        assert world.trail(k)[-1].kind == "undo"
        again = await world.ask(lambda to: to.undo(PRODUCTION, k))
        assert again == CHANGED_SINCE
        nobody = await world.ask(lambda to: to.undo(PRODUCTION, 4711))
        assert nobody == NOTHING_TO_UNDO
        world.check()

    for seed in range(5):
        simulate(3, LINK, seed, story)


def test_what_later_decisions_have_changed_is_not_undone() -> None:
    async def story(world: SimulatedWorld) -> None:
        k = (await call(world, "login", "cid:c1 em:e1")).mpid
        await modify(world, k, "em", "e1", "e2")
        await call(world, "login", "em:e1")  # free, and soon somebody's
        answer = await world.ask(lambda to: to.undo(PRODUCTION, k))
        assert answer == CHANGED_SINCE
        assert await held(world, k) == {"cid:c1", "em:e2"}

    simulate(2, LINK, 1, story)
