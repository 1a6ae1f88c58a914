"""Calculated attributes and audiences of a whole shard, held against the references.

Random stories of batches, definitions that come, change and go, time, restarts and failing disks;
whenever everything is settled, each user's memberships and values are those that the references
find in what is stored, and what subscriptions were told adds up to them.

    STORIES=1000 python -m pytest tests/actors/test_shard_audiences.py

tells as many as one likes.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest
from msgspec.structs import replace

from actors.audience_members import MemberViews
from actors.audience_worker import AudienceWorker
from actors.audiences.announce import FIRST_NUMBER, Subscription, shared
from actors.audiences.criteria import (
    AudienceMembership,
    CalculatedAttribute,
    Consent,
    EventFilter,
    Named,
    Node,
    Step,
)
from actors.audiences.criteria import Sequence as SequenceCriterion
from actors.audiences.history import read_history
from actors.audiences.told import LiveAudience, LiveAudiences, LiveSubscription
from actors.calculated.definition import Attribute, LiveAttributes
from actors.calculated.feed import FEED_NUMBER
from actors.calculated.reading import canonical, read_definition
from actors.clock import ManualClock
from actors.errors import StoreFull
from actors.model.batches import StoredBatch
from actors.model.micro_batches import Accepted, EventName, EventNames
from actors.model.profiles import AttributeValue, Profile, ProfileKey, Section
from actors.outputs.audience_messages import MessageAudience
from actors.profiles.identities import apply_identity_call
from actors.shard import Shard
from actors.shard_options import ShardOptions
from actors.store.environment import Transaction
from actors.store.identities import ProfileChange
from actors.store.keys import profile_key
from actors.store.resharding import reshard
from actors.sweeper import Sweeper
from tests.actors.forwarding.support import connection
from tests.actors.profiles.builders import BACKEND, DAY, MINUTE, NOW, WEB, WORKSPACE
from tests.actors.shards import context, item, micro, open_shard, profile_of
from tests.oracle.audiences.build import (
    attribute,
    both,
    event,
    exclude,
    named,
    negated,
    passing,
    purchase,
    within_last,
)
from tests.oracle.audiences.evaluate import is_member
from tests.oracle.audiences.event_cases import no_purchase, then_purchase
from tests.oracle.audiences.people import Person, Surroundings
from tests.oracle.calculated.recompute import calculated_value

HOUR = 60 * MINUTE
STORIES = int(os.environ.get("STORIES", "40"))
EDITED_AND_RESTARTED = 71  # a story in which an edit is not followed before a restart
PEOPLE = (1, 2, 3)
CALLERS = (
    4,
    5,
    6,
    7,
    8,
    9,
    10,
    11,
    12,
)  # who also make identity calls, perhaps long before anything else
LIST, NESTED = 90, 91
SHARING = (1, 2, 3, 4, 5)  # audiences whose subscriptions share attributes
SHARED = ("tier", "c1")
FEEDS = (1, 2)  # connections of the Calculated Attributes feed; the second comes and goes
NAMES = ("Login", "Clip Played", "Read")
KNOWN = EventNames([EventName("custom_event", name) for name in NAMES], is_full=False)

DEFINITIONS: tuple[Node, ...] = (
    event("Login", within_last(HOUR)),
    event("Login", within_last(2 * DAY), ("greater_or_equal", 2)),
    event("Login", frequency=("equals", 0)),
    event("Read", within_last(3 * DAY), ("greater_or_equal", 2, "days")),
    attribute("tier", "string", "equals", "gold"),
    both(attribute("tier", "string", "exists"), event("Clip Played", within_last(DAY))),
    exclude(event("Login"), event(purchase(), within_last(DAY))),
    negated(attribute("tier", "string", "equals", "gold")),
    then_purchase(2 * HOUR),
    no_purchase(DAY),
    Named(CalculatedAttribute(1, passing("number", "greater_or_equal", 2))),
)
PLAYED, LOGGED_IN = (EventFilter("custom_event", (name,)) for name in ("Clip Played", "Login"))
# What is to be the same is kept of events by itself: other audiences know them without it.
OF_A_KIND = Named(SequenceCriterion((Step(PLAYED), Step(LOGGED_IN, same=("kind",)))))
WITH_KINDS = (*DEFINITIONS, event("Clip Played"), OF_A_KIND, OF_A_KIND)


def counted(name: str, **period: Any) -> dict[str, Any]:
    point = {"type": "event", "event_type": "custom_event", "event_name": name}
    recipe = {"recipe_type": "event", "datapoint": point, "calculation_type": "count"}
    return canonical({**recipe, "time_period": period})


ATTRIBUTES: dict[int, list[dict[str, Any]]] = {
    1: [
        counted("Login", type="within", within=1, within_unit="days"),
        counted("Login", type="since", date="2025-12-20T00:00:00"),
    ],
    2: [counted("Read", type="since", date="2025-12-20T00:00:00")],
}


class Story:
    """One shard, what it was told, and what its subscribers have heard."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = Random(seed)
        self.people = PEOPLE if seed % 2 else PEOPLE + CALLERS
        self.definitions = DEFINITIONS if seed % 3 else WITH_KINDS
        self.clock = ManualClock(NOW)
        self.folder = folder
        self.live = LiveAudiences()
        self.attributes = LiveAttributes()
        self.sources: dict[int, dict[str, Any]] = {}
        self.activated: dict[int, int] = {}
        self.listed: set[int] = set()
        self.list_changes = 0
        self.number = 0
        self.heard: dict[tuple[int, int], list[str]] = {}
        self.shown: dict[tuple[int, int], Any] = {}  # attributes, as they were told last
        self.read_to = 0
        # By connection, user and name: when the feed told of a value last, and what.
        self.told: dict[tuple[int, int, str], tuple[int, Any]] = {}
        self.feed_read_to = dict.fromkeys(FEEDS, 0)
        self.fed = set(FEEDS)
        self.shard: Shard
        self.open()

    def open(self) -> None:
        self.shard = open_shard(
            self.folder,
            clock=self.clock,
            map_size_bytes=64 * 1024 * 1024,
            connections=tuple(
                connection(each, input=FEED_NUMBER, is_active=each in self.fed) for each in FEEDS
            ),
        )
        self.worker = AudienceWorker(self.shard, self.clock, slice_size=2)

    # -- What happens -----------------------------------------------------------------------------

    def act(self) -> None:
        self.clock.advance(1)  # what comes before another thing has another time
        actions: dict[Callable[[], None], int] = {
            self.batch: 12,
            self.wait: 5,
            self.define: 3,
            self.attribute: 2,
            self.list: 1,
            self.step: 4,
            self.restart: 1,
            self.sweep: 1,
            self.edit: 1,
        }
        if self.people != PEOPLE:
            actions[self.login] = 4
        self.random.choices(list(actions), list(actions.values()))[0]()

    def batch(self, people: Sequence[int] = (), failures: float = 0.1) -> None:
        random, now = self.random, self.clock.now_ms()
        people = people or self.people
        is_historical = random.random() < 0.1
        items = []
        for _ in range(random.randint(1, 3)):
            body: dict[str, Any] = {"environment": "production", "mpid": random.choice(people)}
            body["events"] = [
                self._event(now, is_historical) for _ in range(random.randint(is_historical, 2))
            ]
            if random.random() < 0.3:
                body["user_attributes"] = {"tier": random.choice(("gold", "Silver", None))}
            items.append(item(body))
        where = context(now, is_historical=is_historical)
        self.number += 1
        where = replace(where, input=random.choice((BACKEND, WEB)))
        sent = micro(self.number, *items, where=where, names=KNOWN)
        if random.random() < failures:
            self._failing(sent)
        results = self.shard.commit(sent)
        assert all(isinstance(each, Accepted) for each in results)

    def _event(self, now: int, is_historical: bool) -> dict[str, Any]:
        random = self.random
        ages = (4 * DAY, 29 * DAY) if is_historical else (0, 0, 0, HOUR, DAY, 31 * DAY, -DAY)
        at = now - random.choice(ages)
        if random.random() < 0.2:
            action: dict[str, Any] = {
                "action": random.choice(("purchase", "add_to_cart")),
                "products": [],
            }
            return {
                "event_type": "commerce_event",
                "data": {"timestamp_unixtime_ms": at, "product_action": action},
            }
        data: dict[str, Any] = {"event_name": random.choice(NAMES), "timestamp_unixtime_ms": at}
        if self.definitions is WITH_KINDS:
            data["custom_attributes"] = {"kind": random.choice("ab")}
        return {"event_type": "custom_event", "data": data}

    def _failing(self, sent: Any) -> None:
        """Let the disk be full after some writes, or at the end; the edge sends again."""
        room = self.random.choice((self.random.randrange(40), 1000))
        with pytest.MonkeyPatch.context() as patch:

            def taking_room(write: Any) -> Any:
                def writing(*arguments: Any) -> Any:
                    nonlocal room
                    room -= 1
                    if room < 0:
                        raise StoreFull("no room")
                    return write(*arguments)

                return writing

            for name in ("put", "append", "delete"):
                patch.setattr(Transaction, name, taking_room(getattr(Transaction, name)))
            patch.setattr("actors.shard.micro_batches.remember", _full)
            with pytest.raises(StoreFull):
                self.shard.commit(sent)

    def wait(self) -> None:
        spans = (MINUTE, HOUR, HOUR + 1, DAY, 3 * DAY)
        self.clock.advance(self.random.choice((*spans, 31 * DAY)))

    def define(self) -> None:
        """Add an audience, change one, or take one away."""
        random = self.random
        known = {each.number: each for each in self.live.audiences}
        number = random.choice((1, 2, 3, 4, 5))
        if number in known and random.random() < 0.4:
            del known[number]
            known.pop(NESTED, None)
        else:
            revision = known[number].revision + 1 if number in known else self.live.version + 1
            known[number] = self._audience(number, revision, random.choice(self.definitions))
        if LIST not in known and random.random() < 0.3:
            known[LIST] = replace(self._audience(LIST, 1, None), type="static")
        if NESTED not in known and 1 in known and random.random() < 0.3:
            node = Named(AudienceMembership(1, is_member=True))
            known[NESTED] = self._audience(NESTED, self.live.version + 1, node)
        subscriptions = tuple(
            self._subscription(each) for each in known if each % 2 or random.random() < 0.5
        )
        self.live = LiveAudiences(
            version=self.live.version + 1,
            audiences=tuple(known[each] for each in sorted(known)),
            subscriptions=subscriptions,
        )
        self._hear()
        subscribed = {each.subscription.audience for each in subscriptions}
        self.heard = {key: told for key, told in self.heard.items() if key[0] in subscribed}
        assert self.worker.set_audiences(self.live) == self.live.version

    def _audience(self, number: int, revision: int, node: Node | None) -> LiveAudience:
        return LiveAudience(
            number=number,
            revision=revision,
            type="real_time",
            name=f"a{number}",
            external_name=f"a{number}",
            environment="production",
            node=node,
        )

    def _subscription(self, audience: int) -> LiveSubscription:
        known = {each.subscription.audience: each for each in self.live.subscriptions}
        if audience in known:
            return known[audience]
        number = FIRST_NUMBER + 100 * self.live.version + audience
        told = Subscription(
            number=number,
            id=f"s{number}",
            audience=audience,
            name=MessageAudience(audience, "x", "x"),
            workspace=WORKSPACE.number,
            output="hook",
            environments=frozenset({"production"}),
            shared_user_attributes=SHARED if audience in SHARING else (),
        )
        return LiveSubscription(subscription=told, variation=None, is_faulted=False, resumed=0)

    def attribute(self) -> None:
        """Activate a calculated attribute, or an edited one."""
        number = self.random.choice(list(ATTRIBUTES))
        source = self.random.choice(ATTRIBUTES[number])
        known = {each.number: each for each in self.attributes.attributes}
        revision = known[number].revision + 1 if number in known else 1
        known[number] = Attribute(number, f"c{number}", revision, read_definition(source))
        self.sources[number] = source
        self.activated[number] = self.clock.now_ms()
        self.attributes = LiveAttributes(self.attributes.version + 1, tuple(known.values()))
        self.worker.set_calculated_attributes(self.attributes)

    def list(self) -> None:
        mpid = self.random.choice(PEOPLE)
        self.listed ^= {mpid}
        self.list_changes += 1
        add, remove = ([mpid], []) if mpid in self.listed else ([], [mpid])
        for _ in range(2):  # a repetition changes nothing
            self.worker.change_list(self.list_changes, LIST, add, remove)

    def step(self) -> None:
        self.worker.audience_step()

    def edit(self) -> None:
        """Change a profile otherwise than by a batch, as an alias does."""
        packed = profile_key(ProfileKey(WORKSPACE.scope, "production", self.random.choice(PEOPLE)))
        value = AttributeValue(self.random.choice(("gold", "Silver")), 1, BACKEND)

        def change(profile: Profile) -> None:
            section = profile.workspaces.get(WORKSPACE.number)
            if section is not None and not section.is_aged_out:
                section.user_attributes["tier"] = value

        with self.shard.transaction() as txn:
            self.shard.profiles.edit(txn, packed, change)

    def login(self) -> None:
        """Make a profile without data, as an identity call does, and a first batch before it."""
        now_ms = self.clock.now_ms()
        caller, new_in = self.random.choice(CALLERS), self.random.choice((WORKSPACE.number, 0))
        call(self.shard, caller, now_ms, new_in)
        if not new_in:
            self.batch([caller], failures=0.5)

    def sweep(self) -> None:
        Sweeper(self.shard.state, [self.shard], self.clock).sweep()

    def restart(self) -> None:
        self._hear()
        self.shard.state.close()
        if self.random.random() < 0.5:  # an inactive connection is as one that is not there
            self.fed ^= {FEEDS[1]}
            self.told = {key: told for key, told in self.told.items() if key[0] in self.fed}
        with pytest.MonkeyPatch.context() as patch:
            if self.random.random() < 0.5:  # a large store, whose columns come later
                patch.setattr("actors.shard_state.LOAD_S", 0.0)
            self.open()

    # -- What comes of it -------------------------------------------------------------------------

    def settle(self) -> None:
        """Let the shard do all that is due."""
        for _ in range(3):  # what one part of a step makes due for another
            while self.worker.audience_step():
                pass

    def check(self) -> None:
        self.settle()
        self._hear()
        now = self.clock.now_ms()
        real_time = {
            each.number: each.node for each in self.live.audiences if each.node is not None
        }
        around = Surroundings(WORKSPACE, real_time)
        members: dict[int, set[int]] = {each.number: set() for each in self.live.audiences}
        for mpid in self.people:
            profile = profile_of(self.shard, mpid)
            if profile is None or not profile.workspaces:
                continue
            section = profile.workspaces[WORKSPACE.number]
            batches = self._stored(mpid, profile)
            # What was calculated is forgotten when a profile ages out.
            lived = [each for each in batches if each.received_ms >= section.first_seen_ms]
            values = {
                number: calculated_value(
                    source, lived, WORKSPACE, now, activated_ms=self.activated[number]
                )
                for number, source in self.sources.items()
            }
            if not section.is_aged_out:
                shown = {number: state.value for number, state in section.calculated.items()}
                for number, value in values.items():
                    assert shown.get(number) == value, (mpid, number)
                    for feed in self.fed:
                        told_ms, told = self.told.get((feed, mpid, f"c{number}"), (0, None))
                        # Of what is forgotten when a profile ages out nobody is told.
                        assert value == (told if told_ms >= section.first_seen_ms else None)
            person = Person(mpid, profile, tuple(batches), WORKSPACE, values)
            expected = {
                number for number, node in real_time.items() if is_member(node, person, around, now)
            }
            if mpid in self.listed and LIST in members and not section.is_aged_out:
                expected.add(LIST)
            assert set(section.audiences) == expected, mpid
            for number in expected:
                members[number].add(mpid)
            self._check_shared(mpid, section)
        self._check_views(members)
        for live in self.live.subscriptions:
            audience = live.subscription.audience
            told = {mpid for mpid in self.people if self._is_in(audience, mpid)}
            assert told == members[audience], audience

    def _check_shared(self, mpid: int, section: Section) -> None:
        """Worked out anew, what members' subscriptions were told of them is what they have."""
        calculated = self.shard.audiences.calculated(section)
        for live in self.live.subscriptions:
            audience = live.subscription.audience
            if audience in section.audiences and audience in SHARING:
                assert self.shown[audience, mpid] == shared(section, calculated, SHARED)

    def _check_views(self, members: dict[int, set[int]]) -> None:
        views = MemberViews(self.shard, self.clock)
        counts = views.audience_counts()
        assert {number: each.size for number, each in counts.items()} == {
            number: len(each) for number, each in members.items()
        }
        for number, expected in members.items():
            listed = [each.mpid for each in views.audience_members(number, None, len(self.people))]
            assert listed == sorted(expected), number

    def _is_in(self, audience: int, mpid: int) -> bool:
        actions = self.heard.get((audience, mpid), [])
        for place, action in enumerate(actions):
            assert action == ("delete" if place % 2 else "add"), actions
        return len(actions) % 2 == 1

    def _hear(self) -> None:
        """Read what was queued since the last time."""
        subscribed = {each.subscription.number for each in self.live.subscriptions}
        found = []
        for number in subscribed:
            found += self.shard.outbox.read_outbox(number, self.read_to, 10_000, 1 << 24)
        for delivery in sorted(found, key=lambda each: each.sequence):
            message = orjson.loads(delivery.payload)
            [change] = message["changes"]
            user = (message["audience"]["id"], change["mpid"])
            heard = self.heard.setdefault(user, [])
            if change["action"] == "attribute_update":
                assert heard[-1] == "add"
                told = {*change["user_attributes"], *change["deleted_user_attributes"]}
                assert told == set(SHARED)
            else:
                heard.append(change["action"])
            self.shown[user] = change["user_attributes"]
            self.read_to = max(self.read_to, delivery.sequence)
        for feed in FEEDS:
            self._hear_values(feed)

    def _hear_values(self, feed: int) -> None:
        read_to = self.feed_read_to[feed]
        for delivery in self.shard.outbox.read_outbox(feed, read_to, 10_000, 1 << 24):
            assert feed in self.fed
            batch = orjson.loads(delivery.payload)
            told = batch["user_attributes"] | dict.fromkeys(
                batch.get("deleted_user_attributes", ())
            )
            assert told
            assert not batch["events"]
            for name, value in told.items():
                self.told[feed, batch["mpid"], name] = (delivery.created_ms, value)
            self.feed_read_to[feed] = delivery.sequence

    def _stored(self, mpid: int, profile: Profile) -> Sequence[StoredBatch]:
        key = ProfileKey(WORKSPACE.scope, "production", mpid)
        with self.shard.store.read() as txn:
            return read_history(txn, key, profile.workspaces[WORKSPACE.number], 0).own


