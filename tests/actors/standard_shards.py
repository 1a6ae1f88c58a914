"""Shards with standard audiences, for tests; walks come to two profiles at a time."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import orjson
from msgspec.structs import replace

from actors.audience_worker import AudienceWorker
from actors.audiences.announce import FIRST_NUMBER, Subscription
from actors.audiences.criteria import AudienceMembership, Named, Node
from actors.audiences.objects import AbTest
from actors.audiences.told import LiveAudience, LiveAudiences, LiveSubscription, Span
from actors.clock import ManualClock
from actors.outputs.audience_messages import MessageAudience
from tests.actors.audience_shards import Asked, audience
from tests.actors.shards import profile_of
from tests.oracle.audiences.build import attribute, event
from tests.oracle.audiences.fixture import NOW, WORKSPACE, custom

S, OUTER, HOOK = 7, 8, FIRST_NUMBER + 5
PEOPLE = tuple(range(1, 8))
GOLD = attribute("tier", "string", "equals", "gold")
TWO_LOGINS = event("Login", frequency=("greater_or_equal", 2))


def open_asked(folder: Path, **tiers: str) -> Asked:
    """Open a shard that makes slices of two profiles."""
    known = Asked(folder, ManualClock(NOW), workspace=replace(WORKSPACE, tiers=tiers))
    slice_by_two(known)
    return known


def slice_by_two(asked: Asked) -> None:
    asked.worker = AudienceWorker(asked.shard, asked.clock, slice_size=2)


def standard(node: Node, calculations: int = 1, span: Span | None = None) -> LiveAudience:
    return audience(S, node, calculations, type="standard", span=span or Span())


def member_of(number: int) -> Named:
    return Named(AudienceMembership(number, is_member=True))


def sending(sends: int, number: int = HOOK) -> LiveSubscription:
    told = Subscription(
        number=number,
        id="s",
        audience=S,
        name=MessageAudience(S, "x", "x"),
        workspace=WORKSPACE.number,
        output="hook",
        environments=frozenset({"production"}),
    )
    return LiveSubscription(
        subscription=told, variation=None, is_faulted=False, resumed=0, sends=sends
    )


def tell(
    asked: Asked,
    *audiences: LiveAudience,
    subscriptions: Sequence[LiveSubscription] = (),
    leaving: frozenset[int] = frozenset(),
    leaving_tests: Mapping[int, AbTest] | None = None,
) -> None:
    """Let the shard know what holds; nothing is done yet."""
    asked.live = LiveAudiences(
        version=asked.live.version + 1,
        audiences=audiences,
        subscriptions=tuple(subscriptions),
        leaving=leaving,
        leaving_tests=leaving_tests or {},
    )
    asked.worker.set_audiences(asked.live)


def login(asked: Asked, mpid: int, ago_ms: int = 0) -> None:
    asked.send(mpid, {"events": [custom("Login", asked.clock.now_ms() - ago_ms)]})


def members(asked: Asked, number: int = S) -> set[int]:
    """Return the members as they are counted, listed and written: all three are the same."""
    listed = {each.mpid for each in asked.members.audience_members(number, None, 100)}
    assert asked.members.audience_counts()[number].size == len(listed)
    written = {
        mpid
        for mpid in (*PEOPLE, 100)
        if (profile := profile_of(asked.shard, mpid)) is not None
        and number in profile.workspaces[WORKSPACE.number].audiences
    }
    assert written == listed
    return listed


def heard(asked: Asked, number: int = HOOK) -> list[tuple[str, int]]:
    """Return (action, MPID) of all that a subscription is told."""
    found = asked.shard.outbox.read_outbox(number, 0, 10_000, 1 << 24)
    changes = [orjson.loads(each.payload)["changes"][0] for each in found]
    return [(each["action"], each["mpid"]) for each in changes]
