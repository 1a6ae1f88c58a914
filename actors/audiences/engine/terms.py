"""From criteria to terms: leaves joined by `and` and `not`."""

from collections.abc import Callable, Iterable
from collections.abc import Sequence as Several

from msgspec import Struct

from actors.audiences.criteria import (
    Aggregate,
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
    IdentityCriterion,
    LocationEquals,
    LocationWithin,
    LocationWithinBox,
    Named,
    Node,
    Prediction,
    Recency,
    SeenAt,
    SegmentMembership,
    Sequence,
    Test,
    UserAttribute,
    UserAttributeList,
    ValueRef,
)
from actors.audiences.engine.leaves.carts import CartLeaf
from actors.audiences.engine.leaves.coded import CodedLeaf, Exists, IsOneOf, IsText, Tested
from actors.audiences.engine.leaves.events import EventLeaf
from actors.audiences.engine.leaves.numbers import NumberLeaf
from actors.audiences.engine.leaves.places import PlaceLeaf
from actors.audiences.engine.leaves.reductions import Reduction
from actors.audiences.engine.leaves.references import ReferenceLeaf
from actors.audiences.engine.leaves.sequences import SequenceLeaf, SequenceStep
from actors.audiences.engine.mirror import kind_of_dates
from actors.audiences.engine.number_tests import suits_numbers
from actors.audiences.engine.sources import (
    AttributeSource,
    AttributionSource,
    CalculatedSource,
    ConsentSource,
    DeviceSource,
    FlagSource,
    IdentitySource,
    ListedSource,
    PlaceSource,
    PredictionSource,
    SeenSource,
    SegmentSource,
    Source,
)
from actors.audiences.engine.streams import (
    Stream,
    Take,
    TakeNothing,
    TakeNumber,
    TakeQuantity,
    TakeSame,
    TakeSession,
    TakeText,
)
from actors.audiences.intervals import (
    ALL,
    Interval,
    frequency_intervals,
    number_intervals,
)
from actors.audiences.predicates import PRESENCE_OPERATORS, is_timed

Leaf = CodedLeaf | NumberLeaf | EventLeaf | CartLeaf | SequenceLeaf | PlaceLeaf | ReferenceLeaf


class All(Struct, frozen=True):
    """All terms hold; with none it always does."""

    terms: tuple["Term", ...]


class Not(Struct, frozen=True):
    """The term does not hold."""

    term: "Term"


class Member(Struct, frozen=True):
    """The user is in another audience of the engine, by its number."""

    audience: int


Term = All | Not | Member | Leaf

TRUE = All(())
FALSE = Not(TRUE)

_COUNTED: dict[str, tuple[Take, Reduction]] = {
    "events": (TakeNothing(), "count"),
    "days": (TakeNothing(), "days"),
    "sessions": (TakeSession(), "sessions"),
    "quantity": (TakeQuantity(), "sum"),
}
# Numbers of these sources differ from user to user: as codes they would fill a dictionary.
_OF_NUMBERS = (CalculatedSource, PredictionSource)


def any_of(terms: Iterable[Term]) -> Term:
    """Return that one of the terms holds."""
    return Not(All(tuple(Not(term) for term in terms)))


def node_term(node: Node, term_of: Callable[[Named], Term] | None = None) -> Term:
    """Return the term of a definition or of a part of it; `term_of`: that of a criterion."""
    if isinstance(node, Named):
        return criterion_term(node.criterion) if term_of is None else term_of(node)
    terms = [node_term(each, term_of) for each in node.nodes]
    match node.op:
        case "and":
            return All(tuple(terms))
        case "or":
            return any_of(terms)
        case "not":
            return Not(terms[0])
        case "exclude":
            return All((terms[0], *(Not(term) for term in terms[1:])))


def criterion_term(criterion: Criterion) -> Term:
    """Return the term of a criterion."""
    match criterion:
        case EventCriterion():
            return _event(criterion)
        case CartAbandonment(wanted, wait_ms, recency):
            bought = EventFilter(
                "commerce_event", commerce_actions=("purchase",), inputs=wanted.inputs
            )
            return CartLeaf(Stream(wanted), Stream(bought), wait_ms, recency)
        case Sequence():
            return _sequence(criterion)
        case UserAttribute(name, test) | UserAttributeList(name, test):
            return _tested(AttributeSource(name), test)
        case CalculatedAttribute(calculated_attribute=number, test=test):
            return _tested(CalculatedSource(number), test)
        case AudienceMembership(audience, is_member):
            return Member(audience) if is_member else Not(Member(audience))
        case SegmentMembership(segment, is_member):
            term = CodedLeaf(SegmentSource(segment), Exists())
            return term if is_member else Not(term)
        case Consent():
            return _consent(criterion)
        case DeviceCriterion(field, match_, test):
            return _tested(DeviceSource(field, match_ == "latest"), test)
        case SeenAt(which, test):
            if test.operator in PRESENCE_OPERATORS:
                return TRUE if test.operator == "exists" else FALSE
            return _tested(SeenSource(which), test)
        case LocationEquals(field, values):
            return CodedLeaf(PlaceSource(field), IsOneOf(values))
        case LocationWithin() | LocationWithinBox():
            return PlaceLeaf(criterion)
        case IdentityCriterion(identity_type, test):
            return _tested(IdentitySource(identity_type), test)
        case AttributionCriterion(event, field, test):
            return _tested(AttributionSource(event, field), test)
        case Flag(name, value):
            return CodedLeaf(FlagSource(name), IsText("true" if value else "false"))
        case Prediction(test=test) if test.operator == "not_exists":
            return FALSE  # without a score a criterion is false (spec/audiences.md, 9)
        case Prediction(prediction, output, test):
            return _tested(PredictionSource(prediction, output), test)


