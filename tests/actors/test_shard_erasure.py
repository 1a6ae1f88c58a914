"""What a shard does for an erasure."""

from contextlib import closing
from pathlib import Path

from actors.audience_changes import AudienceChanges
from actors.clock import ManualClock
from actors.model.profiles import ProfileKey
from actors.shard_erasure import ShardErasure
from actors.store import static_lists
from tests.actors.audience_shards import Asked, audience
from tests.actors.profiles.builders import NOW, WORKSPACE

LISTS = (7, 8, 9)


def test_who_is_erased_is_on_no_list_whether_its_audience_is_active_or_not(tmp_path: Path) -> None:
    asked = Asked(tmp_path, ManualClock(NOW))
    with closing(asked.shard.state):
        asked.define(audience(8, None))
        for change, number in enumerate(LISTS, 1):
            asked.worker.change_list(change, number, [1, 2], [])
        changes = AudienceChanges(asked.shard, asked.clock)
        ShardErasure(asked.shard, changes).leave_audiences("production", 1)
        keys = {each: ProfileKey(WORKSPACE.scope, "production", each) for each in (1, 2)}
        with asked.shard.store.read() as txn:
            assert list(static_lists.audiences(txn)) == list(LISTS)
            for mpid, is_listed in ((1, False), (2, True)):
                for number in LISTS:
                    assert static_lists.has(txn, number, keys[mpid]) is is_listed
