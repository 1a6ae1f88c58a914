"""`cart_abandonment`: no purchase since the newest `add_to_cart` (spec/audiences.md, 3.1)."""

from actors.audiences.criteria import CartAbandonment, EventFilter
from actors.audiences.language.durations import read_duration
from actors.audiences.language.members import Members
from actors.audiences.language.recency import read_recency
from actors.audiences.language.scope import Scope
from actors.audiences.language.where import read_where

_EVENT_TYPE = "commerce_event"
_ACTION = "add_to_cart"


def read_cart_abandonment(members: Members, scope: Scope) -> CartAbandonment:
    """Read a criterion on an abandoned cart."""
    wait_ms = read_duration(members, "wait")
    for action in (_ACTION, "purchase"):
        members.context.check_tier(members.at("type"), action)
    return CartAbandonment(
        filter=EventFilter(
            _EVENT_TYPE,
            commerce_actions=(_ACTION,),
            where=read_where(members),
            inputs=scope.inputs_for(_EVENT_TYPE),
        ),
        wait_ms=wait_ms,
        recency=read_recency(members),
    )
