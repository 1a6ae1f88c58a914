"""Outputs of kind `dsr`: they are sent data subject requests (spec/privacy.md, 6)."""

from collections.abc import Iterator

from actors.model.workspaces import ENVIRONMENTS
from actors.outputs.registry import MODULES
from actors.privacy.forwards import DsrOutput
from actors.privacy.options import PrivacyOptions
from config.cookie_sync import COOKIE_SYNC
from config.errors import Found, Location
from config.numbers import Numbers
from config.outputs import DSR, NO_INPUT, Connection, Output
from config.workspace import WorkspaceDocument

# What is about batches.
_OF_BATCHES = (
    "settings",
    "sampling",
    "min_app_version",
    "forwarding_rules",
    "filters",
    "custom_mappings",
)


def dsr_problems(connection: Connection, where: Location) -> Iterator[Found]:
    """List what a connection to an output of kind `dsr` cannot have."""
    if connection.input != NO_INPUT:
        yield (*where, "input"), "an output of kind dsr takes no input"
    nothing = Connection(id=connection.id, output=connection.output)
    for name in _OF_BATCHES:
        if getattr(connection, name) != getattr(nothing, name):
            yield (*where, name), "an output of kind dsr takes no batches"


def privacy_options(document: WorkspaceDocument, numbers: Numbers) -> PrivacyOptions:
    """Return what the desk of data subject requests has to know."""
    outputs, privacy = document.outputs_by_id, document.workspace.privacy
    joined = [
        (each, outputs[each.output])
        for each in document.connections
        if each.active and outputs[each.output].kind == DSR
    ]
    found = (_dsr_output(connection, output, numbers) for connection, output in joined)
    return PrivacyOptions(
        schedule=privacy.dsr.schedule,
        profiles_for=frozenset(
            name for name, is_on in privacy.include_profile_in_access.model_dump().items() if is_on
        ),
        outputs=tuple(each for each in found if each is not None),
        forwarders=tuple(each.id for each in document.outputs if each.kind != COOKIE_SYNC),
    )


def _dsr_output(connection: Connection, output: Output, numbers: Numbers) -> DsrOutput | None:
    """Return an output that is sent requests, `None` if no environment of it is enabled."""
    for environment in ENVIRONMENTS:
        if output.is_enabled_in(environment):
            module = MODULES[output.module]
            settings = module.settings_model.model_validate(output.settings_in(environment))
            return DsrOutput(
                numbers.connections[connection.id],
                output.id,
                output.name,
                module.domain(settings),
                environment,
            )
    return None
