"""Step 8: the data filter (spec/connections.md, 2.4; spec/rules.md, 7).

Events that are switched off are left out here. What is switched off of the events and the batch
that remain is removed from their payloads, which `actors.steps.payload` does with this filter.
"""

from collections.abc import Collection, Mapping
from typing import Any

from actors.model import Event
from actors.pipeline.candidate import Candidate, Step
from actors.pipeline.names import COMMERCE_PARTS, event_key
from actors.pipeline.settings import DataFilter

NOTHING: frozenset[str] = frozenset()


def filtering(settings: DataFilter) -> Step:
    """Make the step of a filter that switches something off."""
    compiled = Filter(settings)

    def filter_events(candidate: Candidate) -> None:
        candidate.keep(compiled.sends, "filtered")

    return filter_events


class Filter:
    """A data filter, ready to be asked about events."""

    def __init__(self, settings: DataFilter) -> None:
        self._settings = settings
        self._hidden: dict[tuple[str, str], set[str]] = {}
        for event_type, name, attribute in settings.event_attributes:
            self._hidden.setdefault((event_type, name), set()).add(attribute)
        for name, attribute in settings.screen_attributes:
            self._hidden.setdefault(("screen_view", name), set()).add(attribute)
        for event_type, attribute in settings.commerce_attributes:
            self._hidden.setdefault((event_type, ""), set()).add(attribute)

    def sends(self, event: Event) -> bool:
        """Tell whether an event goes out at all."""
        settings = self._settings
        match event.event_type:
            case "custom_event":
                event_type = event.get("custom_event_type") or "other"
                return (
                    event_type not in settings.event_types
                    and (event_type, event.get("event_name")) not in settings.events
                )
            case "screen_view":
                return event.get("screen_name") not in settings.screens
            case "commerce_event":
                key = event_key(event)
                return key is None or key[0] not in settings.commerce
            case "user_attribute_change":
                return not self._hides_user_attribute(event.get("user_attribute_name"))
            case "user_identity_change":
                hidden = settings.user_identities
                changed = (event.get("old"), event.get("new"))
                return not any(each and each.get("identity_type") in hidden for each in changed)
        return True

    @property
    def hides_attributes(self) -> bool:
        """Whether there are events that go out without some of their attributes."""
        return bool(self._hidden)

    def hidden_attributes(self, event: Event) -> Collection[str]:
        """Return the names of the attributes that an event goes out without."""
        key = event_key(event)
        return NOTHING if key is None else self._hidden.get(key, NOTHING)

    def shape_head(self, head: dict[str, Any]) -> None:
        """Remove what is switched off of the user from a batch; what it holds is shared."""
        settings = self._settings
        if not settings.has_user_attributes or settings.user_attributes:
            head["user_attributes"] = {
                name: value
                for name, value in head["user_attributes"].items()
                if not self._hides_user_attribute(name)
            }
            deleted = head.pop("deleted_user_attributes", ())
            shown = [name for name in deleted if not self._hides_user_attribute(name)]
            if shown:
                head["deleted_user_attributes"] = shown
        if settings.user_identities:
            head["user_identities"] = _without(head["user_identities"], settings.user_identities)

    def _hides_user_attribute(self, name: str) -> bool:
        return not self._settings.has_user_attributes or name in self._settings.user_attributes


def _without(identities: Any, hidden: frozenset[str]) -> Any:
    """Leave out identities, of the outgoing form or of the inbound one."""
    if isinstance(identities, Mapping):
        return {name: value for name, value in identities.items() if name not in hidden}
    return [each for each in identities if each["identity_type"] not in hidden]


def remove_attributes(data: dict[str, Any], names: Collection[str]) -> None:
    """Remove attributes from the data of an event, and from its products."""
    for holder in (data, *products_of(data)):
        attributes = holder.get("custom_attributes")
        if attributes:
            holder["custom_attributes"] = {
                name: value for name, value in attributes.items() if name not in names
            }


def products_of(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return every product of an event's data, wherever it stands."""
    action, _, impressions = (data.get(part) for part in COMMERCE_PARTS)
    holders = [action, data.get("shopping_cart"), *(impressions or ())]
    return [product for each in holders if each for product in each.get("products") or ()]
