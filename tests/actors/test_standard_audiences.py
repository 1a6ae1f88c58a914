"""Standard audiences of a whole shard: calculated once, sent on demand (spec/audiences.md, 8.1)."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest
from msgspec.structs import replace

from actors.audience_worker import AudienceWorker
from actors.audiences.announce import FIRST_NUMBER, Subscription
from actors.audiences.calls import LiveAudience, LiveAudiences, LiveSubscription, Span
from actors.audiences.criteria import AudienceMembership, Named, Node
from actors.clock import ManualClock
from actors.errors import StoreFull
from actors.model import AttributeValue, Profile, ProfileKey, Section
from actors.outputs.audience_messages import MessageAudience
from actors.store.keys import profile_key
from actors.store.resharding import reshard
from tests.actors.audience_shards import Asked, audience, query
from tests.actors.shards import open_shard, profile_of
from tests.oracle.audiences.build import attribute, both, event, negated
from tests.oracle.audiences.fixture import APP, DAY, NOW, WORKSPACE, custom

S, OUTER, HOOK = 7, 8, FIRST_NUMBER + 5
PEOPLE = tuple(range(1, 8))
GOLD = attribute("tier", "string", "equals", "gold")
TWO_LOGINS = event("Login", frequency=("greater_or_equal", 2))


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Asked]:
    opened = open_asked(tmp_path)
    yield opened
    opened.shard.close()


def open_asked(folder: Path, **tiers: str) -> Asked:
    """Open a shard that makes slices of two profiles."""
    known = Asked(folder, ManualClock(NOW), workspace=replace(WORKSPACE, tiers=tiers))
    slice_by_two(known)
    return known


def slice_by_two(asked: Asked) -> None:
    asked.worker = AudienceWorker(asked.shard, asked.clock, slice_size=2)


def standard(node: Node, calculations: int = 1, span: Span | None = None) -> LiveAudience:
    return audience(S, node, calculations, type="standard", span=span or Span())


def member_of(number: int) -> Named:
    return Named(AudienceMembership(number, is_member=True))


def sending(sends: int, number: int = HOOK) -> LiveSubscription:
    told = Subscription(
        number=number,
        id="s",
        audience=S,
        name=MessageAudience(S, "x", "x"),
        workspace=WORKSPACE.number,
        output="hook",
        environments=frozenset({"production"}),
    )
    return LiveSubscription(
        subscription=told, variation=None, is_faulted=False, resumed=0, sends=sends
    )


def tell(
    asked: Asked,
    *audiences: LiveAudience,
    subscriptions: Sequence[LiveSubscription] = (),
    leaving: frozenset[int] = frozenset(),
) -> None:
    """Let the shard know what holds; nothing is done yet."""
    asked.live = LiveAudiences(
        version=asked.live.version + 1,
        audiences=audiences,
        subscriptions=tuple(subscriptions),
        leaving=leaving,
    )
    asked.worker.set_audiences(asked.live)


def login(asked: Asked, mpid: int, ago_ms: int = 0) -> None:
    asked.send(mpid, {"events": [custom("Login", asked.clock.now_ms() - ago_ms)]})


def members(asked: Asked, number: int = S) -> set[int]:
    """Return the members as they are counted, listed and written: all three are the same."""
    listed = {each.mpid for each in asked.views.audience_members(number, None, 100)}
    assert asked.views.audience_counts()[number].size == len(listed)
    written = {
        mpid
        for mpid in (*PEOPLE, 100)
        if (profile := profile_of(asked.shard, mpid)) is not None
        and number in profile.workspaces[WORKSPACE.number].audiences
    }
    assert written == listed
    return listed


def heard(asked: Asked, number: int = HOOK) -> list[tuple[str, int]]:
    """Return (action, MPID) of all that a subscription is told."""
    found = asked.shard.outbox.read_outbox(number, 0, 10_000, 1 << 24)
    changes = [orjson.loads(each.payload)["changes"][0] for each in found]
    return [(each["action"], each["mpid"]) for each in changes]


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
    asked.shard.close()


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
        found = asked.views.evaluate_audience(query(node, span=Span()), present, None)
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
    asked.shard.close()


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


def test_it_may_ask_for_an_audience_that_is_only_being_activated(asked: Asked) -> None:
    """Rule 15 of section 5."""
    for mpid, tier in ((1, "gold"), (2, "iron")):
        asked.send(mpid, {"user_attributes": {"tier": tier}})
    asked.define(standard(member_of(OUTER)), audience(OUTER, GOLD))
    assert members(asked) == {1}


class SlowClock(ManualClock):
    """Between two looks at it a second is over."""

    def monotonic(self) -> float:
        self.looks = getattr(self, "looks", 0) + 1
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
    assert asked.views.audience_counts()[S].size == 0


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


def test_45_nothing_is_sent_but_all_members_once_for_each_send(asked: Asked) -> None:
    """Case 45."""
    for mpid in PEOPLE[:5]:
        login(asked, mpid)
    tell(asked, standard(event("Login")), subscriptions=[sending(0)])
    asked.settle()
    assert heard(asked) == []
    everyone = [("add", mpid) for mpid in PEOPLE[:5]]
    for sends in (1, 2):
        tell(asked, standard(event("Login")), subscriptions=[sending(sends)])
        asked.settle()
        assert sorted(heard(asked)) == sorted(everyone * sends)
    tell(asked, standard(negated(event("Login")), 2), subscriptions=[sending(2)])
    asked.settle()
    tell(asked, standard(event("Login"), 3), subscriptions=[sending(2)])
    asked.settle()
    assert len(members(asked)) == 5
    tell(asked, subscriptions=[sending(2)], leaving=frozenset({S}))
    asked.settle()
    assert members_left(asked) == set()
    assert sorted(heard(asked)) == sorted(everyone * 2)


def members_left(asked: Asked) -> set[int]:
    profiles = {mpid: profile_of(asked.shard, mpid) for mpid in PEOPLE}
    return {
        mpid
        for mpid, profile in profiles.items()
        if profile is not None and profile.workspaces[WORKSPACE.number].audiences
    }


@pytest.mark.parametrize("steps", range(5))
def test_a_send_goes_on_where_it_was_interrupted(asked: Asked, steps: int) -> None:
    """And one that is asked for meanwhile follows it."""
    for mpid in PEOPLE:
        login(asked, mpid)
    asked.define(standard(event("Login")))
    tell(asked, standard(event("Login")), subscriptions=[sending(1)])
    for _ in range(steps):
        asked.worker.audience_step()
    tell(asked, standard(event("Login")), subscriptions=[sending(3)])
    asked.restart()
    slice_by_two(asked)
    asked.settle()
    assert sorted(heard(asked)) == sorted([("add", mpid) for mpid in PEOPLE] * 3)
    asked.restart()
    asked.settle()
    assert len(heard(asked)) == 3 * len(PEOPLE)


def test_a_connection_that_is_switched_off_and_on_again_sends_nothing_anew(asked: Asked) -> None:
    for mpid in PEOPLE:
        login(asked, mpid)
    asked.define(standard(event("Login")))
    tell(asked, standard(event("Login")), subscriptions=[sending(1)])
    asked.worker.audience_step()
    tell(asked, standard(event("Login")))
    asked.settle()
    tell(asked, standard(event("Login")), subscriptions=[sending(1)])
    asked.settle()
    assert heard(asked) == []
    tell(asked, standard(event("Login")), subscriptions=[sending(2)])
    asked.settle()
    assert sorted(heard(asked)) == [("add", mpid) for mpid in PEOPLE]


@pytest.mark.parametrize("is_done", [True, False])
def test_another_number_of_shards_calculates_and_sends_what_is_left_only(
    tmp_path: Path, is_done: bool
) -> None:
    asked = open_asked(tmp_path / "old")
    for mpid in PEOPLE[:4]:
        login(asked, mpid)
    asked.define(standard(event("Login")))
    subscriptions = [sending(1)]
    tell(asked, standard(event("Login")), subscriptions=subscriptions)
    asked.settle()
    for mpid in PEOPLE[4:]:
        login(asked, mpid)
    if not is_done:
        subscriptions = [sending(2)]
        tell(asked, standard(event("Login"), 2), subscriptions=subscriptions)
    asked.shard.close()
    folders = [tmp_path / "new-0", tmp_path / "new-1"]
    reshard([tmp_path / "old"], folders, 64 * 1024 * 1024)
    found: set[int] = set()
    told: list[tuple[str, int]] = []
    for number, folder in enumerate(folders):
        shard = open_shard(
            folder, number, 2, clock=asked.clock, workspace=WORKSPACE, map_size_bytes=1 << 26
        )
        worker = AudienceWorker(shard, asked.clock)
        while worker.audience_step():
            pass
        found |= {each.mpid for each in shard.audiences.engine.members(S)}
        asked.shard = shard
        told += heard(asked)
        shard.close()
    assert found == set(PEOPLE if not is_done else PEOPLE[:4])
    new = PEOPLE if not is_done else ()
    assert sorted(told) == sorted(("add", mpid) for mpid in (*PEOPLE[:4], *new))