def _full(*_: object) -> None:
    raise StoreFull("no room")


def call(shard: Shard, mpid: int, now_ms: int, new_in: int = WORKSPACE.number) -> None:
    """Let an identity call make a profile, or with 0 the coordinator for a coming batch."""
    key = ProfileKey(WORKSPACE.scope, "production", mpid)
    with shard.transaction() as txn:
        profile = shard.profiles.stage(txn, key, now_ms)
        change = ProfileChange(mpid, now_ms, new_in=new_in)
        apply_identity_call(profile, change, WORKSPACE.priority)


@pytest.mark.parametrize("seed", sorted({*range(STORIES), EDITED_AND_RESTARTED}))
def test_whatever_happens_members_and_values_are_those_of_the_references(
    tmp_path: Path, seed: int
) -> None:
    story = Story(tmp_path, seed)
    for _ in range(60):
        story.act()
        if story.random.random() < 0.2:
            story.check()
    story.check()
    story.shard.state.close()


def test_a_restart_before_the_walk_does_not_stop_at_a_sequence_of_what_is_the_same(
    tmp_path: Path,
) -> None:
    """spec/audiences.md, 5, rule 14: of users not walked yet another audience has the events."""
    story = Story(tmp_path, 0)
    played = story._audience(1, 1, event("Clip Played", within_last(DAY)))
    of_a_kind = story._audience(2, 2, OF_A_KIND)
    story.live = LiveAudiences(version=1, audiences=(played,))
    story.worker.set_audiences(story.live)
    for mpid in PEOPLE:
        clips = [happened("Clip Played", "a")] * mpid
        body = {"environment": "production", "mpid": mpid, "events": clips}
        login = {**body, "events": [happened("Login", "a" if mpid == 1 else "b")]}
        where = context(story.clock.now_ms())
        story.shard.commit(micro(mpid, item(body), item(login), where=where, names=KNOWN))
    story.settle()
    story.live = LiveAudiences(version=2, audiences=(played, of_a_kind))
    story.worker.set_audiences(story.live)
    story.shard.state.close()
    story.open()
    columns, now_ms = story.shard.audiences.columns, story.clock.now_ms()
    for mpid in PEOPLE:
        key = ProfileKey(WORKSPACE.scope, "production", mpid)
        assert columns.expirations(key, now_ms) == {1: now_ms + DAY}
    story.check()
    assert known_memberships(story) == {1: {1, 2}, 2: {1}, 3: {1}}
    story.shard.state.close()


