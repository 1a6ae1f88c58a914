"""Uploads that are sent again when whose they are has changed (spec/events-api.md, 5.4).

What an anonymous user sent is of somebody else, or of somebody new, once the user has logged in:
often by a batch of the same request. It is applied once all the same.
"""

from collections import Counter
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from actors.clock import ManualClock
from tests.whole.cases import dropped
from tests.whole.sent import custom
from tests.whole.test_segment import document, track
from tests.whole.world import World, changed, running

# Several, because on three shards it depends on the values which shards have them.
USERS = range(4)


def device(user: int) -> str:
    return f"0f0f0f0f-0000-4000-8000-00000000000{user}"


def deployment(
    folder: Path, clock: ManualClock, shards: int, **identity: Any
) -> AbstractAsyncContextManager[World]:
    configured = changed(document(), identity=identity)
    return running(folder, shards=shards, clock=clock, document=configured)


def profiles(world: World) -> int:
    """Return how many profiles and identity records there are."""
    count = 0
    for shard in world.shards:
        with shard.store.read() as txn:
            count += txn.entries("profiles")
    return count


def applied(world: World) -> Counter[str]:
    """Return how often each upload is in the log, by the name of its event."""
    return Counter(event.data["event_name"] for each in world.log() for event in each.batch.events)


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("strategy", ["default", "profile_conversion"])
async def test_a_track_call_before_the_login_is_applied_once(
    tmp_path: Path, clock: ManualClock, shards: int, strategy: str
) -> None:
    """spec/clients.md, worked case 39."""
    async with deployment(tmp_path, clock, shards, strategy=strategy) as world:
        for user in USERS:
            of_user = {"userId": f"u{user}", "anonymousId": device(user)}
            viewed = {"type": "track", "anonymousId": device(user), "event": f"Viewed {user}"}
            bought = {"type": "track", "event": f"Bought {user}", **of_user}
            body = {
                "batch": [
                    viewed | {"messageId": f"a{user}"},
                    {"type": "identify", "messageId": f"b{user}", **of_user},
                    bought | {"messageId": f"c{user}"},
                ]
            }
            for _ in range(2):
                await track(world, "/v1/batch", body)
        assert set(applied(world).values()) == {1}
        assert len(applied(world)) == 2 * len(USERS)
        assert profiles(world) == len(USERS)
        assert dropped(world, "duplicate_request_id", "tracking") == 3 * len(USERS)


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("upload", [{"source_request_id": "r1"}, {"batch_id": 7}])
async def test_a_bulk_request_with_the_login_behind_is_applied_once(
    tmp_path: Path, clock: ManualClock, shards: int, upload: dict[str, Any]
) -> None:
    """spec/events-api.md, 5.4, and spec/identity.md, V6."""
    async with deployment(tmp_path, clock, shards) as world:
        for user in USERS:
            anonymous = {"mp_deviceid": device(user), **upload}
            known = {"user_identities": {"customer_id": f"u{user}"}, "mp_deviceid": device(user)}
            sent = [
                anonymous | {"events": [custom(f"Viewed {user}")]},
                known | {"source_request_id": "r2", "user_attributes": {"plan": "pro"}},
            ]
            for _ in range(3):
                assert (await world.bulk(sent)).status == 202
        assert applied(world) == {f"Viewed {user}": 1 for user in USERS}
        assert (len(world.log()), profiles(world)) == (2 * len(USERS), len(USERS))


@pytest.mark.parametrize("shards", [1, 3])
async def test_a_batch_that_makes_a_profile_each_time_makes_one(
    tmp_path: Path, clock: ManualClock, shards: int
) -> None:
    """Without the immutable id of a known user his other login finds nobody, and is not free."""
    logins = ["customerid", "email"]
    identity = {"login_ids": logins, "unique_ids": logins, "immutable_ids": logins[:1]}
    async with deployment(
        tmp_path, clock, shards, strategy="profile_conversion", **identity
    ) as world:
        for user in USERS:
            email = f"e{user}@example.com"
            await world.accept({"user_identities": {"customer_id": f"c{user}", "email": email}})
            batch = {"user_identities": {"email": email}, "source_request_id": "r1"}
            for _ in range(3):
                await world.accept(batch | {"events": [custom(f"Bought {user}")]})
        assert applied(world) == {f"Bought {user}": 1 for user in USERS}
        assert profiles(world) == 2 * len(USERS)


@pytest.mark.parametrize("shards", [1, 3])
async def test_an_id_is_used_again_by_a_user_with_other_identities(
    tmp_path: Path, clock: ManualClock, shards: int
) -> None:
    """spec/events-api.md, 5.4: of another user it names another batch; of the same one it does not.

    The second user comes with the device of the first.
    """
    async with deployment(tmp_path, clock, shards) as world:
        for name in ("ann", "bob", "ann"):
            identities = {"customer_id": name}
            sent = {"user_identities": identities, "events": [custom(f"Opened by {name}")]}
            await world.accept(sent | {"mp_deviceid": device(0), "source_request_id": "r1"})
            await world.accept(sent | {"source_request_id": "r1"})
        assert applied(world) == {"Opened by ann": 1, "Opened by bob": 1}
