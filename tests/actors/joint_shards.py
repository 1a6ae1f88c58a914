"""A shard with two workspaces of one scope, and an audience over both."""

from pathlib import Path

import orjson
from msgspec.structs import replace

from actors.audience_worker import AudienceWorker
from actors.audiences.announce import FIRST_NUMBER, Subscription
from actors.audiences.in_force import InForce, read_in_force
from actors.audiences.told import LiveAudience, LiveAudiences, LiveSubscription
from actors.calculated.feed import FEED_NUMBER
from actors.calculated.reading import canonical
from actors.clock import ManualClock
from actors.metric_groups import ShardMetrics
from actors.model.micro_batches import EventName, EventNames
from actors.outputs.audience_messages import MessageAudience
from actors.shard import Shard
from actors.shard_options import ShardOptions, StoreOptions
from actors.shard_state import ShardState
from actors.steps.payload import WHOLE
from actors.sweeper import Sweeper
from tests.actors.forwarding.support import connection
from tests.actors.profiles.builders import BACKEND, MINUTE, WORKSPACE
from tests.actors.shards import MAP_SIZE_BYTES, context, item, micro, profile_of
from tests.oracle.audiences.build import event, within_last

OTHER = WORKSPACE.number + 1
KNOWN = EventNames([EventName("custom_event", name) for name in ("Login", "Logout")], is_full=False)
LOGINS = canonical(
    {
        "recipe_type": "event",
        "datapoint": {"type": "event", "event_type": "custom_event", "event_name": "Login"},
        "calculation_type": "count",
        "time_period": {"type": "since", "date": "2025-12-20T00:00:00"},
    }
)
JOINT = LiveAudience(
    number=5,
    revision=1,
    type="real_time",
    name="j",
    external_name="j",
    environment="production",
    node=event("Login", within_last(60 * MINUTE)),
    workspaces=(WORKSPACE.number, OTHER),
)
TOLD = Subscription(
    number=FIRST_NUMBER + 1,
    id="s1",
    audience=JOINT.number,
    name=MessageAudience(JOINT.number, "x", "x"),
    workspace=WORKSPACE.number,
    output="hook",
    environments=frozenset({"production"}),
)
LIVE = LiveAudiences(
    version=1,
    audiences=(JOINT,),
    subscriptions=(
        LiveSubscription(subscription=TOLD, variation=None, is_faulted=False, resumed=0),
    ),
)


class Shared:
    """A shard with two workspaces, of which the first has a connection of the feed and one of its
    server's batches."""

    def __init__(self, folder: Path, clock: ManualClock) -> None:
        store = StoreOptions(
            number=0,
            of=1,
            folder=folder,
            map_size_bytes=MAP_SIZE_BYTES,
            profile_cache_bytes=1 << 20,
            workspaces=2,
            scopes=frozenset({WORKSPACE.scope}),
        )
        self._clock = clock
        self._sent = 0
        self._state = ShardState(store, clock)
        home = replace(WORKSPACE, neighbours={OTHER: 30})
        other = replace(WORKSPACE, number=OTHER, id="other", neighbours={WORKSPACE.number: 30})
        connections = (
            connection(1, input=FEED_NUMBER, settings=WHOLE),
            connection(2, input=BACKEND, settings=WHOLE),
        )
        limits = dict.fromkeys((1, 2), 1 << 30)
        self.home = self._open(
            ShardOptions(workspace=home, connections=connections, queue_limits=limits)
        )
        self.other = self._open(ShardOptions(workspace=other))
        self.worker = AudienceWorker(self.home, clock)

    def _open(self, options: ShardOptions) -> Shard:
        return Shard(self._state, options, self._clock, ShardMetrics("t"), lambda _: None)

    def login(self, mpid: int = 1, of: Shard | None = None, name: str = "Login") -> None:
        self._sent += 1
        done = {"event_type": "custom_event", "data": {"event_name": name}}
        body = {"environment": "production", "mpid": mpid, "events": [done]}
        where = context(self._clock.now_ms())
        micro_batch = micro(self._sent, item(body), where=where, names=KNOWN)
        (of or self.home).commit(micro_batch)

    def settle(self, of: Shard | None = None) -> None:
        worker = AudienceWorker(of, self._clock) if of else self.worker
        while worker.audience_step():
            pass

    def sweep(self) -> None:
        """Remove all that is past its retention."""
        sweeper = Sweeper(self._state, [self.home, self.other], self._clock)
        while sweeper.sweep():
            pass

    def members(self) -> set[int]:
        """Return who is in the audience over both workspaces."""
        found = {mpid: profile_of(self.home, mpid) for mpid in range(1, 30)}
        return {
            mpid
            for mpid, profile in found.items()
            if profile and JOINT.number in profile.joint[WORKSPACE.number].audiences
        }

    def actions(self) -> list[str]:
        """Return what the subscription of that audience is told, in order."""
        deliveries = self.home.outbox.read_outbox(TOLD.number, 0, 10, 1 << 20)
        return [orjson.loads(each.payload)["changes"][0]["action"] for each in deliveries]

    def kept(self) -> InForce:
        with self.home.store.read() as txn:
            return read_in_force(txn)

    def close(self) -> None:
        self._state.close()
