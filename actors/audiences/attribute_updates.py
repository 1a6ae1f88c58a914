"""Which members have other shared attributes than their subscriptions were told.

Source: spec/connections.md, 5. Only subscriptions that share attributes cost anything: a user's
values are noted before something is applied, and looked at again when all is.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from actors.audiences.announce import Subscription, shared
from actors.model.batches import AttributeText
from actors.model.profiles import ProfileKey, Section

MISSING = object()  # an attribute that is there may be null
Calculated = Callable[[Section], Mapping[str, AttributeText]]


class _Noted(NamedTuple):
    audiences: frozenset[int]  # that share attributes and that the user was in
    values: dict[str, AttributeText] | None  # `None`: what was told is not known any more


class AttributeUpdates:
    """What one transaction changes of shared attributes."""

    def __init__(self, subscriptions: Iterable[Subscription] = ()) -> None:
        self._names: dict[int, frozenset[str]] = {}  # by audience
        for each in subscriptions:
            if each.shared_user_attributes:
                known = self._names.get(each.audience, frozenset())
                self._names[each.audience] = known.union(each.shared_user_attributes)
        self._before: dict[ProfileKey, _Noted] = {}

    @property
    def has_notes(self) -> bool:
        """Whether values of anybody were noted."""
        return bool(self._before)

    def note(self, key: ProfileKey, section: Section, calculated: Calculated) -> None:
        """Keep the values of a user to whom something is about to be applied."""
        if self._names and key not in self._before:
            audiences = self._names.keys() & section.audiences.keys()
            if audiences:
                values = self._values(section, audiences, calculated)
                self._before[key] = _Noted(frozenset(audiences), values)

    def note_changed(self, key: ProfileKey, section: Section) -> None:
        """Keep that something was applied to a user already, whatever it was."""
        if self._names:
            audiences = self._names.keys() & section.audiences.keys()
            if audiences:
                self._before[key] = _Noted(frozenset(audiences), None)

    def changed(
        self, sections: Mapping[ProfileKey, Section], calculated: Calculated
    ) -> Iterator[tuple[ProfileKey, int, frozenset[str]]]:
        """Yield (user, audience, names) of those who have stayed in it and have other values."""
        for key, noted in self._before.items():
            section = sections.get(key)
            audiences = noted.audiences & section.audiences.keys() if section else ()
            if section is None or not audiences:
                continue
            after, before = self._values(section, audiences, calculated), noted.values
            for audience in audiences:
                names = self._names[audience]
                if before is not None:
                    names = frozenset(
                        each
                        for each in names
                        if before.get(each, MISSING) != after.get(each, MISSING)
                    )
                if names:
                    yield key, audience, names

    def clear(self) -> None:
        """The transaction is over."""
        self._before.clear()

    def _values(
        self, section: Section, audiences: Iterable[int], calculated: Calculated
    ) -> dict[str, AttributeText]:
        names = frozenset[str]().union(*(self._names[each] for each in audiences))
        found = shared(section, calculated(section), tuple(names))
        return {
            name: list(each) if isinstance(each, list) else each for name, each in found.items()
        }
