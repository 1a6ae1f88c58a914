"""The criteria of audiences as types (spec/audiences.md, 3).

`actors.audiences.language` makes them of a definition's canonical JSON and has checked everything:
whoever is given one of them need not check again. They are frozen and hashable: equal criteria
of several audiences are evaluated once. `id` is no part of what a criterion means; it is left out
when two are compared (`Named`). msgspec can encode all of them, and decode a `Node`.
"""

from typing import Literal

from msgspec import Struct

ValueType = Literal["string", "number", "boolean", "date", "version", "list"]
Unit = Literal["minutes", "hours", "days", "weeks", "months"]
EventCategory = Literal[
    "event_attribute", "event_field", "product_attribute", "promotion_attribute"
]
Scalar = str | float | bool

UNIT_MS: dict[Unit, int] = {
    "minutes": 60_000,
    "hours": 3_600_000,
    "days": 86_400_000,
    "weeks": 7 * 86_400_000,
    "months": 30 * 86_400_000,
}


class ValueRef(Struct, frozen=True):
    """Another attribute of the same user, in place of an operand.

    `calculated_attribute` is the number of a calculated attribute, `None` of a user attribute.
    """

    type: Literal["user_attribute", "calculated_attribute"]
    attribute_name: str
    calculated_attribute: int | None = None


class Test(Struct, frozen=True):
    """A test of one value. Operands are as in the canonical JSON, numbers as floats."""

    type: ValueType
    operator: str
    value: Scalar | None = None
    values: tuple[Scalar, ...] = ()
    min_value: Scalar | None = None
    max_value: Scalar | None = None
    unit: Unit | None = None
    value_ref: ValueRef | None = None


class Recency(Struct, frozen=True):
    """When events count (spec/audiences.md, 3.3).

    Only the members that `type` uses are set: durations in ms (`duration_ms`; `from_ms` and `to_ms`
    ago), dates as ISO text (`date`; `start` and `end`), `unit` and `offset` of a calendar period.
    """

    type: Literal[
        "all",
        "within_last",
        "older_than",
        "between_ago",
        "before",
        "after",
        "on",
        "between_dates",
        "calendar",
    ] = "all"
    duration_ms: int | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    date: str | None = None
    start: str | None = None
    end: str | None = None
    unit: Literal["day", "week", "month", "quarter", "year"] | None = None
    offset: int = 0


class Frequency(Struct, frozen=True):
    """How many. `between` has `min_value` and `max_value`, every other operator `value`."""

    operator: Literal[
        "equals",
        "not_equals",
        "greater_than",
        "greater_or_equal",
        "less_than",
        "less_than_or_equal",
        "between",
    ] = "greater_than"
    value: int = 0
    min_value: int = 0
    max_value: int = 0
    of: Literal["events", "days", "sessions", "quantity"] = "events"


class Aggregate(Struct, frozen=True):
    """A number made of the matching rows, and the test of it (`test.type` is `number`)."""

    function: Literal["sum", "min", "max", "average", "unique_values_count"]
    attribute_name: str
    attribute_category: EventCategory
    use_product_quantity: bool
    test: Test


class Condition(Struct, frozen=True, tag="condition"):
    """A test of one value of an event's row."""

    attribute_name: str
    attribute_category: EventCategory
    test: Test


class WhereGroup(Struct, frozen=True, tag="group"):
    """Conditions that are to hold on one and the same row; `not` has one node."""

    op: Literal["and", "or", "not"]
    nodes: tuple["Condition | WhereGroup", ...]


Where = Condition | WhereGroup


class EventFilter(Struct, frozen=True):
    """Which events match. Empty tuples: any. `inputs`: numbers, `None` for all, also future ones.

    `event_type` is an input event type, `install`, `upgrade` or `any`.
    """

    event_type: str
    event_names: tuple[str, ...] = ()
    custom_event_types: tuple[str, ...] = ()
    commerce_actions: tuple[str, ...] = ()
    where: Where | None = None
    inputs: tuple[int, ...] | None = None


class EventCriterion(Struct, frozen=True, tag="event"):
    """So many matching events, or such an aggregate of them."""

    filter: EventFilter
    recency: Recency = Recency()
    frequency: Frequency = Frequency()
    aggregate: Aggregate | None = None


class CartAbandonment(Struct, frozen=True, tag="cart_abandonment"):
    """The newest `add_to_cart` is `wait_ms` old and no purchase came since.

    `filter` is that of the `add_to_cart` event; `inputs` of it hold for the purchase too.
    """

    filter: EventFilter
    wait_ms: int
    recency: Recency = Recency()


