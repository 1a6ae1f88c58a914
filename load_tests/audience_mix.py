"""A realistic mix of audiences and people, the same for the same seed."""

from collections.abc import Sequence
from typing import Any

from actors.audiences.criteria import (
    Aggregate,
    CartAbandonment,
    Condition,
    Consent,
    Criterion,
    DeviceCriterion,
    EventCriterion,
    EventFilter,
    Frequency,
    Group,
    LocationWithin,
    Named,
    Node,
    Recency,
    SeenAt,
    Step,
    Test,
    UserAttribute,
    UserAttributeList,
)
from actors.audiences.criteria import Sequence as SequenceCriterion
from actors.model.batches import Batch, Event, StoredBatch
from actors.model.profiles import AttributeValue, ConsentRecord, Device, Profile, Section
from actors.model.workspaces import WorkspaceInfo
from load_tests.draws import Draws

NOW_MS = 1_773_147_600_000
DAY_MS = 86_400_000
LOOKBACK_MS = 30 * DAY_MS

ATTRIBUTES = 30
EVENT_NAMES = 150
_FILTERS = 200
_WINDOWS_DAYS = (1, 2, 3, 7, 14, 30)
_CITIES = 200
_INPUT = 1
WORKSPACE = WorkspaceInfo(
    number=1,
    id="w1",
    name="One",
    account=1,
    organization=1,
    scope=1,
    inputs={},
    priority=("customerid",),
    login_ids=frozenset(),
    unique_ids=frozenset(),
    immutable_ids=frozenset(),
)


