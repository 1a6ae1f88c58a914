"""Definitions as people may write them: all kinds, operators, shorthands and aliases."""

from typing import Any

from hypothesis import strategies as st

from actors.audiences.event_rows import EVENT_FIELDS, PROMOTION_FIELDS
from actors.audiences.language.event_filters import COMMERCE_ACTIONS, CUSTOM_EVENT_TYPES
from actors.audiences.language.kinds.device import DEVICE_FIELDS
from actors.audiences.language.kinds.identity import IDENTITY_TYPES
from actors.audiences.language.operators import COMPARISONS, OPERATORS
from actors.batches.events import EVENT_TYPES

Json = dict[str, Any]

names = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=6)
texts = names | st.just("") | st.sampled_from(["Paris", "ß", "a*b?\\"])
numbers: st.SearchStrategy[int | float] = st.integers(-100, 100) | st.floats(-1e6, 1e6)
days = st.dates().map(lambda date: date.isoformat())
instants = st.datetimes().map(lambda moment: moment.isoformat() + "+01:00")
dates = days | instants
versions = st.lists(st.integers(0, 30), min_size=1, max_size=4).map(
    lambda parts: ".".join(map(str, parts))
)
durations = st.fixed_dictionaries(
    {
        "value": st.integers(0, 100) | st.floats(0, 100),
        "unit": st.sampled_from(["minutes", "hours", "days", "weeks", "months"]),
    }
)
calendar = st.fixed_dictionaries(
    {
        "type": st.just("calendar"),
        "unit": st.sampled_from(["day", "week", "month", "quarter", "year"]),
    },
    optional={"offset": st.integers(-10_000, 0)},
)

_SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "string": texts,
    "number": numbers | numbers.map(str),
    "boolean": st.booleans() | st.sampled_from(["TRUE", "false"]),
    "date": dates,
    "version": versions,
    "list": texts,
}
_ALIASES = {
    "greater_or_equal": "greater_than_or_equal",
    "less_than_or_equal": "less_or_equal",
}


def _ascending(value: Any) -> Any:
    """Return what a value of a range sorts by."""
    return [int(part) for part in value.split(".")] if isinstance(value, str) else float(value)


@st.composite
def operations(draw: st.DrawFn, value_type: str, operators: Any = None) -> Json:
    """Draw an operator of a type with its operands."""
    operators = OPERATORS[value_type] if operators is None else operators  # type: ignore[index]
    operator = draw(st.sampled_from(sorted(operators)))
    operand = operators[operator]
    sent = draw(st.sampled_from([operator, _ALIASES.get(operator, operator)]))
    test: Json = {"operator": sent}
    scalars = _SCALARS[value_type]
    if operand == "value":
        test["value"] = draw(scalars)
    elif operand == "size":
        test["value"] = draw(st.integers(0, 5))
    elif operand == "values":
        test["values"] = draw(st.lists(scalars, min_size=1, max_size=3))
    elif operand == "range":
        ends = days if value_type == "date" else versions if value_type == "version" else numbers
        pair = draw(st.tuples(ends, ends))
        key = str if value_type == "date" else _ascending
        test["min_value"], test["max_value"] = sorted(pair, key=key)
    elif operand == "duration":
        test |= draw(durations)
    return test


references = st.fixed_dictionaries(
    {"type": st.just("user_attribute"), "attribute_name": names}
) | st.just({"type": "calculated_attribute", "attribute_name": "ltv"})


@st.composite
def typed_tests(draw: st.DrawFn) -> Json:
    """Draw a test that says its type."""
    value_type = draw(st.sampled_from(sorted(OPERATORS)))
    if draw(st.integers(0, 5)) == 0:
        comparable = [name for name, operand in OPERATORS[value_type].items() if operand == "value"]
        operator = draw(st.sampled_from(comparable))
        test = {"operator": operator, "value_ref": draw(references)}
    else:
        test = draw(operations(value_type))
    return {"value_type": value_type, **test}


