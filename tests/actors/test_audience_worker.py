"""What a shard does for its audiences by itself."""

from contextlib import closing
from pathlib import Path

import pytest

from actors.audience_worker import AudienceWorker
from actors.audiences.told import LiveAudience, LiveAudiences
from actors.clock import ManualClock
from actors.errors import StoreFull
from actors.model.profiles import Profile, ProfileKey
from actors.shard import Shard
from actors.store.environment import Transaction
from actors.store.keys import profile_key
from tests.actors.profiles.builders import MINUTE, NOW, WORKSPACE
from tests.actors.shards import context, item, micro, open_shard, opened
from tests.oracle.audiences.build import event, within_last

OPENED = LiveAudience(
    number=1,
    revision=1,
    type="real_time",
    name="a",
    external_name="a",
    environment="production",
    node=event("Opened", within_last(MINUTE)),
)


def settle(worker: AudienceWorker) -> None:
    while worker.audience_step():
        pass


def slowly_started(folder: Path, clock: ManualClock) -> Shard:
    """Open a shard as with so many profiles that their columns are loaded while it serves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("actors.shard_state.LOAD_S", 0.0)
        return open_shard(folder, clock=clock)


def change_otherwise(shard: Shard, mpid: int) -> None:
    """Change a profile so that the workspace has to look at it."""
    packed = profile_key(ProfileKey(WORKSPACE.scope, "production", mpid))

    def opt_out(profile: Profile) -> None:
        profile.is_opted_out = not profile.is_opted_out

    with shard.store.write() as txn:
        for _ in range(2):
            shard.profiles.edit(txn, packed, opt_out)
        shard.profiles.flush(txn)
    shard.profiles.published()


def test_columns_are_loaded_while_the_disk_is_full(tmp_path: Path) -> None:
    """Whoever asks for members waits for them; what is due besides waits for room."""
    clock = ManualClock(NOW)
    shard = open_shard(tmp_path, clock=clock)
    with closing(shard.state):
        worker = AudienceWorker(shard, clock)
        worker.set_audiences(LiveAudiences(version=1, audiences=(OPENED,)))
        settle(worker)
        shard.commit(micro(1, item(opened(1)), where=context(NOW)))
        change_otherwise(shard, 1)
    shard = slowly_started(tmp_path, clock)
    with closing(shard.state):
        worker = AudienceWorker(shard, clock)
        assert shard.audiences.followed
        assert shard.audiences.columns.is_loading

        def full(*_: object) -> None:
            raise StoreFull("no room")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Transaction, "put", full)
            with pytest.raises(StoreFull):
                worker.audience_step()
        assert not shard.audiences.columns.is_loading
        assert shard.audiences.engine.size(1) == 1
        settle(worker)
        assert not shard.audiences.followed
