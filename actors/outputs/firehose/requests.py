"""From an outgoing batch to an `event_processing_request` (spec/connections.md, 4.3).

Pure functions: what a module may not know, does not take, or would get too late is left out here,
with its reason (spec/connections.md, 2, steps 3, 11, 12 and 14).
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from actors.outputs.environment import WorkspaceNames
from actors.outputs.firehose.event_messages import EventMessage
from actors.outputs.firehose.events import CONVERSIONS
from actors.outputs.firehose.fields import Reading
from actors.outputs.firehose.identities import KnownIdentities, PermittedIdentities, choose
from actors.outputs.firehose.messages import (
    VERSION,
    Account,
    Consent,
    ConsentState,
    EventProcessingRequest,
    Notification,
    PlatformFields,
)
from actors.outputs.firehose.registration import EventProcessing, Permissions, Registration
from actors.outputs.firehose.runtime import runtime_environment, runtime_type
from actors.outputs.firehose.words import (
    DEVICE_IDENTITIES,
    PUSH_TOKENS,
    SOURCE_CHANNELS,
    USER_IDENTITIES,
)

HOUR_MS = 3600 * 1000

Batch = Mapping[str, Any]


class Origin(Struct, frozen=True):
    """Where a batch comes from.

    Attributes:
        account: that the request is for, with the settings of the connection.
        workspace: the batch's.
        input_name: the name of its input.
        module_id: by which batches name the module.
    """

    account: Account
    workspace: WorkspaceNames
    input_name: str
    module_id: str


class Made(Struct):
    """What became of a batch: the request, unless nothing is left, and what was left out.

    `drops`: reason to how many events; an event-less batch counts as one.
    """

    request: EventProcessingRequest | None = None
    drops: Counter[str] = field(default_factory=Counter)


def event_request(
    batch: Batch, origin: Origin, registration: Registration, message_id: str, received_ms: int
) -> Made:
    """Make the request of one outgoing batch.

    Args:
        batch: as `actors.outgoing` makes it, decoded.
        origin: where it comes from.
        registration: of the module; it takes events.
        message_id: a UUID, always the same for one delivery.
        received_ms: when the batch came in; the age of its events counts until then.
    """
    takes = registration.event_processing_registration
    assert takes is not None, "only modules that take events are sent any"
    permissions = registration.permissions
    made = Made()
    sent: list[dict[str, Any]] = batch.get("events") or []
    size = max(len(sent), 1)
    kinds = takes.supported_runtime_environments
    if kinds and runtime_type(batch) not in kinds:
        made.drops["unsupported_platform"] = size
        return made
    if not sent and not permissions.allow_eventless_batches:
        made.drops["setting"] = size
        return made
    identities = choose(known_identities(batch), permissions)
    if identities is None:
        made.drops["missing_identity"] = size
        return made
    events = _events(batch, takes, permissions, received_ms, made.drops)
    if events or not sent:
        made.request = _request(
            batch, origin, registration, identities, events, message_id, received_ms
        )
    return made


def known_identities(batch: Batch) -> KnownIdentities:
    """Return the identities of an outgoing batch by the protocol's words."""
    device = batch.get("device_info", {})
    found: dict[str, str] = {
        word: device[name] for name, word in DEVICE_IDENTITIES.items() if name in device
    }
    push = PUSH_TOKENS.get(runtime_type(batch))
    if push is not None and "push_token" in device:
        found[push] = device["push_token"]
    user = {each["identity_type"]: each["identity"] for each in batch["user_identities"]}
    return KnownIdentities(
        user={USER_IDENTITIES[name]: user[name] for name in user if name in USER_IDENTITIES},
        device=found,
        partner=batch.get("partner_identities", {}),
    )


def _events(
    batch: Batch,
    takes: EventProcessing,
    permissions: Permissions,
    received_ms: int,
    drops: Counter[str],
) -> list[EventMessage]:
    reading = Reading(
        permissions, batch.get("attribution_info", {}), takes.push_messaging_provider_id
    )
    oldest_ms = None
    if takes.max_data_age_hours >= 0:
        oldest_ms = received_ms - takes.max_data_age_hours * HOUR_MS
    supported = frozenset(takes.supported_event_types)
    found = []
    for each in batch.get("events") or ():
        convert = CONVERSIONS.get(each["event_type"])
        event = None if convert is None else convert(each["data"], reading)
        if event is None or event.__struct_config__.tag not in supported:
            drops["unsupported_type"] += 1
        elif oldest_ms is not None and event.timestamp_ms < oldest_ms:
            drops["event_arrived_late"] += 1
        else:
            found.append(event)
    return found


