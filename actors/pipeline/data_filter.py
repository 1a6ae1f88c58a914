"""Step 8: the data filter (spec/connections.md, 2.4; spec/rules.md, 7).

Events that are switched off are left out here. What is switched off of the events and the batch
that remain is removed from their payloads, which `actors.steps.payload` does with this filter.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from actors.batches.attributes import SOURCE_FEED
from actors.model.batches import Event
from actors.pipeline.candidate import Candidate, Step
from actors.pipeline.names import commerce_key, event_key
from actors.pipeline.points import (
    DataPoint,
    attribute_names,
    attribute_point,
    point_of,
    products_of,
)
from actors.pipeline.settings import DataFilter

NOTHING: frozenset[str] = frozenset()


Knows = Callable[[DataPoint], bool]


def filtering(settings: DataFilter, knows: Knows) -> Step:
    """Make the step of a filter that switches something off."""
    compiled = Filter(settings, knows)

    def filter_events(candidate: Candidate) -> None:
        candidate.keep(compiled.sends, "filtered")

    return filter_events


class Filter:
    """A data filter, ready to be asked about events."""

    def __init__(self, settings: DataFilter, knows: Knows) -> None:
        """Args: `knows` tells which data points are not new; asked where new ones are off."""
        self._settings = settings
        self._knows = knows
        self._hidden: dict[tuple[str, str], set[str]] = {}
        for event_type, name, attribute in settings.event_attributes:
            self._hidden.setdefault((event_type, name), set()).add(attribute)
        for name, attribute in settings.screen_attributes:
            self._hidden.setdefault(("screen_view", name), set()).add(attribute)
        for event_type, attribute in settings.commerce_attributes:
            self._hidden.setdefault((event_type, ""), set()).add(attribute)
        for attributes in self._hidden.values():
            attributes.discard(SOURCE_FEED)

    def sends(self, event: Event) -> bool:
        """Tell whether an event goes out at all."""
        settings = self._settings
        match event.event_type:
            case "custom_event":
                event_type = event.get("custom_event_type") or "other"
                if event_type in settings.event_types:
                    return False
                if (event_type, event.get("event_name")) in settings.events:
                    return False
            case "screen_view":
                if event.get("screen_name") in settings.screens:
                    return False
            case "commerce_event":
                if commerce_key(event) in settings.commerce:
                    return False
            case "user_attribute_change":
                return self.shows_user_attribute(event.get("user_attribute_name"))
            case "user_identity_change":
                changed = [each for each in (event.get("old"), event.get("new")) if each]
                return all(self.shows_identity(each.get("identity_type", "")) for each in changed)
        if settings.sends_new:
            return True
        point = point_of(event)
        return point is None or self._is_chosen(point)

    def shows(self, point: DataPoint) -> bool:
        """Tell whether a data point goes out, as far as its parents do."""
        settings = self._settings
        event_type, name, attribute = point.event_type, point.name, point.attribute_name
        match point.type:
            case "Event":
                is_off = event_type in settings.event_types or (event_type, name) in settings.events
            case "EventAttribute":
                is_off = attribute in self._hidden.get((event_type, name), ())
            case "ScreenView":
                is_off = name in settings.screens
            case "ScreenViewAttribute":
                is_off = attribute in self._hidden.get(("screen_view", name), ())
            case "Commerce":
                is_off = event_type in settings.commerce
            case "CommerceAttribute":
                is_off = attribute in self._hidden.get((event_type, ""), ())
            case "UserAttribute":
                return self.shows_user_attribute(name)
            case _:
                return self.shows_identity(name)
        return not is_off and (settings.sends_new or self._is_chosen(point))

    @property
    def hides_attributes(self) -> bool:
        """Whether there may be events that go out without some of their attributes."""
        return bool(self._hidden) or not self._settings.sends_new

    def hidden_attributes(self, event: Event) -> Collection[str]:
        """Return the names of the attributes that an event goes out without."""
        key = event_key(event)
        if key is None:
            return NOTHING
        hidden = self._hidden.get(key, NOTHING)
        point = None if self._settings.sends_new else point_of(event)
        if point is None:
            return hidden
        return hidden | {
            name
            for name in attribute_names(event)
            if not self._is_chosen(attribute_point(point, name))
        }

    def shape_head(self, head: dict[str, Any]) -> None:
        """Remove what is switched off of the user from a batch; what it holds is shared."""
        settings = self._settings
        if not settings.has_user_attributes or settings.user_attributes or not settings.sends_new:
            shown = self.shows_user_attribute
            head["user_attributes"] = {
                name: value for name, value in head["user_attributes"].items() if shown(name)
            }
            deleted = list(filter(shown, head.pop("deleted_user_attributes", ())))
            if deleted:
                head["deleted_user_attributes"] = deleted
        if settings.user_identities or not settings.sends_new:
            head["user_identities"] = _only(head["user_identities"], self.shows_identity)

    def shows_user_attribute(self, name: str) -> bool:
        """Tell whether a user attribute goes out."""
        settings = self._settings
        if not settings.has_user_attributes or name in settings.user_attributes:
            return False
        return settings.sends_new or self._is_chosen(DataPoint("UserAttribute", "", name))

    def shows_identity(self, name: str) -> bool:
        """Tell whether an identity type goes out."""
        settings = self._settings
        if name in settings.user_identities:
            return False
        return settings.sends_new or self._is_chosen(DataPoint("UserIdentity", "", name))

    def _is_chosen(self, point: DataPoint) -> bool:
        return point in self._settings.enabled or self._knows(point)


def _only(identities: Any, is_shown: Callable[[str], bool]) -> Any:
    """Leave out identities that are not shown, of the outgoing form or of the inbound one."""
    if isinstance(identities, Mapping):
        return {name: value for name, value in identities.items() if is_shown(name)}
    return [each for each in identities if is_shown(each["identity_type"])]


def remove_attributes(data: dict[str, Any], names: Collection[str]) -> None:
    """Remove attributes from the data of an event, and from its products."""
    for holder in (data, *products_of(data)):
        attributes = holder.get("custom_attributes")
        if attributes:
            holder["custom_attributes"] = {
                name: value for name, value in attributes.items() if name not in names
            }