def listed(audience: int) -> Leaf:
    """Return the leaf for being in an audience that has no criteria of its own here."""
    return CodedLeaf(ListedSource(audience), Exists())


def _tested(source: Source, test: Test) -> Term:
    if test.value_ref is not None:
        return ReferenceLeaf(source, _referred(test.value_ref), test)
    if test.type == "date" and suits_numbers(test):
        is_instant = kind_of_dates(source) == "instant"
        if is_instant or is_timed(test) or isinstance(source, _OF_NUMBERS):
            return NumberLeaf(source, kind_of_dates(source), test)
    if test.type == "number" and isinstance(source, _OF_NUMBERS) and suits_numbers(test):
        return NumberLeaf(source, "number", test)
    return CodedLeaf(source, Tested(test))


def _referred(reference: ValueRef) -> Source:
    if reference.calculated_attribute is not None:
        return CalculatedSource(reference.calculated_attribute)
    return AttributeSource(reference.attribute_name)


def _consent(criterion: Consent) -> Term:
    state = ConsentSource(criterion.regulation, criterion.purpose, "consented")
    match criterion.operator:
        case "consented":
            return CodedLeaf(state, IsText("true"))
        case "not_consented":
            return CodedLeaf(state, IsText("false"))
        case "not_true":
            return Not(CodedLeaf(state, IsText("true")))
        case "exists":
            return CodedLeaf(state, Exists())
        case "not_exists":
            return Not(CodedLeaf(state, Exists()))
    test, field = criterion.test, criterion.field
    if test is None or field is None:
        raise ValueError("a consent criterion has an operator, or a field and a test")
    if field != "timestamp":
        return _tested(ConsentSource(criterion.regulation, criterion.purpose, field), test)
    if test.operator == "exists":
        return CodedLeaf(state, Exists())
    if test.operator == "not_exists":
        return Not(CodedLeaf(state, Exists()))
    if test.operator == "empty":
        return FALSE
    return _tested(ConsentSource(criterion.regulation, criterion.purpose, "timestamp_ms"), test)


def _event(criterion: EventCriterion) -> Term:
    take, reduction = _COUNTED[criterion.frequency.of]
    intervals = frequency_intervals(criterion.frequency)
    term: Term = _counted(Stream(criterion.filter, take), criterion.recency, reduction, intervals)
    if criterion.aggregate is None:
        return term
    made = _aggregate(criterion.filter, criterion.recency, criterion.aggregate)
    return All((term, made))


def _counted(
    stream: Stream, recency: Recency, reduction: Reduction, intervals: tuple[Interval, ...]
) -> Term:
    leaf = EventLeaf(stream, recency, reduction, intervals)
    if reduction != "sum" or not any(least <= 0 <= greatest for least, greatest in intervals):
        return leaf
    # Without any product the quantity is 0, but a sum of nothing is no number.
    some = EventLeaf(stream, recency, "count", ((1.0, float("inf")),))
    return any_of([Not(some), leaf])


def _aggregate(wanted: EventFilter, recency: Recency, aggregate: Aggregate) -> Term:
    category, name = aggregate.attribute_category, aggregate.attribute_name
    is_weighted = aggregate.use_product_quantity and category == "product_attribute"
    test = aggregate.test
    if test.operator in ("not_exists", "empty"):
        return FALSE
    intervals = (ALL,) if test.operator == "exists" else number_intervals(test)
    take: Take
    reduction: Reduction
    match aggregate.function:
        case "unique_values_count":
            take, reduction = TakeText(category, name), "unique"
        case "sum":
            take, reduction = (
                TakeNumber(category, name, "product" if is_weighted else "none"),
                "sum",
            )
        case "average":
            take = TakeNumber(category, name, "both" if is_weighted else "none")
            reduction = "average"
        case function:
            take, reduction = TakeNumber(category, name), function
    return EventLeaf(Stream(wanted, take), recency, reduction, intervals)


def _sequence(criterion: Sequence) -> SequenceLeaf:
    steps = criterion.steps
    same = [step.same for step in steps] + [()]
    return SequenceLeaf(
        tuple(
            SequenceStep(
                _taking(step.filter, same[at]),
                _taking(step.filter, same[at + 1]),
                step.within_ms,
                step.is_absent,
            )
            for at, step in enumerate(steps)
        ),
        criterion.recency,
    )


def _taking(wanted: EventFilter, names: Several[str]) -> Stream:
    return Stream(wanted, TakeSame(tuple(names)) if names else TakeNothing())
