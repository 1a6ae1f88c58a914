"""Definitions as the canonical JSON documents that the language reads (spec/audiences.md, 3)."""

from typing import Any

from actors.audiences.criteria import (
    UNIT_MS,
    Aggregate,
    AttributionCriterion,
    AudienceMembership,
    CalculatedAttribute,
    CartAbandonment,
    Condition,
    Consent,
    Criterion,
    DeviceCriterion,
    EventCriterion,
    EventFilter,
    Flag,
    Frequency,
    Group,
    IdentityCriterion,
    LocationEquals,
    LocationWithin,
    LocationWithinBox,
    Node,
    Prediction,
    Recency,
    SeenAt,
    SegmentMembership,
    Sequence,
    Step,
    Test,
    UserAttribute,
    UserAttributeList,
    Where,
)

Json = dict[str, Any]


def definition_document(node: Node) -> Json:
    """Return a whole definition."""
    return {"version": 1, "criteria": node_document(node)}


def node_document(node: Node) -> Json:
    """Return a group or a criterion."""
    if isinstance(node, Group):
        return {"op": node.op, "nodes": [node_document(each) for each in node.nodes]}
    document = criterion_document(node.criterion)
    return document if node.id is None else document | {"id": node.id}


def criterion_document(criterion: Criterion) -> Json:
    """Return a criterion without an id."""
    match criterion:
        case EventCriterion():
            document = {"type": "event", **_filter(criterion.filter)}
            document |= _recency(criterion.recency)
            document["frequency"] = _frequency(criterion.frequency)
            if criterion.aggregate is not None:
                document["aggregate"] = _aggregate(criterion.aggregate)
            return document
        case CartAbandonment():
            document = {"type": "cart_abandonment", "wait": _span(criterion.wait_ms)}
            wanted = _filter(criterion.filter)
            document |= {name: wanted[name] for name in ("where", "input_ids") if name in wanted}
            return document | _recency(criterion.recency)
        case Sequence():
            steps = [_step(step) for step in criterion.steps]
            found = [step.pop("input_ids", None) for step in steps]  # they are the criterion's
            document = {"type": "sequence", "steps": steps, **_recency(criterion.recency)}
            return document if found[0] is None else document | {"input_ids": found[0]}
        case UserAttribute() | UserAttributeList():
            type_ = "user_attribute" if isinstance(criterion, UserAttribute) else None
            name = {"attribute_name": criterion.attribute_name}
            return {"type": type_ or "user_attribute_list", **name, **_test(criterion.test)}
        case CalculatedAttribute():
            number = {"calculated_attribute_id": criterion.calculated_attribute}
            return {"type": "calculated_attribute", **number, **_test(criterion.test)}
        case AudienceMembership():
            target = {"audience_id": criterion.audience}
            return {"type": "audience_membership", **target, **_membership(criterion.is_member)}
        case SegmentMembership():
            target = {"segment_id": criterion.segment}
            return {"type": "segment_membership", **target, **_membership(criterion.is_member)}
        case Consent():
            return _consent(criterion)
        case DeviceCriterion():
            of = {"field": criterion.field, "match": criterion.match}
            return {"type": "device", **of, **_test(criterion.test)}
        case SeenAt():
            return {"type": criterion.which, **_test(criterion.test)}
        case LocationEquals():
            values = {"field": criterion.field, "values": list(criterion.values)}
            return {"type": "location", "operator": "equals", **values}
        case LocationWithin():
            centre = {"latitude": criterion.latitude, "longitude": criterion.longitude}
            away = {"distance": criterion.distance_m, "unit": "meters"}
            return {"type": "location", "operator": "within", **centre, **away}
        case LocationWithinBox():
            borders = {
                side: getattr(criterion, side) for side in ("north", "south", "east", "west")
            }
            return {"type": "location", "operator": "within_box", **borders}
        case IdentityCriterion():
            name = {"identity_type": criterion.identity_type}
            return {"type": "identity", **name, **_test(criterion.test)}
        case AttributionCriterion():
            of = {"event": criterion.event, "field": criterion.field}
            return {"type": "attribution", **of, **_test(criterion.test)}
        case Flag():
            return {"type": criterion.name, "value": criterion.value}
        case Prediction():
            of = {"output": criterion.output}
            prediction = {"prediction_id": criterion.prediction}
            return {"type": "prediction", **prediction, **of, **_test(criterion.test)}


