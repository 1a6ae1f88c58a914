"""Calls to a simulated world, written as in the tables of spec/identity.md."""

import asyncio

from actors.errors import HotIdentity, ShardUnavailable
from actors.identity.calls import (
    CallKind,
    ChangeRequest,
    IdentityAnswer,
    IdentityCall,
    IdentityProblem,
    ModifyAnswer,
    ModifyCall,
)
from actors.identity.state import IdentityRecord
from actors.model.micro_batches import Newcomer, Unresolved
from actors.model.workspaces import Environment
from tests.actors.identity.pool import TYPES, name, request
from tests.actors.identity.simulation import SimulatedWorld
from tests.actors.profiles.builders import NOW

PRODUCTION: Environment = "production"


async def call(
    world: SimulatedWorld,
    kind: CallKind,
    identities: str,
    *,
    retry_key: bytes | None = None,
    previous_mpid: int | None = None,
    now_ms: int = NOW,
) -> IdentityAnswer:
    """Make a call that has to be answered."""
    answer = await attempt(
        world, kind, identities, retry_key=retry_key, previous_mpid=previous_mpid, now_ms=now_ms
    )
    assert isinstance(answer, IdentityAnswer), answer
    return answer


async def insist(
    world: SimulatedWorld, kind: CallKind, identities: str, *, patience_s: float = 60.0
) -> IdentityAnswer:
    """Make a call again and again until it is answered, as clients do after a 5xx or a 429."""
    deadline_s = world.loop.time() + patience_s
    while True:
        try:
            return await call(world, kind, identities)
        except (ShardUnavailable, HotIdentity):
            assert world.loop.time() < deadline_s, "it is still refused"
            await asyncio.sleep(0.02)


async def attempt(
    world: SimulatedWorld,
    kind: CallKind,
    identities: str,
    *,
    retry_key: bytes | None = None,
    previous_mpid: int | None = None,
    now_ms: int = NOW,
) -> IdentityAnswer | IdentityProblem:
    """Make a call that may be refused."""
    made = IdentityCall(
        kind,
        PRODUCTION,
        {each.type: each.value for each in request(identities)},
        now_ms,
        previous_mpid=previous_mpid,
        retry_key=retry_key,
    )
    return await world.ask(lambda to: to.call(made))


async def batch(world: SimulatedWorld, identities: str, newcomer: Newcomer | None = None) -> int:
    """Resolve a batch. `newcomer`: what a shard has said of it."""
    sent = [(each.type, each.value) for each in request(identities)]
    [mpid] = await world.ask(lambda to: to.resolve([Unresolved(PRODUCTION, sent, newcomer)]))
    return mpid


async def modify(
    world: SimulatedWorld, mpid: int, short: str, old: str | None, new: str | None
) -> ModifyAnswer:
    """Change one identity of a record."""
    answer = await attempt_modify(world, mpid, short, old, new)
    assert isinstance(answer, ModifyAnswer), answer
    return answer


async def attempt_modify(
    world: SimulatedWorld, mpid: int, short: str, old: str | None, new: str | None
) -> ModifyAnswer | IdentityProblem:
    """Change one identity of a record, which may be refused."""
    changes = (ChangeRequest(TYPES[short], old, new),)
    made = ModifyCall(PRODUCTION, mpid, changes, NOW)
    return await world.ask(lambda to: to.modify(made))


async def record(world: SimulatedWorld, mpid: int) -> IdentityRecord | None:
    """Return a record."""
    return await world.ask(lambda to: to.record(PRODUCTION, mpid))


async def lookup(world: SimulatedWorld, identity: str) -> list[int]:
    """Return who holds an identity, newest link first."""
    wanted = name(identity)
    return await world.ask(lambda to: to.lookup(PRODUCTION, wanted.type, wanted.value))


async def held(world: SimulatedWorld, mpid: int) -> set[str]:
    """Return what a record holds, in short."""
    shorts = {long: short for short, long in TYPES.items()}
    found = await record(world, mpid)
    assert found is not None
    return {f"{shorts[each.type]}:{each.value}" for each in found.lookups}


async def erase(world: SimulatedWorld, mpid: int) -> bool:
    """Erase a record."""
    return await world.ask(lambda to: to.erase(PRODUCTION, mpid))


async def source_of(world: SimulatedWorld, mpid: int) -> int | None:
    """Return the source of a record."""
    found = await record(world, mpid)
    assert found is not None
    return found.source_mpid


def at(world: SimulatedWorld, shard: int, short: str) -> str:
    """Return an identity of a type that lies on a shard."""
    for number in range(1000):
        identity = f"{short}:{number}"
        if world.shard_of(name(identity)) == shard:
            return identity
    raise AssertionError("no identity lies there")
