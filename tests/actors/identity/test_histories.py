"""Histories of identity calls on a system in which everything goes wrong are sequential ones.

Each is a plan (who calls what, what dies when) and a seed of all delays and faults, and both are
drawn from one number. V1, V2 and V10 of spec/identity.md are checked on disk at the end; V5 to V7,
V9 and the real-time order by finding an order of the calls that explains every answer and what is
on disk.

    HISTORIES=100000 python -m pytest tests/actors/identity/test_histories.py -s

runs as many as one likes, new ones each time; CI runs the same 5,000 always. A failure tells its
number, which `HISTORY=4711 HISTORIES=1` runs again, and a smaller plan that fails, too. A history
depends on nothing but its plan: not on the process, nor on what other tests have loaded.
"""

import asyncio
import os
import random
import subprocess
import sys
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any
from unittest import mock

import pytest
from msgspec.structs import replace

from actors.coordinator import Coordinator
from actors.errors import HotIdentity, ShardUnavailable
from actors.identity import knowledge
from actors.identity.calls import (
    ChangeRequest,
    IdentityAnswer,
    IdentityCall,
    IdentityProblem,
    ModifyCall,
)
from actors.identity.decisions import Decision, of_call, of_erasure, of_lookup, of_modify, of_record
from actors.identity.keys import IdentityName, canonical
from actors.identity.registry import STRATEGIES
from actors.identity.state import IdentityRecord
from actors.model.micro_batches import Unresolved
from actors.model.workspaces import Environment
from tests.actors.identity.plans import (
    LATE_MODIFY,
    LOST_STORE,
    MIXES,
    RULES,
    STRANGER,
    TYPES,
    UPLOADS,
    Act,
    Crash,
    Kind,
    Plan,
    draw,
    shrunk,
)
from tests.actors.identity.sequential import History, explain, of_upload
from tests.actors.identity.simulation import Faults, SimulatedWorld, nothing_logged, simulate
from tests.actors.profiles.builders import NOW

IS_CI = bool(os.environ.get("CI"))
HISTORIES = int(os.environ.get("HISTORIES", "5000" if IS_CI else "300"))
FIRST = int(os.environ.get("HISTORY") or (1 if IS_CI else random.SystemRandom().randrange(10**12)))
SAME_HISTORIES = 60  # that are run in two processes
PRODUCTION: Environment = "production"


class Clients:
    """Run a plan and note what they see."""

    def __init__(self, plan: Plan, world: SimulatedWorld) -> None:
        self.history = History()
        self._plan = plan
        self._world = world
        self._rules = RULES[plan.strategy]
        acts = [act for acts in plan.clients for act in acts]
        self._mpids = [STRANGER] if any(act.kind == "upload" for act in acts) else []

    async def run(self) -> None:
        """Do everything that is planned, and look at the end."""
        await asyncio.gather(*(self._run(acts) for acts in self._plan.clients))

    async def look(self) -> None:
        """Read everything, which has to be answered."""
        for kind in TYPES:
            for value in ("1", "2"):
                await self._do(Act("lookup", {kind: value}), is_refused=False)
        for place in range(len(self._mpids)):
            await self._do(Act("record", {}, place), is_refused=False)

    async def _run(self, acts: list[Act]) -> None:
        for act in acts:
            await asyncio.sleep(act.pause_ms / 1000)
            await self._world.is_up.wait()
            await self._do(act)

    async def _do(self, act: Act, *, is_refused: bool = True) -> None:
        decision, ask = self._question(act)
        text = f"{act.kind} {act.identities} {act.retry}"
        call = self.history.begin(text, decision, is_reading=act.is_reading)
        try:
            answer = await self._world.ask(ask)
        except HotIdentity:
            assert is_refused
            self.history.refuse(call)
            return
        except ShardUnavailable:
            assert is_refused
            return
        if isinstance(answer, IdentityAnswer) and answer.mpid and answer.mpid not in self._mpids:
            self._mpids.append(answer.mpid)
        self.history.end(call, answer)

    async def _resolve(self, to: Coordinator, sent: list[tuple[str, str]]) -> int:
        """Resolve a batch as an edge does, with what a shard has said, and that is old or not."""
        newcomer = None
        if self._world.draw(4):
            names = [IdentityName(kind, canonical(kind, value)) for kind, value in sent]
            newcomer = await self._world.newcomer(names)
            await asyncio.sleep(0.01 * self._world.draw(3) ** 4)
        [mpid] = await to.resolve([Unresolved(PRODUCTION, sent, newcomer)])
        return mpid

    def _question(
        self, act: Act
    ) -> tuple[Decision[Any], Callable[[Coordinator], Coroutine[Any, Any, Any]]]:
        """Return what the reference does and what is asked of the coordinator."""
        if act.kind == "logout" and act.retry == 1:
            act = replace(act, identities={"device_application_stamp": "1"})
        rules, strategy = self._rules, STRATEGIES[self._rules.strategy]
        mpid = self._mpids[act.whom % len(self._mpids)] if self._mpids else STRANGER
        now_ms = NOW
        if act.kind == "upload":
            return of_upload(mpid), lambda _: self._world.upload(mpid)
        if act.kind == "erase":
            return of_erasure(PRODUCTION, mpid, now_ms), lambda to: to.erase(PRODUCTION, mpid)
        if act.kind == "record":
            return _lookups_of(mpid), lambda to: _record(to, mpid)
        if act.kind == "lookup":
            [(kind, value), *_] = act.identities.items()
            return (
                of_lookup(PRODUCTION, kind, value, now_ms),
                lambda to: to.lookup(PRODUCTION, kind, value),
            )
        if act.kind == "modify":
            changes = tuple(
                ChangeRequest(kind, None if act.whom else "1", value if act.retry else None)
                for kind, value in act.identities.items()
            )
            modify = ModifyCall(PRODUCTION, mpid, changes, now_ms)
            return of_modify(modify, rules), lambda to: to.modify(modify)
        if act.kind == "batch":
            sent = [(each, act.identities[each]) for each in TYPES if each in act.identities]
            call = IdentityCall("identify", PRODUCTION, act.identities, now_ms, is_batch=True)
            decision: Decision[Any] = of_call(call, rules, strategy)
            return (
                replace(decision, run=lambda state, new: _mpid(decision.run(state, new))),
                lambda to: self._resolve(to, sent),
            )
        retry_key = f"{act.retry} {sorted(act.identities.items())}".encode() if act.retry else None
        call = IdentityCall(
            act.kind,
            PRODUCTION,
            act.identities,
            now_ms,
            previous_mpid=mpid if act.whom else None,
            is_read_only=act.is_read_only,
            retry_key=retry_key if act.kind == "logout" else None,
        )
        return of_call(call, rules, strategy), lambda to: to.call(call)


