"""The outputs of a workspace with their connections, as forwarders are started with them."""

from typing import Any

from actors.forwarding.desk import OutputInfo
from actors.forwarding.pace import BreakerLimits, RateLimit
from actors.forwarding.plan import OutputPlan
from actors.model.workspaces import Environment
from actors.outputs.connection_settings import ConnectionSettings
from actors.outputs.environment import ConnectionTerms, OutputPlace, WorkspaceNames
from actors.outputs.module import OutputSettings
from actors.outputs.registry import MODULES
from actors.outputs.retry import PROFILES, RetrySchedule
from config.compiled_connections import connection_infos, dsr_connections, quarantine_connections
from config.cookie_sync import COOKIE_SYNC
from config.module_settings import enabled_settings
from config.numbers import Numbers
from config.outputs import DSR, Output
from config.workspace import WorkspaceDocument


def output_plans(document: WorkspaceDocument, numbers: Numbers) -> list[OutputPlan]:
    """Return the outputs that are sent something, with their connections, in the order of the
    document."""
    connections = [
        *connection_infos(document, numbers),
        *dsr_connections(document, numbers),
        *quarantine_connections(document, numbers),
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
            settings=enabled_settings(output, MODULES[output.module]),
            is_audience=output.kind == "audience",
            connections=tuple(each for each in connections if each.output == output.id),
            place=output_place(output, document, numbers),
        )
        for output in document.outputs
        if output.kind != COOKIE_SYNC
    ]


def shown_headers(
    document: WorkspaceDocument, numbers: Numbers
) -> dict[int, dict[Environment, dict[str, str]]]:
    """Return the headers of each connection's requests, by environment; secrets are hidden."""
    by_output = {
        output.id: {
            environment: MODULES[output.module].headers(settings)
            for environment, settings in enabled_settings(output, MODULES[output.module]).items()
        }
        for output in document.outputs
    }
    return {numbers.connections[each.id]: by_output[each.output] for each in document.connections}


def output_place(output: Output, document: WorkspaceDocument, numbers: Numbers) -> OutputPlace:
    """Return where an output stands in its workspace."""
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
