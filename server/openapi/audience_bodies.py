"""Bodies about audiences and what users are given (spec/audiences.md, 14)."""

from collections.abc import Mapping

from server.openapi.shapes import (
    ANYTHING,
    ENVIRONMENT,
    INT64,
    TEXT,
    WHOLE,
    Schema,
    many,
    map_of,
    object_of,
    ref,
)

BODIES: Mapping[str, Schema] = {
    "Criteria": map_of(ANYTHING),
    "Audience": object_of(
        name=TEXT,
        external_name=TEXT,
        type={"enum": ["real_time", "standard", "static"]},
        environment=ENVIRONMENT,
        workspaces=many(WHOLE),
        inputs=many(WHOLE),
        tags=many(TEXT),
        definition=ref("Criteria"),
    ),
    "Definition": object_of(["definition"], definition=ref("Criteria")),
    "Question": object_of(
        ["definition"],
        definition=ref("Criteria"),
        environment=ENVIRONMENT,
        workspaces=many(WHOLE),
        inputs=many(WHOLE),
        mpids=many(INT64),
        as_of=TEXT,
    ),
    "MemberChange": object_of(add=many(INT64), remove=many(INT64)),
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
    "CalculatedAttribute": object_of(
        name=TEXT, description=TEXT, draft_definition=map_of(ANYTHING)
    ),
}