def test_stored_events_count_when_the_lookback_is_raised_to_them(tmp_path: Path) -> None:
    """What audiences keep of events was made without those that were too old then."""
    story = Story(tmp_path, 0)
    for number, ages in enumerate(((1, 2), (1,), (2, 3)), 1):
        items = [
            item({"environment": "production", "mpid": mpid, "events": [happened("Login", "a")]})
            for mpid in ages
        ]
        where = context(story.clock.now_ms())
        story.shard.commit(micro(number, *items, where=where, names=KNOWN))
        story.clock.advance(15 * DAY)
    once, twice = (event("Login", frequency=("equals", count)) for count in (1, 2))
    audiences = (story._audience(1, 1, once), story._audience(2, 1, twice))
    story.live = LiveAudiences(version=1, audiences=audiences)
    story.worker.set_audiences(story.live)
    story.settle()
    assert known_memberships(story) == {1: {1}, 2: {1}, 3: {1}}
    for days, expected in (
        (60, {1: {2}, 2: {2}, 3: {1}}),
        (20, {1: set(), 2: {1}, 3: {1}}),
        (60, {1: {2}, 2: {2}, 3: {1}}),
    ):
        other = replace(WORKSPACE, audience_event_days=days, profile_idle_days=90)
        story.shard.take_over(ShardOptions(workspace=other))
        story.worker = AudienceWorker(story.shard, story.clock)
        story.settle()
        assert known_memberships(story) == expected
    story.shard.state.close()


