"""Canonical criteria of every kind, with what they mean."""

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
    IdentityCriterion,
    LocationEquals,
    LocationWithin,
    LocationWithinBox,
    Prediction,
    Recency,
    SeenAt,
    SegmentMembership,
    Sequence,
    Step,
    UserAttribute,
    UserAttributeList,
    ValueRef,
    WhereGroup,
)
from actors.audiences.criteria import Test as ValueTest

DAY_MS = UNIT_MS["days"]
HOUR_MS = UNIT_MS["hours"]

Example = tuple[dict[str, Any], Criterion]

EVENTS: list[Example] = [
    (
        {"type": "event", "event_type": "any", "input_ids": [8, 7]},
        EventCriterion(EventFilter("any", inputs=(7, 8))),
    ),
    (
        {
            "type": "event",
            "event_type": "custom_event",
            "event_name": ["Clip Played", "Clip Paused"],
            "custom_event_type": "media",
            "where": {
                "op": "and",
                "nodes": [
                    {
                        "attribute_name": "kind",
                        "type": "string",
                        "operator": "equals",
                        "value": "intro",
                    },
                    {
                        "op": "not",
                        "nodes": [
                            {
                                "attribute_name": "latitude",
                                "attribute_category": "event_field",
                                "type": "number",
                                "operator": "between",
                                "min_value": -1,
                                "max_value": 1.5,
                            }
                        ],
                    },
                ],
            },
            "recency": {
                "type": "between_ago",
                "from": {"value": 6, "unit": "days"},
                "to": {"value": 0.5, "unit": "hours"},
            },
            "frequency": {"operator": "between", "of": "days", "min_value": 0, "max_value": 2},
        },
        EventCriterion(
            EventFilter(
                "custom_event",
                ("Clip Played", "Clip Paused"),
                ("media",),
                where=WhereGroup(
                    "and",
                    (
                        Condition(
                            "kind", "event_attribute", ValueTest("string", "equals", "intro")
                        ),
                        WhereGroup(
                            "not",
                            (
                                Condition(
                                    "latitude",
                                    "event_field",
                                    ValueTest("number", "between", min_value=-1.0, max_value=1.5),
                                ),
                            ),
                        ),
                    ),
                ),
            ),
            Recency("between_ago", from_ms=6 * DAY_MS, to_ms=HOUR_MS // 2),
            Frequency("between", min_value=0, max_value=2, of="days"),
        ),
    ),
    (
        {
            "type": "event",
            "event_type": "commerce_event",
            "commerce_action": "purchase",
            "recency": {"type": "calendar", "unit": "week", "offset": -1},
            "aggregate": {
                "function": "sum",
                "attribute_name": "price",
                "attribute_category": "product_attribute",
                "use_product_quantity": True,
                "operator": "greater_or_equal",
                "value": 35,
            },
        },
        EventCriterion(
            EventFilter("commerce_event", commerce_actions=("purchase",)),
            Recency("calendar", unit="week", offset=-1),
            aggregate=Aggregate(
                "sum",
                "price",
                "product_attribute",
                True,
                ValueTest("number", "greater_or_equal", 35.0),
            ),
        ),
    ),
]

EXAMPLES: dict[str, list[Example]] = {
    "event": EVENTS,
    "cart_abandonment": [
        (
            {
                "type": "cart_abandonment",
                "wait": {"value": 2, "unit": "hours"},
                "recency": {"type": "on", "date": "2026-03-08"},
            },
            CartAbandonment(
                EventFilter("commerce_event", commerce_actions=("add_to_cart",)),
                2 * HOUR_MS,
                Recency("on", date="2026-03-08"),
            ),
        )
    ],
    "sequence": [
        (
            {
                "type": "sequence",
                "steps": [
                    {"event_type": "custom_event", "event_name": "Clip Played"},
                    {
                        "event_type": "commerce_event",
                        "commerce_action": ["purchase"],
                        "same": ["session_id"],
                    },
                    {
                        "event_type": "screen_view",
                        "same": "plan",
                        "within": {"value": 1, "unit": "days"},
                        "absent": True,
                    },
                ],
                "recency": {"type": "within_last", "value": 3, "unit": "weeks"},
            },
            Sequence(
                (
                    Step(EventFilter("custom_event", ("Clip Played",))),
                    Step(
                        EventFilter("commerce_event", commerce_actions=("purchase",)),
                        same=("session_id",),
                    ),
                    Step(EventFilter("screen_view"), DAY_MS, ("plan",), True),
                ),
                Recency("within_last", duration_ms=21 * DAY_MS),
            ),
        )
    ],
    "user_attribute": [
        (
            {
                "type": "user_attribute",
                "id": "vip",
                "workspace_ids": [1],
                "attribute_name": "status",
                "value_type": "string",
                "operator": "in_list",
                "values": ["GOLD", "silver"],
            },
            UserAttribute("status", ValueTest("string", "in_list", values=("GOLD", "silver"))),
        ),
        (
            {
                "type": "user_attribute",
                "attribute_name": "renews",
                "value_type": "date",
                "operator": "within_next",
                "value": 1.5,
                "unit": "months",
            },
            UserAttribute("renews", ValueTest("date", "within_next", 1.5, unit="months")),
        ),
        (
            {
                "type": "user_attribute",
                "attribute_name": "age",
                "value_type": "number",
                "operator": "greater_than",
                "value_ref": {"type": "calculated_attribute", "attribute_name": "ltv"},
            },
            UserAttribute(
                "age",
                ValueTest(
                    "number", "greater_than", value_ref=ValueRef("calculated_attribute", "ltv", 3)
                ),
            ),
        ),
    ],
    "user_attribute_list": [
        (
            {
                "type": "user_attribute_list",
                "attribute_name": "tags",
                "value_type": "list",
                "operator": "size_greater_than",
                "value": 1,
            },
            UserAttributeList("tags", ValueTest("list", "size_greater_than", 1.0)),
        )
    ],
    "calculated_attribute": [
        (
            {
                "type": "calculated_attribute",
                "calculated_attribute_id": 3,
                "value_type": "number",
                "operator": "exists",
            },
            CalculatedAttribute(3, ValueTest("number", "exists"), "ltv"),
        )
    ],
    "audience_membership": [
        (
            {"type": "audience_membership", "audience_id": 11, "operator": "is_member"},
            AudienceMembership(11, True),
        )
    ],
    "segment_membership": [
        (
            {"type": "segment_membership", "segment_id": 21, "operator": "is_not_member"},
            SegmentMembership(21, False),
        )
    ],
    "consent": [
        (
            {"type": "consent", "regulation": "gdpr", "purpose": "ads", "operator": "not_true"},
            Consent("gdpr", "ads", "not_true"),
        ),
        (
            {
                "type": "consent",
                "regulation": "ccpa",
                "purpose": "data_sale_opt_out",
                "field": "timestamp",
                "value_type": "date",
                "operator": "after",
                "value": "2026-03-01T00:00:00Z",
            },
            Consent(
                "ccpa",
                "data_sale_opt_out",
                field="timestamp",
                test=ValueTest("date", "after", "2026-03-01T00:00:00Z"),
            ),
        ),
    ],
    "device": [
        (
            {
                "type": "device",
                "field": "os_version",
                "match": "latest",
                "value_type": "version",
                "operator": "greater_or_equal",
                "value": "17.2",
            },
            DeviceCriterion(
                "os_version", "latest", ValueTest("version", "greater_or_equal", "17.2")
            ),
        )
    ],
    "first_seen": [
        (
            {"type": "first_seen", "value_type": "date", "operator": "on", "value": "2026-03-01"},
            SeenAt("first_seen", ValueTest("date", "on", "2026-03-01")),
        )
    ],
    "last_seen": [
        (
            {
                "type": "last_seen",
                "value_type": "date",
                "operator": "between_dates",
                "min_value": "2026-03-01",
                "max_value": "2026-03-01",
            },
            SeenAt(
                "last_seen",
                ValueTest("date", "between_dates", min_value="2026-03-01", max_value="2026-03-01"),
            ),
        )
    ],
    "location": [
        (
            {"type": "location", "operator": "equals", "field": "city", "value": "Newark"},
            LocationEquals("city", ("Newark",)),
        ),
        (
            {"type": "location", "operator": "equals", "field": "zip", "values": ["07102"]},
            LocationEquals("zip", ("07102",)),
        ),
        (
            {
                "type": "location",
                "operator": "within",
                "latitude": 40.7128,
                "longitude": -74.006,
                "distance": 9,
                "unit": "miles",
            },
            LocationWithin(40.7128, -74.006, 9 * 1609.344),
        ),
        (
            {
                "type": "location",
                "operator": "within_box",
                "north": 10,
                "south": -10,
                "east": -170,
                "west": 170,
            },
            LocationWithinBox(10.0, -10.0, -170.0, 170.0),
        ),
    ],
    "identity": [
        (
            {
                "type": "identity",
                "identity_type": "partner:acme",
                "value_type": "string",
                "operator": "ends_with",
                "value": "x",
            },
            IdentityCriterion("partner:acme", ValueTest("string", "ends_with", "x")),
        )
    ],
    "attribution": [
        (
            {
                "type": "attribution",
                "event": "install",
                "field": "campaign",
                "value_type": "string",
                "operator": "exists",
            },
            AttributionCriterion("install", "campaign", ValueTest("string", "exists")),
        )
    ],
    "opt_out": [({"type": "opt_out", "value": False}, Flag("opt_out", False))],
    "limit_ad_tracking": [
        ({"type": "limit_ad_tracking", "value": True}, Flag("limit_ad_tracking", True))
    ],
    "prediction": [
        (
            {
                "type": "prediction",
                "prediction_id": 31,
                "output": "percentile",
                "value_type": "number",
                "operator": "greater_than",
                "value": 0.9,
            },
            Prediction(31, "percentile", ValueTest("number", "greater_than", 0.9)),
        )
    ],
}

ALL = [example for examples in EXAMPLES.values() for example in examples]
