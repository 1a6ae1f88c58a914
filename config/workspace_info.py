"""What shards have to know of a workspace, made of its document, its numbers and the settings."""

from collections.abc import Sequence

from msgspec.structs import replace

from actors.model.workspaces import InputInfo, WorkspaceInfo
from actors.outputs.firehose.registration import COOKIE_SYNC_ID
from config.cookie_sync import COOKIE_SYNC
from config.inputs import Input
from config.numbers import ORGANIZATION, Numbers
from config.pipelines import split_of
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


def _partner_identities(document: WorkspaceDocument) -> frozenset[str]:
    names = frozenset(document.workspace.partner_identities)
    if any(each.kind == COOKIE_SYNC for each in document.outputs):
        return names | {COOKIE_SYNC_ID}
    return names
