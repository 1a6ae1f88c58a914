"""The connections of a workspace, made of its document and its numbers: by number, and checked."""

from collections.abc import Iterator
from typing import NamedTuple

from msgspec.structs import replace

from actors.calculated.feed import FEED_ID, FEED_NUMBER
from actors.outputs.connection_settings import (
    ConnectionSettings,
    collecting,
    payload_settings,
)
from actors.outputs.registry import MODULES
from actors.pipeline.connection import Collecting, ConnectionInfo
from actors.plans.document import document_bytes
from actors.plans.versions import PlanInfo, PlanVersionInfo
from actors.steps.payload import WHOLE, PayloadSettings
from config.cookie_sync import COOKIE_SYNC
from config.data_plans import DataPlan, DataPlanVersion
from config.module_settings import enabled_settings
from config.numbers import Numbers, retired
from config.outputs import DSR, Connection, Output
from config.pipelines import hidden_parts, mappings, pipeline_settings
from config.workspace import WorkspaceDocument


def connection_infos(document: WorkspaceDocument, numbers: Numbers) -> tuple[ConnectionInfo, ...]:
    """Return the connections that batches go by, in the order of the document."""
    outputs = document.outputs_by_id
    return tuple(
        _connection(each, document, numbers)
        for each in document.connections
        if outputs[each.output].kind != DSR
    )


def plan_infos(document: WorkspaceDocument, numbers: Numbers) -> tuple[PlanInfo, ...]:
    """Return the data plans with their active versions, and where those have their quarantine."""
    quarantines = {
        (plan.id, version.version): _quarantine(name, plan, version, document, numbers)
        for plan in document.data_plans
        for name, version in plan.quarantines().items()
    }
    return tuple(
        PlanInfo(
            plan.id,
            tuple(
                PlanVersionInfo(
                    each.version,
                    each.activated_environment,
                    document_bytes(each.document),
                    quarantines.get((plan.id, each.version)),
                )
                for each in plan.versions
                if each.is_active
            ),
        )
        for plan in document.data_plans
    )


def quarantine_connections(
    document: WorkspaceDocument, numbers: Numbers
) -> Iterator[ConnectionInfo]:
    """Yield the connections of plans' versions, of inactive ones too: what waits there is held."""
    for plan in document.data_plans:
        for name, version in plan.quarantines().items():
            yield _quarantine(name, plan, version, document, numbers)


def dsr_connections(document: WorkspaceDocument, numbers: Numbers) -> Iterator[ConnectionInfo]:
    """Yield the connections that data subject requests go by."""
    for connection in document.connections:
        output = document.outputs_by_id[connection.output]
        if output.kind == DSR:
            yield ConnectionInfo(
                number=numbers.connections[connection.id],
                id=connection.id,
                input=FEED_NUMBER,  # nobody's
                input_id=connection.input,
                output=output.id,
                module=output.module,
                is_active=connection.active,
                environments=frozenset(output.enabled_environments),
                send_as_batch=True,
                settings=WHOLE,
            )


def queue_limits(document: WorkspaceDocument, numbers: Numbers, shards: int) -> dict[int, int]:
    """Return the bytes that may wait for each connection on each of so many shards."""
    outputs = document.outputs_by_id
    named = [(each.id, each.output) for each in document.connections]
    named += [(each.id, each.output) for each in quarantine_connections(document, numbers)]
    return {
        numbers.connections[name]: outputs[output].queue.max_bytes // shards
        for name, output in named
    }


def dropped_connections(numbers: Numbers) -> frozenset[int]:
    """Return the numbers of connections that were deleted: what waits for them is deleted too."""
    return retired(numbers.connections)


def _quarantine(
    name: str,
    plan: DataPlan,
    version: DataPlanVersion,
    document: WorkspaceDocument,
    numbers: Numbers,
) -> ConnectionInfo:
    output = document.outputs_by_id[version.quarantine_output or ""]
    return ConnectionInfo(
        number=numbers.connections[name],
        id=name,
        input=FEED_NUMBER,  # any
        input_id=plan.id,  # what is sent is of the plan, whatever it came through
        output=output.id,
        module=output.module,
        is_active=version.is_active,
        environments=frozenset(output.enabled_environments),
        send_as_batch=True,
        settings=WHOLE,
    )


def _connection(
    connection: Connection, document: WorkspaceDocument, numbers: Numbers
) -> ConnectionInfo:
    output = document.outputs_by_id[connection.output]
    module = MODULES[output.module]
    is_feed = connection.input == FEED_ID
    shape = _shape(connection, output, is_feed=is_feed)
    pipeline = pipeline_settings(
        connection,
        output,
        module,
        None if is_feed else document.inputs_by_id[connection.input],
        shape.split_group,
        frozenset(document.identity.login_ids),
    )
    return ConnectionInfo(
        number=numbers.connections[connection.id],
        id=connection.id,
        input=FEED_NUMBER if is_feed else numbers.inputs[connection.input],
        input_id=connection.input,
        output=output.id,
        module=output.module,
        # Pages are told of it, and it is sent nothing.
        is_active=connection.active and output.kind != COOKIE_SYNC,
        environments=frozenset(output.enabled_environments),
        send_as_batch=shape.is_batched,
        settings=replace(
            shape.payload,
            hidden=hidden_parts(pipeline.filter),
            mappings=mappings(connection),
        ),
        pipeline=pipeline,
        sends_aliases=shape.sends_aliases,
        collecting=None if is_feed else shape.collecting,
    )


class _Shape(NamedTuple):
    """What a connection says of its payloads; `is_batched`: each holds a whole batch."""

    payload: PayloadSettings
    is_batched: bool
    split_group: str | None
    sends_aliases: bool
    collecting: Collecting | None = None


def _shape(connection: Connection, output: Output, *, is_feed: bool) -> _Shape:
    written = connection.settings_with_defaults(output)
    module = MODULES[output.module]
    model = module.connection_settings_model or ConnectionSettings
    settings = model.model_validate(written)
    is_batched = module.send_as_batch_default
    if not isinstance(settings, ConnectionSettings):
        split_group = getattr(settings, "user_split_group", None)
        return _Shape(WHOLE, is_batched, split_group, module.gets_aliases)
    if settings.send_as_batch is not None:
        is_batched = settings.send_as_batch
    if is_feed:  # it has no other batches, and defaults of the output are for its other inputs
        settings = settings.model_copy(update={"send_batches_without_events": True})
    payload = payload_settings(
        settings,
        device_id_environments=frozenset(
            environment
            for environment, each in enabled_settings(output, module).items()
            if getattr(each, "include_mp_device_id", False)
        ),
        include_audience_ids=module.gets_audience_ids,
    )
    how = collecting(settings, is_batched=is_batched, default_wait_s=module.batch_wait_s)
    return _Shape(
        payload,
        is_batched or settings.wait_for_complete_batch,
        settings.user_split_group,
        settings.send_alias_requests or module.gets_aliases,
        how,
    )