class Step(Struct, frozen=True):
    """One step of a sequence; `within_ms` and `same` relate it to the step before."""

    filter: EventFilter
    within_ms: int | None = None
    same: tuple[str, ...] = ()
    is_absent: bool = False


class Sequence(Struct, frozen=True, tag="sequence"):
    """Events in this order; `recency` is of the first."""

    steps: tuple[Step, ...]
    recency: Recency = Recency()


class UserAttribute(Struct, frozen=True, tag="user_attribute"):
    """A test of one user attribute."""

    attribute_name: str
    test: Test


class UserAttributeList(Struct, frozen=True, tag="user_attribute_list"):
    """A test of one user attribute as a list."""

    attribute_name: str
    test: Test


class CalculatedAttribute(Struct, frozen=True, tag="calculated_attribute"):
    """A test of the present value of a calculated attribute, by its number.

    In an audience over several workspaces it stands for that of the same name in each of them.
    """

    calculated_attribute: int
    test: Test
    attribute_name: str = ""


class AudienceMembership(Struct, frozen=True, tag="audience_membership"):
    """Whether the user is in another audience."""

    audience: int
    is_member: bool


class Consent(Struct, frozen=True, tag="consent"):
    """A purpose's record: its state (`operator`), or a test of one of its fields."""

    regulation: Literal["gdpr", "ccpa"]
    purpose: str
    operator: Literal["consented", "not_consented", "not_true", "exists", "not_exists"] | None = (
        None
    )
    field: Literal["document", "location", "hardware_id", "timestamp"] | None = None
    test: Test | None = None


class DeviceCriterion(Struct, frozen=True, tag="device"):
    """A test of a field of any device, or of the one that was seen last."""

    field: str
    match: Literal["any", "latest"]
    test: Test


class SeenAt(Struct, frozen=True, tag="seen"):
    """A test of the instant when the user was first or last seen."""

    which: Literal["first_seen", "last_seen"]
    test: Test


class LocationEquals(Struct, frozen=True, tag="location_equals"):
    """The section's location has one of these values."""

    field: Literal["country", "state", "city", "zip", "dma"]
    values: tuple[str, ...]


class LocationWithin(Struct, frozen=True, tag="location_within"):
    """The location is at most so far away, along a great circle."""

    latitude: float
    longitude: float
    distance_m: float


class LocationWithinBox(Struct, frozen=True, tag="location_within_box"):
    """The location is inside a box, borders included; `west` > `east` crosses 180°."""

    north: float
    south: float
    east: float
    west: float


class IdentityCriterion(Struct, frozen=True, tag="identity"):
    """A test of the values of one identity type, of the user or of any device."""

    identity_type: str
    test: Test


class AttributionCriterion(Struct, frozen=True, tag="attribution"):
    """A test of a field of any stored install or uninstall."""

    event: Literal["install", "uninstall"]
    field: Literal["publisher", "campaign", "service_provider"]
    test: Test


class Flag(Struct, frozen=True, tag="flag"):
    """A flag of the profile; one that was never set has no value."""

    name: Literal["opt_out", "limit_ad_tracking"]
    value: bool


class Prediction(Struct, frozen=True, tag="prediction"):
    """A test of what a prediction gave the user (spec/predictions.md, 6)."""

    prediction: int
    output: Literal["score", "percentile", "uplift"]
    test: Test


class SegmentMembership(Struct, frozen=True, tag="segment_membership"):
    """Whether the user was in an analytics segment when that was last evaluated."""

    segment: int
    is_member: bool


Criterion = (
    EventCriterion
    | CartAbandonment
    | Sequence
    | UserAttribute
    | UserAttributeList
    | CalculatedAttribute
    | AudienceMembership
    | Consent
    | DeviceCriterion
    | SeenAt
    | LocationEquals
    | LocationWithin
    | LocationWithinBox
    | IdentityCriterion
    | AttributionCriterion
    | Flag
    | Prediction
    | SegmentMembership
)


class Named(Struct, frozen=True, tag="criterion"):
    """A criterion where it stands in a definition: `id` is echoed in explanations.

    `workspaces`: numbers of those that it is narrowed to; none: all of its audience's.
    """

    criterion: Criterion
    id: str | None = None
    workspaces: tuple[int, ...] = ()


class Group(Struct, frozen=True, tag="group"):
    """`not` has one node; `exclude` is the first node and none of the others."""

    op: Literal["and", "or", "not", "exclude"]
    nodes: tuple["Node", ...]


Node = Named | Group