class Mix:
    """Draws definitions, profiles and batches.

    Attributes 0 to 11 are words of few, 12 to 17 of many different ones, 18 to 23 numbers, 24 to 26
    dates, 27 to 29 lists.
    """

    def __init__(self, seed: int) -> None:
        self._draws = Draws(seed)
        self._filters = [self._filter(number) for number in range(_FILTERS)]
        self._next_log_id = 0

    def definitions(self, count: int, *, is_plain: bool = False) -> list[Node]:
        """Return definitions of three to five criteria.

        Args:
            count: how many.
            is_plain: without sequences, carts and places.
        """
        return [self._definition(is_plain) for _ in range(count)]

    def profile(self) -> Profile:
        """Return somebody."""
        draws = self._draws
        first_seen_ms = NOW_MS - draws.below(300 * DAY_MS)
        seen_ms = NOW_MS - draws.below(20 * DAY_MS)
        section = Section(first_seen_ms, seen_ms)
        for number in range(ATTRIBUTES):
            if draws.chance(0.8):
                section.user_attributes[f"a{number}"] = AttributeValue(
                    self._value(number), seen_ms, _INPUT
                )
        section.devices["d"] = Device(
            "d",
            first_seen_ms,
            seen_ms,
            {"platform": draws.pick(("iOS", "Android")), "os_version": f"{draws.below(20)}.1"},
        )
        section.location = {
            "latitude": draws.unit() * 180 - 90,
            "longitude": draws.unit() * 360 - 180,
        }
        if draws.chance(0.7):
            record = ConsentRecord(draws.chance(0.6), seen_ms, seen_ms)
            section.consent_state["gdpr"] = {"ads": record}
        return Profile(first_seen_ms, seen_ms, workspaces={WORKSPACE.number: section})

    def history(self, events: int) -> StoredBatch:
        """Return so many events of the lookback, as one batch."""
        drawn = sorted(NOW_MS - self._draws.below(LOOKBACK_MS) for _ in range(events))
        return self._stored(NOW_MS, {}, [self._event(at_ms) for at_ms in drawn])

    def batch(self, profile: Profile, received_ms: int, events: int) -> StoredBatch:
        """Return what somebody sends now, and apply it: events, and two attributes.

        Most attributes are sent with the value that they have.
        """
        draws = self._draws
        own = profile.workspaces[WORKSPACE.number].user_attributes
        attributes = {}
        for number in (draws.below(ATTRIBUTES), draws.below(ATTRIBUTES)):
            name = f"a{number}"
            if name not in own or draws.chance(0.3):
                own[name] = AttributeValue(self._value(number), received_ms, _INPUT)
            attributes[name] = own[name].value
        profile.last_stored_timestamp_ms = received_ms
        profile.workspaces[WORKSPACE.number].last_seen_ms = received_ms
        happened = [self._event(received_ms - draws.below(2000)) for _ in range(events)]
        return self._stored(received_ms, attributes, happened)

    def _stored(
        self, received_ms: int, attributes: dict[str, Any], events: list[Event]
    ) -> StoredBatch:
        self._next_log_id += 1
        batch = Batch("production", received_ms, events, user_attributes=attributes)
        number = self._next_log_id
        return StoredBatch(
            log_id=number,
            previous_log_id=0,
            workspace=WORKSPACE.number,
            scope=WORKSPACE.scope,
            mpid=1,
            input=_INPUT,
            received_ms=received_ms,
            channel="server_to_server",
            is_historical=False,
            device_key="d",
            batch=batch,
        )

    def _value(self, number: int) -> Any:
        draws = self._draws
        if number < 12:
            return f"word {draws.below(4 + 3 * number)}"
        if number < 18:
            return f"name {draws.below(2000)}"
        if number < 24:
            return str(draws.below(100 if number < 21 else 5000))
        if number < 27:
            return str(NOW_MS - draws.below(60 * DAY_MS))
        return [f"tag {draws.below(40)}" for _ in range(1 + draws.below(4))]

    def _event(self, at_ms: int) -> Event:
        draws = self._draws
        if draws.chance(0.2):
            product = {
                "id": f"p{draws.below(500)}",
                "brand": f"brand {draws.below(20)}",
                "price": float(1 + draws.below(200)),
                "quantity": float(1 + draws.below(3)),
            }
            action = draws.pick(("add_to_cart", "purchase", "view_detail"))
            bought: dict[str, Any] = {
                "custom_event_type": action,
                "product_action": {"action": action, "products": [product]},
            }
            return Event("commerce_event", at_ms, bought)
        name = f"Event {int(EVENT_NAMES * draws.unit() * draws.unit())}"
        data: dict[str, Any] = {
            "event_name": name,
            "custom_event_type": "other",
            "session_id": at_ms // DAY_MS,
            "custom_attributes": {
                "city": f"City {draws.below(_CITIES)}",
                "amount": str(draws.below(100)),
                "kind": f"kind {draws.below(5)}",
            },
        }
        return Event("custom_event", at_ms, data)

    def _filter(self, number: int) -> EventFilter:
        draws = self._draws
        if number < 20:
            action = ("add_to_cart", "purchase", "view_detail")[number % 3]
            test = Test("string", "equals", f"brand {number}")
            where = None if number < 3 else Condition("brand", "product_attribute", test)
            return EventFilter("commerce_event", commerce_actions=(action,), where=where)
        name = f"Event {number % EVENT_NAMES}"
        if number < 20 + EVENT_NAMES:
            return EventFilter("custom_event", (name,))
        test = draws.pick(
            (
                Test("string", "contains", f"y {draws.below(10)}"),
                Test("string", "equals", f"city {draws.below(_CITIES)}"),
            )
        )
        return EventFilter(
            "custom_event", (name,), where=Condition("city", "event_attribute", test)
        )

    def _definition(self, is_plain: bool) -> Node:
        draws = self._draws
        nodes = [self._node(is_plain) for _ in range(3 + draws.below(3))]
        shape = draws.unit()
        if shape < 0.6:
            return Group("and", tuple(nodes))
        if shape < 0.8:
            return Group("and", (nodes[0], Group("or", tuple(nodes[1:]))))
        if shape < 0.9:
            return Group("exclude", (Group("or", tuple(nodes[:2])), *nodes[2:]))
        return Group("or", (Group("and", tuple(nodes[:2])), Group("not", (nodes[2],))))

    def _node(self, is_plain: bool) -> Node:
        kind = self._draws.unit()
        if kind < 0.4:
            return Named(self._event_criterion())
        if not is_plain and kind < 0.46:
            return Named(self._rare())
        return Named(self._user_criterion())

    def _event_criterion(self) -> Criterion:
        draws = self._draws
        recency = Recency("within_last", duration_ms=draws.pick(_WINDOWS_DAYS) * DAY_MS)
        kind = draws.unit()
        if kind < 0.1:
            test = Test("number", "greater_than", float(100 * draws.below(10)))
            total = Aggregate("sum", "price", "product_attribute", True, test)
            return EventCriterion(self._filters[draws.below(20)], recency, aggregate=total)
        wanted = self._filters[int(_FILTERS * draws.unit() * draws.unit())]
        if kind < 0.6:
            return EventCriterion(wanted, recency)
        if kind < 0.7:
            return EventCriterion(wanted, recency, Frequency("equals", 0))
        return EventCriterion(wanted, recency, Frequency("greater_or_equal", 2 + draws.below(3)))

    def _rare(self) -> Criterion:
        draws = self._draws
        kind = draws.unit()
        if kind < 0.35:
            wanted = EventFilter("commerce_event", commerce_actions=("add_to_cart",))
            return CartAbandonment(wanted, (1 + draws.below(48)) * 3_600_000)
        if kind < 0.7:
            steps = (
                Step(self._filters[draws.below(_FILTERS)]),
                Step(self._filters[draws.below(20)], within_ms=draws.pick(_WINDOWS_DAYS) * DAY_MS),
            )
            return SequenceCriterion(steps)
        return LocationWithin(draws.unit() * 120 - 60, draws.unit() * 360 - 180, 500_000.0)

    def _user_criterion(self) -> Criterion:
        draws = self._draws
        kind = draws.unit()
        if kind < 0.05:
            return Consent("gdpr", "ads", draws.pick(("consented", "not_true")))
        if kind < 0.1:
            return DeviceCriterion("platform", "any", Test("string", "equals", "ios"))
        if kind < 0.15:
            test = Test("date", "within_last", float(draws.pick(_WINDOWS_DAYS)), unit="days")
            return SeenAt(draws.pick(("first_seen", "last_seen")), test)
        number = draws.below(ATTRIBUTES)
        if number >= 27:
            test = Test("list", "includes", f"tag {draws.below(40)}")
            return UserAttributeList(f"a{number}", test)
        return UserAttribute(f"a{number}", self._test(number))

    def _test(self, number: int) -> Test:
        draws = self._draws
        if number >= 24:
            days = float(draws.pick(_WINDOWS_DAYS))
            return Test("date", draws.pick(("within_last", "older_than")), days, unit="days")
        if number >= 18:
            operand = float(draws.below(100 if number < 21 else 5000))
            return Test("number", draws.pick(("greater_or_equal", "less_than")), operand)
        if number >= 12:
            return Test("string", draws.pick(("contains", "ends_with")), str(draws.below(100)))
        words: Sequence[str] = [f"WORD {draws.below(4 + 3 * number)}" for _ in range(3)]
        kind = draws.unit()
        if kind < 0.5:
            return Test("string", "equals", words[0])
        if kind < 0.8:
            return Test("string", "in_list", values=tuple(words))
        if kind < 0.9:
            return Test("string", "not_equals", words[0])
        return Test("string", "exists")
