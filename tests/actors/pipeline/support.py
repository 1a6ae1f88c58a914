"""What the tests of a connection's steps share: batches, and what becomes of them."""

import json
from typing import Any

from msgspec.structs import replace

from actors.model.batches import Event, StoredBatch
from actors.model.profiles import Profile
from actors.model.workspaces import WorkspaceInfo
from actors.outgoing import outgoing_batch
from actors.outputs.connection_settings import ConnectionSettings, payload_settings
from actors.pipeline.candidate import Drop
from actors.pipeline.compiling import compile_pipelines
from actors.pipeline.connection import ConnectionInfo
from actors.pipeline.settings import PipelineSettings
from actors.steps.enqueue import enqueue
from config.pipelines import hidden_parts
from tests.actors.forwarding.support import connection
from tests.actors.test_outgoing import a_batch, stored, workspace

RECEIVED_MS = stored().received_ms
HOUR_MS = 3_600_000


def event(kind: str = "custom_event", event_id: int = 1, age_h: float = 0, **data: Any) -> Event:
    """Return an event as a shard has it."""
    time_ms = RECEIVED_MS - round(age_h * HOUR_MS)
    return Event(kind, time_ms, {"timestamp_unixtime_ms": time_ms, **data}, event_id)


def custom(
    name: str, event_id: int = 1, event_type: str = "other", attributes: Any = None
) -> Event:
    """Return a custom event."""
    data = {} if attributes is None else {"custom_attributes": attributes}
    return event(event_id=event_id, event_name=name, custom_event_type=event_type, **data)


def batch_of(*events: Event, **changes: Any) -> StoredBatch:
    """Return a batch of some events."""
    return stored(a_batch(events=list(events), **changes))


def connection_of(pipeline: PipelineSettings, **settings: Any) -> ConnectionInfo:
    """Return connection 1, compiled as the configuration compiles it."""
    mappings = settings.pop("mappings", ())
    compiled = payload_settings(
        ConnectionSettings(
            include_user_attribute_change_events=True,
            include_user_identity_change_events=True,
            **settings,
        )
    )
    shaped = replace(
        compiled,
        hidden=hidden_parts(pipeline.filter),
        mappings=mappings,
    )
    return connection(1, settings=shaped, pipeline=pipeline)


def run(
    info: ConnectionInfo,
    batch: StoredBatch,
    user: Profile | None = None,
    place: WorkspaceInfo | None = None,
) -> tuple[list[dict[str, Any]], list[Drop]]:
    """Return the payloads and the drops of a batch on one connection."""
    outgoing = outgoing_batch(batch, user, place or workspace(), [])
    made, drops = enqueue(outgoing, batch, user, compile_pipelines([info]))
    return [json.loads(each.payload) for each in made], drops


def sent(
    pipeline: PipelineSettings,
    batch: StoredBatch,
    user: Profile | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Return the one payload of a batch that is sent."""
    [payload], _ = run(connection_of(pipeline, **settings), batch, user)
    return payload


def reasons(
    pipeline: PipelineSettings, batch: StoredBatch, user: Profile | None = None
) -> list[tuple[str, int | None]]:
    """Return why what of a batch was left out."""
    _, drops = run(connection_of(pipeline), batch, user)
    return [(each.reason, each.event_index) for each in drops]


def ids_of(payload: dict[str, Any]) -> list[int]:
    """Return the ids of a payload's events."""
    return [each["data"]["event_id"] for each in payload["events"]]
