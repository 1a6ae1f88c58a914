"""What the actors look up, made of the workspace document, its numbers and the settings.

The document is for people; this is by number, checked, and cheap to send to another process.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace

from actors.calculated.feed import FEED_ID, FEED_NUMBER
from actors.forwarding.desk import OutputInfo
from actors.forwarding.pace import BreakerLimits, RateLimit
from actors.forwarding.plan import OutputPlan
from actors.model import ENVIRONMENTS, Environment, InputInfo, WorkspaceInfo
from actors.outputs.connection_settings import (
    ConnectionSettings,
    collecting,
    payload_settings,
)
from actors.outputs.environment import ConnectionTerms, OutputPlace, WorkspaceNames
from actors.outputs.firehose.registration import COOKIE_SYNC_ID
from actors.outputs.module import OutputSettings
from actors.outputs.registry import MODULES
from actors.outputs.retry import PROFILES, RetrySchedule
from actors.pipeline.connection import Collecting, ConnectionInfo
from actors.plans.document import document_bytes
from actors.plans.versions import PlanInfo, PlanVersionInfo
from actors.steps.payload import WHOLE, PayloadSettings
from config.cookie_sync import COOKIE_SYNC
from config.data_plans import DataPlan, DataPlanVersion
from config.inputs import Input
from config.numbers import ORGANIZATION, Numbers, retired
from config.outputs import DSR, Connection, Output
from config.pipelines import hidden_parts, mappings, pipeline_settings, split_of
from config.settings import Settings
from config.workspace import WorkspaceDocument

HOUR_MS = 60 * 60 * 1000
# spec/events-api.md, 10.1: the `device_info.platform` of batches that have none.
PLATFORMS = {
    "iOS": "iOS",
    "tvOS": "tvOS",
    "Android": "Android",
    "MobileWeb": "web",
    "Roku": "roku",
    "Alexa": "alexa",
    "SmartTV": "smart_tv",
    "FireTV": "fire_tv",
    "Xbox": "xbox",
}


def workspace_info(
    document: WorkspaceDocument, numbers: Numbers, settings: Settings
) -> WorkspaceInfo:
    """Return what shards have to know of the workspace."""
    workspace, identity = document.workspace, document.identity
    gdpr = workspace.regulations.gdpr
    return WorkspaceInfo(
        number=numbers.workspaces[workspace.id],
        id=workspace.id,
        name=workspace.name,
        account=numbers.accounts[document.account.id],
        organization=ORGANIZATION,
        scope=numbers.scopes[workspace.scope_name],
        inputs={numbers.inputs[each.id]: _input(each, numbers) for each in document.inputs},
        priority=identity.priority,
        login_ids=frozenset(identity.login_ids),
        unique_ids=frozenset(identity.unique_ids),
        immutable_ids=frozenset(identity.immutable_ids),
        strategy=identity.strategy,
        search_requires_immutable=identity.search_requires_immutable,
        gdpr_purposes=frozenset(gdpr.purposes) if gdpr.enabled else None,
        is_ccpa_enabled=workspace.regulations.ccpa.enabled,
        partner_identities=_partner_identities(document),
        limits=workspace.limits.sizes(),
        default_tier=workspace.event_tiers.default,
        tiers={each.event: each.tier for each in workspace.event_tiers.overrides},
        att_default=workspace.att_default,
        events_days=workspace.retention.events_days,
        audience_event_days=workspace.retention.audience_event_days,
        profile_idle_days=workspace.retention.profile_lifetime_days,
        dedup_days=settings.dedup_window_days,
        alias_delay_ms=round(identity.alias_delay_hours * HOUR_MS),
    )


def with_neighbours(workspaces: Sequence[WorkspaceInfo]) -> list[WorkspaceInfo]:
    """Return the workspaces of a deployment, each with what it has to know of the others."""
    return [
        replace(
            each,
            neighbours={
                other.number: other.profile_idle_days
                for other in workspaces
                if other.scope == each.scope and other.number != each.number
            },
        )
        for each in workspaces
    ]


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


def _quarantine_connections(
    document: WorkspaceDocument, numbers: Numbers
) -> Iterator[ConnectionInfo]:
    """Yield the connections of plans' versions, of inactive ones too: what waits there is held."""
    for plan in document.data_plans:
        for name, version in plan.quarantines().items():
            yield _quarantine(name, plan, version, document, numbers)


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
        environments=frozenset(_environments(output)),
        send_as_batch=True,
        settings=WHOLE,
    )


def shown_headers(
    document: WorkspaceDocument, numbers: Numbers
) -> dict[int, dict[Environment, dict[str, str]]]:
    """Return the headers of each connection's requests, by environment; secrets are hidden."""
    by_output = {
        output.id: {
            environment: MODULES[output.module].headers(settings)
            for environment, settings in _settings(output).items()
        }
        for output in document.outputs
    }
    return {numbers.connections[each.id]: by_output[each.output] for each in document.connections}