async def _record(to: Coordinator, mpid: int) -> Any:
    return _shown(await to.record(PRODUCTION, mpid))


def _lookups_of(mpid: int) -> Decision[Any]:
    decision = of_record(PRODUCTION, mpid, NOW)
    return replace(decision, run=lambda state, new: _shown(decision.run(state, new)))


def _shown(record: IdentityRecord | None) -> Any:
    if record is None:
        return None
    return [(each.type, each.value, each.link) for each in record.lookups], record.source_mpid


def _mpid(answer: IdentityAnswer | IdentityProblem) -> int:
    assert isinstance(answer, IdentityAnswer)
    return answer.mpid


def _strike(world: SimulatedWorld, crash: Crash) -> None:
    down_s = crash.down_ms / 1000
    if crash.who in ("shard", "all"):
        hit = range(len(world.shards)) if crash.who == "all" else [crash.number % len(world.shards)]
        for number in hit:
            world.crash_shard(number, down_s)
    if crash.who != "shard":
        world.crash_coordinator(down_s, is_undead=crash.who == "undead")


def run(plan: Plan) -> tuple[History, list[str]]:
    """Run a plan; return what its clients saw, and an order that explains it."""

    async def story(world: SimulatedWorld) -> tuple[History, list[str]]:
        for crash in plan.crashes:
            at = world.loop.at_step.setdefault(world.loop.steps + crash.at_step, [])
            at.append(partial(_strike, world, crash))
        clients = Clients(plan, world)
        await clients.run()
        world.loop.at_step.clear()
        world.faults = Faults()
        # Longer than anything is under way or down.
        await asyncio.sleep(60)
        await clients.look()
        world.check()
        return clients.history, explain(clients.history, world)

    with mock.patch.object(knowledge, "MAX_KNOWN", plan.max_known), nothing_logged():
        return simulate(plan.shards, RULES[plan.strategy], plan.seed, story, plan.faults, mpids=24)


@pytest.mark.parametrize(
    "mixes",
    [pytest.param(MIXES, id="calls"), pytest.param(UPLOADS, id="calls and uploads by MPID")],
)
def test_every_history_is_that_of_one_call_after_the_other(
    mixes: Sequence[tuple[Kind, ...]],
) -> None:
    for number in range(FIRST, FIRST + HISTORIES):
        plan = draw(number, mixes=mixes)
        try:
            run(plan)
        except Exception as error:
            error.add_note(f"HISTORY={number} HISTORIES=1; smaller: {shrunk(plan, fails)}")
            raise


def fails(plan: Plan) -> bool:
    """Tell whether a plan has a history that it should not have."""
    try:
        run(plan)
    except Exception:
        return True
    return False


@pytest.mark.parametrize(
    "plan",
    [pytest.param(LATE_MODIFY, id="late modify"), pytest.param(LOST_STORE, id="lost store")],
)
def test_a_plan_that_failed_once_does_so_no_more(plan: Plan) -> None:
    run(plan)


def test_a_plan_has_the_same_history_in_every_process() -> None:
    """Whatever texts and addresses hash to there."""
    program = f"from {__name__} import some_histories; print(some_histories())"
    told = [
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    ]
    assert told[0].count("\n") > SAME_HISTORIES
    assert told[0] == told[1]


def some_histories() -> str:
    """Run some plans, the same ones always; return their histories."""
    return "\n".join(str(run(draw(number))[0]) for number in range(SAME_HISTORIES))


def test_a_plan_that_fails_is_made_smaller() -> None:
    """Down to the one act that it takes."""

    def has_erasure(plan: Plan) -> bool:
        return any(act.kind == "erase" for acts in plan.clients for act in acts)

    plan = next(plan for plan in map(draw, range(100)) if has_erasure(plan))
    small = shrunk(plan, has_erasure)
    [[act]] = small.clients
    assert (act.kind, len(act.identities), small.crashes) == ("erase", 1, [])
    assert small.faults == Faults()