def _test(test: Test, name: str = "value_type") -> Json:
    document: Json = {name: test.type, "operator": test.operator}
    for member in ("value", "min_value", "max_value", "unit"):
        if getattr(test, member) is not None:
            document[member] = getattr(test, member)
    if test.operator.startswith("size_") and isinstance(test.value, float):
        document["value"] = int(test.value)
    if test.values:
        document["values"] = list(test.values)
    if test.value_ref is not None:
        reference = test.value_ref
        document["value_ref"] = {
            "type": reference.type,
            "attribute_name": reference.attribute_name,
        }
    return document


def _where(where: Where) -> Json:
    if isinstance(where, Condition):
        return {
            "attribute_name": where.attribute_name,
            "attribute_category": where.attribute_category,
            **_test(where.test, "type"),
        }
    return {"op": where.op, "nodes": [_where(each) for each in where.nodes]}


def _filter(wanted: EventFilter) -> Json:
    document: Json = {"event_type": wanted.event_type}
    lists = {
        "event_name": wanted.event_names,
        "custom_event_type": wanted.custom_event_types,
        "commerce_action": wanted.commerce_actions,
        "input_ids": wanted.inputs,
    }
    document |= {name: list(values) for name, values in lists.items() if values}
    if wanted.where is not None:
        document["where"] = _where(wanted.where)
    return document


def _step(step: Step) -> Json:
    document = _filter(step.filter)
    if step.within_ms is not None:
        document["within"] = _span(step.within_ms)
    if step.same:
        document["same"] = list(step.same)
    return document | {"absent": True} if step.is_absent else document


def _recency(recency: Recency) -> Json:
    if recency.type == "all":
        return {}
    document: Json = {"type": recency.type}
    if recency.duration_ms is not None:
        document |= _span(recency.duration_ms)
    if recency.from_ms is not None and recency.to_ms is not None:
        document |= {"from": _span(recency.from_ms), "to": _span(recency.to_ms)}
    for name in ("date", "start", "end"):
        if getattr(recency, name) is not None:
            document[name] = getattr(recency, name)
    if recency.type == "calendar":
        document |= {"unit": recency.unit, "offset": recency.offset}
    return {"recency": document}


def _frequency(frequency: Frequency) -> Json:
    document: Json = {"operator": frequency.operator, "of": frequency.of}
    if frequency.operator == "between":
        return document | {"min_value": frequency.min_value, "max_value": frequency.max_value}
    return document | {"value": frequency.value}


def _aggregate(aggregate: Aggregate) -> Json:
    tested = _test(aggregate.test)
    del tested["value_type"]
    return {
        "function": aggregate.function,
        "attribute_name": aggregate.attribute_name,
        "attribute_category": aggregate.attribute_category,
        "use_product_quantity": aggregate.use_product_quantity,
        **tested,
    }


def _consent(criterion: Consent) -> Json:
    document: Json = {
        "type": "consent",
        "regulation": criterion.regulation,
        "purpose": criterion.purpose,
    }
    if criterion.test is None:
        return document | {"operator": criterion.operator}
    return document | {"field": criterion.field, **_test(criterion.test)}


def _membership(is_member: bool) -> Json:
    return {"operator": "is_member" if is_member else "is_not_member"}


def _span(duration_ms: int) -> Json:
    for unit in ("months", "weeks", "days", "hours", "minutes"):
        if duration_ms % UNIT_MS[unit] == 0:
            return {"value": duration_ms // UNIT_MS[unit], "unit": unit}
    raise AssertionError(f"{duration_ms} ms is no number of minutes")
