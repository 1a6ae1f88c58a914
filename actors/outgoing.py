"""The outgoing form of a batch: what was sent, enriched with what is known of its user.

Source: spec/events-api.md, 15; spec/connections.md, 6. Connections cut it to their settings
(actors/steps/payload.py); here everything is in it that any of them may want.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha1
from typing import Any
from uuid import UUID

from actors.groups.membership import NO_GROUPS, group_attributes
from actors.model.batches import Batch, Event, StoredBatch
from actors.model.profiles import ConsentChange, ConsentRecord, Profile, Section
from actors.model.workspaces import InputInfo, WorkspaceInfo
from actors.pipeline.sampling import group_of

SCHEMA_VERSION = 2
NO_ATTRIBUTES: Mapping[str, str | list[str]] = {}
CLIENT_CHANNELS = frozenset({"native", "javascript"})

# Namespace of the UUIDs made of event ids. It can never change: receivers deduplicate by them.
MESSAGE_NAMESPACE = UUID("6f1c2b4e-9a57-4d0e-8c31-5b7e2a90d4f6")
_NAMESPACE_BYTES = MESSAGE_NAMESPACE.bytes
# The variant bits of a UUID over one hexadecimal digit.
_VARIANTS = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))

# spec/connections.md, 7.4: messagetypeid
MESSAGE_TYPES = {
    "session_start": 1,
    "session_end": 2,
    "screen_view": 3,
    "custom_event": 4,
    "crash_report": 5,
    "opt_out": 6,
    "first_run": 7,
    "pre_attribution": 8,
    "push_registration": 9,
    "application_state_transition": 10,
    "push_message": 11,
    "network_performance": 12,
    "breadcrumb": 13,
    "profile": 14,
    "push_reaction": 15,
    "commerce_event": 16,
    "user_attribute_change": 17,
    "user_identity_change": 18,
    "uninstall": 19,
}

# How the JSON of an event begins; its data, which are never empty, follow.
_NAMES = {
    name: b'{"event_type":"%b","data":{"event_id":%%d,"message_id":"%%b","message_type":%d,'
    % (name.encode(), number)
    for name, number in MESSAGE_TYPES.items()
}


def outgoing_batch(
    stored: StoredBatch,
    profile: Profile | None,
    workspace: WorkspaceInfo,
    consent_changes: Sequence[ConsentChange],
    groups: Mapping[int, str] = NO_GROUPS,
    calculated: Mapping[str, str | list[str]] = NO_ATTRIBUTES,
) -> dict[str, Any]:
    """Enrich a batch.

    Args:
        stored: the batch with all its ids assigned, and every event that is to be forwarded.
        profile: the user's, after this batch; `None` if the batch is unattributed.
        workspace: where it came to.
        consent_changes: what the batch changed in the profile's consent.
        groups: number to id of the group definitions that exist.
        calculated: the user's calculated attributes, which take the place of others of their names.

    Returns:
        The batch without its events (`outgoing_event`) as JSON values, with every optional part.
        They belong to the batch and the profile and must not be changed.
    """
    batch = stored.batch
    section = profile.workspaces.get(workspace.number) if profile is not None else None
    source = workspace.inputs.get(stored.input)
    outgoing: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "environment": batch.environment,
        "batch_id": batch.batch_id,
        "mpid": stored.mpid,
        "timestamp_unixtime_ms": batch.timestamp_ms,
        "source_info": _source_info(stored, source),
        "user_identities": _identities(stored, profile),
        "user_attributes": {**_attributes(stored, section, groups), **calculated},
        "system_notifications": [_notification(change) for change in consent_changes],
    }
    outgoing.update(_as_sent(batch))
    if source is not None and source.split is not None:
        group = {"id": source.split.id, "group": group_of(source.split, stored)}
        outgoing["context"] = {**outgoing.get("context", {}), "user_split": group}
    consent = {} if section is None else _consent_state(section, workspace.regulations)
    if consent:
        outgoing["consent_state"] = consent
    return outgoing


def private_parts(stored: StoredBatch, profile: Profile | None) -> dict[str, Any]:
    """Return what goes to modules alone that show their permission for it.

    The address of the client, and the partner identities (spec/connections.md, 4.2).
    """
    batch = stored.batch
    parts: dict[str, Any] = {} if batch.ip is None else {"ip": batch.ip}
    partners = {} if profile is None else profile.partner_identities
    if partners or batch.partner_identities:
        parts["partner_identities"] = {**partners, **batch.partner_identities}
    return parts


def inbound_batch(stored: StoredBatch) -> dict[str, Any]:
    """Return a batch in the form in which it may be sent in, as normalised, with its batch id.

    For the raw data feed: nothing is added from the profile, and the IP address is left out. Its
    events are apart (`inbound_event`).
    """
    batch = stored.batch
    inbound: dict[str, Any] = {
        "environment": batch.environment,
        "batch_id": batch.batch_id,
        "mpid": stored.mpid,
        "timestamp_unixtime_ms": batch.timestamp_ms,
        "user_identities": batch.user_identities,
        "user_attributes": batch.user_attributes,
    }
    inbound.update(_as_sent(batch))
    if batch.consent_state:
        inbound["consent_state"] = batch.consent_state
    return inbound


def message_id(event_id: int) -> str:
    """Return the UUIDv5 of an event id; several times faster than `uuid.uuid5`."""
    digest = sha1(_NAMESPACE_BYTES + b"%d" % event_id, usedforsecurity=False).hexdigest()
    end = f"{_VARIANTS[digest[16]]}{digest[17:20]}-{digest[20:32]}"
    return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-{end}"


def outgoing_event(event: Event) -> bytes:
    """Return the JSON of an event as it goes out: its data, and what names it."""
    event_id = event.event_id
    names = _NAMES[event.event_type] % (event_id, message_id(event_id).encode())
    return b"%b%b}" % (names, (event.json or event.to_json())[1:])


def inbound_event(event: Event) -> bytes:
    """Return the JSON of an event in the form in which it may be sent in."""
    return b'{"event_type":"%b","data":%b}' % (event.event_type.encode(), event.to_json())


def _as_sent(batch: Batch) -> dict[str, Any]:
    """Return the parts that go out as they came in, without those that are empty."""
    context = dict(batch.context)
    if batch.location is not None:
        context["location"] = batch.location
    parts: dict[str, Any] = {
        "source_request_id": batch.source_request_id,
        "mp_deviceid": batch.mp_deviceid,
        "sdk_version": batch.sdk_version,
        "deleted_user_attributes": batch.deleted_user_attributes,
        "device_info": batch.device_info,
        "application_info": batch.application_info,
        "attribution_info": batch.attribution_info,
        "integration_attributes": batch.integration_attributes,
        "partner_identity": batch.partner_identity,
        "context": context,
    }
    return {name: value for name, value in parts.items() if value}


def _source_info(stored: StoredBatch, source: InputInfo | None) -> dict[str, Any]:
    return {
        "channel": stored.channel,
        "partner": source.name if source is not None and source.is_partner else None,
        "replay_request_id": None,
        "replay_job_id": None,
        "is_historical": stored.is_historical,
    }


def _identities(stored: StoredBatch, profile: Profile | None) -> list[dict[str, Any]]:
    """Return all identities of the profile, and those that a batch has beside an MPID.

    The latter change nothing on the profile and still belong to the batch (spec/identity.md, 9).
    """
    batch = stored.batch
    known: dict[str, tuple[str, int]] = {}
    if profile is not None:
        known = {
            name: (identity.value, identity.updated_ms)
            for name, identity in profile.user_identities.items()
        }
    if batch.mpid is not None or profile is None:
        for name, value in batch.user_identities.items():
            if name not in known or known[name][0] != value:
                known[name] = (value, stored.received_ms)
    return [
        {"identity_type": name, "identity": value, "timestamp_unixtime_ms": updated_ms}
        for name, (value, updated_ms) in known.items()
    ]


def _attributes(
    stored: StoredBatch, section: Section | None, groups: Mapping[int, str]
) -> dict[str, Any]:
    """Return the profile's attributes; a client's snapshot enriches its own batch."""
    if section is None:
        return {}
    attributes = {name: attribute.value for name, attribute in section.user_attributes.items()}
    if stored.channel in CLIENT_CHANNELS:
        attributes.update(stored.batch.user_attributes)
    if section.groups:
        attributes.update(group_attributes(section, groups))
    return attributes


def _consent_state(section: Section, regulations: frozenset[str]) -> dict[str, Any]:
    return {
        regulation: {purpose: _record(record) for purpose, record in purposes.items()}
        for regulation, purposes in section.consent_state.items()
        if regulation in regulations
    }


def _record(record: ConsentRecord) -> dict[str, Any]:
    members: dict[str, Any] = {
        "consented": record.consented,
        "timestamp_unixtime_ms": record.timestamp_ms,
    }
    for name in ("document", "location", "hardware_id"):
        value = getattr(record, name)
        if value is not None:
            members[name] = value
    return members


def _notification(change: ConsentChange) -> dict[str, Any]:
    regulation = change.regulation.upper()
    old, current = (
        None if record is None else {"regulation": regulation, **_record(record)}
        for record in (change.old, change.current)
    )
    return {
        "type": f"{change.regulation}_change",
        "data": {"purpose": change.purpose, "old": old, "current": current},
    }
