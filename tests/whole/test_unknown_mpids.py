"""Calls about an MPID that is nobody's until a batch names it (spec/identity.md, 9, row 1)."""

from pathlib import Path
from typing import Any

import pytest

from actors.clock import ManualClock
from tests.whole.identities import POOL, lookup, modify
from tests.whole.sent import batch, custom
from tests.whole.subject_requests import MOMENT_MS, accepted, body, document, fulfil, status
from tests.whole.test_aliases import UNKNOWN, alias_body, post_alias
from tests.whole.world import World, running

MPID = 555
DOCUMENT = document(identity={"strategy": "profile_link"})
BY_MPID = {"opendsr.mparticle.com": {"mpids": [str(MPID)]}}


def named(mpid: int) -> dict[str, Any]:
    return batch(None, custom(), mpid=mpid)


async def record_status(world: World) -> int:
    return (await world.get(f"{POOL}/mpids/{MPID}")).status


@pytest.mark.parametrize("shards", [1, 3])
async def test_whatever_was_told_of_an_mpid_before_is_not_told_after_a_batch_has_named_it(
    tmp_path: Path, shards: int
) -> None:
    clock = ManualClock(MOMENT_MS)
    async with running(tmp_path, shards=shards, document=DOCUMENT, clock=clock) as world:
        await world.accept(named(777))
        change = ("email", None, "ann@example.test")
        assert await record_status(world) == 404
        refused = await modify(world, str(MPID), change, status=400)
        assert refused["message"] == "MPID not found."
        assert UNKNOWN.encode() in (await post_alias(world, alias_body(MPID, 777)))[1]

        await world.accept(named(MPID))
        assert await record_status(world) == 200
        assert (await post_alias(world, alias_body(MPID, 777)))[0] == 202
        await modify(world, str(MPID), change)
        assert await lookup(world, "email", "ann@example.test") == [str(MPID)]


@pytest.mark.parametrize("shards", [1, 3])
async def test_a_user_is_erased_by_an_mpid_that_was_asked_for_before_a_batch_named_it(
    tmp_path: Path, shards: int
) -> None:
    clock = ManualClock(MOMENT_MS)
    async with running(tmp_path, shards=shards, document=DOCUMENT, clock=clock) as world:
        assert await record_status(world) == 404
        await world.accept(named(MPID))
        assert len(world.log()) == 1
        sent = body(version="2.0", subject_identities=[], extensions=BY_MPID)
        request_id = await accepted(world, sent, version="2.0")
        await fulfil(world, clock)
        assert (await status(world, request_id))["request_status"] == "completed"
        assert world.log() == []
        assert await record_status(world) == 404
