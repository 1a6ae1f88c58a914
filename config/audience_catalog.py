"""What the coordinator has to know of a workspace document to manage audiences."""

from actors.audiences.catalog import (
    AudienceOutput,
    Catalog,
    DocumentAudience,
    DocumentSubscription,
)
from actors.audiences.objects import DateRange
from actors.model.workspaces import Environment
from actors.outputs.registry import MODULES
from config.audience_references import NumbersOfIds, with_numbers
from config.audiences import Audience, Range
from config.numbers import Numbers, retired
from config.outputs import Output
from config.workspace import WorkspaceDocument


def audience_catalog(document: WorkspaceDocument, numbers: Numbers) -> Catalog:
    """Return the catalog of a document, all of whose objects have their numbers."""
    workspace = document.workspace
    tiers = workspace.event_tiers
    return Catalog(
        workspace=numbers.workspaces[workspace.id],
        workspace_name=workspace.name,
        account=numbers.accounts[document.account.id],
        scope=numbers.scopes[workspace.scope_name],
        inputs={numbers.inputs[each.id]: each.id for each in document.inputs},
        calculated={
            each.name: numbers.calculated_attributes[each.id]
            for each in document.calculated_attributes
            if each.active
        },
        outputs={
            numbers.outputs[each.id]: _output(each, numbers.outputs[each.id])
            for each in document.outputs
            if each.kind == "audience"
        },
        default_tier=tiers.default,
        tiers={each.event: each.tier for each in tiers.overrides},
        lookback_days=workspace.retention.audience_event_days,
        events_days=workspace.retention.events_days,
        max_active=workspace.limits.active_audiences,
        credits=workspace.limits.standard_audience_credits,
        audiences=tuple(_audience(each, numbers, workspace.id) for each in document.audiences),
        deleted=retired(numbers.audiences),
        allow_api_edits=workspace.config.allow_api_edits,
    )


def _output(output: Output, number: int) -> AudienceOutput:
    model = MODULES[output.module].settings_model
    environments = frozenset(output.enabled_environments)
    identities: frozenset[str] | None = frozenset()
    listed_in: set[Environment] = set()
    for each in environments:
        settings = model.model_validate(output.settings_in(each))
        taken = getattr(settings, "identities", None)
        identities = None if taken is None or identities is None else identities | set(taken)
        if getattr(settings, "takes_lists", False):
            listed_in.add(each)
    return AudienceOutput(
        number,
        output.id,
        output.name,
        output.module,
        environments,
        identities or None,
        frozenset(listed_in),
    )


def _audience(audience: Audience, numbers: Numbers, workspace: str) -> DocumentAudience:
    inputs = numbers.all_inputs | numbers.inputs
    names = NumbersOfIds(numbers.workspaces, inputs, numbers.audiences)
    return DocumentAudience(
        number=numbers.audiences[audience.id],
        id=audience.id,
        name=audience.name,
        external_name=audience.external_name or audience.name,
        type=audience.type,
        environment=audience.environment,
        workspaces=tuple(numbers.workspaces[each] for each in audience.workspaces or (workspace,)),
        inputs=tuple(inputs[each] for each in audience.inputs),
        tags=audience.tags,
        definition=with_numbers(audience.definition, names),
        range=None if audience.range is None else _range(audience.range),
        is_active=audience.active,
        subscriptions=tuple(
            DocumentSubscription(
                output=numbers.outputs[each.output],
                is_active=each.active,
                settings=each.settings,
                shared_user_attributes=each.shared_user_attributes,
            )
            for each in audience.subscriptions
        ),
    )


def _range(span: Range) -> DateRange:
    return DateRange(span.start, None if span.end == "latest" else span.end)
