"""Real shards on temporary folders, without Ray, for the tests of what holds state."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson

from actors.clock import Clock, ManualClock, Randomness
from actors.metric_groups import ShardMetrics
from actors.model.batches import BatchContext, StoredBatch
from actors.model.micro_batches import EventName, EventNames, Item, MicroBatch
from actors.model.profiles import Profile, ProfileKey
from actors.model.workspaces import Environment, WorkspaceInfo
from actors.pipeline.connection import ConnectionInfo
from actors.shard import Shard
from actors.shard_options import ShardOptions, StoreOptions
from actors.shard_state import ShardState
from actors.store import log
from tests.actors.profiles.builders import BACKEND, NOW, WORKSPACE

MAP_SIZE_BYTES = 16 * 1024 * 1024
NAMES = [EventName("custom_event", name) for name in ("Opened", "Closed", "Again")]
KNOWN = EventNames(NAMES, is_full=False)


def open_shard(
    folder: Path,
    number: int = 0,
    of: int = 1,
    *,
    clock: Clock | None = None,
    wake: Callable[[str], None] = lambda _: None,
    workspace: WorkspaceInfo = WORKSPACE,
    connections: tuple[ConnectionInfo, ...] = (),
    queue_limits: Mapping[int, int] = MappingProxyType({}),
    map_size_bytes: int = MAP_SIZE_BYTES,
    profile_cache_bytes: int = 1024 * 1024,
    randomness: Randomness | None = None,
) -> Shard:
    """Open a shard, by default without connections and with room; the test closes its state."""
    clock = clock or ManualClock(NOW)
    state = ShardState(
        StoreOptions(
            number=number,
            of=of,
            folder=folder,
            map_size_bytes=map_size_bytes,
            profile_cache_bytes=profile_cache_bytes,
        ),
        clock,
        randomness,
    )
    options = ShardOptions(
        workspace=workspace, connections=connections, queue_limits=dict(queue_limits)
    )
    return Shard(state, options, clock, ShardMetrics("test"), wake)


def context(received_ms: int = NOW, **known: Any) -> BatchContext:
    """Make the context of a server's batch."""
    return BatchContext(BACKEND, "k", "server_to_server", received_ms, **known)


def item(body: Any, unit: int = 0, mpid: int | None = None, *, is_guess: bool = False) -> Item:
    """Make an item of a body, given as bytes or as what is to be encoded."""
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return Item(raw, 0, unit, mpid, is_guess)


def micro(
    number: int,
    *items: Item,
    edge: int = 1,
    where: BatchContext | None = None,
    names: EventNames | None = KNOWN,
) -> MicroBatch:
    """Make a micro-batch; its event names are admitted unless `names` is `None`."""
    return MicroBatch(edge, number, [where or context()], list(items), names)


def opened(mpid: int | None = None, name: str = "Opened", **members: Any) -> dict[str, Any]:
    """Make a batch with one event."""
    event = {"event_type": "custom_event", "data": {"event_name": name}}
    owner = {} if mpid is None else {"mpid": mpid}
    return {"environment": "production", "events": [event], **owner, **members}


def profile_of(shard: Shard, mpid: int, environment: Environment = "production") -> Profile | None:
    """Return the profile that a reader sees now."""
    key = ProfileKey(shard.options.workspace.scope, environment, mpid)
    with shard.store.read() as txn:
        return shard.profiles.get(txn, key)


def attributes_of(shard: Shard, mpid: int) -> dict[str, Any]:
    """Return the user attributes of a profile that exists."""
    profile = profile_of(shard, mpid)
    assert profile is not None
    section = profile.workspaces[shard.options.workspace.number]
    return {name: each.value for name, each in section.user_attributes.items()}


def logged(shard: Shard, mpid: int) -> Sequence[StoredBatch]:
    """Return a user's live batches, oldest first."""
    profile = profile_of(shard, mpid)
    assert profile is not None
    section = profile.workspaces[shard.options.workspace.number]
    with shard.store.read() as txn:
        return list(log.chain(txn, section.newest_log_id))[::-1]


def disk(shard: Shard) -> dict[str, dict[bytes, bytes]]:
    """Return all that is committed, by table."""
    with shard.store.read() as txn:
        return {
            table: dict(txn.scan(table))
            for table in ("profiles", "identities", "duplicates", "log", "outbox", "dead_letters")
        }
