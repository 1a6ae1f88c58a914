"""The step that changes a profile: what one batch does to it (spec/profiles.md, 3)."""

from collections.abc import Sequence

from msgspec import Struct

from actors.model.batches import Batch, BatchContext, Event
from actors.model.profiles import ConsentChange, Profile, Section, Seen
from actors.model.workspaces import WorkspaceInfo
from actors.profiles.attributes import update_attributes
from actors.profiles.attribution import update_attribution
from actors.profiles.consent import update_consent
from actors.profiles.devices import drop_oldest_devices, update_device
from actors.profiles.identities import update_partner_identities, update_user_identities
from actors.profiles.lateness import AsOf, as_of
from actors.profiles.location import update_location
from actors.profiles.retention import age_out_overdue, revive
from actors.profiles.sessions import fill_durations, note_starts


class Update(Struct):
    """What a batch did to a profile that others have to know.

    Attributes:
        consent_changes: the records that are now different, new or gone.
        device_key: the device that the batch came from, `None` if it names none.
        drops: reasons of what was dropped over a limit, one entry each time.
    """

    consent_changes: list[ConsentChange]
    device_key: str | None
    drops: list[str]


def update_profile(
    profile: Profile,
    batch: Batch,
    context: BatchContext,
    workspace: WorkspaceInfo,
    *,
    by_identities: bool,
) -> Update:
    """Apply one batch to the profile that it belongs to: steps 1 to 6 of spec/profiles.md, 3.

    Args:
        profile: changed in place; on a failed transaction the caller throws it away.
        batch: normalised; its `session_end` events get a duration where the session is known.
        context: when and through which input it came.
        workspace: whose section is written.
        by_identities: the profile was found by the batch's identities. An MPID in a batch decides
            alone, and the identities beside it leave the profile as it is.

    Returns:
        The consent changes, the batch's device, and what went over a limit.
    """
    now_ms = context.received_ms
    moment = as_of(batch, context)
    events: dict[str, list[Event]] = {}
    for event in batch.events:
        events.setdefault(event.event_type, []).append(event)

    drops: list[str] = []
    age_out_overdue(profile, workspace, now_ms)
    section = _seen(profile, context, workspace)
    revive(section, now_ms)
    _apply_opt_outs(profile, events.get("opt_out", ()), moment)
    if by_identities:
        update_user_identities(profile, batch, workspace.priority, now_ms)
    update_partner_identities(profile, batch, is_historical=moment.is_historical)
    registrations = events.get("push_registration", ())
    device_key = update_device(section, batch, registrations, moment)
    drop_oldest_devices(section, workspace.limits.devices, drops)
    _apply_ad_tracking(profile, batch, moment)
    update_location(section, batch, moment)
    # What is known of a dropped device goes with it: one seen longer ago than all goes at once.
    if device_key is None or device_key in section.devices:
        update_attribution(
            section,
            batch,
            events.get("custom_event", ()),
            events.get("uninstall", ()),
            device_key,
            moment,
        )
    update_attributes(section, batch, events.get("user_attribute_change", ()), context, moment)
    consent_changes = update_consent(section, batch, moment)
    note_starts(section, events.get("session_start", ()))
    fill_durations(section, events.get("session_end", ()))
    return Update(consent_changes, device_key, drops)


def _seen(profile: Profile, context: BatchContext, workspace: WorkspaceInfo) -> Section:
    """Return the workspace's section, made if missing, with the times of receipt moved on."""
    now_ms = context.received_ms
    section = profile.workspaces.get(workspace.number)
    if section is None:
        section = profile.workspaces[workspace.number] = Section(now_ms, now_ms)
    seen = section.inputs.get(context.input)
    if seen is None:
        seen = section.inputs[context.input] = Seen(now_ms, now_ms)
    # Edges have clocks of their own: what was seen later stays later.
    seen.last_seen_ms = max(seen.last_seen_ms, now_ms)
    section.last_seen_ms = max(section.last_seen_ms, now_ms)
    profile.last_stored_timestamp_ms = max(profile.last_stored_timestamp_ms, now_ms)
    return section


def _apply_opt_outs(profile: Profile, events: Sequence[Event], moment: AsOf) -> None:
    """Set the opt-out flag to what the last `opt_out` event says."""
    if events and moment.replaces(profile.opt_out_updated_ms):
        profile.is_opted_out = events[-1].get("is_opted_out")
        profile.opt_out_updated_ms = moment.ms


def _apply_ad_tracking(profile: Profile, batch: Batch, moment: AsOf) -> None:
    """Take over `limit_ad_tracking` from any batch that has it; historical ones fill a gap."""
    is_limited = batch.device_info.get("limit_ad_tracking")
    if is_limited is None or (moment.is_historical and profile.limit_ad_tracking is not None):
        return
    profile.limit_ad_tracking = is_limited
