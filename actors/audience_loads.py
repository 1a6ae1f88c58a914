"""Tells subscriptions and connections of a shard of all that there is, as they begin."""

from collections.abc import Callable
from functools import partial

from actors.audience_changes import AudienceChanges
from actors.audiences.announce import MemberChange, Subscription
from actors.audiences.in_force import with_load, with_update
from actors.clock import Clock
from actors.model.deliveries import Delivery
from actors.model.profiles import Profile, ProfileKey
from actors.outputs.audience_messages import Action
from actors.shard import Shard
from actors.store.environment import Transaction
from actors.store.keys import profile_key_parts


class AudienceLoads:
    """Goes over all profiles for those that are new, send, or share other attributes."""

    def __init__(self, shard: Shard, changes: AudienceChanges, clock: Clock) -> None:
        self._shard = shard
        self._audiences = shard.audiences
        self._number = shard.options.workspace.number
        self._changes = changes
        self._clock = clock

    def step(self) -> bool:
        """Tell some of the next of them; return whether there is more. Raises StoreFull.

        Subscriptions are told of all members: new ones, and those of standard audiences that send
        (spec/audiences.md, 8.1). New connections of the Calculated Attributes feed are told of the
        values that there are.
        """
        in_force = self._audiences.in_force
        for number in in_force.fed & in_force.loads.keys():
            self._load_some(number, None, partial(self._values, number))
            return True
        for live in in_force.audiences.subscriptions:
            number = live.subscription.number
            if number in in_force.loads:
                self._load_some(number, live.sends, partial(self._member, live.subscription, "add"))
                return True
        for live in in_force.audiences.subscriptions:
            number = live.subscription.number
            if number in in_force.updates:
                tell = partial(self._member, live.subscription, "attribute_update")
                with self._changes.changing() as txn:
                    following = self._tell_some(txn, in_force.updates[number], tell)
                    self._changes.keep(txn, with_update(in_force, number, following))
                return True
        return False

    def _load_some(
        self,
        number: int,
        sends: int | None,
        tell: Callable[[ProfileKey, Profile], list[Delivery]],
    ) -> None:
        in_force = self._audiences.in_force
        with self._changes.changing() as txn:
            following = self._tell_some(txn, in_force.loads[number], tell)
            self._changes.keep(txn, with_load(in_force, number, sends, following))

    def _tell_some(
        self,
        txn: Transaction,
        cursor: bytes,
        tell: Callable[[ProfileKey, Profile], list[Delivery]],
    ) -> bytes | None:
        """Tell of the next profiles; return where to go on, `None` after the last."""
        keys, following = self._changes.page(txn, cursor)
        deliveries: list[Delivery] = []
        for packed in keys:
            profile = self._shard.profiles.open(txn, packed)
            if profile is None:
                continue
            before = self._untold(profile)
            deliveries += tell(profile_key_parts(packed), profile)
            if self._untold(profile) != before:
                self._shard.profiles.write(txn, packed, profile, self._number)
        self._shard.outbox.take(deliveries, self._clock.now_ms())
        return following

    def _untold(self, profile: Profile) -> list[tuple[int, ...]]:
        return [tuple(part.columns.untold(profile)) for part in self._audiences.parts]

    def _member(
        self, subscription: Subscription, action: Action, key: ProfileKey, profile: Profile
    ) -> list[Delivery]:
        """Tell a subscription of one of its members; who is not known to it is new to it."""
        part = self._audiences.part_of(subscription.audience)
        if subscription.audience not in part.columns.standing(profile):
            return []
        if subscription.number in part.columns.untold(profile):
            action = "add"
        names = (*subscription.shared_user_attributes, *subscription.withdrawn_attributes)
        changed = frozenset(names) if action == "attribute_update" else frozenset[str]()
        change = MemberChange(key, subscription.audience, action, changed)
        section, now_ms = part.columns.own(profile), self._clock.now_ms()
        return part.telling.tell(change, profile, section, now_ms, subscription.number)

    def _values(self, number: int, key: ProfileKey, profile: Profile) -> list[Delivery]:
        audiences, now_ms = self._audiences, self._clock.now_ms()
        known, audience_ids = audiences.attributes, audiences.audience_ids
        return audiences.feed.current(key, profile, known, number, now_ms, audience_ids)
