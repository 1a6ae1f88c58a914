"""What a shard does for its audiences by itself."""

import logging
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from actors.audience_changes import AudienceChanges
from actors.audience_worker import AudienceWorker
from actors.audiences.criteria import EventCriterion, Recency
from actors.audiences.engine.arrays import Places
from actors.audiences.engine.engine import Engine
from actors.audiences.engine.memberships import Memberships
from actors.audiences.stepping import Left
from actors.audiences.told import LiveAudience, LiveAudiences
from actors.calculated.definition import DAY_MS, Attribute, LiveAttributes
from actors.calculated.remaking import remake_outdated
from actors.clock import ManualClock
from actors.errors import StoreFull
from actors.model.micro_batches import Accepted
from actors.model.profiles import Profile, ProfileKey
from actors.shard import Shard
from actors.store.environment import Transaction
from actors.store.keys import profile_key, profile_key_parts
from actors.store.profiles import Profiles
from tests.actors.calculated.builders import definition, of_products
from tests.actors.profiles.builders import MINUTE, NOW, WORKSPACE
from tests.actors.shards import context, item, micro, open_shard, opened, profile_of
from tests.oracle.audiences.build import both, event, named, purchase, within_last

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


def without_memory(*_: object) -> None:
    raise OSError("no memory")


def test_a_user_for_whose_columns_there_was_no_memory_enters_with_the_next_batch(
    tmp_path: Path,
) -> None:
    """A commit that failed has left no columns of him behind."""
    clock = ManualClock(NOW)
    shard = open_shard(tmp_path, clock=clock)
    with closing(shard.state):
        worker = AudienceWorker(shard, clock)
        worker.set_audiences(LiveAudiences(version=1, audiences=(OPENED,)))
        settle(worker)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Memberships, "know", without_memory)
            with pytest.raises(OSError, match="no memory"):
                shard.commit(micro(1, item(opened(1)), where=context(NOW)))
        shard.commit(micro(2, item(opened(1)), where=context(NOW)))
        assert shard.audiences.engine.size(1) == 1


@pytest.mark.parametrize("lacking", [(Memberships, "know"), (Memberships, "put_new")])
def test_users_for_whose_columns_there_was_no_memory_are_loaded_later(
    tmp_path: Path, lacking: tuple[type, str]
) -> None:
    """After a start: none of them is taken for loaded."""
    clock = ManualClock(NOW)
    shard = open_shard(tmp_path, clock=clock)
    with closing(shard.state):
        worker = AudienceWorker(shard, clock)
        worker.set_audiences(LiveAudiences(version=1, audiences=(OPENED,)))
        settle(worker)
        shard.commit(micro(1, item(opened(1)), where=context(NOW)))
    shard = slowly_started(tmp_path, clock)
    with closing(shard.state):
        worker = AudienceWorker(shard, clock)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(*lacking, without_memory)
            with pytest.raises(OSError, match="no memory"):
                worker.audience_step()
        settle(worker)
        assert not shard.audiences.columns.is_loading
        assert shard.audiences.engine.size(1) == 1


COUNTED = of_products("count", None, quantity=True, period={"type": "all"})
PRODUCTS = Attribute(1, "bought", 1, definition(**COUNTED))


def bought(mpid: int, *quantities: float) -> dict[str, Any]:
    """Make a batch with one purchase of so many of each product."""
    products = [{"id": "p", "name": "Pin", "quantity": each} for each in quantities]
    data = {"product_action": {"action": "purchase", "products": products}}
    event = {"event_type": "commerce_event", "data": data}
    return {"environment": "production", "mpid": mpid, "events": [event]}


def value_of(shard: Shard, mpid: int) -> object:
    """Return a user's value of `PRODUCTS`."""
    profile = profile_of(shard, mpid)
    assert profile is not None
    return profile.workspaces[WORKSPACE.number].calculated[PRODUCTS.number].value