def test_consent_by_a_regulation_that_is_off_makes_nobody_a_member(tmp_path: Path) -> None:
    """spec/privacy.md, 1: it is hidden, and seen again when the regulation is on again."""
    story = Story(tmp_path, 0)
    record = {"ads": {"consented": True, "timestamp_unixtime_ms": NOW}}
    sent = item({"environment": "production", "mpid": 1, "consent_state": {"gdpr": record}})
    story.shard.commit(micro(1, sent, where=context(story.clock.now_ms()), names=KNOWN))
    agreed = named(Consent("gdpr", "ads", "consented"))
    audiences = (story._audience(1, 1, agreed), story._audience(2, 1, negated(agreed)))
    story.live = LiveAudiences(version=1, audiences=audiences)
    story.worker.set_audiences(story.live)
    story.settle()
    assert known_of(profile_of(story.shard, 1))[0].keys() == {1}
    for workspace, audiences_of in (
        (replace(WORKSPACE, gdpr_purposes=None), {2}),
        (replace(WORKSPACE, is_ccpa_enabled=False), {1}),
    ):
        story.shard.take_over(ShardOptions(workspace=workspace))
        story.worker = AudienceWorker(story.shard, story.clock)
        story.settle()
        assert known_of(profile_of(story.shard, 1))[0].keys() == audiences_of
    story.shard.state.close()


