"""What criteria read: what can change their outcome (spec/audiences.md, 6)."""

from collections.abc import Iterator

from msgspec import Struct, field

from actors.audiences.criteria import (
    AttributionCriterion,
    AudienceMembership,
    CalculatedAttribute,
    CartAbandonment,
    Consent,
    Criterion,
    DeviceCriterion,
    EventCriterion,
    EventFilter,
    Flag,
    Group,
    IdentityCriterion,
    LocationEquals,
    LocationWithin,
    LocationWithinBox,
    Named,
    Node,
    Prediction,
    SeenAt,
    SegmentMembership,
    Sequence,
    Test,
    UserAttribute,
    UserAttributeList,
)


class Dependencies(Struct):
    """Names and numbers of all that a definition reads.

    Attributes:
        events: the filters of the events that count.
        user_attributes: names. calculated_attributes, audiences, segments, predictions: numbers.
        consent: (regulation, purpose).
        device_fields: names. identity_types: names, `mpid` too.
        reads_location, reads_attribution, reads_flags, reads_seen: whether anything of these.
    """

    events: set[EventFilter] = field(default_factory=set)
    user_attributes: set[str] = field(default_factory=set)
    calculated_attributes: set[int] = field(default_factory=set)
    audiences: set[int] = field(default_factory=set)
    segments: set[int] = field(default_factory=set)
    predictions: set[int] = field(default_factory=set)
    consent: set[tuple[str, str]] = field(default_factory=set)
    device_fields: set[str] = field(default_factory=set)
    identity_types: set[str] = field(default_factory=set)
    reads_location: bool = False
    reads_attribution: bool = False
    reads_flags: bool = False
    reads_seen: bool = False


def criteria_of(node: Node) -> Iterator[Named]:
    """Yield all criteria of a tree, in document order."""
    if isinstance(node, Group):
        for inner in node.nodes:
            yield from criteria_of(inner)
    else:
        yield node


def dependencies_of(node: Node) -> Dependencies:
    """Return all that a tree reads."""
    found = Dependencies()
    for named in criteria_of(node):
        _add(named.criterion, found)
    return found


def reads_membership(node: Node) -> bool:
    """Tell whether a tree asks about another audience: then none may ask about it (15)."""
    return any(isinstance(named.criterion, AudienceMembership) for named in criteria_of(node))


def uses_logic(node: Node) -> bool:
    """Tell whether a tree combines criteria: a `not`, or a group of several (14)."""
    if not isinstance(node, Group):
        return False
    return node.op == "not" or len(node.nodes) > 1 or any(map(uses_logic, node.nodes))


def _add(criterion: Criterion, found: Dependencies) -> None:
    match criterion:
        case EventCriterion() | CartAbandonment():
            found.events.add(criterion.filter)
            if isinstance(criterion, CartAbandonment):
                found.events.add(_purchase(criterion.filter))
        case Sequence():
            found.events.update(step.filter for step in criterion.steps)
        case UserAttribute() | UserAttributeList():
            found.user_attributes.add(criterion.attribute_name)
        case CalculatedAttribute():
            found.calculated_attributes.add(criterion.calculated_attribute)
        case AudienceMembership():
            found.audiences.add(criterion.audience)
        case SegmentMembership():
            found.segments.add(criterion.segment)
        case Prediction():
            found.predictions.add(criterion.prediction)
        case Consent():
            found.consent.add((criterion.regulation, criterion.purpose))
        case DeviceCriterion():
            found.device_fields.add(criterion.field)
        case IdentityCriterion():
            found.identity_types.add(criterion.identity_type)
        case LocationEquals() | LocationWithin() | LocationWithinBox():
            found.reads_location = True
        case AttributionCriterion():
            found.reads_attribution = True
        case Flag():
            found.reads_flags = True
        case SeenAt():
            found.reads_seen = True
    _add_reference(getattr(criterion, "test", None), found)


def _add_reference(test: Test | None, found: Dependencies) -> None:
    if test is None or test.value_ref is None:
        return
    reference = test.value_ref
    if reference.calculated_attribute is None:
        found.user_attributes.add(reference.attribute_name)
    else:
        found.calculated_attributes.add(reference.calculated_attribute)


def _purchase(cart: EventFilter) -> EventFilter:
    """Return the filter of the purchases that empty a cart."""
    return EventFilter(cart.event_type, commerce_actions=("purchase",), inputs=cart.inputs)
