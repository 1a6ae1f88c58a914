"""Who brought a user: installs and uninstalls per device (spec/profiles.md, 2.2)."""

from collections.abc import Iterable

from actors.model.batches import Batch, Event
from actors.model.profiles import Attribution, Section
from actors.profiles.lateness import AsOf


def update_attribution(
    section: Section,
    batch: Batch,
    custom_events: Iterable[Event],
    uninstalls: Iterable[Event],
    device_key: str | None,
    as_of: AsOf,
) -> None:
    """Store the batch's installs and uninstalls; of each kind a device keeps one.

    Args:
        section: changed in place.
        batch: for its `attribution_info`.
        custom_events: its custom events; those of type and name `attribution` are installs.
        uninstalls: its `uninstall` events.
        device_key: the batch's device, `None` if it has none.
        as_of: the time that the batch stands for.
    """
    info = batch.attribution_info
    if info:
        source = info.get("service_provider"), info.get("publisher"), info.get("campaign")
        found = Attribution("install", *source, as_of.ms, device_key)
        # Clients repeat it in every batch; the first says when the install was.
        if not any(
            _source(known) == source for known in section.attribution if _same(known, found)
        ):
            _keep(section, found, as_of)
    for event in custom_events:
        if event.get("custom_event_type") != "attribution" or (
            event.get("event_name") != "attribution"
        ):
            continue
        attributes = event.get("custom_attributes") or {}
        publisher, campaign = attributes.get("publisher"), attributes.get("campaign")
        if publisher and campaign:
            found = Attribution(
                "install", None, publisher, campaign, event.timestamp_ms, device_key
            )
            _keep(section, found, as_of)
    for event in uninstalls:
        found = Attribution("uninstall", None, None, None, event.timestamp_ms, device_key)
        _keep(section, found, as_of)


def copy_installs(section: Section, installs: Iterable[Attribution], limit: int) -> None:
    """Take over another user's installs, each in place of the same device's own.

    Args:
        section: changed in place.
        installs: of the other user.
        limit: installs and uninstalls that may be kept; over it the oldest go.
    """
    for found in installs:
        own = [one for one in section.attribution if not _same(one, found)]
        section.attribution = [*own, found]
    kept = section.attribution
    for oldest in sorted(kept, key=lambda one: one.timestamp_ms)[: max(len(kept) - limit, 0)]:
        kept.remove(oldest)


def _keep(section: Section, found: Attribution, as_of: AsOf) -> None:
    """Store an attribution in place of the device's former one of its kind."""
    for place, known in enumerate(section.attribution):
        if _same(known, found):
            if not as_of.is_historical or known.timestamp_ms < found.timestamp_ms:
                section.attribution[place] = found
            return
    section.attribution.append(found)


def _same(one: Attribution, other: Attribution) -> bool:
    return one.event == other.event and one.device_key == other.device_key


def _source(attribution: Attribution) -> tuple[str | None, str | None, str | None]:
    return attribution.service_provider, attribution.publisher, attribution.campaign