def test_what_is_kept_of_events_goes_with_the_lookback(tmp_path: Path) -> None:
    story = Story(tmp_path, 0)
    story.live = LiveAudiences(version=1, audiences=(story._audience(1, 1, DEFINITIONS[0]),))
    story.worker.set_audiences(story.live)
    sizes = []
    for number in range(600):
        story.clock.advance(DAY // 4)
        login = {"event_type": "custom_event", "data": {"event_name": "Login"}}
        body = {"environment": "production", "mpid": 1, "events": [login, login]}
        where = context(story.clock.now_ms())
        story.shard.commit(micro(number + 1, item(body), where=where, names=KNOWN))
        profile = profile_of(story.shard, 1)
        assert profile is not None
        sizes.append(len(profile.workspaces[WORKSPACE.number].entries))
    assert max(sizes[300:]) <= max(sizes[:300])
    story.shard.state.close()


@pytest.mark.parametrize("seed", range(5))
def test_another_number_of_shards_knows_the_same_members(tmp_path: Path, seed: int) -> None:
    story = Story(tmp_path / "old", seed)
    for _ in range(60):
        story.act()
    story.settle()
    before = {mpid: known_of(profile_of(story.shard, mpid)) for mpid in PEOPLE}
    story.shard.state.close()
    folders = [tmp_path / "new-0", tmp_path / "new-1"]
    reshard([tmp_path / "old"], folders, 64 * 1024 * 1024)
    found: dict[int, Any] = {}
    for number, folder in enumerate(folders):
        shard = open_shard(folder, number, 2, clock=story.clock, map_size_bytes=64 * 1024 * 1024)
        worker = AudienceWorker(shard, story.clock)
        assert worker.set_audiences(story.live) == story.live.version
        while worker.audience_step():
            pass
        for mpid in PEOPLE:
            profile = profile_of(shard, mpid)
            if profile is not None:
                found[mpid] = known_of(profile)
        shard.state.close()
    assert found == {mpid: known for mpid, known in before.items() if known is not None}


def known_memberships(story: Story) -> dict[int, set[int]]:
    """Return the audiences that the first users are in."""
    return {mpid: set(known_of(profile_of(story.shard, mpid))[0]) for mpid in PEOPLE}


def happened(name: str, kind: str) -> dict[str, Any]:
    """Make an event of a kind."""
    data = {"event_name": name, "custom_attributes": {"kind": kind}}
    return {"event_type": "custom_event", "data": data}


def known_of(profile: Profile | None) -> Any:
    """Return memberships and calculated values of a profile."""
    if profile is None:
        return None
    section = profile.workspaces[WORKSPACE.number]
    values = {number: state.value for number, state in section.calculated.items()}
    return section.audiences, values


def test_who_was_known_by_a_call_alone_before_a_restart_enters_with_the_first_batch(
    tmp_path: Path,
) -> None:
    story = Story(tmp_path, 0)
    story.live = LiveAudiences(version=1, audiences=(story._audience(1, 1, DEFINITIONS[0]),))
    story.worker.set_audiences(story.live)
    story.settle()
    call(story.shard, 4, story.clock.now_ms())
    story.restart()
    login = {"event_type": "custom_event", "data": {"event_name": "Login"}}
    first = item({"environment": "production", "mpid": 4, "events": [login]})
    story.shard.commit(micro(1, first, where=context(story.clock.now_ms()), names=KNOWN))
    assert known_of(profile_of(story.shard, 4))[0].keys() == {1}
    story.shard.state.close()


def test_the_first_batch_of_a_user_that_failed_on_a_full_disk_counts_once(tmp_path: Path) -> None:
    """The profile is there already: the coordinator has made it before the batch comes."""
    story = Story(tmp_path, 0)
    story.live = LiveAudiences(version=1, audiences=(story._audience(1, 1, DEFINITIONS[1]),))
    story.worker.set_audiences(story.live)
    call(story.shard, 1, story.clock.now_ms(), new_in=0)
    login = {"event_type": "custom_event", "data": {"event_name": "Login"}}
    body = {"environment": "production", "mpid": 1, "events": [login]}
    for number, members in ((1, set()), (2, {1})):
        sent = micro(number, item(body), where=context(story.clock.now_ms()), names=KNOWN)
        story._failing(sent)
        story.shard.commit(sent)
        profile = profile_of(story.shard, 1)
        assert profile is not None
        assert profile.workspaces[WORKSPACE.number].audiences.keys() == members
    story.shard.state.close()


def test_who_is_known_by_a_call_alone_enters_audiences_that_come_later(tmp_path: Path) -> None:
    story = Story(tmp_path, 0)
    call(story.shard, 4, story.clock.now_ms())
    without_events = DEFINITIONS[2]
    for version in (1, 2):
        made = [story._audience(each, each, without_events) for each in range(1, version + 1)]
        story.live = LiveAudiences(version=version, audiences=tuple(made))
        story.worker.set_audiences(story.live)
        story.settle()
    assert known_of(profile_of(story.shard, 4))[0].keys() == {1, 2}
    story.shard.state.close()


def test_the_metrics_tell_sizes_and_changes(tmp_path: Path) -> None:
    """spec/observability.md, 6."""
    story = Story(tmp_path, 0)
    story.live = LiveAudiences(version=1, audiences=(story._audience(1, 1, DEFINITIONS[0]),))
    story.worker.set_audiences(story.live)
    login = {"event_type": "custom_event", "data": {"event_name": "Login"}}
    items = [item({"environment": "production", "mpid": m, "events": [login]}) for m in PEOPLE]
    story.shard.commit(micro(1, *items, where=context(story.clock.now_ms()), names=KNOWN))

    def shown(name: str, **labels: str) -> float | None:
        story.shard.show()
        registry = story.shard.metrics.registry
        return registry.get_sample_value(name, {"workspace": WORKSPACE.id, **labels})

    changes = "headwater_audience_membership_changes_total"
    assert shown("headwater_audience_size", audience="1") == len(PEOPLE)
    assert shown(changes, audience="1", action="add") == len(PEOPLE)
    assert shown("headwater_audience_evaluations_total") == len(PEOPLE)
    story.clock.advance(HOUR + 1)
    story.settle()
    assert shown("headwater_audience_size", audience="1") == 0
    assert shown(changes, audience="1", action="delete") == len(PEOPLE)
    story.worker.set_audiences(LiveAudiences(version=2))
    assert shown("headwater_audience_size", audience="1") is None
    story.shard.state.close()
