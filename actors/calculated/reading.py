"""A valid definition's JSON: its canonical form, and what it means as a type.

Source: spec/calculated-attributes.md, 3 and 6.1.
"""

from typing import Any

from actors.calculated.conditions import read_condition, shown_condition
from actors.calculated.definition import EXTENDED_UNIT_MS, Datapoint, DateRange, Definition
from actors.calculated.functions.registry import function_named
from actors.calculated.validation import cutoff_day_ms, datapoint_of, date_ms, date_text

Json = dict[str, Any]


def canonical(definition: Json) -> Json:
    """Return a valid definition as it is kept and shown (6.1)."""
    sent, period = datapoint_of(definition), definition["time_period"]
    kind, date = period["type"], date_ms(period.get("date"))
    cutoff_ms = cutoff_day_ms(definition.get("seeding"))
    conditions = definition.get("conditions")
    shown_period: Json = {
        "type": kind,
        "within": period["within"] if kind == "within" else None,
        "within_unit": period["within_unit"] if kind == "within" else None,
        "date": date_text(date) if kind == "since" and date is not None else None,
    }
    if kind == "last_events":
        shown_period["count"] = period["count"]
    return {
        "recipe_type": "event",
        "datapoint": {
            "type": sent["type"],
            "event_type": sent["event_type"],
            "event_name": sent.get("event_name"),
            "custom_event_type": sent.get("custom_event_type"),
            "attribute_name": sent.get("attribute_name"),
            "attribute_category": sent.get("attribute_category") or "event_attribute",
            "use_product_quantity": bool(sent.get("use_product_quantity")),
        },
        "conditions": None
        if conditions is None
        else [shown_condition(each) for each in conditions],
        "calculation_type": _function_name(definition),
        "time_period": shown_period,
        "seeding": None if cutoff_ms is None else {"cutoff_date": date_text(cutoff_ms)},
    }


def read_definition(definition: Json) -> Definition:
    """Return what a canonical definition means."""
    function = function_named(definition["calculation_type"])
    assert function is not None, "the definition is valid"
    shown = definition["datapoint"]
    category = shown["attribute_category"]
    event_type = shown["event_type"]
    is_named = event_type in ("custom_event", "screen_view")
    datapoint = Datapoint(
        event_type=event_type,
        event_name=(shown["event_name"] or None) if is_named else None,
        subtype=shown["custom_event_type"],
        attribute_name=shown["attribute_name"] if function.takes == "value" else None,
        category=category,
        uses_quantity=(
            shown["use_product_quantity"] and function.weighs and category == "product_attribute"
        ),
    )
    return Definition(
        function.name,
        datapoint,
        _read_period(definition["time_period"]),
        tuple(read_condition(each, category) for each in definition["conditions"] or ()),
        cutoff_day_ms(definition["seeding"]),
    )


def _read_period(period: Json) -> DateRange:
    match period["type"]:
        case "since":
            start_ms = date_ms(period["date"])
            assert start_ms is not None, "the definition is valid"
            return DateRange("since", start_ms=start_ms)
        case "within":
            unit_ms = EXTENDED_UNIT_MS[period["within_unit"]]
            return DateRange("within", length_ms=period["within"] * unit_ms)
        case "last_events":
            return DateRange("last_events", count=period["count"])
    return DateRange("all")


def _function_name(definition: Json) -> str:
    function = function_named(definition["calculation_type"])
    assert function is not None, "the definition is valid"
    return function.name