def test_quantities_too_great_to_be_added_up_hold_up_nobody(tmp_path: Path) -> None:
    """They are left out of what was stored before the attribute came, and of what comes after."""
    clock = ManualClock(NOW)
    shard = open_shard(tmp_path, clock=clock)
    with closing(shard.state):
        worker = AudienceWorker(shard, clock)
        for number in (1, 2):
            shard.commit(micro(number, item(bought(1, 1e308, 2)), where=context(NOW)))
        worker.set_calculated_attributes(LiveAttributes(1, (PRODUCTS,)))
        settle(worker)
        assert value_of(shard, 1) == "4"
        [result] = shard.commit(micro(3, item(bought(1, 1e308, 3)), where=context(NOW)))
        assert isinstance(result, Accepted)
        assert value_of(shard, 1) == "7"


def test_a_user_for_whom_the_walk_fails_holds_up_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """He is passed over until something else is defined, and it is logged."""
    clock = ManualClock(NOW)
    shard = open_shard(tmp_path, clock=clock)

    def remake(txn: Transaction, key: ProfileKey, *arguments: Any) -> Any:
        if key.mpid == 2:
            raise ValueError("a value that nobody has thought of")
        return remake_outdated(txn, key, *arguments)

    with closing(shard.state):
        worker = AudienceWorker(shard, clock)
        items = [item(bought(mpid, mpid), unit=mpid) for mpid in (1, 2, 3)]
        shard.commit(micro(1, *items, where=context(NOW)))
        worker.set_calculated_attributes(LiveAttributes(1, (PRODUCTS,)))
        with pytest.MonkeyPatch.context() as patch, caplog.at_level(logging.ERROR):
            patch.setattr("actors.audience_users.remake_outdated", remake)
            settle(worker)
        assert worker.calculated_progress() == (1, 3, 3, True)
        assert [value_of(shard, mpid) for mpid in (1, 3)] == ["1", "3"]
        assert [vars(record)["event"] for record in caplog.records] == ["user_passed_over"]
        worker.set_calculated_attributes(LiveAttributes(2, (replace(PRODUCTS, revision=2),)))
        settle(worker)
        assert value_of(shard, 2) == "2"


def test_users_for_whom_the_passing_of_time_fails_hold_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Also if they are as many as are evaluated at once; they stay due."""
    monkeypatch.setattr("actors.audience_worker.DUE_SLICE", 2)
    refresh = AudienceChanges.refresh

    def failing(self: AudienceChanges, txn: Transaction, keys: Sequence[ProfileKey]) -> None:
        if keys[0].mpid in (1, 2):
            raise ValueError("a value that nobody has thought of")
        refresh(self, txn, keys)

    clock = ManualClock(NOW)
    shard = open_shard(tmp_path, clock=clock)
    with closing(shard.state):
        worker = AudienceWorker(shard, clock)
        worker.set_audiences(LiveAudiences(version=1, audiences=(OPENED,)))
        settle(worker)
        items = [item(opened(mpid), unit=mpid) for mpid in range(1, 6)]
        shard.commit(micro(1, *items, where=context(NOW)))
        assert shard.audiences.engine.size(1) == 5
        clock.advance(2 * MINUTE)
        monkeypatch.setattr(AudienceChanges, "refresh", failing)
        settle(worker)
        assert shard.audiences.engine.size(1) == 2
        assert [vars(record)["mpid"] for record in caplog.records] == [1, 2]


@pytest.mark.parametrize("failing", [0, 4])
def test_however_long_a_look_takes_many_are_seen_to_in_few_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    """Also where the first who are due cannot be evaluated."""
    monkeypatch.setattr("actors.audience_worker.DUE_SLICE", 4)
    clock = ManualClock(NOW)
    refresh, pass_time = AudienceChanges.refresh, Engine.pass_time

    def slow(self: Engine, rows: Places, now_ms: int) -> Places:
        clock.advance(11)
        return pass_time(self, rows, now_ms)

    def refusing(self: AudienceChanges, txn: Transaction, keys: Sequence[ProfileKey]) -> None:
        if keys[0].mpid <= failing:
            raise ValueError("a value that nobody has thought of")
        refresh(self, txn, keys)

    shard = open_shard(tmp_path, clock=clock)
    with closing(shard.state):
        worker = AudienceWorker(shard, clock)
        worker.set_audiences(LiveAudiences(version=1, audiences=(OPENED,)))
        settle(worker)
        items = [item(opened(mpid), unit=mpid) for mpid in range(1, 13)]
        shard.commit(micro(1, *items, where=context(NOW)))
        clock.advance(2 * MINUTE)
        monkeypatch.setattr(Engine, "pass_time", slow)
        monkeypatch.setattr(AudienceChanges, "refresh", refusing)
        steps = 0
        while worker.audience_step():
            steps += 1
            assert steps < 10
        assert shard.audiences.engine.size(1) == failing


def test_at_the_end_of_a_day_only_those_who_leave_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everybody is due then (spec/audiences.md, 7, Trigger b)."""
    opened_by = list[int]()
    open_profile = Profiles.open

    def noting(self: Profiles, txn: Transaction, packed: bytes) -> Profile | None:
        opened_by.append(profile_key_parts(packed).mpid)
        return open_profile(self, txn, packed)

    clock = ManualClock(NOW)
    shard = open_shard(tmp_path, clock=clock)
    with closing(shard.state):
        worker = AudienceWorker(shard, clock)
        today = event("Opened", Recency("calendar", unit="day", offset=0))
        buyers = replace(OPENED, node=both(today, named(EventCriterion(purchase()))))
        worker.set_audiences(LiveAudiences(version=1, audiences=(buyers,)))
        items = [item(opened(mpid), unit=mpid) for mpid in range(1, 6)]
        items.append(item(bought(1, 1), unit=6))
        shard.commit(micro(1, *items, where=context(NOW)))
        settle(worker)
        assert [key.mpid for key in shard.audiences.engine.members(1)] == [1]
        monkeypatch.setattr(Profiles, "open", noting)
        clock.advance(DAY_MS - NOW % DAY_MS)
        assert len(shard.audiences.engine.due(clock.now_ms())) == 5
        settle(worker)
        assert shard.audiences.engine.size(1) == 0
        assert opened_by == [1]
        assert len(shard.audiences.engine.due(clock.now_ms())) == 0


