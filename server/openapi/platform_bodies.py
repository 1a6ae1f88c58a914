"""Bodies of access, data plans and operation (spec/platform-api.md)."""

from collections.abc import Mapping

from config.roles import TASKS
from server.openapi.shapes import (
    ANYTHING,
    FLAG,
    NUMBER,
    TEXT,
    WHOLE,
    Schema,
    closed,
    many,
    map_of,
    object_of,
    ref,
)

# Values are as those of a query, or numbers.
_VALUE: Schema = {"type": ["string", "integer", "null"]}
_NUMBER: Schema = {
    "anyOf": [NUMBER, {"type": "string", "pattern": r"^-?[0-9]{1,19}$"}, {"type": "null"}]
}
_DEAD_LETTERS: Schema = closed(
    **dict.fromkeys(("reason", "from", "to"), _VALUE),
    **dict.fromkeys(("http_status", "mpid"), _NUMBER),
) | {"minProperties": 1}

BODIES: Mapping[str, Schema] = {
    "Credential": object_of(
        [],
        client_id=TEXT,
        role=TEXT,
        apis={"type": "array", "items": TEXT, "minItems": 1},
        status={"enum": ["active", "inactive"]},
    ),
    "AccountUser": object_of(email=TEXT, first_name=TEXT, last_name=TEXT, role=TEXT),
    "Roles": object_of(
        ["roles"],
        roles=many(
            object_of(
                ["role_id", "name", "description", "tasks"],
                role_id={"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
                name={"type": "string", "minLength": 1, "maxLength": 64},
                description={"type": "string", "minLength": 1, "maxLength": 256},
                tasks=many(object_of(["task_id"], task_id={"enum": list(TASKS)})),
            ),
            maxItems=100,
        ),
        version=WHOLE,
    ),
    "Rotation": object_of([], immediate={"type": "boolean"}),
    "TokenRequest": object_of(
        ["client_id", "client_secret", "grant_type"],
        client_id=TEXT,
        client_secret=TEXT,
        grant_type={"const": "client_credentials"},
        audience=TEXT,
    ),
    "DataPlan": object_of(
        data_plan_id=TEXT,
        data_plan_name=TEXT,
        data_plan_description={"type": ["string", "null"]},
        data_plan_versions=many(ref("DataPlanVersion")),
    ),
    "DataPlanVersion": object_of(
        version=WHOLE,
        version_description={"type": ["string", "null"]},
        activated_environment={"enum": ["none", "development", "production"]},
        version_document=ref("DataPlanDocument"),
        quarantine_feed_id={"type": ["integer", "null"]},
    ),
    "DataPlanDocument": object_of(
        data_points=many(
            object_of(
                ["match", "validator"],
                description=TEXT,
                match=object_of(["type"], type=TEXT, criteria=map_of(TEXT)),
                validator=object_of(
                    ["type", "definition"],
                    type={"const": "json_schema"},
                    definition=map_of(ANYTHING),
                ),
            )
        ),
        settings=object_of(validation_actions=map_of(TEXT)),
        transformations=many(map_of(ANYTHING)),
    ),
    "PlanTrial": object_of(
        ["document", "batch"], document=ref("DataPlanDocument"), batch=ref("Batch")
    ),
    "SlotMove": object_of(["first", "last", "to"], first=WHOLE, last=WHOLE, to=WHOLE),
    "LogLevel": object_of(
        ["logger", "level"],
        logger=TEXT,
        level={"enum": ["debug", "info", "warning", "error"]},
        ttl_s=WHOLE,
    ),
    "FilterChange": {"anyOf": [ref("Filters"), closed(["all"], all=FLAG)]},
    "FilterTargets": closed(["to"], to=many({"type": ["integer", "string"]}, minItems=1)),
    "DeadLetterSelection": {
        "oneOf": [
            closed(["all"], all={"const": True}),
            closed(["ids"], ids=many(TEXT)),
            closed(["filter"], filter=_DEAD_LETTERS),
        ]
    },
}
