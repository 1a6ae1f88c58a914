"""Bodies about who somebody is and what is kept of them (spec/identity.md; spec/profiles.md)."""

from collections.abc import Mapping

from server.openapi.shapes import (
    ANYTHING,
    ENVIRONMENT,
    FLAG,
    INT64,
    MPID,
    TEXT,
    Schema,
    many,
    map_of,
    object_of,
    ref,
)

BODIES: Mapping[str, Schema] = {
    "IdentityCall": object_of(
        ["environment", "known_identities"],
        client_sdk=object_of(platform=TEXT, sdk_vendor=TEXT, sdk_version=TEXT),
        environment=ENVIRONMENT,
        request_id=TEXT,
        request_timestamp_ms=INT64,
        previous_mpid=MPID,
        context=TEXT,
        known_identities=map_of({"type": ["string", "null"]}),
    ),
    "ExplainedCall": {
        "allOf": [
            ref("IdentityCall"),
            object_of(["call"], call=TEXT),
        ]
    },
    "ModifyCall": object_of(
        ["environment", "identity_changes"],
        environment=ENVIRONMENT,
        request_id=TEXT,
        request_timestamp_ms=INT64,
        identity_changes=many(
            object_of(
                ["identity_type"],
                identity_type=TEXT,
                old_value={"type": ["string", "null"]},
                new_value={"type": ["string", "null"]},
            )
        ),
    ),
    "Alias": object_of(
        ["request_id", "request_type", "environment", "data"],
        request_id=TEXT,
        request_type={"const": "alias"},
        environment=ENVIRONMENT,
        api_key=TEXT,
        data=object_of(
            ["source_mpid", "destination_mpid"],
            source_mpid=MPID,
            destination_mpid=MPID,
            start_unixtime_ms=INT64,
            end_unixtime_ms=INT64,
            scope={"enum": ["device", "mpid"]},
            device_application_stamp=TEXT,
        ),
    ),
    "ResolvedIdentity": object_of(
        ["environment_type", "identity"],
        environment_type=ENVIRONMENT,
        identity=object_of(["type", "value"], type=TEXT, value=TEXT),
    ),
    "BulkDeletion": object_of(
        ["mpids"],
        environment=ENVIRONMENT,
        mpids=many(MPID, minItems=1, maxItems=1000),
    ),
    "SubjectRequest": object_of(
        ["subject_request_id", "subject_request_type", "submitted_time"],
        regulation={"enum": ["gdpr", "ccpa"]},
        subject_request_id={"type": "string", "format": "uuid"},
        subject_request_type={"enum": ["erasure", "access", "portability"]},
        submitted_time=TEXT,
        subject_identities={
            "anyOf": [
                map_of(object_of(["value"], value=TEXT, encoding={"const": "raw"})),
                many(
                    object_of(
                        ["identity_type", "identity_value"],
                        identity_type=TEXT,
                        identity_value=TEXT,
                        identity_format={"const": "raw"},
                    )
                ),
            ]
        },
        api_version=TEXT,
        status_callback_urls=many(TEXT),
        group_id=TEXT,
        skip_waiting_period=FLAG,
        extensions=map_of(map_of(ANYTHING)),
    ),
}