def test_values_leave_their_range_where_there_is_no_audience(tmp_path: Path) -> None:
    """Nothing but the attribute has the user looked at."""
    clock = ManualClock(NOW)
    shard = open_shard(tmp_path, clock=clock)
    with closing(shard.state):
        worker = AudienceWorker(shard, clock)
        period = {"type": "within", "within": 1, "within_unit": "days"}
        counted = of_products("count", None, quantity=True, period=period)
        attribute = replace(PRODUCTS, definition=definition(**counted))
        worker.set_calculated_attributes(LiveAttributes(1, (attribute,)))
        settle(worker)
        shard.commit(micro(1, item(bought(1, 3)), where=context(NOW)))
        assert value_of(shard, 1) == "3"
        clock.advance(DAY_MS + 1)
        settle(worker)
        assert value_of(shard, 1) == "0"


def test_a_step_tells_whether_a_batch_has_come_since_the_one_before(tmp_path: Path) -> None:
    """So that the shard is left to ingestion while there is some, and only then."""
    clock = ManualClock(NOW)
    shard = open_shard(tmp_path, clock=clock)
    with closing(shard.state):
        items = [item(opened(mpid), unit=mpid) for mpid in range(1, 5)]
        shard.commit(micro(1, *items, where=context(NOW)))
        worker = AudienceWorker(shard, clock, slice_size=1)
        worker.set_audiences(LiveAudiences(version=1, audiences=(OPENED,)))
        assert worker.audience_step() is Left.MORE_AT_REST
        shard.commit(micro(2, item(opened(1)), where=context(NOW)))
        assert worker.audience_step() is Left.MORE
        assert worker.audience_step() is Left.MORE_AT_REST
        settle(worker)
        assert worker.audience_step() is Left.NOTHING


def test_the_walk_goes_no_further_while_the_disk_is_full(tmp_path: Path) -> None:
    """Want of room concerns everybody: nobody is passed over for it."""
    clock = ManualClock(NOW)
    shard = open_shard(tmp_path, clock=clock)

    def full(*_: object) -> None:
        raise StoreFull("no room")

    with closing(shard.state):
        worker = AudienceWorker(shard, clock)
        shard.commit(micro(1, item(bought(1, 5)), where=context(NOW)))
        worker.set_calculated_attributes(LiveAttributes(1, (PRODUCTS,)))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("actors.audience_users.remake_outdated", full)
            with pytest.raises(StoreFull):
                worker.audience_step()
        settle(worker)
        assert value_of(shard, 1) == "5"
