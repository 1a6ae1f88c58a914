"""Audiences over several workspaces beside the Calculated Attributes feed of their home."""

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
from msgspec.structs import replace

from actors.audience_changes import AudienceChanges
from actors.audience_members import MemberViews
from actors.audiences.announce import FIRST_NUMBER
from actors.audiences.objects import AbTest, Variation
from actors.audiences.told import LiveAudiences, LiveSubscription
from actors.calculated.definition import Attribute, LiveAttributes
from actors.calculated.reading import read_definition
from actors.clock import ManualClock
from actors.errors import StoreFull
from actors.model.profiles import IdentityValue, ProfileKey
from actors.shard_erasure import ShardErasure
from actors.store.environment import Store, Transaction
from tests.actors.joint_shards import JOINT, LIVE, LOGINS, OTHER, TOLD, Shared
from tests.actors.profiles.builders import MINUTE, NOW, WORKSPACE
from tests.actors.shards import profile_of
from tests.oracle.audiences.build import event, within_last


def test_what_feeds_of_the_home_have_heard_outlives_a_restart(tmp_path: Path) -> None:
    """A connection that has been told of everybody is not told again."""
    clock = ManualClock(NOW)
    with closing(Shared(tmp_path, clock)) as shared:
        attribute = Attribute(1, "logins", 1, read_definition(LOGINS))
        shared.worker.set_calculated_attributes(LiveAttributes(1, (attribute,)))
        shared.settle()
        shared.login()
        shared.worker.set_audiences(LIVE)
        shared.settle()
        told = shared.home.outbox.read_outbox(1, 0, 10, 1 << 20)
        assert shared.kept() == shared.home.audiences.in_force
    assert len(told) == 1
    with closing(Shared(tmp_path, clock)) as shared:
        assert shared.kept() == shared.home.audiences.in_force
        shared.settle()
        assert shared.home.outbox.read_outbox(1, 0, 10, 1 << 20) == told


def test_outputs_are_shown_memberships_over_several_workspaces(tmp_path: Path) -> None:
    """With the batch and the changed value that bring a user into the audience."""
    with closing(Shared(tmp_path, ManualClock(NOW))) as shared:
        attribute = Attribute(1, "logins", 1, read_definition(LOGINS))
        shared.worker.set_calculated_attributes(LiveAttributes(1, (attribute,)))
        shared.worker.set_audiences(LIVE)
        shared.settle()
        shared.login()
        for number in (1, 2):
            [told] = shared.home.outbox.read_outbox(number, 0, 10, 1 << 20)
            assert orjson.loads(told.payload)["audience_ids"] == [JOINT.number]


@pytest.mark.parametrize("writes", [0, 1, 2])
def test_audiences_that_met_a_full_disk_are_in_force_once_they_are_told_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    """Whichever write it was that the disk had no room for."""
    with closing(Shared(tmp_path, ManualClock(NOW))) as shared:
        with monkeypatch.context() as patch:
            patch.setattr(Store, "write", _with_room_for(writes))
            with suppress(StoreFull):
                shared.worker.set_audiences(LIVE)
        shared.worker.set_audiences(LIVE)
        shared.settle()
        shared.login()
        profile = profile_of(shared.home, 1)
        assert profile is not None
        assert profile.joint[WORKSPACE.number].audiences.keys() == {JOINT.number}
        assert shared.home.outbox.read_outbox(TOLD.number, 0, 10, 1 << 20)


def test_what_is_due_in_the_home_before_each_step_holds_up_nothing_else(tmp_path: Path) -> None:
    """Users leave one over several workspaces, and a new definition comes to everybody."""
    clock = ManualClock(NOW)
    own = replace(JOINT, number=6, node=event("Login", within_last(30 * MINUTE)), workspaces=())
    with closing(Shared(tmp_path, clock)) as shared:
        shared.worker.set_audiences(LiveAudiences(version=1, audiences=(JOINT, own)))
        shared.settle()
        shared.login()
        clock.advance(30 * MINUTE + 1)
        shared.settle()
        for mpid in range(2, 30):
            shared.login(mpid)
            clock.advance(MINUTE)
        clock.advance(2 * MINUTE + 1)  # user 1 is due to leave `JOINT`, user 2 `own`

        def step() -> None:
            assert len(shared.home.audiences.engine.due(clock.now_ms()))
            shared.worker.audience_step()
            clock.advance(MINUTE)

        assert 1 in shared.members()
        step()
        assert 1 not in shared.members()
        assert 2 in shared.members()
        other = replace(own, number=7)
        shared.worker.set_audiences(LiveAudiences(version=2, audiences=(JOINT, own, other)))
        assert shared.home.audiences.in_force.cursor is not None
        step()
        assert shared.home.audiences.in_force.cursor is None