@st.composite
def conditions(draw: st.DrawFn) -> Json:
    """Draw a condition of a row."""
    value_type = draw(st.sampled_from(sorted(OPERATORS)))
    category = draw(
        st.sampled_from(
            [None, "event_attribute", "event_field", "product_attribute", "promotion_attribute"]
        )
    )
    known = {"event_field": sorted(EVENT_FIELDS), "promotion_attribute": sorted(PROMOTION_FIELDS)}
    name = draw(st.sampled_from(known[category]) if category in known else names)
    subject = {"attribute_name": name}
    if category is not None:
        subject["attribute_category"] = category
    return {**subject, "type": value_type, **draw(operations(value_type))}


def groups(nodes: st.SearchStrategy[Json], ops: list[str]) -> st.SearchStrategy[Json]:
    """Make groups in both forms."""
    several = st.lists(nodes, min_size=2, max_size=3)
    many = st.sampled_from(ops)
    return (
        st.builds(lambda op, inner: {"op": op, "nodes": inner}, many, several)
        | st.builds(lambda op, inner: {op: inner}, many, several)
        | nodes.map(lambda node: {"not": node})
        | nodes.map(lambda node: {"op": "not", "nodes": [node]})
    )


wheres = st.recursive(conditions(), lambda nodes: groups(nodes, ["and", "or"]), max_leaves=4)

dated = st.sampled_from(["before", "after", "on"])
recencies = (
    st.just({"type": "all"})
    | st.builds(
        lambda kind, duration: {"type": kind, **duration},
        st.sampled_from(["within_last", "older_than"]),
        durations,
    )
    | st.builds(lambda kind, date: {"type": kind, "date": date}, dated, dates)
    | st.tuples(days, days).map(
        lambda pair: {"type": "between_dates", "start": min(pair), "end": max(pair)}
    )
    | durations.map(lambda ago: {"type": "between_ago", "from": ago, "to": ago})
    | calendar
)
frequencies = st.builds(
    lambda test, of: test | ({} if of is None else {"of": of}),
    st.sampled_from(sorted(COMPARISONS)).flatmap(
        lambda operator: (
            st.tuples(st.integers(0, 9), st.integers(0, 9)).map(
                lambda pair: {
                    "operator": operator,
                    "min_value": min(pair),
                    "max_value": max(pair),
                }
            )
            if operator == "between"
            else st.builds(
                lambda sent, value: {"operator": sent, "value": value},
                st.sampled_from([operator, _ALIASES.get(operator, operator)]),
                st.integers(0, 9),
            )
        )
    ),
    st.sampled_from([None, "events", "days", "sessions", "quantity"]),
)
aggregates = st.builds(
    lambda function, subject, by_quantity, test: {
        "function": function,
        **subject,
        **({} if by_quantity is None else {"use_product_quantity": by_quantity}),
        **test,
    },
    st.sampled_from(["sum", "min", "max", "average", "unique_values_count"]),
    conditions().map(
        lambda condition: {
            name: value for name, value in condition.items() if name.startswith("attribute_")
        }
    ),
    st.sampled_from([None, True, False]),
    operations("number", COMPARISONS),
)


def one_or_several(words: Any) -> st.SearchStrategy[Any]:
    """Make a word, or a list of them."""
    word = st.sampled_from(words)
    return word | st.lists(word, min_size=1, max_size=3)


@st.composite
def event_members(draw: st.DrawFn) -> Json:
    """Draw which events match."""
    event_type = draw(st.sampled_from([*EVENT_TYPES, "install", "upgrade", "any"]))
    members: Json = {"event_type": event_type}
    if event_type == "custom_event" or (event_type == "screen_view" and draw(st.booleans())):
        members["event_name"] = draw(names | st.lists(names, min_size=1, max_size=3))
    if event_type == "custom_event" and draw(st.booleans()):
        members["custom_event_type"] = draw(one_or_several(CUSTOM_EVENT_TYPES))
    if event_type == "commerce_event" and draw(st.booleans()):
        spelling = draw(st.sampled_from(["action", "commerce_action"]))
        members[spelling] = draw(one_or_several(COMMERCE_ACTIONS))
    if draw(st.booleans()):
        members["where"] = draw(wheres)
    return members


