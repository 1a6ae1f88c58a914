"""What begins, and a plain loop that finds what has to come of it."""

from msgspec import Struct

from actors.audiences.language.definition import read_definition
from actors.audiences.language.references import References
from actors.audiences.told import LiveAudience, LiveAudiences
from actors.calculated.definition import Attribute, LiveAttributes
from actors.calculated.reading import canonical
from actors.calculated.reading import read_definition as read_attribute
from actors.store import log
from actors.store.environment import Transaction

BUYERS, TODAYS, NOBODY = 1, 2, 3  # numbers of the audiences
SEARCHES = "searches"  # name of the attribute
_NAME = "Searched"
_DEAR = 50  # of this price, or less, nothing counts

_BOUGHT = {
    "and": [
        {
            "type": "event",
            "event_type": "custom_event",
            "event_name": _NAME,
            "within": {"value": 30, "unit": "days"},
        },
        {
            "type": "event",
            "event_type": "commerce_event",
            "action": ["view_detail", "purchase"],
            "within": {"value": 30, "unit": "days"},
            "where": {
                "attribute_name": "price",
                "attribute_category": "product_attribute",
                "type": "number",
                "operator": "greater_than",
                "value": _DEAR,
            },
        },
    ]
}
_SEARCHED_TODAY = {
    "type": "event",
    "event_type": "custom_event",
    "event_name": _NAME,
    "recency": {"type": "calendar", "unit": "day", "offset": 0},
}
_CAME_THIS_WEEK = {  # whoever there is: everybody's first event begins a session
    "type": "event",
    "event_type": "session_start",
    "recency": {"type": "calendar", "unit": "week", "offset": 0},
}
_NEVER = {"type": "event", "event_type": "custom_event", "event_name": "Never Happened"}
_DEFINITIONS = {
    BUYERS: _BOUGHT,
    TODAYS: _SEARCHED_TODAY,
    NOBODY: {"and": [_CAME_THIS_WEEK, _NEVER]},
}
_SEARCHES = {
    "recipe_type": "event",
    "datapoint": {"type": "event", "event_type": "custom_event", "event_name": _NAME},
    "conditions": None,
    "calculation_type": "count",
    "time_period": {"type": "since", "date": "2020-01-01"},
}


class Expected(Struct, frozen=True):
    """What a plain loop finds in some users' batches: events, those looked for, and by MPID."""

    events: int
    wanted: int
    buyers: frozenset[int]
    searches: dict[int, int]


def audiences(revision: int) -> LiveAudiences:
    """Return the audiences by a definition of some revision; each is as the one before."""
    known = References(workspaces=frozenset({1}), now_ms=0)
    return LiveAudiences(
        version=revision,
        audiences=tuple(
            LiveAudience(
                number=number,
                revision=revision,
                type="real_time",
                name=f"a{number}",
                external_name=f"a{number}",
                environment="production",
                node=read_definition(definition, known).node,
            )
            for number, definition in _DEFINITIONS.items()
        ),
    )


def attributes(revision: int) -> LiveAttributes:
    """Return the calculated attribute, likewise."""
    definition = read_attribute(canonical(_SEARCHES))
    return LiveAttributes(revision, (Attribute(1, SEARCHES, revision, definition),))


def expected(txn: Transaction, log_ids: dict[int, list[int]]) -> Expected:
    """Find in a plain loop who is in `BUYERS`, and how often everybody has searched.

    `log_ids`: of each user's batches.
    """
    events = wanted = 0
    buyers: set[int] = set()
    searches: dict[int, int] = {}
    for mpid, own in log_ids.items():
        searched = dear = 0
        for log_id in own:
            stored = log.read(txn, log_id)
            assert stored is not None, "nothing has been cut off"
            events += len(stored.batch.events)
            for event in stored.batch.events:
                searched += event.get("event_name") == _NAME
                dear += _is_dear(event.get("product_action") or {})
        wanted += searched + dear
        searches[mpid] = searched
        if searched and dear:
            buyers.add(mpid)
    return Expected(events, wanted, frozenset(buyers), searches)


def _is_dear(action: dict[str, object]) -> bool:
    if action.get("action") not in ("view_detail", "purchase"):
        return False
    products = action["products"]
    assert isinstance(products, list)
    return any(float(each["price"]) > _DEAR for each in products)