@pytest.mark.parametrize("restarts", [False, True])
def test_members_leave_the_last_audience_over_several_workspaces(
    tmp_path: Path, restarts: bool
) -> None:
    """As they leave any other: those with it downstream are told, over a restart as well."""
    clock = ManualClock(NOW)
    ended = replace(LIVE, version=2, audiences=(), leaving=frozenset({JOINT.number}))
    with closing(Shared(tmp_path, clock)) as shared:
        shared.worker.set_audiences(LIVE)
        shared.settle()
        shared.login()
        shared.worker.set_audiences(ended)
        if not restarts:
            shared.settle()
    with closing(Shared(tmp_path, clock)) as shared:
        shared.settle()
        assert not shared.members()
        assert shared.actions() == ["add", "delete"]
        assert not shared.home.audiences.joints
        clock.advance(61 * MINUTE)
        shared.worker.set_audiences(replace(LIVE, version=3))
        shared.settle()
        assert not shared.members()
        assert shared.actions() == ["add", "delete"]


def test_the_workspaces_of_the_last_audience_are_looked_at_until_all_have_left(
    tmp_path: Path,
) -> None:
    """And no longer: their batches are not to pay for it."""
    with closing(Shared(tmp_path, ManualClock(NOW))) as shared:
        shared.worker.set_audiences(LIVE)
        shared.settle()
        assert shared.other.audiences.joints
        shared.worker.set_audiences(LiveAudiences(version=2))
        assert shared.other.audiences.joints
        shared.settle()
        assert not shared.other.audiences.joints
        assert not shared.kept().ended_over


@pytest.mark.parametrize("stays", [False, True], ids=["the last", "one of two"])
def test_metrics_follow_an_audience_over_several_workspaces_to_its_end(
    tmp_path: Path, stays: bool
) -> None:
    """Also where the one that stays is about fewer workspaces that are there."""
    other = replace(JOINT, number=6, workspaces=(WORKSPACE.number, OTHER + 1))
    others = (other,) if stays else ()
    with closing(Shared(tmp_path, ManualClock(NOW))) as shared:
        shared.worker.set_audiences(replace(LIVE, audiences=(JOINT, *others)))
        shared.settle()
        shared.login()
        shared.home.show()
        assert _shown(shared) == (1, None, 1)
        leaving = frozenset({JOINT.number})
        shared.worker.set_audiences(replace(LIVE, version=2, audiences=others, leaving=leaving))
        shared.settle()
        shared.home.show()
        assert _shown(shared) == (1, 1, None)


@pytest.mark.parametrize("is_walked", [False, True])
def test_members_leave_and_enter_as_an_audience_over_several_workspaces_begins_again(
    tmp_path: Path, is_walked: bool
) -> None:
    """Whether or not they were come to in between."""
    with closing(Shared(tmp_path, ManualClock(NOW))) as shared:
        shared.worker.set_audiences(LIVE)
        shared.settle()
        shared.login()
        leaving = frozenset({JOINT.number})
        shared.worker.set_audiences(replace(LIVE, version=2, audiences=(), leaving=leaving))
        if is_walked:
            shared.settle()
        shared.worker.set_audiences(replace(LIVE, version=3, leaving=leaving))
        shared.settle()
        assert shared.actions() == ["add", "delete", "add"]


