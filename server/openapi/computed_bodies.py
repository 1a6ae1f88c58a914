"""Bodies about values that users are given (spec/calculated-attributes.md; spec/predictions.md;
spec/identity.md, 13).
"""

from collections.abc import Mapping

from actors.groups.aggregates import AGGREGATIONS
from server.calculated_bodies import MAX_PREVIEWED
from server.calculated_views import READ_BACK
from server.group_definitions import ID, MAX_ATTRIBUTES, MAX_DESCRIPTION_LENGTH, MAX_NAME_LENGTH
from server.openapi.shapes import (
    ANYTHING,
    INT64,
    NUMBER,
    TEXT,
    WHOLE,
    Schema,
    closed,
    many,
    map_of,
    nullable,
    object_of,
    ref,
    shown,
    text,
)

_GROUP: Mapping[str, Schema] = {
    "id": {"type": "string", "pattern": f"^{ID.pattern}$"},
    "description": text(MAX_DESCRIPTION_LENGTH, 0),
    "source_user_attribute": text(MAX_NAME_LENGTH),
    "attributes": many(
        closed(["id", "type"], id=text(MAX_NAME_LENGTH), type={"enum": list(AGGREGATIONS)}),
        minItems=1,
        maxItems=MAX_ATTRIBUTES,
    ),
}

BODIES: Mapping[str, Schema] = {
    "Prediction": object_of(
        ["name", "scorer", "goal"],
        name=TEXT,
        description=TEXT,
        type={"enum": ["future_event"]},
        scorer={"enum": ["external"]},
        environment={"enum": ["production", "development"]},
        goal=map_of(ANYTHING),
        horizon_days=WHOLE,
        active_within_days=WHOLE,
        population={"const": None},
        exclude={"const": None},
    ),
    "PredictionChange": object_of(name=TEXT, description=TEXT),
    "Scores": object_of(
        ["rows"], rows=many(object_of(["mpid", "score"], mpid=INT64, score={"type": "number"}))
    ),
    "CalculatedAttribute": closed(
        name=nullable(TEXT),
        description=nullable(TEXT),
        draft_definition=nullable(ref("CalculatedDefinition")),
        **shown(*sorted(READ_BACK)),
    ),
    "CalculatedDefinition": map_of(ANYTHING),
    "CalculatedPreview": closed(
        ["definition", "mpids"],
        definition=ref("CalculatedDefinition"),
        mpids=many(NUMBER, minItems=1, maxItems=MAX_PREVIEWED),
        as_of=nullable(TEXT),
    ),
    "GroupDefinition": closed(["id", "source_user_attribute", "attributes"], **_GROUP),
    "ChangedGroupDefinition": closed(
        ["source_user_attribute", "attributes"], **_GROUP, **shown("created_on", "last_run_on")
    ),
}
