"""Standard audiences of a whole shard: calculated once, sent on demand (spec/audiences.md, 8.1)."""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from actors.audience_worker import AudienceWorker
from actors.audiences.told import Span
from actors.clock import ManualClock
from actors.errors import StoreFull
from actors.model.profiles import AttributeValue, Profile, ProfileKey, Section
from actors.store.keys import profile_key
from tests.actors.audience_shards import Asked, audience, query
from tests.actors.shards import profile_of
from tests.actors.standard_shards import (
    GOLD,
    OUTER,
    PEOPLE,
    TWO_LOGINS,
    S,
    login,
    member_of,
    members,
    open_asked,
    slice_by_two,
    standard,
    tell,
)
from tests.oracle.audiences.build import both, event, negated
from tests.oracle.audiences.fixture import APP, DAY, NOW, WORKSPACE, custom


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Asked]:
    opened = open_asked(tmp_path)
    yield opened
    opened.shard.state.close()


def test_44_all_that_is_stored_in_the_range_counts(tmp_path: Path) -> None:
    """Case 44: beyond the lookback of real-time audiences too, and of tier `preserve`."""
    asked = open_asked(tmp_path, Login="preserve")
    end_ms = NOW - 100 * DAY
    start_ms = end_ms - 10 * DAY
    logins = ((4, start_ms - 1), (3, start_ms), (1, end_ms - 1), (2, end_ms))
    for mpid, at_ms in logins:
        asked.send(mpid, {"events": [custom("Login", at_ms)]}, received_ms=at_ms)
    for days in (70, 40, 10):  # the lifetime of a profile goes on
        for mpid, _ in logins:
            asked.send(mpid, {"events": [custom("Ping", NOW - days * DAY)]}, NOW - days * DAY)
    asked.clock.advance(NOW - asked.clock.now_ms())
    asked.define(
        standard(event("Login"), span=Span(start_ms, end_ms)), audience(OUTER, event("Login"))
    )
    assert members(asked) == {1, 3}
    assert members(asked, OUTER) == set()
    asked.restart()
    assert members(asked) == {1, 3}
    asked.shard.state.close()


def test_45_what_comes_later_counts_at_the_next_calculation(asked: Asked) -> None:
    """Case 45."""
    login(asked, 1)
    asked.define(standard(event("Login")))
    login(asked, 2)
    asked.settle()
    assert members(asked) == {1}
    asked.define(standard(event("Login"), 2))
    assert members(asked) == {1, 2}


def test_45_what_a_window_has_left_counts_until_the_next_calculation(asked: Asked) -> None:
    """Case 45: time changes nothing either."""
    asked.send(1, {"user_attributes": {"tier": "gold"}})
    asked.define(standard(GOLD))
    asked.send(1, {"user_attributes": {"tier": "iron"}})
    asked.clock.advance(40 * DAY)
    asked.settle()
    assert members(asked) == {1}
    asked.define(standard(GOLD, 2))
    assert members(asked) == set()


def test_a_batch_that_comes_before_the_calculation_to_its_user_does_not_count(
    asked: Asked,
) -> None:
    for mpid in (1, 2):
        asked.send(mpid, {"user_attributes": {"tier": "iron"}})
    tell(asked, standard(both(negated(event("Login")), negated(GOLD))))
    asked.send(1, {"user_attributes": {"tier": "gold"}})
    login(asked, 2)
    login(asked, 100)
    assert members(asked) == {1, 2}
    asked.settle()
    assert members(asked) == {1, 2}


@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_meanwhile_members_are_those_of_the_beginning(
    tmp_path: Path, seed: int
) -> None:
    """Batches, failing disks, restarts and other audiences come while it is calculated."""
    asked, random = open_asked(tmp_path), Random(seed)

    def batch() -> None:
        body: dict[str, Any] = {"user_attributes": {"tier": random.choice(("gold", "iron"))}}
        at_ms = asked.clock.now_ms() - random.choice((0, DAY, 20 * DAY))
        body["events"] = [custom("Login", at_ms) for _ in range(random.randint(0, 2))]
        if random.random() < 0.2:
            with pytest.MonkeyPatch.context() as patch:

                def full(*_: object) -> None:
                    raise StoreFull("no room")

                patch.setattr("actors.shard.micro_batches.remember", full)
                with pytest.raises(StoreFull):
                    asked.send(random.choice(PEOPLE), body)
        asked.send(random.choice(PEOPLE), body)

    def restart() -> None:
        asked.restart()
        slice_by_two(asked)

    for _ in range(10):
        batch()
    node = random.choice((TWO_LOGINS, both(TWO_LOGINS, GOLD), negated(GOLD)))
    known = [standard(node)]
    for calculation in (1, 2):
        asked.clock.advance(DAY)
        present = [mpid for mpid in PEOPLE if profile_of(asked.shard, mpid) is not None]
        found = asked.questions.evaluate_audience(query(node, span=Span()), present, None)
        expected = {each.mpid for each in found if each.result}
        known[0] = standard(node, calculation)
        tell(asked, *known)
        for _ in range(8):
            random.choice((batch, batch, restart, asked.worker.audience_step))()
        if random.random() < 0.5:
            known = [known[0], audience(OUTER, GOLD, calculation)]
            tell(asked, *known)
        asked.settle()
        batch()
        asked.settle()
        assert members(asked) == expected, calculation
    asked.shard.state.close()


