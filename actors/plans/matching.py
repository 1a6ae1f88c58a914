"""Which data point an event belongs to (spec/data-plans.md, 2.1 and 2.2)."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from actors.batches.commerce import PARTS
from actors.pipeline.names import PRODUCT_ACTIONS

CUSTOM_EVENT_TYPES = (
    *("unknown", "navigation", "location", "search", "transaction", "user_content"),
    *("user_preference", "social", "other", "media"),
)
PROMOTION_ACTIONS = ("view", "click")
USER_ATTRIBUTES = "user_attributes"
USER_IDENTITIES = "user_identities"
UNKNOWN = "unknown"

Get = Callable[[str], Any]  # returns a member of an event's data, `None` if it is absent


class Match(NamedTuple):
    """What an event or a data point is matched by. `name`: what reports call the event."""

    type: str
    criteria: Mapping[str, str]
    key: str
    name: str

    def as_json(self) -> dict[str, Any]:
        """Return it as results show it."""
        if self.criteria:
            return {"type": self.type, "criteria": dict(self.criteria)}
        return {"type": self.type}


def custom_event(name: str, kind: str) -> Match:
    """Return the match of a custom event."""
    criteria = {"event_name": name, "custom_event_type": kind}
    return Match("custom_event", criteria, f"custom_event:{kind}:{name}", name)


def screen_view(name: str) -> Match:
    """Return the match of a screen view."""
    return Match("screen_view", {"screen_name": name}, f"screen_view::{name}", name)


def commerce_action(kind: str, action: str) -> Match:
    """Return the match of a `product_action` or `promotion_action`."""
    if action == "remove_from_wishlist":
        action = "remove_from_wish_list"
    return Match(kind, {"action": action}, f"{kind}:{action}", "commerce_event")


def without_criteria(kind: str) -> Match:
    """Return the match of what there is one of: impressions, and the two objects of users."""
    return Match(kind, {}, kind, "commerce_event")


UNMATCHED = Match(UNKNOWN, {}, UNKNOWN, UNKNOWN)
IMPRESSION = without_criteria("product_impression")
ATTRIBUTES = without_criteria(USER_ATTRIBUTES)
IDENTITIES = without_criteria(USER_IDENTITIES)


def is_plannable(event_type: str) -> bool:
    """Tell whether events of a type can be planned; others are never looked at."""
    return event_type in ("custom_event", "screen_view", "commerce_event")


def match_of(event_type: str, get: Get) -> Match | None:
    """Return what an event of a plannable type is matched by.

    `UNMATCHED` where it has nothing to be matched by; `None` where no plan can have it.
    """
    if event_type == "custom_event":
        kind, name = get("custom_event_type") or "other", get("event_name")
        if kind == "attribution":
            return None
        return custom_event(name, kind) if isinstance(name, str) else UNMATCHED
    if event_type == "screen_view":
        name = get("screen_name")
        return screen_view(name) if isinstance(name, str) else UNMATCHED
    for part in PARTS:
        found = get(part)
        if not found:
            continue
        if part == "product_impressions":
            return IMPRESSION
        action = found.get("action") if isinstance(found, dict) else None
        return commerce_action(part, action) if isinstance(action, str) else UNMATCHED
    return UNMATCHED


def _one_of(*words: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and value in words


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value != ""


class _Type(NamedTuple):
    """What `criteria` have to have, and what they make."""

    criteria: Mapping[str, Callable[[Any], bool]]
    make: Callable[..., Match]


_TYPES: Mapping[str, _Type] = {
    "custom_event": _Type(
        {"event_name": _is_name, "custom_event_type": _one_of(*CUSTOM_EVENT_TYPES)},
        lambda event_name, custom_event_type: custom_event(event_name, custom_event_type),
    ),
    "screen_view": _Type({"screen_name": _is_name}, lambda screen_name: screen_view(screen_name)),
    "product_action": _Type(
        {"action": _one_of(*set(PRODUCT_ACTIONS) - {UNKNOWN}, "remove_from_wishlist")},
        lambda action: commerce_action("product_action", action),
    ),
    "promotion_action": _Type(
        {"action": _one_of(*PROMOTION_ACTIONS)},
        lambda action: commerce_action("promotion_action", action),
    ),
    "product_impression": _Type({}, lambda: IMPRESSION),
    USER_ATTRIBUTES: _Type({}, lambda: ATTRIBUTES),
    USER_IDENTITIES: _Type({}, lambda: IDENTITIES),
}


class MatchRefused(Exception):
    """Says what is wrong with a match, and where in it."""

    def __init__(self, message: str, *path: str) -> None:
        super().__init__(message)
        self.path = path


def read_match(match: Any) -> Match:
    """Read the match of a data point. Raises MatchRefused."""
    if not isinstance(match, dict):
        raise MatchRefused("must be an object")
    for name in match:
        if name not in ("type", "criteria"):
            raise MatchRefused("unknown key", name)
    kind = match.get("type")
    known = _TYPES.get(kind) if isinstance(kind, str) else None
    if known is None:
        raise MatchRefused(f"must be one of {', '.join(_TYPES)}", "type")
    criteria = match.get("criteria")
    if criteria is None:
        criteria = {}
    if not isinstance(criteria, dict):
        raise MatchRefused("must be an object", "criteria")
    for name in criteria:
        if name not in known.criteria:
            raise MatchRefused("unknown key", "criteria", name)
    for name, fits in known.criteria.items():
        if criteria.get(name) is None:
            raise MatchRefused("required", "criteria", name)
        if not fits(criteria[name]):
            raise MatchRefused(f"is no {name} that a data point can have", "criteria", name)
    return known.make(**criteria)
