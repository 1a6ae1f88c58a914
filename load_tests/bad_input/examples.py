"""Good bodies of what schemas cannot say: the languages of audiences and calculated attributes."""

from random import Random
from typing import Any

CRITERIA: tuple[Any, ...] = (
    {
        "type": "event",
        "event_type": "custom_event",
        "event_name": ["Opened", "Closed"],
        "where": {
            "op": "and",
            "nodes": [
                {
                    "attribute_name": "price",
                    "type": "number",
                    "operator": "between",
                    "min_value": 1,
                    "max_value": 9.5,
                },
                {
                    "op": "not",
                    "nodes": [
                        {
                            "attribute_name": "label",
                            "type": "string",
                            "operator": "pattern",
                            "value": "a.*b",
                        }
                    ],
                },
            ],
        },
        "recency": {"type": "within_last", "value": 7, "unit": "days"},
        "frequency": {"operator": "greater_than", "value": 2, "of": "days"},
        "aggregate": {
            "function": "sum",
            "attribute_name": "price",
            "operator": "greater_than",
            "value": 10,
        },
    },
    {"type": "cart_abandonment", "wait": {"value": 2, "unit": "hours"}},
    {
        "type": "sequence",
        "steps": [
            {"event_type": "screen_view", "event_name": "Home"},
            {
                "event_type": "commerce_event",
                "commerce_action": "purchase",
                "within": {"value": 1, "unit": "days"},
                "same": ["session_id"],
            },
        ],
    },
    {
        "type": "user_attribute",
        "attribute_name": "tier",
        "value_type": "string",
        "operator": "in_list",
        "values": ["gold", "silver"],
    },
    {
        "type": "user_attribute_list",
        "attribute_name": "tags",
        "value_type": "list",
        "operator": "includes",
        "value": "x",
    },
    {
        "type": "user_attribute",
        "attribute_name": "born",
        "value_type": "date",
        "operator": "between_dates",
        "min_value": "2026-01-01",
        "max_value": "2026-02-28",
    },
    {"type": "consent", "regulation": "gdpr", "purpose": "marketing", "operator": "consented"},
    {"type": "location", "operator": "within", "latitude": 1, "longitude": 2, "distance": 3,
     "unit": "miles"},
    {"type": "identity", "identity_type": "email", "operator": "exists"},
    {"type": "last_seen", "operator": "within_last", "value": 30, "unit": "days"},
    {"type": "audience_membership", "audience_id": 1, "operator": "is_member"},
    {"type": "device", "field": "device_model", "match": "latest", "operator": "equals",
     "value": "x"},
)  # fmt: skip
CALCULATED: tuple[Any, ...] = (
    {
        "name": "Total",
        "draft_definition": {
            "recipe_type": "event",
            "datapoint": {
                "type": "event",
                "event_type": "custom_event",
                "event_name": "Buy",
                "attribute_name": "price",
            },
            "conditions": None,
            "calculation_type": "sum",
            "time_period": {"type": "within", "within": 30, "within_unit": "days"},
            "seeding": None,
        },
    },
)
GROUP = {
    "id": "household",
    "description": "same address",
    "source_user_attribute": "$address",
    "attributes": [{"id": "owns_cat", "type": "boolean_or"}],
}
# Last segment of a path to bodies that are good there.
_OTHERS: dict[str, tuple[Any, ...]] = {
    "groups": (GROUP,),
    "{group}": (GROUP,),
    "calculatedattributes": CALCULATED,
    "{calculated_attribute}": CALCULATED,
    "replay": ({"all": True}, {"ids": ["a"]}, {"filter": {"mpid": 5, "from": "2026-01-01"}}),
    "abtest": ({"variations": [{"name": "A", "percentage": 33.33}]},),
    "download": ({"identity_types": ["email"], "variants": ["A"]},),
    "subscriptions": ({"output_id": 1, "is_active": True, "settings": {}},),
    "connect-audiences": ({"audience_ids": [1, 2], "is_active": True},),
    "sharing": ({"default_level": "activate", "accounts": [{"id": 1, "level": "view"}]},),
    "requests": ({"level": "edit", "start": "2026-01-01", "end": "2026-02-01"},),
    "journeys": ({"name": "J", "inputs": [1]},),
    "milestones": ({"name": "M", "position": 0, "kind": "criteria", "definition": CRITERIA[3]},),
    "preview": ({"events": [{"event_type": "custom_event", "data": {"event_name": "A"}}]},),
    "calculate": ({"audience_ids": [1]},),
    "test": ({"environment": "production"},),
}


def example(path: str, random: Random) -> Any | None:
    """Return a good body for a path of the OpenAPI document; `None` where none is known."""
    last = path.rstrip("/").rpartition("/")[2]
    found = _OTHERS.get(last)
    return None if found is None else random.choice(found)


def criteria(random: Random, depth: int = 0) -> Any:
    """Return a good definition of an audience."""
    if depth < 3 and random.random() < 0.4:
        nodes = [criteria(random, depth + 1) for _ in range(random.randint(1, 3))]
        return {"op": random.choice(("and", "or", "exclude")), "nodes": nodes}
    return random.choice(CRITERIA)
