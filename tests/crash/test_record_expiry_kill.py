"""The end of identity records in a deployment whose processes are killed meanwhile.

Source: spec/profiles.md, 6.
"""

import random
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.model.profiles import Lookup
from actors.profiles.retention import DAY_MS
from actors.store.environment import Store
from actors.store.layout import stores_of
from actors.store.profiles import decode_profile
from tests.crash.test_bulk_deletion_kill import come, wait_until
from tests.crash.test_erasure_kill import MAP_SIZE_BYTES
from tests.serving import Served, eventually, serving

pytestmark = pytest.mark.ray

ROUNDS = 2
FORMER = [f"zoe{number}" for number in range(1500)]
KEPT = [f"bob{number}" for number in range(6)]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    yield from serving(tmp_path)


def make_old(data_dir: Path, mpids: set[int]) -> None:
    """Have some users come 731 days earlier, in the stores of a deployment that has ended."""
    earlier_ms = 731 * DAY_MS

    def older(lookup: Lookup) -> Lookup:
        return msgspec.structs.replace(lookup, linked_ms=lookup.linked_ms - earlier_ms)

    for folder in stores_of(data_dir):
        store = Store(data_dir / folder, MAP_SIZE_BYTES, 1)
        with store.write() as txn:
            for key, encoded in list(txn.scan("profiles")):
                profile = decode_profile(encoded)
                if int.from_bytes(key[-8:], "big", signed=True) in mpids:
                    profile.created_timestamp_ms -= earlier_ms
                    profile.last_stored_timestamp_ms -= earlier_ms
                    profile.lookups = [older(each) for each in profile.lookups]
                    txn.put("profiles", key, msgspec.msgpack.encode(profile))
        store.close()


def holders(served: Served, name: str) -> list[int]:
    path = f"/platform/identity/1/production/lookup?type=customerid&value={name}"
    status, answer = served.get(path)
    assert status == 200, answer
    return [int(each) for each in answer["mpids"]]


def profiles_in(data_dir: Path) -> int:
    """Return how many profiles a deployment has that has ended."""
    count = 0
    for folder in stores_of(data_dir):
        store = Store(data_dir / folder, MAP_SIZE_BYTES, 1)
        with store.read() as txn:
            count += txn.entries("profiles")
        store.close()
    return count


def stored(served: Served) -> int:
    """Return how many profiles a deployment has that runs."""
    _, status = served.get_from(served.process.admin_url, "/admin/status")
    return sum(each["profiles"]["stored"] for each in status["actors"] if each["role"] == "shard")


def test_records_go_however_often_everything_is_killed(served: Served) -> None:
    seed = random.SystemRandom().getrandbits(32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    come(served, [*FORMER, *KEPT])
    everybody = len(FORMER) + len(KEPT)
    batches = eventually(served.delivered, lambda found: len(found) == everybody)
    mpid_of = {each["user_attributes"]["name"]: each["mpid"] for each in batches}
    before = {name: (served.profile(name), served.events(name)) for name in KEPT}
    served.process.kill()
    make_old(served.data_dir, {mpid_of[name] for name in FORMER})
    served.start()
    left = everybody
    for _ in range(ROUNDS):
        eventually(partial(stored, served), left.__gt__)
        wait_until(time.monotonic() + chance.random() * 0.3)  # of about a second for all of them
        served.process.kill()
        left = profiles_in(served.data_dir)
        print("left at a kill:", left)
        served.start()
        if left == len(KEPT):
            break
    eventually(lambda: stored(served), lambda count: count == len(KEPT))
    assert [holders(served, name) for name in FORMER[::10]] == [[]] * (len(FORMER) // 10)
    path = "/platform/identity/1/production/mpids"
    for name in FORMER[::100]:
        assert served.get(f"{path}/{mpid_of[name]}")[0] == 404
    assert before == {name: (served.profile(name), served.events(name)) for name in KEPT}
    come(served, FORMER[:10])
    again: list[Any] = [holders(served, name) for name in FORMER[:10]]
    assert not {mpid for [mpid] in again} & set(mpid_of.values())
    eventually(lambda: stored(served), lambda count: count == len(KEPT) + 10)