@st.composite
def events(draw: st.DrawFn) -> Json:
    """Draw an event criterion."""
    when = draw(
        st.just({})
        | recencies.map(lambda recency: {"recency": recency})
        | durations.map(lambda duration: {"within": duration})
    )
    how_many = draw(
        st.just({})
        | st.builds(
            lambda spelling, frequency: {spelling: frequency},
            st.sampled_from(["count", "frequency"]),
            frequencies,
        )
    )
    what = draw(st.just({}) | aggregates.map(lambda aggregate: {"aggregate": aggregate}))
    return {"type": "event", **draw(event_members()), **when, **how_many, **what}


@st.composite
def sequences(draw: st.DrawFn) -> Json:
    """Draw a sequence."""
    steps = draw(st.lists(event_members(), min_size=2, max_size=5))
    for step in steps[1:]:
        if draw(st.booleans()):
            step["within"] = draw(durations)
        if draw(st.booleans()):
            step["same"] = draw(st.lists(st.just("session_id") | names, min_size=1, max_size=2))
    if "within" in steps[-1]:
        steps[-1]["absent"] = draw(st.booleans())
    return {"type": "sequence", "steps": steps}


_fixed: list[st.SearchStrategy[Json]] = [
    st.builds(lambda value: {"type": "opt_out", "value": value}, st.booleans()),
    st.just({"type": "audience_membership", "audience_id": 11, "operator": "is_member"}),
    st.just({"type": "segment_membership", "segment_id": 21, "operator": "is_not_member"}),
    st.builds(
        lambda purpose, state: (
            {"type": "consent", "regulation": "gdpr", "purpose": purpose} | state
        ),
        names,
        st.booleans().map(lambda consented: {"consented": consented})
        | st.sampled_from(["not_true", "exists"]).map(lambda operator: {"operator": operator})
        | operations("date").map(lambda test: {"field": "timestamp", **test}),
    ),
    st.builds(
        lambda field, test: {"type": "device", "field": field, **test},
        st.sampled_from(DEVICE_FIELDS),
        typed_tests(),
    ),
    st.builds(
        lambda kind, test: {"type": kind, **test},
        st.sampled_from(["first_seen", "last_seen"]),
        operations("date"),
    ),
    st.builds(
        lambda kind, test: {"type": "identity", "identity_type": kind, **test},
        st.sampled_from(sorted(IDENTITY_TYPES)),
        operations("string"),
    ),
    st.builds(
        lambda test: {"type": "attribution", "event": "install", "field": "publisher", **test},
        operations("string"),
    ),
    st.builds(
        lambda test: {"type": "prediction", "prediction_id": 31, "output": "score", **test},
        operations("number"),
    ),
    st.builds(lambda test: {"type": "calculated_attribute", "name": "ltv", **test}, typed_tests()),
    st.builds(
        lambda name, test: {"type": "user_attribute", "attribute_name": name, **test},
        names,
        typed_tests(),
    ),
    st.builds(
        lambda name, test: {"type": "user_attribute_list", "attribute_name": name, **test},
        names,
        operations("list"),
    ),
    st.builds(
        lambda latitude, longitude, distance: {
            "type": "location",
            "operator": "within",
            "latitude": latitude,
            "longitude": longitude,
            "distance": distance,
            "unit": "miles",
        },
        st.floats(-90, 90),
        st.integers(-180, 180),
        st.floats(0, 1e5),
    ),
    st.builds(
        lambda wait: {"type": "cart_abandonment", "wait": wait},
        durations,
    ),
]
criteria = st.one_of(events(), sequences(), *_fixed)
nodes = st.recursive(criteria, lambda inner: groups(inner, ["and", "or", "exclude"]), max_leaves=5)
definitions = nodes | nodes.map(lambda node: {"version": 1, "criteria": node})
