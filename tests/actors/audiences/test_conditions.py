from typing import Any

from actors.audiences.conditions import is_timed_where, row_predicate
from actors.audiences.criteria import Condition, Where, WhereGroup
from actors.audiences.criteria import Test as ValueTest
from actors.audiences.event_rows import attribute_or_field_reader, reader
from tests.actors.audiences.events import rows, sent

NOW = 1_773_147_600_000  # 2026-03-10T13:00:00Z
PURCHASE = sent(
    "commerce_event",
    product_action={
        "action": "purchase",
        "products": [{"name": "Blue sock", "brand": "Acme"}, {"name": "Red hat", "brand": "Zed"}],
    },
)
ACME = Condition("brand", "product_attribute", ValueTest("string", "equals", "acme"))
HAT = Condition("name", "product_attribute", ValueTest("string", "contains", "hat"))


def matching(where: Where, event: dict[str, Any]) -> list[int]:
    holds = row_predicate(where)
    return [row.index for row in rows(event) if holds(row, NOW)]


def test_conditions_hold_on_one_and_the_same_product() -> None:
    """spec/audiences.md, worked case 16."""
    assert matching(WhereGroup("and", (ACME, HAT)), PURCHASE) == []
    assert matching(WhereGroup("or", (ACME, HAT)), PURCHASE) == [0, 1]
    assert matching(WhereGroup("not", (ACME,)), PURCHASE) == [1]
    assert matching(ACME, PURCHASE) == [0]


def test_a_condition_can_depend_on_now() -> None:
    test = ValueTest("date", "within_last", 1.0, unit="days")
    recent = Condition("at", "event_attribute", test)
    event = sent("custom_event", event_name="E", custom_attributes={"at": "2026-03-10"})
    holds = row_predicate(recent)
    (row,) = rows(event)
    assert holds(row, NOW)
    assert not holds(row, NOW + 86_400_000)
    assert is_timed_where(WhereGroup("not", (recent,)))
    assert not is_timed_where(WhereGroup("or", (ACME, HAT)))


def test_attributes_can_be_taken_another_way() -> None:
    """spec/calculated-attributes.md, 2.1."""
    test = ValueTest("number", "greater_than", 1000.0)
    long_session = Condition("session_duration_ms", "event_attribute", test)
    (row,) = rows(sent("session_end", session_duration_ms=1500))
    assert not row_predicate(long_session, reader)(row, NOW)
    holds = row_predicate(long_session, lambda _, name: attribute_or_field_reader(name))
    assert holds(row, NOW)
