"""Schemas of bodies, by name: of the workspace document's objects those that check them.

They say what is sent, not all that is refused: the specification's pages do.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel

from actors.model.workspaces import ENVIRONMENTS
from config.forwarding import Filters
from config.identity import IdentitySettings
from config.inputs import Input
from config.outputs import Connection, Output
from config.roles import TASKS
from config.workspace import Workspace, WorkspaceDocument

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_FLAG: Schema = {"type": "boolean"}
_WHOLE: Schema = {"type": "integer"}
_INT64: Schema = {"type": "integer", "format": "int64"}
_MPID: Schema = {"anyOf": [_INT64, {"type": "string", "pattern": r"^-?[0-9]{1,19}$"}]}
_ENVIRONMENT: Schema = {"type": "string", "enum": list(ENVIRONMENTS)}
_ANYTHING: Schema = {}


def _object(required: Iterable[str] = (), **members: Schema) -> Schema:
    names = list(required)
    shape: Schema = {"type": "object", "properties": members}
    return shape | {"required": names} if names else shape


def _many(of: Schema, **bounds: int) -> Schema:
    return {"type": "array", "items": of, **bounds}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _map(of: Schema) -> Schema:
    return {"type": "object", "additionalProperties": of}


_SCALAR: Schema = {"type": ["string", "number", "boolean", "null"]}

_WRITTEN: Mapping[str, Schema] = {
    "Anything": _ANYTHING,
    "Nothing": {"type": "object", "maxProperties": 0},
    "Errors": _object(errors=_many(_ref("Error"))),
    "Error": _object(code=_TEXT, message=_TEXT, path=_TEXT),
    "Event": _object(["event_type", "data"], event_type=_TEXT, data=_ref("EventData")),
    "EventData": _object(
        event_name=_TEXT,
        custom_event_type=_TEXT,
        screen_name=_TEXT,
        label=_TEXT,
        timestamp_unixtime_ms=_INT64,
        session_id=_INT64,
        session_uuid=_TEXT,
        source_message_id=_TEXT,
        custom_attributes=_map(_SCALAR),
        custom_flags=_map(_ANYTHING),
        location=_object(latitude={"type": "number"}, longitude={"type": "number"}),
        product_action=_object(action=_TEXT, total_amount=_SCALAR, products=_many(_map(_ANYTHING))),
        promotion_action=_object(action=_TEXT, promotions=_many(_map(_ANYTHING))),
    ),
    "Batch": _object(
        environment=_TEXT,
        mpid=_MPID,
        events=_many(_ref("Event")),
        user_identities=_map(_SCALAR),
        user_attributes=_map(_ANYTHING),
        deleted_user_attributes=_many(_TEXT),
        device_info=_map(_ANYTHING),
        application_info=_map(_ANYTHING),
        consent_state=_object(
            gdpr=_map(_object(consented=_FLAG, timestamp_unixtime_ms=_INT64)),
            ccpa=_map(_object(consented=_FLAG, timestamp_unixtime_ms=_INT64)),
        ),
        context=_object(data_plan=_object(plan_id=_TEXT, plan_version=_WHOLE)),
        source_request_id=_TEXT,
        timestamp_unixtime_ms=_INT64,
        ip=_TEXT,
    ),
    "Batches": _many(_ref("Batch"), minItems=1, maxItems=100),
    "NativeBatch": _object(
        id=_TEXT,
        dt=_TEXT,
        ct=_INT64,
        mpid=_MPID,
        msgs=_many(_object(dt=_TEXT, id=_TEXT, ct=_INT64, n=_TEXT, attrs=_map(_SCALAR))),
        di=_map(_ANYTHING),
        ai=_map(_ANYTHING),
        ui=_many(_object(n=_WHOLE, i=_TEXT)),
        ua=_map(_ANYTHING),
    ),
    "Seeds": _object(
        ["environment", "calculated_attributes"],
        environment=_ENVIRONMENT,
        mpid=_MPID,
        identities=_map(_TEXT),
        calculated_attributes=_object(workspace=_map(_ANYTHING)),
        user_attributes=_map(_ANYTHING),
    ),
    "ManySeeds": _many(_ref("Seeds"), minItems=1, maxItems=1000),
    "IdentityCall": _object(
        ["environment", "known_identities"],
        client_sdk=_object(platform=_TEXT, sdk_vendor=_TEXT, sdk_version=_TEXT),
        environment=_ENVIRONMENT,
        request_id=_TEXT,
        request_timestamp_ms=_INT64,
        previous_mpid=_MPID,
        context=_TEXT,
        known_identities=_map({"type": ["string", "null"]}),
    ),
    "ExplainedCall": {
        "allOf": [
            _ref("IdentityCall"),
            _object(["call"], call=_TEXT),
        ]
    },
    "ModifyCall": _object(
        ["environment", "identity_changes"],
        environment=_ENVIRONMENT,
        request_id=_TEXT,
        request_timestamp_ms=_INT64,
        identity_changes=_many(
            _object(
                ["identity_type"],
                identity_type=_TEXT,
                old_value={"type": ["string", "null"]},
                new_value={"type": ["string", "null"]},
            )
        ),
    ),
    "Alias": _object(
        ["request_id", "request_type", "environment", "data"],
        request_id=_TEXT,
        request_type={"const": "alias"},
        environment=_ENVIRONMENT,
        api_key=_TEXT,
        data=_object(
            ["source_mpid", "destination_mpid"],
            source_mpid=_MPID,
            destination_mpid=_MPID,
            start_unixtime_ms=_INT64,
            end_unixtime_ms=_INT64,
            scope={"enum": ["device", "mpid"]},
            device_application_stamp=_TEXT,
        ),
    ),
    "Credential": _object(
        [],
        client_id=_TEXT,
        role=_TEXT,
        apis={"type": "array", "items": _TEXT, "minItems": 1},
        status={"enum": ["active", "inactive"]},
    ),
    "AccountUser": _object(email=_TEXT, first_name=_TEXT, last_name=_TEXT, role=_TEXT),
    "Roles": _object(
        ["roles"],
        roles=_many(
            _object(
                ["role_id", "name", "description", "tasks"],
                role_id={"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
                name={"type": "string", "minLength": 1, "maxLength": 64},
                description={"type": "string", "minLength": 1, "maxLength": 256},
                tasks=_many(_object(["task_id"], task_id={"enum": list(TASKS)})),
            ),
            maxItems=100,
        ),
        version=_WHOLE,
    ),
    "Rotation": _object([], immediate={"type": "boolean"}),
    "TokenRequest": _object(
        ["client_id", "client_secret", "grant_type"],
        client_id=_TEXT,
        client_secret=_TEXT,
        grant_type={"const": "client_credentials"},
        audience=_TEXT,
    ),
    "SegmentMessage": _object(
        type=_TEXT,
        userId=_TEXT,
        anonymousId=_TEXT,
        messageId=_TEXT,
        timestamp=_TEXT,
        event=_TEXT,
        name=_TEXT,
        groupId=_TEXT,
        previousId=_TEXT,
        writeKey=_TEXT,
        traits=_map(_ANYTHING),
        properties=_map(_ANYTHING),
        context=_map(_ANYTHING),
    ),
    "SegmentMessages": _object(
        ["batch"], batch=_many(_ref("SegmentMessage")), sentAt=_TEXT, writeKey=_TEXT
    ),
    "ResolvedIdentity": _object(
        ["environment_type", "identity"],
        environment_type=_ENVIRONMENT,
        identity=_object(["type", "value"], type=_TEXT, value=_TEXT),
    ),
    "BulkDeletion": _object(
        ["mpids"],
        environment=_ENVIRONMENT,
        mpids=_many(_MPID, minItems=1, maxItems=1000),
    ),
    "Criteria": _map(_ANYTHING),
    "Audience": _object(
        name=_TEXT,
        external_name=_TEXT,
        type={"enum": ["real_time", "standard", "static"]},
        environment=_ENVIRONMENT,
        workspaces=_many(_WHOLE),
        inputs=_many(_WHOLE),
        tags=_many(_TEXT),
        definition=_ref("Criteria"),
    ),
    "Definition": _object(["definition"], definition=_ref("Criteria")),
    "Question": _object(
        ["definition"],
        definition=_ref("Criteria"),
        environment=_ENVIRONMENT,
        workspaces=_many(_WHOLE),
        inputs=_many(_WHOLE),
        mpids=_many(_INT64),
        as_of=_TEXT,
    ),
    "MemberChange": _object(add=_many(_INT64), remove=_many(_INT64)),
    "Prediction": _object(
        ["name", "scorer", "goal"],
        name=_TEXT,
        description=_TEXT,
        type={"enum": ["future_event"]},
        scorer={"enum": ["external"]},
        environment={"enum": ["production", "development"]},
        goal=_map(_ANYTHING),
        horizon_days=_WHOLE,
        active_within_days=_WHOLE,
        population={"const": None},
        exclude={"const": None},
    ),
    "DataPlan": _object(
        data_plan_id=_TEXT,
        data_plan_name=_TEXT,
        data_plan_description={"type": ["string", "null"]},
        data_plan_versions=_many(_ref("DataPlanVersion")),
    ),
    "DataPlanVersion": _object(
        version=_WHOLE,
        version_description={"type": ["string", "null"]},
        activated_environment={"enum": ["none", "development", "production"]},
        version_document=_ref("DataPlanDocument"),
        quarantine_feed_id={"type": ["integer", "null"]},
    ),
    "DataPlanDocument": _object(
        data_points=_many(
            _object(
                ["match", "validator"],
                description=_TEXT,
                match=_object(["type"], type=_TEXT, criteria=_map(_TEXT)),
                validator=_object(
                    ["type", "definition"],
                    type={"const": "json_schema"},
                    definition=_map(_ANYTHING),
                ),
            )
        ),
        settings=_object(validation_actions=_map(_TEXT)),
        transformations=_many(_map(_ANYTHING)),
    ),
    "PlanTrial": _object(
        ["document", "batch"], document=_ref("DataPlanDocument"), batch=_ref("Batch")
    ),
    "PredictionChange": _object(name=_TEXT, description=_TEXT),
    "Scores": _object(
        ["rows"], rows=_many(_object(["mpid", "score"], mpid=_INT64, score={"type": "number"}))
    ),
    "CalculatedAttribute": _object(name=_TEXT, description=_TEXT, draft_definition=_map(_ANYTHING)),
    "SubjectRequest": _object(
        ["subject_request_id", "subject_request_type", "submitted_time"],
        regulation={"enum": ["gdpr", "ccpa"]},
        subject_request_id={"type": "string", "format": "uuid"},
        subject_request_type={"enum": ["erasure", "access", "portability"]},
        submitted_time=_TEXT,
        subject_identities={
            "anyOf": [
                _map(_object(["value"], value=_TEXT, encoding={"const": "raw"})),
                _many(
                    _object(
                        ["identity_type", "identity_value"],
                        identity_type=_TEXT,
                        identity_value=_TEXT,
                        identity_format={"const": "raw"},
                    )
                ),
            ]
        },
        api_version=_TEXT,
        status_callback_urls=_many(_TEXT),
        group_id=_TEXT,
        skip_waiting_period=_FLAG,
        extensions=_map(_map(_ANYTHING)),
    ),
    "SlotMove": _object(["first", "last", "to"], first=_WHOLE, last=_WHOLE, to=_WHOLE),
    "LogLevel": _object(
        ["logger", "level"],
        logger=_TEXT,
        level={"enum": ["debug", "info", "warning", "error"]},
        ttl_s=_WHOLE,
    ),
}

# The objects of the workspace document, by the models that check it.
_MODELS: Mapping[str, type[BaseModel]] = {
    "WorkspaceDocument": WorkspaceDocument,
    "Workspace": Workspace,
    "Input": Input,
    "Output": Output,
    "Connection": Connection,
    "Filters": Filters,
    "IdentitySettings": IdentitySettings,
}


def referenced(names: Iterable[str]) -> dict[str, Schema]:
    """Return the schemas of some names, and those that they refer to."""
    found: dict[str, Schema] = {}
    waiting = sorted(names)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        if name in _WRITTEN:
            found[name] = _WRITTEN[name]
        else:
            template = "#/components/schemas/{model}"
            schema = _MODELS[name].model_json_schema(ref_template=template)
            for inner, each in schema.pop("$defs", {}).items():
                found.setdefault(inner, each)
            found[name] = schema
        waiting += _references(found[name])
    return found


def _references(schema: Any) -> list[str]:
    if isinstance(schema, list):
        return [name for each in schema for name in _references(each)]
    if not isinstance(schema, dict):
        return []
    own = schema.get("$ref")
    names = [own.rpartition("/")[2]] if isinstance(own, str) else []
    return names + [name for each in schema.values() for name in _references(each)]