def _request(
    batch: Batch,
    origin: Origin,
    registration: Registration,
    identities: PermittedIdentities,
    events: list[EventMessage],
    message_id: str,
    received_ms: int,
) -> EventProcessingRequest:
    permissions = registration.permissions
    attributes = batch.get("user_attributes", {}) if permissions.allow_user_attributes else {}
    channel = batch.get("source_info", {}).get("channel")
    stamp = permissions.allow_access_device_application_stamp
    has_mpid = permissions.allow_access_mpid and batch.get("mpid") is not None
    return EventProcessingRequest(
        id=message_id,
        timestamp_ms=received_ms,
        firehose_version=VERSION,
        source_id=str(batch["batch_id"]),
        account=origin.account,
        events=events,
        partner_identities=identities.partner,
        user_identities=identities.user,
        user_attributes={
            name: value for name, value in attributes.items() if not isinstance(value, list)
        },
        user_attribute_lists={
            name: value for name, value in attributes.items() if isinstance(value, list)
        },
        runtime_environment=runtime_environment(batch, permissions, identities.device),
        integration_attributes=_own_attributes(batch, origin.module_id),
        source_channel=channel if channel in SOURCE_CHANNELS else "unknown",
        device_application_stamp=batch.get("mp_deviceid") if stamp else None,
        consent_state=_consent_state(batch) if permissions.allow_consent_state else None,
        system_notifications=_notifications(batch, registration),
        mpid=str(batch["mpid"]) if has_mpid else None,
        platform_fields=_platform_fields(batch, origin)
        if permissions.allow_platform_fields
        else None,
    )


def _own_attributes(batch: Batch, module: str) -> dict[str, str]:
    own = batch.get("integration_attributes", {}).get(module, {})
    return {name: value for name, value in own.items() if value is not None}


def _consent(record: Mapping[str, Any] | None) -> Consent | None:
    if record is None:
        return None
    return Consent(
        record["consented"],
        record.get("document"),
        record.get("timestamp_unixtime_ms"),
        record.get("location"),
        record.get("hardware_id"),
    )


def _consent_state(batch: Batch) -> ConsentState | None:
    state = batch.get("consent_state")
    if not state:
        return None
    by_regulation = {
        regulation: {
            purpose: consent
            for purpose, record in purposes.items()
            if (consent := _consent(record)) is not None
        }
        for regulation, purposes in state.items()
    }
    return ConsentState(by_regulation.get("gdpr"), by_regulation.get("ccpa"))


def _notifications(batch: Batch, registration: Registration) -> list[Notification]:
    takes = registration.event_processing_registration
    wanted = () if takes is None else takes.supported_system_notification_types
    found = []
    for each in batch.get("system_notifications") or ():
        data = each["data"]
        old, new = _consent(data["old"]), _consent(data["current"])
        if each["type"] == "gdpr_change" and "gdpr_consent_state" in wanted:
            found.append(Notification("gdpr_consent_state", data["purpose"], old, new))
        elif each["type"] == "ccpa_change" and "ccpa_consent_state" in wanted:
            found.append(Notification("ccpa_consent_state", data["purpose"], None, None, old, new))
    return found


def _platform_fields(batch: Batch, origin: Origin) -> PlatformFields:
    app, plan = batch.get("application_info", {}), batch.get("context", {}).get("data_plan", {})
    workspace = origin.workspace
    return PlatformFields(
        mp_account_id=str(workspace.account_number),
        mp_account_name=workspace.account_name,
        workspace_id=str(workspace.number),
        workspace_name=workspace.name,
        input_name=origin.input_name,
        app_name=app.get("application_name"),
        app_version=app.get("application_version"),
        dataplan_id=plan.get("plan_id"),
        dataplan_name=plan.get("plan_name"),
        dataplan_version=plan.get("plan_version"),
    )
