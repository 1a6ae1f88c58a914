"""What a shard does for a bulk deletion (spec/profiles.md, 10)."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from actors import section_removal, shard_deletion
from actors.audience_changes import AudienceChanges
from actors.clock import ManualClock
from actors.model.profiles import ProfileKey, Section
from actors.profiles.retention import age_out
from actors.shard import Shard
from actors.shard_deletion import ShardDeletion
from actors.store import erased
from tests.actors.profiles.builders import NOW, WORKSPACE
from tests.actors.shards import disk, item, micro, open_shard, opened, profile_of

OTHER = WORKSPACE.number + 1  # a workspace of the same identity scope


@pytest.fixture
def shard(tmp_path: Path) -> Iterator[Shard]:
    made = open_shard(tmp_path)
    with closing(made.state):
        yield made


@pytest.fixture
def deletion(shard: Shard) -> ShardDeletion:
    return ShardDeletion(shard, AudienceChanges(shard, ManualClock(NOW)))


def send(shard: Shard, *mpids: int, times: int = 1) -> None:
    """Have users come, so often."""
    for number in range(times):
        items = [item(opened(mpid), unit, mpid) for unit, mpid in enumerate(mpids)]
        shard.commit(micro(number + 1, *items))


def be_seen_elsewhere(shard: Shard, mpid: int) -> None:
    """Have another workspace see a user."""
    with shard.transaction() as txn:
        key = ProfileKey(WORKSPACE.scope, "production", mpid)
        shard.profiles.stage(txn, key, NOW).workspaces[OTHER] = Section(NOW, NOW)


def test_a_record_goes_with_the_last_section_alone(shard: Shard, deletion: ShardDeletion) -> None:
    send(shard, 1, 2)
    for mpid in (2, 3):
        be_seen_elsewhere(shard, mpid)
    assert deletion.release_records("production", [4, 3, 2, 1]) == [4]
    assert deletion.mark_sections("production", [4, 3, 2, 1]) == [2, 1]
    assert deletion.release_records("production", [4, 3, 2, 1]) == [4, 1]
    assert deletion.release_records("production", [4, 3, 2, 1]) == [4, 1]
    assert deletion.mark_sections("development", [1, 2]) == []


def test_the_last_section_leaves_the_identity_record_until_it_is_erased(
    shard: Shard, deletion: ShardDeletion
) -> None:
    """Whoever comes again, after a crash too, finds by it that something is left to be done."""
    send(shard, 1)
    deletion.mark_sections("production", [1])
    assert deletion.delete_sections("production", [1], []) == [1]
    profile = profile_of(shard, 1)
    assert profile is not None
    assert profile.workspaces == {}
    assert disk(shard)["log"] == {}
    assert deletion.delete_sections("production", [1], [1]) == []
    assert profile_of(shard, 1) is None
    assert disk(shard)["profiles"] == {}


def test_a_record_that_is_erased_on_disk_goes_with_the_last_section(
    shard: Shard, deletion: ShardDeletion
) -> None:
    send(shard, 1)
    with shard.store.write() as txn:
        erased.write(txn, ProfileKey(WORKSPACE.scope, "production", 1), NOW)
    deletion.mark_sections("production", [1])
    assert deletion.delete_sections("production", [1], []) == []
    assert profile_of(shard, 1) is None


def test_what_another_workspace_has_stays_with_the_record(
    shard: Shard, deletion: ShardDeletion
) -> None:
    send(shard, 1)
    be_seen_elsewhere(shard, 1)
    assert deletion.delete_sections("production", [1], [1]) == []
    profile = profile_of(shard, 1)
    assert profile is not None
    assert list(profile.workspaces) == [OTHER]


def test_a_section_that_was_made_since_stays_when_the_deletion_is_asked_for_again(
    shard: Shard, deletion: ShardDeletion
) -> None:
    send(shard, 1)
    be_seen_elsewhere(shard, 1)
    deletion.mark_sections("production", [1])
    assert deletion.delete_sections("production", [1], []) == []
    shard.commit(micro(9, item(opened(1), 0, 1)))
    before = disk(shard)
    assert deletion.delete_sections("production", [1], []) == []
    assert disk(shard) == before


def test_a_section_that_ages_out_meanwhile_is_deleted_still(
    shard: Shard, deletion: ShardDeletion
) -> None:
    send(shard, 1)
    deletion.mark_sections("production", [1])
    key = ProfileKey(WORKSPACE.scope, "production", 1)
    with shard.transaction() as txn:
        age_out(shard.profiles.stage(txn, key, NOW), WORKSPACE.number)
    be_seen_elsewhere(shard, 1)
    assert deletion.delete_sections("production", [1], []) == []
    profile = profile_of(shard, 1)
    assert profile is not None
    assert list(profile.workspaces) == [OTHER]


def test_whoever_is_not_there_is_done(shard: Shard, deletion: ShardDeletion) -> None:
    before = disk(shard)
    assert deletion.delete_sections("production", [5], []) == []
    assert disk(shard) == before


def test_one_call_deletes_so_many_batches_and_shows_nobody_any_more(
    shard: Shard, deletion: ShardDeletion, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (section_removal, shard_deletion):
        monkeypatch.setattr(module, "STEP_BATCHES", 3)
    send(shard, 1, 2, times=5)
    assert deletion.delete_sections("production", [1, 2], [1, 2]) == [1, 2]
    assert len(disk(shard)["log"]) == 7
    for mpid in (1, 2):
        profile = profile_of(shard, mpid)
        assert profile is not None
        assert profile.workspaces[WORKSPACE.number].is_aged_out
    calls, left = 1, [1, 2]
    while left:
        left = deletion.delete_sections("production", left, left)
        calls += 1
    assert calls == 4
    assert disk(shard)["log"] == disk(shard)["profiles"] == {}