@pytest.mark.parametrize("erases_home", [False, True])
def test_erased_events_do_not_keep_a_user_in_an_audience_over_several_workspaces(
    tmp_path: Path, erases_home: bool
) -> None:
    """What another of the workspaces has of the user does."""
    clock = ManualClock(NOW)
    with closing(Shared(tmp_path, clock)) as shared:
        shared.worker.set_audiences(LIVE)
        shared.settle()
        erased, kept = shared.home, shared.other
        if not erases_home:
            erased, kept = kept, erased
        shared.login(1, erased)
        shared.login(1, kept, "Logout")
        shared.login(2, erased)
        shared.login(2, kept)
        assert shared.members() == {1, 2}
        erasure = ShardErasure(erased, AudienceChanges(erased, clock))
        for mpid in (1, 2):
            erasure.leave_audiences("production", mpid)
            erasure.erase_events("production", mpid)
            erasure.erase_profile("production", mpid, has_record=False)
        shared.settle(kept)
        assert shared.members() == {2}
        assert shared.actions() == ["add", "add", "delete"]


def test_an_erasure_goes_on_after_a_restart_before_columns_are_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the erased events made a user a member of is left, what others did is kept, and once."""
    clock = ManualClock(NOW)
    with closing(Shared(tmp_path, clock)) as shared:
        shared.worker.set_audiences(LIVE)
        shared.settle()
        for mpid, name in ((1, "Logout"), (2, "Login")):
            shared.login(mpid)
            shared.login(mpid, shared.other, name)
        erasure = ShardErasure(shared.home, AudienceChanges(shared.home, clock))
        for mpid in (1, 2):
            erasure.leave_audiences("production", mpid)
            erasure.erase_events("production", mpid)
    monkeypatch.setattr("actors.shard_state.LOAD_S", 0.0)
    with closing(Shared(tmp_path, clock)) as shared:
        [joint] = shared.home.audiences.joints
        assert joint.columns.is_loading
        erasure = ShardErasure(shared.home, AudienceChanges(shared.home, clock))
        for mpid in (1, 2):
            erasure.erase_profile("production", mpid, has_record=False)
        shared.settle()
        shared.settle(shared.other)
        assert shared.members() == {2}
        assert shared.actions() == ["add", "add", "delete"]


def test_a_variation_over_several_workspaces_is_listed_to_outputs(tmp_path: Path) -> None:
    """Its members are those of the audience who are of it."""
    clock = ManualClock(NOW)
    split = AbTest(1, (Variation("A", 10_000),), "ann", 0)
    with closing(Shared(tmp_path, clock)) as shared:
        listed = {
            name: LiveSubscription(
                subscription=replace(TOLD, number=FIRST_NUMBER + place),
                variation=name,
                is_faulted=False,
                resumed=0,
                sends=0,
            )
            for place, name in enumerate(("A", "Control"), 1)
        }
        audiences = (replace(JOINT, test=split),)
        shared.worker.set_audiences(
            LiveAudiences(version=1, audiences=audiences, subscriptions=tuple(listed.values()))
        )
        shared.settle()
        shared.login()
        with shared.home.transaction() as txn:
            key = ProfileKey(WORKSPACE.scope, "production", 1)
            profile = shared.home.profiles.stage(txn, key, NOW)
            profile.user_identities["email"] = IdentityValue("a@b.example", NOW, NOW)
        views = MemberViews(shared.home, clock)
        found = {
            name: [
                identity
                for row in views.export_subscribed(each.subscription.number, ["email"], None, 10)
                for identity in row.identities
            ]
            for name, each in listed.items()
        }
        assert found == {"A": [("email", "a@b.example")], "Control": []}


def _shown(shared: Shared) -> tuple[float | None, float | None, float | None]:
    """Return what the metrics say of `JOINT`: how many entered, left, and are in it."""
    value = shared.home.metrics.registry.get_sample_value
    labels = {"workspace": WORKSPACE.id, "audience": str(JOINT.number)}
    changes = "headwater_audience_membership_changes_total"
    added, left = (value(changes, {**labels, "action": each}) for each in ("add", "delete"))
    return added, left, value("headwater_audience_size", labels)


def _with_room_for(writes: int) -> Any:
    """Return `Store.write` of a disk that is full after so many transactions."""
    write, left = Store.write, [writes]

    @contextmanager
    def writing(store: Store) -> Iterator[Transaction]:
        left[0] -= 1
        if left[0] < 0:
            raise StoreFull("no room")
        with write(store) as txn:
            yield txn

    return writing
