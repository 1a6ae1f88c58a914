"""Which events match: what event criteria and the steps of sequences have in common."""

from collections.abc import Collection

from actors.audiences.criteria import EventFilter
from actors.audiences.event_rows import ANY_EVENT, INSTALL, UPGRADE
from actors.audiences.language.members import Members
from actors.audiences.language.scope import Scope
from actors.audiences.language.where import read_where
from actors.batches.events import EVENT_TYPES

COMMERCE_ACTIONS = (
    *("add_to_cart", "remove_from_cart", "checkout", "checkout_option", "click", "view_detail"),
    *("purchase", "refund", "add_to_wishlist", "remove_from_wish_list"),
    *("promotion_view", "promotion_click", "impression"),
)
CUSTOM_EVENT_TYPES = (
    *("navigation", "location", "search", "transaction", "user_content", "user_preference"),
    *("social", "media", "attribution", "other", "unknown"),
)

_TYPES = (*EVENT_TYPES, INSTALL, UPGRADE, ANY_EVENT)

# Data points whose name is another than the criterion's word for them (actors.profiles.tiers).
_OF_TYPE = {INSTALL: "application_initialized", UPGRADE: "application_initialized"}
_OF_ACTION = {"remove_from_wish_list": "remove_from_wishlist"}
# Types whose data points have names of their own.
_NAMED_TYPES = frozenset(
    {"custom_event", "screen_view", "commerce_event", "application_state_transition", ANY_EVENT}
)


def read_event_filter(members: Members, scope: Scope) -> EventFilter:
    """Read `event_type` and what narrows it, up to `where`."""
    event_type = members.word("event_type", _TYPES)
    if "event_type" not in members.canonical:
        for name in ("event_name", "custom_event_type", "commerce_action", "action"):
            members.raw(name)
        return EventFilter(event_type, where=read_where(members))
    names = _texts_of(members, event_type, "event_name", ("custom_event", "screen_view"))
    if event_type == "custom_event" and not members.has("event_name"):
        members.missing("event_name")
    kinds = _texts_of(
        members, event_type, "custom_event_type", ("custom_event",), among=CUSTOM_EVENT_TYPES
    )
    sent_as = members.rename("action", "commerce_action")
    actions = _texts_of(
        *(members, event_type, "commerce_action", ("commerce_event",)),
        sent_as=sent_as,
        among=COMMERCE_ACTIONS,
    )
    found = EventFilter(event_type, names, kinds, actions)
    named_by = "event_name" if names else sent_as if actions else "event_type"
    for name in data_points_of(found):
        members.context.check_tier(members.at(named_by), name)
    where = read_where(members)
    return EventFilter(event_type, names, kinds, actions, where, scope.inputs_for(event_type))


def _texts_of(
    members: Members,
    event_type: str,
    name: str,
    event_types: tuple[str, ...],
    *,
    sent_as: str | None = None,
    among: Collection[str] | None = None,
) -> tuple[str, ...]:
    """Read a text or several, each once, that only some event types have."""
    if event_type in event_types or not members.has(sent_as or name):
        return tuple(dict.fromkeys(members.texts(name, sent_as, among=among)))
    members.raw(sent_as or name)
    members.fail(sent_as or name, f"is only for {' and '.join(event_types)}.")
    return ()


def data_points_of(criterion: EventFilter) -> list[str]:
    """Return the names of the event data points that a filter selects, each once.

    None where it selects all events of a type whose data points have names of their own.
    """
    if criterion.event_names:
        return list(criterion.event_names)
    if criterion.commerce_actions:
        return [_OF_ACTION.get(action, action) for action in criterion.commerce_actions]
    if criterion.event_type in _NAMED_TYPES:
        return []
    return [_OF_TYPE.get(criterion.event_type, criterion.event_type)]
