"""From an applied alias to the deliveries of the connections that send aliases.

Source: spec/connections.md, 6 (`send_alias_requests`).
"""

from collections.abc import Sequence
from typing import Any

import orjson

from actors.identity.alias_calls import AliasOrder
from actors.model.batches import Batch, StoredBatch
from actors.model.deliveries import Delivery
from actors.model.profiles import Profile
from actors.model.workspaces import WorkspaceInfo
from actors.outgoing import outgoing_batch
from actors.pipeline.candidate import Candidate, Drop
from actors.pipeline.compiling import Pipeline, alias_steps
from actors.pipeline.connection import ConnectionInfo
from actors.steps.enqueue import delivery_id


def enqueue_alias(
    order: AliasOrder, profile: Profile, workspace: WorkspaceInfo, pipelines: Sequence[Pipeline]
) -> tuple[list[Delivery], list[Drop]]:
    """Make the deliveries of an alias, to those who get its destination's batches.

    Args:
        order: the alias, applied.
        profile: of the destination.
        workspace: its workspace.
        pipelines: those of the connections of its input.

    Returns:
        The deliveries, their sequences 0 for the shard to assign; and what was left out.
    """
    deliveries: list[Delivery] = []
    drops: list[Drop] = []
    stored = _destination(order, workspace)
    outgoing = outgoing_batch(stored, profile, workspace, ())
    for pipeline in pipelines:
        connection = pipeline.connection
        if not connection.sends_aliases:
            continue
        candidate = Candidate(connection.number, outgoing, stored, profile, [], drops)
        reasons = (step(candidate) for step in alias_steps(connection))
        reason = next((each for each in reasons if each is not None), None)
        if reason is None:
            deliveries.append(_delivery(order, connection))
        else:
            drops.append(Drop(connection.number, reason))
    return deliveries, drops


def _destination(order: AliasOrder, workspace: WorkspaceInfo) -> StoredBatch:
    """Return a batch that says nothing, of the user who has the history now."""
    request = order.request
    return StoredBatch(
        log_id=0,
        previous_log_id=0,
        workspace=workspace.number,
        scope=workspace.scope,
        mpid=request.destination_mpid,
        input=request.input,
        received_ms=request.received_ms,
        channel="server_to_server",
        is_historical=False,
        device_key=None,
        batch=Batch(request.environment, request.received_ms, mp_deviceid=request.device_stamp),
    )


def _delivery(order: AliasOrder, connection: ConnectionInfo) -> Delivery:
    request = order.request
    mpids = request.source_mpid, request.destination_mpid
    source, destination = map(str, mpids) if connection.settings.ids_as_strings else mpids
    payload: dict[str, Any] = {
        "message_type": "alias_request",
        "source_mpid": source,
        "destination_mpid": destination,
        "start_unixtime_ms": request.start_ms,
        "end_unixtime_ms": request.end_ms,
        "environment": request.environment,
    }
    return Delivery(
        sequence=0,
        connection=connection.number,
        delivery_id=delivery_id(connection.id, "alias", order.number),
        mpid=request.destination_mpid,
        payload=orjson.dumps(payload),
        created_ms=request.received_ms,
        environment=request.environment,
    )
