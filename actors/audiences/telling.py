"""Which subscriptions are told of a change of membership (spec/connections.md, 5)."""

from collections.abc import Callable, Iterable, Mapping

from actors.audiences.announce import MemberChange, announce
from actors.audiences.attribute_updates import AttributeUpdates, Calculated
from actors.audiences.in_force import InForce
from actors.audiences.known import KnownAudiences
from actors.audiences.told import LiveSubscription
from actors.audiences.variations import variation
from actors.model.deliveries import Delivery
from actors.model.profiles import Profile, ProfileKey, Section
from actors.store.keys import profile_key

_AFTER_ALL = b"\xff" * 32  # greater than every key of a profile


class Telling:
    """The subscriptions of a workspace's audiences, as one shard tells them.

    Attributes:
        updates: of members' shared attributes, in the transaction under way.
    """

    def __init__(
        self,
        in_force: Callable[[], InForce],
        calculated: Calculated,
        next_sequence: Callable[[], int],
    ) -> None:
        """Args: `in_force`: what is worked by now; `calculated`: a user's values by name."""
        self._in_force = in_force
        self._calculated = calculated
        self._next_sequence = next_sequence

    def work_by(self, known: KnownAudiences) -> None:
        """Tell the subscriptions that are in force now; `known`: the audiences."""
        subscriptions = self._in_force().audiences.subscriptions
        self._known = known
        self._by_audience: dict[int, list[LiveSubscription]] = {}
        for each in subscriptions:
            self._by_audience.setdefault(each.subscription.audience, []).append(each)
        self.updates = AttributeUpdates(each.subscription for each in subscriptions)

    def tell(
        self,
        change: MemberChange,
        profile: Profile,
        section: Section,
        now_ms: int,
        only: int | None = None,
    ) -> list[Delivery]:
        """Make the deliveries of a change.

        Args:
            change: of a membership.
            profile: as it is afterwards.
            section: its part that is the audience's workspace's.
            now_ms: of the change.
            only: this subscription alone, which is told of all members.
        """
        wanted = [
            each.subscription
            for each in self._by_audience.get(change.audience, ())
            if self._is_told(each, change, only)
        ]
        if not wanted:
            return []
        calculated = self._calculated(section)
        return announce(change, profile, section, calculated, wanted, now_ms, self._next_sequence)

    def tell_of_attributes(
        self, touched: Iterable[tuple[ProfileKey, Profile, Section]], now_ms: int
    ) -> list[Delivery]:
        """Tell of those who were touched and stay members, but have other shared attributes."""
        if not self.updates.has_notes:
            return []
        found: Mapping[ProfileKey, tuple[Profile, Section]]
        found = {key: (profile, section) for key, profile, section in touched}
        sections = {key: section for key, (_, section) in found.items()}
        deliveries: list[Delivery] = []
        for key, audience, names in self.updates.changed(sections, self._calculated):
            change = MemberChange(key, audience, "attribute_update", names)
            deliveries += self.tell(change, *found[key], now_ms)
        return deliveries

    def tell_untold(
        self, key: ProfileKey, profile: Profile, section: Section, now_ms: int
    ) -> list[Delivery]:
        """Tell subscriptions of a member of whom they could not be told before."""
        deliveries: list[Delivery] = []
        for number in list(section.untold):
            live = self.subscription(number)
            if live is None or live.subscription.audience not in section.audiences:
                section.untold.remove(number)
                continue
            change = MemberChange(key, live.subscription.audience, "add")
            if self._is_told(live, change, None):
                deliveries += self.tell(change, profile, section, now_ms, number)
        return deliveries

    def subscription(self, number: int) -> LiveSubscription | None:
        """Return the active subscription of a number."""
        subscriptions = self._in_force().audiences.subscriptions
        return next((each for each in subscriptions if each.subscription.number == number), None)

    def is_of_variation(self, live: LiveSubscription, mpid: int) -> bool:
        """Tell whether a member of the audience is one of those that a subscription is for."""
        number = live.subscription.audience
        if live.variation is None:
            return True
        audience = self._known.by_number.get(number)
        leaving = self._in_force().audiences.leaving_tests
        test = leaving.get(number) if audience is None else audience.test
        return test is not None and variation(number, test, mpid) == live.variation

    def _is_told(self, live: LiveSubscription, change: MemberChange, only: int | None) -> bool:
        number = live.subscription.number
        if only is not None:
            if number != only:
                return False
        elif live.sends is not None:
            return False
        elif profile_key(change.key) >= self._in_force().loads.get(number, _AFTER_ALL):
            return False  # its first load comes to the user
        return self.is_of_variation(live, change.key.mpid)
