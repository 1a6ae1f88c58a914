"""What a shard does for an erasure."""

from contextlib import closing
from pathlib import Path

from actors.audience_changes import AudienceChanges
from actors.calculated.definition import Attribute, LiveAttributes
from actors.calculated.reading import read_definition
from actors.clock import ManualClock
from actors.model.profiles import ProfileKey
from actors.privacy.erasing import START, Cursor
from actors.privacy.requests import Subject
from actors.shard_erasure import ShardErasure
from actors.store import static_lists
from tests.actors.audience_shards import Asked, audience
from tests.actors.joint_shards import LOGINS, Shared
from tests.actors.profiles.builders import NOW, WORKSPACE

LISTS = (7, 8, 9)
FEED, BATCHES = 1, 2  # connections of `Shared`


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


def test_nothing_of_who_is_erased_waits_for_outputs(tmp_path: Path) -> None:
    """Neither what waited nor that values go with the user (spec/privacy.md, 5.2, row 6)."""
    clock = ManualClock(NOW)
    user: Subject = ("production", 1)
    with closing(Shared(tmp_path, clock)) as shared:
        attribute = Attribute(1, "logins", 1, read_definition(LOGINS))
        shared.worker.set_calculated_attributes(LiveAttributes(1, (attribute,)))
        shared.settle()
        for mpid in (1, 2):
            shared.login(mpid)
        assert _waiting(shared) == {FEED: [1, 2], BATCHES: [1, 2]}
        erasure = ShardErasure(shared.home, AudienceChanges(shared.home, clock))
        cursor: Cursor | None = START
        while cursor is not None:
            _, cursor = erasure.erase_walking("deliveries", [user], [], cursor)
        assert _waiting(shared) == {FEED: [2], BATCHES: [2]}
        erasure.leave_audiences(*user)
        erasure.erase_events(*user)
        erasure.erase_profile(*user, has_record=False)
        shared.settle()
        assert _waiting(shared) == {FEED: [2], BATCHES: [2]}


def _waiting(shared: Shared) -> dict[int, list[int | None]]:
    """Return whose deliveries wait, by connection."""
    outbox = shared.home.outbox
    return {
        number: [each.mpid for each in outbox.read_outbox(number, 0, 10, 1 << 20)]
        for number in (FEED, BATCHES)
    }