def test_audiences_that_ask_for_it_change_with_it(asked: Asked) -> None:
    """Rule 15 of section 5."""
    for mpid in (1, 2):
        login(asked, mpid)
    tell(asked, standard(event("Login")), audience(OUTER, member_of(S)))
    asked.settle()
    assert members(asked, OUTER) == {1, 2}
    tell(asked, standard(negated(event("Login")), 2), audience(OUTER, member_of(S)))
    asked.settle()
    assert members(asked, OUTER) == set()


def test_a_user_who_comes_back_when_his_lifetime_is_over_waits_for_the_next(asked: Asked) -> None:
    """Rule 10 of section 5: he was not of the population when it began."""
    login(asked, 1)
    login(asked, 2)
    asked.clock.advance(40 * DAY)
    login(asked, 2)
    tell(asked, standard(event("Login")))
    login(asked, 1)
    asked.settle()
    assert members(asked) == {2}
    asked.define(standard(event("Login"), 2))
    assert members(asked) == {1, 2}


def test_it_may_ask_for_an_audience_that_is_only_being_activated(asked: Asked) -> None:
    """Rule 15 of section 5."""
    for mpid, tier in ((1, "gold"), (2, "iron")):
        asked.send(mpid, {"user_attributes": {"tier": tier}})
    asked.define(standard(member_of(OUTER)), audience(OUTER, GOLD))
    assert members(asked) == {1}


class SlowClock(ManualClock):
    """Between two looks at it a second is over."""

    looks = 0

    def monotonic(self) -> float:
        self.looks += 1
        return float(self.looks)


def test_a_slice_ends_with_its_time_and_the_next_goes_on(asked: Asked) -> None:
    for mpid in PEOPLE:
        login(asked, mpid)
    asked.worker = AudienceWorker(asked.shard, SlowClock(NOW))
    tell(asked, standard(event("Login")))
    for walked in range(1, len(PEOPLE)):
        assert asked.worker.audience_step()
        progress = asked.worker.audience_progress().audiences[S]
        assert (progress.walked, progress.is_done) == (walked, False)
    asked.settle()
    progress = asked.worker.audience_progress().audiences[S]
    assert (progress.walked, progress.is_done) == (len(PEOPLE), True)
    assert members(asked) == set(PEOPLE)


def test_users_of_the_other_environment_are_none_of_it(asked: Asked) -> None:
    login(asked, 1)
    asked.define(replace(standard(event("Login")), environment="development"))
    assert asked.members.audience_counts()[S].size == 0


def test_an_opted_out_user_leaves_and_does_not_come_back_by_himself(asked: Asked) -> None:
    """Rule 10 of section 5."""
    login(asked, 1)
    asked.define(standard(event("Login")))
    for is_opted_out in (True, False):
        key = profile_key(ProfileKey(WORKSPACE.scope, "production", 1))

        def opt(profile: Profile, to: bool = is_opted_out) -> None:
            profile.is_opted_out = to

        with asked.shard.transaction() as txn:
            asked.shard.profiles.edit(txn, key, opt)
        asked.settle()
        assert members(asked) == set()


def test_a_profile_that_is_made_after_the_calculation_waits_for_the_next(asked: Asked) -> None:
    """Made otherwise than by a batch, as an alias does."""
    login(asked, 1)
    asked.define(standard(negated(event("Login"))))
    key = ProfileKey(WORKSPACE.scope, "production", 2)
    with asked.shard.transaction() as txn:
        asked.shard.profiles.stage(txn, key, asked.clock.now_ms())

    def fill(profile: Profile) -> None:
        section = Section(first_seen_ms=NOW, last_seen_ms=NOW)
        section.user_attributes["tier"] = AttributeValue("gold", NOW, APP)
        profile.workspaces[WORKSPACE.number] = section
        profile.last_stored_timestamp_ms = NOW

    with asked.shard.transaction() as txn:
        asked.shard.profiles.edit(txn, profile_key(key), fill)
    asked.settle()
    assert members(asked) == set()
    asked.define(standard(negated(event("Login")), 2))
    assert members(asked) == {2}
