"""What the coordinator has to know of a workspace document to manage calculated attributes."""

from actors.calculated.objects import CalculatedCatalog, DocumentAttribute
from config.numbers import Numbers, retired
from config.workspace import WorkspaceDocument


def calculated_catalog(document: WorkspaceDocument, numbers: Numbers) -> CalculatedCatalog:
    """Return the catalog of a document, all of whose objects have their numbers."""
    workspace = document.workspace
    return CalculatedCatalog(
        account=numbers.accounts[document.account.id],
        retention_days=workspace.retention.audience_event_days,
        has_extended_windows=workspace.calculated_attributes.extended_windows,
        max_active=workspace.limits.active_calculated_attributes,
        default_tier=workspace.event_tiers.default,
        tiers={each.event: each.tier for each in workspace.event_tiers.overrides},
        attributes=tuple(
            DocumentAttribute(
                number=numbers.calculated_attributes[each.id],
                id=each.id,
                name=each.name,
                description=each.description,
                definition=each.definition,
                is_active=each.active,
            )
            for each in document.calculated_attributes
        ),
        deleted=retired(numbers.calculated_attributes),
        allow_api_edits=workspace.config.allow_api_edits,
    )
