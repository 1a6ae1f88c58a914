"""Criteria as types."""

import msgspec

from actors.audiences import criteria
from actors.audiences.criteria import (
    Condition,
    EventCriterion,
    EventFilter,
    Group,
    Named,
    Node,
    UserAttribute,
    WhereGroup,
)


def test_a_tree_can_be_kept_and_read_back() -> None:
    is_paris = Condition("city", "event_attribute", criteria.Test("string", "equals", "Paris"))
    is_dear = Condition(
        "price", "product_attribute", criteria.Test("number", "between", None, (), 1.0, 2.0)
    )
    where = WhereGroup("or", (is_paris, WhereGroup("not", (is_dear,))))
    tree = Group(
        "exclude",
        (
            Named(
                UserAttribute("tier", criteria.Test("string", "in_list", values=("a", "b"))), "c1"
            ),
            Group("and", (Named(EventCriterion(EventFilter("any", where=where, inputs=(1,)))),)),
        ),
    )
    encoded = msgspec.msgpack.encode(tree)
    assert msgspec.msgpack.decode(encoded, type=Node) == tree