def queue_limits(document: WorkspaceDocument, numbers: Numbers, shards: int) -> dict[int, int]:
    """Return the bytes that may wait for each connection on each of so many shards."""
    outputs = document.outputs_by_id
    named = [(each.id, each.output) for each in document.connections]
    named += [(each.id, each.output) for each in _quarantine_connections(document, numbers)]
    return {
        numbers.connections[name]: outputs[output].queue.max_bytes // shards
        for name, output in named
    }


def dropped_connections(numbers: Numbers) -> frozenset[int]:
    """Return the numbers of connections that were deleted: what waits for them is deleted too."""
    return retired(numbers.connections)


def output_plans(document: WorkspaceDocument, numbers: Numbers) -> list[OutputPlan]:
    """Return the outputs that are sent something, with their connections, in the order of the
    document."""
    connections = [
        *connection_infos(document, numbers),
        *_dsr_connections(document, numbers),
        *_quarantine_connections(document, numbers),
    ]
    return [
        OutputPlan(
            info=OutputInfo(
                output.id,
                _schedule(output),
                output.ordering,
                output.max_in_flight,
                RateLimit(**output.rate_limit.model_dump()),
                BreakerLimits(
                    output.breaker.failures,
                    round(output.breaker.open_for.total_seconds() * 1000),
                ),
            ),
            module=output.module,
            settings=_settings(output),
            is_audience=output.kind == "audience",
            connections=tuple(each for each in connections if each.output == output.id),
            place=_place(output, document, numbers),
        )
        for output in document.outputs
        if output.kind != COOKIE_SYNC
    ]


def _dsr_connections(document: WorkspaceDocument, numbers: Numbers) -> Iterator[ConnectionInfo]:
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
                environments=frozenset(_environments(output)),
                send_as_batch=True,
                settings=WHOLE,
            )


def _partner_identities(document: WorkspaceDocument) -> frozenset[str]:
    names = frozenset(document.workspace.partner_identities)
    if any(each.kind == COOKIE_SYNC for each in document.outputs):
        return names | {COOKIE_SYNC_ID}
    return names


def _input(source: Input, numbers: Numbers) -> InputInfo:
    return InputInfo(
        number=numbers.inputs[source.id],
        id=source.id,
        name=source.name,
        kind=source.kind,
        os=source.os,
        platform=PLATFORMS.get(source.os),
        is_partner=source.partner,
        is_debug=source.is_debug,
        restrict_device_id=source.restrict_device_id_by_limit_ad_tracking,
        split=split_of(source),
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
        environments=frozenset(_environments(output)),
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
    includes_device_id = any(
        getattr(each, "include_mp_device_id", False) for each in _settings(output).values()
    )
    payload = payload_settings(
        settings,
        include_mp_device_id=includes_device_id,
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


def _place(output: Output, document: WorkspaceDocument, numbers: Numbers) -> OutputPlace:
    workspace, account = document.workspace, document.account
    names = {each.id: each.name for each in document.inputs}
    model = MODULES[output.module].connection_settings_model
    return OutputPlace(
        number=numbers.outputs[output.id],
        kind=output.kind,
        workspace=WorkspaceNames(
            numbers.workspaces[workspace.id],
            workspace.name,
            numbers.accounts[account.id],
            account.name,
        ),
        connections={}
        if model is None
        else {
            numbers.connections[each.id]: ConnectionTerms(
                names.get(each.input, each.input),
                _own_settings(model.model_validate(each.settings_with_defaults(output))),
            )
            for each in document.connections
            if each.output == output.id
        },
    )


def _own_settings(settings: OutputSettings) -> dict[str, Any]:
    """Return what a connection sets for its module alone."""
    own = type(settings).model_fields.keys() - ConnectionSettings.model_fields.keys()
    if isinstance(settings, ConnectionSettings):
        return settings.model_dump(include=set(own))
    return settings.model_extra or {}


def _environments(output: Output) -> list[Environment]:
    return [each for each in ENVIRONMENTS if output.is_enabled_in(each)]


def _settings(output: Output) -> dict[Environment, OutputSettings]:
    model = MODULES[output.module].settings_model
    return {each: model.model_validate(output.settings_in(each)) for each in _environments(output)}


def _schedule(output: Output) -> RetrySchedule:
    """Return the retry profile of an output with what the document says differently."""
    retry, module = output.retry, MODULES[output.module]
    profile = module.retry_profile
    # Requests about members and about data subjects have their own (spec/connections.md, 3.3).
    if output.kind in ("audience", DSR) and profile == "stream":
        profile = output.kind
    base = PROFILES[retry.profile or profile]
    return RetrySchedule(
        base_s=base.base_s if retry.base is None else retry.base.total_seconds(),
        cap_s=base.cap_s if retry.cap is None else retry.cap.total_seconds(),
        jitter=base.jitter if retry.jitter is None else retry.jitter,
        max_age_s=base.max_age_s if retry.max_age is None else retry.max_age.total_seconds(),
        min_attempts=base.min_attempts if retry.min_attempts is None else retry.min_attempts,
    )
